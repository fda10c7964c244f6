"""Preference pairs for DPO and reward models: what was chosen, what was rejected, and by how much.

A line is in TRL's conversational format: `prompt`, `chosen` and `rejected` are lists of messages, `margin` a number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from sciexam.battles import Battle, Slot
from sciexam.errors import UsageError
from sciexam.exam.by_grades import grades_by_slot, mark_of
from sciexam.exam.reading import Reading
from sciexam.exchange.judged import NOT_THERE, Line, Omissions, each_once
from sciexam.report.data_file import Columns
from sciexam.report.evidence import Bench
from sciexam.stats.sides import side_of
from sciexam.types import Comparison, Prompt, Response

PREFERENCES: Columns = {
    "prompt": "chat",
    "chosen": "chat",
    "rejected": "chat",
    "margin": "number",
    "margin_of": "text",
    "agreement": "number",
    "looks": "integer",
    "chosen_by": "text",
    "rejected_by": "text",
    "id": "text",
    "sample": "integer",
}

MarginOf = Literal["marks", "probability", "strength"]
Margin = tuple[MarginOf, float]  # what it is made of, and how far it points to b
Place = tuple[str, str, int]  # rater, prompt, sample


@dataclass(frozen=True, slots=True)
class _Opinions:
    """What the benches said of one pair of contestants: by comparison, and by rater what margins are made of."""

    battles: dict[tuple[str, int], list[Battle]]  # by prompt and sample, those with a score
    probable: set[Place]  # whose verdicts are probabilities
    marks: dict[str, dict[Slot, float | None]]  # by rater who marks answers one by one


def preference_lines(
    read: Reading, left_out: Omissions, margins: Counter[str], min_agreement: float = 0.0
) -> Iterator[Line]:
    """A line for each comparison that has a winner, over all orders and raters on the benches.

    The winner has the higher score: the mean over raters of what their battles came to. `agreement` is the share of all
    looks (a rater, in one order) that name the winner; a comparison with less than `min_agreement` is left out, as are
    ties, and prompts that lack a turn. `margins` counts the lines by what their margin is made of. Raises UsageError
    where that is not the same in all lines, because numbers on two scales are no margin to train on.
    """
    for comparisons, benches in read.by_pair():
        opinions = _opinions(read, comparisons, benches, left_out)
        for comparison in comparisons:
            battles = opinions.battles.get((comparison.prompt.id, comparison.a.sample), [])
            found = _preference(comparison, battles, opinions, min_agreement)
            if isinstance(found, str):
                left_out[found] += 1
                continue
            margins[found["margin_of"] or "none"] += 1
            if len(scales := sorted(margins.keys() - {"none"})) > 1:
                raise UsageError(
                    f"some margins are made of {scales[0]} and others of {scales[1]}, which are not on one scale; name "
                    "one judge with --judge"
                )
            yield found


def _opinions(
    read: Reading, comparisons: Sequence[Comparison], benches: Sequence[Bench], left_out: Omissions
) -> _Opinions:
    battles: dict[tuple[str, int], list[Battle]] = {}
    for battle in _settled(read, benches, left_out):
        if battle.score is not None:
            battles.setdefault((battle.prompt, battle.sample), []).append(battle)
    probable = {
        (verdict.rater, shown.prompt.id, shown.sample)
        for bench in benches
        for shown, verdict in bench.verdicts
        if verdict.probability_second is not None
    }
    graders = [rater for rater in read.plan.raters if rater.grades]
    given = {one.name: grades_by_slot(read.plan, one, read.store, comparisons, read.skipped) for one in graders}
    marks = {name: {slot: mark_of(grades) for slot, grades in found.items()} for name, found in given.items()}
    return _Opinions(battles, probable, marks)


def _settled(read: Reading, benches: Sequence[Bench], left_out: Omissions) -> Iterator[Battle]:
    """The battles that count: each person once, and on a comparison that was adjudicated that alone for all people."""
    said = [(bench, battle) for bench in benches for battle in bench.settled]
    people = {(rater.bench, rater.name) for rater in read.plan.raters if rater.kind == "human"}
    over = {(one.prompt, one.sample) for bench in benches for one in bench.adjudicated}
    for bench, battle in each_once(read, said, left_out):
        if (battle.prompt, battle.sample) not in over or (bench.name, battle.rater) not in people:
            yield battle


def _preference(
    comparison: Comparison, battles: Sequence[Battle], opinions: _Opinions, min_agreement: float
) -> Line | str:
    """The line of a comparison, or why there is none."""
    if not battles:
        return "no usable verdict"
    if comparison.a.absent or comparison.b.absent:
        return NOT_THERE
    if comparison.a.text == comparison.b.text:
        return "both answers are the same text"
    if _lacks_a_turn(comparison.prompt):
        return "its prompt has two messages of the user in a row: the answer between them is no part of it"
    score_a = sum(battle.score for battle in battles if battle.score is not None) / len(battles)
    if not (side := int(side_of(score_a))):
        return "tie"
    looks = [score for battle in battles for score in battle.by_order.values()]
    agreement = sum(side_of(score) == side for score in looks) / len(looks)
    if agreement < min_agreement:
        return f"agreement below {min_agreement:g}"
    chosen, rejected = (comparison.a, comparison.b) if side > 0 else (comparison.b, comparison.a)
    margin_of, margin = _margin([_margin_for_b(comparison, battle, opinions) for battle in battles], -side)
    return {
        "prompt": [{"role": one.role, "content": one.content} for one in comparison.prompt.messages],
        "chosen": _answer(chosen),
        "rejected": _answer(rejected),
        "margin": margin,
        "margin_of": margin_of,
        "agreement": agreement,
        "looks": len(looks),
        "chosen_by": chosen.contestant,
        "rejected_by": rejected.contestant,
        "id": comparison.prompt.id,
        "sample": chosen.sample,
    }


def _lacks_a_turn(prompt: Prompt) -> bool:
    """Whether the user speaks twice in a row: each contestant was asked after an answer of its own."""
    return any(one.role == other.role == "user" for one, other in pairwise(prompt.messages))


def _margin(found: Sequence[Margin | None], towards_b: int) -> tuple[MarginOf | None, float | None]:
    """The mean over raters, towards the winner and never below 0; none unless all raters give it on one scale."""
    known = [one for one in found if one is not None]
    if len(known) < len(found) or len({scale for scale, _ in known}) != 1:
        return None, None
    return known[0][0], max(0.0, towards_b * sum(value for _, value in known) / len(known))


def _margin_for_b(comparison: Comparison, battle: Battle, opinions: _Opinions) -> Margin | None:
    """How far one rater prefers b: by its marks of both answers, else by probabilities, else by strengths."""
    if battle.rater in opinions.marks:
        a, b = (
            opinions.marks[battle.rater].get((one.contestant, comparison.prompt.id, one.sample))
            for one in (comparison.a, comparison.b)
        )
        return None if a is None or b is None else ("marks", b - a)
    if (battle.rater, battle.prompt, battle.sample) in opinions.probable:
        scores = list(battle.by_order.values())
        return "probability", 1 - 2 * sum(scores) / len(scores)
    return None if battle.preference is None else ("strength", battle.preference)


def _answer(response: Response) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": response.text}]
