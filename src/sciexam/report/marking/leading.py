"""Who has the higher marks by one judge, and whether that is told apart: one sentence for grades and for rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sciexam.report.record import Figure
from sciexam.stats import Estimate

NAMED = 4  # contestants that a sentence lists; of more it gives the number


@dataclass(frozen=True, slots=True)
class Lead:
    """What b has more than a on the same prompts, and the corrected p-value of its test."""

    a: str
    b: str
    difference: Figure
    p: float | None

    def winner(self, level: float) -> str | None:
        """Whose marks are higher: the interval leaves out 0, and p is below 1 - `level`. Else nobody's."""
        if not isinstance(self.difference, Estimate) or self.p is None or self.p >= 1 - level:
            return None
        if self.difference.low <= 0 <= self.difference.high:
            return None
        return self.b if self.difference.value > 0 else self.a


def leading(judge: str, mark: str, means: Mapping[str, Figure], leads: Sequence[Lead], level: float) -> str:
    """The sentence. `mark`: what is given, such as `grade`; `means`: of each contestant; `leads`: of every two."""
    known = {name: mean for name, mean in means.items() if isinstance(mean, Estimate)}
    if not known:
        return f"{judge} gave no usable {mark}."
    if len(means) == 2 and len(leads) == 1:
        return _of_two(judge, mark, leads[0], level)
    top = max(known, key=lambda name: known[name].value)
    if len(means) == 1:
        return f"The mean {mark} of {top} by {judge} is {known[top]}."
    others = [name for name in means if name != top]
    below = {other for lead in leads for other in (lead.a, lead.b) if lead.winner(level) == top and other != top}
    said = f"By {judge} the mean {mark} of {top} is the highest, {known[top]}"
    if len(below) == len(others):
        return f"{said}, and told apart from that of each of the other {len(others)}."
    if not below:
        return f"{said}, and not told apart from that of any other."
    near = [name for name in others if name not in below]
    listed = _listed(near) if len(near) <= NAMED else f"the other {len(near)}"
    told = _listed([name for name in others if name in below]) if len(below) <= NAMED else f"{len(below)} others"
    return f"{said}; it is told apart from that of {told}, and not from that of {listed}."


def _of_two(judge: str, mark: str, lead: Lead, level: float) -> str:
    if not isinstance(lead.difference, Estimate):
        return f"Whether {judge} gives {lead.b} or {lead.a} the higher {mark} cannot be said: {lead.difference.why}."
    difference = f"on the same prompts, {lead.b} less {lead.a} is {lead.difference}"
    winner = lead.winner(level)
    if winner is None:
        return f"By {judge} the mean {mark}s of {lead.b} and {lead.a} are not told apart: {difference}."
    loser = lead.a if winner == lead.b else lead.b
    return f"By {judge} the mean {mark} of {winner} is higher than that of {loser}: {difference}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
