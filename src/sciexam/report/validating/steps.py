"""What to do after a validation: sentences with the command to type, from what it found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sciexam.report.audit import Takes
from sciexam.report.next_steps import AUDITED, first_of, of_judge, reader, with_most
from sciexam.report.record import Step
from sciexam.report.validating.faults import by_chance, faults, goes_by_place
from sciexam.report.validating.validation import Validation
from sciexam.stats import Estimate
from sciexam.typed import Command
from sciexam.types import HUMANS

ENOUGH_DECIDED = 100  # comparisons, which tell an accuracy to some eight points either way


def steps_of(
    found: Validation,
    argv: Sequence[str],
    recorded: bool,
    audited: bool,
    prompts: int,
    takes: Takes | None = None,
    readers: Sequence[str] = (),
) -> tuple[Step, ...]:
    """What is missing first, then what would make the result firmer, then what rests on it.

    More labels come after another judge where they cannot mend this one.
    `argv` is the command line that made it. `recorded`: whether the judge is a file, which cannot be asked; `audited`:
    whether an audit of it lies among the results. `prompts`: how many the exam has; `takes`: what an audit takes;
    `readers`: the judges of the suite that can be asked.
    """
    judge, command = of_judge("validate", argv, found.suite, found.judge, found.contestants)
    firmer = [_labels(found, command), _another(found, judge, command, readers)]
    if _beyond_labels(found):
        firmer.reverse()
    return (
        *_missing(found, command),
        *(step for steps in firmer for step in steps),
        *([] if recorded or audited else _audit(found, judge, command, prompts, takes)),
        *_rests(found, judge, command, recorded),
    )


def _missing(found: Validation, command: Command) -> Iterator[Step]:
    for status, how, more in (
        ("failed", "as calls failed; they are asked again by", ()),
        ("invalid", "as replies could not be used; to draw once more", ("--retry-invalid",)),
    ):
        if count := found.verdicts[status]:
            verdicts = f"{count:,} verdict{' is' if count == 1 else 's are'} missing, {how}"
            yield Step(verdicts, command.repeated(*more, name="validate"))


def _beyond_labels(found: Validation) -> bool:
    """Whether more labels would not mend it: the judge goes by the place of an answer, or is not told from a coin."""
    agreed = found.against[0].accuracy_decided
    is_coin = isinstance(agreed, Estimate) and by_chance(agreed) != ""
    return is_coin or goes_by_place(found.biases.position_bias)


def _labels(found: Validation, command: Command) -> Iterator[Step]:
    """More labels, where there are prompts that nobody has judged."""
    decided = found.against[0].decided
    if decided < ENOUGH_DECIDED and any(rate.unlabelled + rate.unasked for rate in found.rates):
        told = (
            f"{decided:,} decided comparisons leave wide intervals, and {ENOUGH_DECIDED} some eight points either way"
        )
        by_people = command.line("annotate", "serve", *command.contestants, *_wider(found))
        yield Step(f"{told}; to have people judge more", by_people)


def _wider(found: Validation) -> Iterator[str]:
    """How many prompts to draw, so that about as many are added as are wanting."""
    labelled = max(rate.labelled for rate in found.rates)
    wanted = labelled + ENOUGH_DECIDED - found.against[0].decided
    if wanted < max(rate.labelled + rate.unlabelled + rate.unasked for rate in found.rates):
        yield from ("--draw", str(wanted))


def _another(found: Validation, judge: str, command: Command, readers: Sequence[str]) -> Iterator[Step]:
    """Another judge, and people, where this one was not shown to beat a coin or the longer answer, or goes by place."""
    if not (wrong := list(faults(found.against, found.biases))):
        return
    why = f"{found.judge} {' and '.join(wrong)}"
    if judge != (other := reader(readers, {judge})):
        yield Step(f"{why}; to ask another", command.line("validate", other, *command.contestants))
        why = "Or"
    by_people = command.line("compare", *command.contestants, "--judge", HUMANS)
    yield Step(f"{why}{',' if why == 'Or' else ';'} to go by the people who judged, and by no model", by_people)


def _audit(found: Validation, judge: str, command: Command, prompts: int, takes: Takes | None) -> Iterator[Step]:
    why = with_most(f"To see what {found.judge} can be moved by", takes, min(AUDITED, prompts))
    yield Step(why, command.line("audit", judge, *command.contestants, *first_of(prompts)))


def _rests(found: Validation, judge: str, command: Command, recorded: bool) -> Iterator[Step]:
    unasked = 0 if recorded else sum(rate.unasked for rate in found.rates)
    all_the_same = " all the same" * any(faults(found.against, found.biases))
    why = f"To compare by {found.judge}{all_the_same}, with what this found beside it"
    if unasked:
        prompts = f"{unasked:,} prompts" if unasked > 1 else "prompt"
        why = f"To ask {found.judge} for the {prompts} that it has not judged; then validate again"
    yield Step(why, command.line("compare", *command.contestants, "--judge", judge))
