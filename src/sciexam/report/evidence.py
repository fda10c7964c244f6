"""What a report is made of: everything that one command planned and found out, before any of it is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sciexam.battles import Battle, Policy, Slot
    from sciexam.lineage import Descent
    from sciexam.report.calls import Calls
    from sciexam.report.escalation import Escalation
    from sciexam.report.judge_files import Corrected
    from sciexam.report.record import ByForm, Trust
    from sciexam.stats import Conclusion
    from sciexam.types import Presentation, Prompt, Response, Verdict

NOT_ASKED = "not asked yet"  # why there is no answer, or no verdict, that is still to come

TEXT_MEASURE = "a text measure"  # how the description of one begins


@dataclass(frozen=True, slots=True)
class Bench:
    """Those who judged under one name: one judge, or several raters who are one by prompt.

    Scores of annotators, and of a panel with `weights` "mean", are averaged; with "reliability" they are weighed by
    Dawid and Skene. `escalations`, of a cascade alone: what it did with each pair. `adjudicated`, of annotators alone:
    the comparisons that somebody settled who read what all of them said.
    """

    name: str
    description: str
    raters: tuple[str, ...]
    sees_order: bool
    battles: Sequence[Battle]
    verdicts: Sequence[tuple[Presentation, Verdict]]
    changed: int = 0  # verdicts that the ledger holds in two ways, of which the last counts
    weights: Literal["mean", "reliability"] | None = None  # of a panel
    by_criterion: Mapping[str, Sequence[Battle]] = field(default_factory=dict)  # where it says something of each
    escalations: Mapping[tuple[str, str], Escalation] | None = None
    adjudicated: Sequence[Battle] = ()
    recorded: tuple[str, ...] = ()  # the names of the files that its verdicts or marks come from, where nobody is asked
    trust: Trust = "doubtful"
    held: str = ""  # in a sentence, how it agreed with people by a validation; its description then says so, too
    by_chance: str = ""  # "not told from a coin", or worse, by that validation
    held_elsewhere: bool = False  # whether that validation was of other prompts or answers
    corrected: Sequence[Corrected] = ()  # win rates by that validation, where it was of these prompts and answers
    audited: str = ""  # in a sentence, what an audit of it found, and where that lies
    last_judged: int | None = None  # of people in the ledger: when they last said something of these, UTC in ms
    order_known: bool = True  # whether what its verdicts name first was shown first
    spoke: bool | None = None  # whether it has a verdict; None: its `verdicts` tell

    @property
    def settled(self) -> Sequence[Battle]:
        """The battles that count: on a comparison that was adjudicated, that one stands for those of the annotators."""
        if not self.adjudicated:
            return self.battles
        over = {(battle.a, battle.b, battle.prompt, battle.sample) for battle in self.adjudicated}
        kept = [battle for battle in self.battles if (battle.a, battle.b, battle.prompt, battle.sample) not in over]
        return [*kept, *self.adjudicated]

    @property
    def asked(self) -> Iterator[tuple[Presentation, Verdict]]:
        """Its verdicts, each question once: both orders of two equal texts are one, unless a file has each of them."""
        seen: set[tuple[str, frozenset[str], str, int, int, str]] = set()
        for shown, verdict in self.verdicts:
            if shown.first == shown.second and shown.key:
                contest = frozenset((shown.first_by, shown.second_by))
                question = verdict.rater, contest, shown.prompt.id, shown.sample, shown.repeat, shown.key
                if question in seen:
                    continue
                seen.add(question)
            yield shown, verdict

    @property
    def by_form(self) -> bool:
        """Whether it is a text measure, which knows nothing of meaning."""
        return self.description.startswith(TEXT_MEASURE)

    def concludes(self, conclusion: Conclusion) -> Conclusion | ByForm:
        """What the figures allow to be said, as far as this bench can say it."""
        from sciexam.report.record import BY_FORM

        return BY_FORM.get(conclusion, conclusion) if self.by_form else conclusion

    @property
    def silent(self) -> bool:
        """Whether it was never asked, or has no verdict on file."""
        if self.spoke is not None:
            return not self.spoke
        return all(verdict.status == "skipped" for _, verdict in self.verdicts)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that one command planned and found out, before any of it is counted."""

    suite: str
    run: str
    rubric: str
    seed: int
    contestants: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    notes: Mapping[str, str]
    prompts: tuple[Prompt, ...]
    samples: int
    responses: Mapping[Slot, Response]
    benches: Sequence[Bench]
    policy: Policy
    by: str
    margin: float | None
    calls: Calls
    caveats: tuple[str, ...] = ()
    lineage: tuple[Descent, ...] = ()  # of each contestant
    # How many human verdicts were given under another rubric: by pair of contestants, and by that rubric.
    other_rubrics: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    # a, b, bench: how many earlier runs looked at that pair otherwise
    earlier: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
