"""What one rater gave to answers one by one: what the tables of grades and of rewards are counted from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sciexam.battles import Battle, Slot, cluster
from sciexam.report.calls import Calls
from sciexam.types import Grade, Prompt, Status

GRAVEST = ("failed", "invalid", "skipped")
FEW_PROMPTS = 30
MANY_INVALID = 0.05


@dataclass(frozen=True, slots=True)
class Scale:
    """The points of one criterion, from `low` to `high` (None: nothing is known of them).

    `words`: what a grade is given by, and its points; empty where it is any number.
    """

    criterion: str
    low: float | None = None
    high: float | None = None
    words: Mapping[str, int] = field(default_factory=dict)

    @property
    def bounds(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True, slots=True)
class Marks:
    """What one rater gave. `grades`: by slot, all repeats; `missing`: the slots without an answer, and why.

    `bounds` are those of its scores, None where nothing is known of them; scores that differ by at most `tie_within`
    are a tie.
    """

    judge: str
    judge_is: str
    scales: tuple[Scale, ...]
    bounds: tuple[float, float] | None
    tie_within: float
    grades: Mapping[Slot, Sequence[Grade]]
    missing: Mapping[Slot, tuple[Status, str]]


@dataclass(frozen=True, slots=True)
class Marking:
    """Everything that one command planned and found out. `people`: what annotators said of the pairs of answers."""

    suite: str
    run: str
    rubric: str
    seed: int
    contestants: tuple[str, ...]
    notes: Mapping[str, str]
    prompts: tuple[Prompt, ...]
    samples: int
    marks: Sequence[Marks]
    calls: Calls
    people: Sequence[Battle] = ()
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """One contestant's mark on one prompt, averaged over samples and repeats; or why there is none."""

    prompt: str
    cluster: str
    value: float | None
    status: Status = "ok"
    failure: str = ""


def of_score(grade: Grade) -> float | None:
    return grade.score


def of_criterion(name: str) -> Callable[[Grade], float | None]:
    return lambda grade: grade.criteria.get(name)


def sample_value(grades: Iterable[Grade], of: Callable[[Grade], float | None]) -> float | None:
    """The mean over the usable repeats of one answer."""
    given = [value for grade in grades if grade.status == "ok" and (value := of(grade)) is not None]
    return sum(given) / len(given) if given else None


def values_of(marking: Marking, marks: Marks, contestant: str, of: Callable[[Grade], float | None]) -> list[Value]:
    """One value for each planned prompt, in their order: the mean over the samples that have one."""
    return [_value(marking, marks, contestant, prompt, of) for prompt in marking.prompts]


def _value(
    marking: Marking, marks: Marks, contestant: str, prompt: Prompt, of: Callable[[Grade], float | None]
) -> Value:
    slots = [(contestant, prompt.id, sample) for sample in range(marking.samples)]
    given = [value for slot in slots if (value := sample_value(marks.grades.get(slot, ()), of)) is not None]
    if given:
        return Value(prompt.id, cluster(prompt), sum(given) / len(given))
    causes: list[tuple[Status, str]] = [marks.missing[slot] for slot in slots if slot in marks.missing]
    causes += [(g.status, g.failure) for slot in slots for g in marks.grades.get(slot, ()) if g.status != "ok"]
    status, failure = min(causes, key=lambda cause: GRAVEST.index(cause[0]), default=("skipped", "not marked"))
    return Value(prompt.id, cluster(prompt), None, status, failure)


def paired(a: Sequence[Value], b: Sequence[Value]) -> tuple[list[float], list[float], list[str]]:
    """The marks of two contestants on the prompts where both have one, and the clusters of these prompts."""
    both = [(x.value, y.value, x.cluster) for x, y in zip(a, b, strict=True) if x.value is not None]
    kept = [(x, y, label) for x, y, label in both if y is not None]
    return [x for x, _, _ in kept], [y for _, y, _ in kept], [label for _, _, label in kept]


def statuses(marks: Marks, contestant: str) -> dict[str, int]:
    """How many marks of a contestant are of each status; an answer that failed has failed marks."""
    counted: Counter[str] = Counter({"ok": 0, "invalid": 0, "failed": 0, "skipped": 0})
    for slot, grades in marks.grades.items():
        if slot[0] == contestant:
            counted.update(grade.status for grade in grades)
    counted.update(status for slot, (status, _) in marks.missing.items() if slot[0] == contestant)
    return dict(counted)


def reasons(values: Iterable[Value]) -> dict[str, int]:
    """Why prompts have no mark, the most frequent reason first."""
    return dict(Counter(f"{v.status}: {v.failure}" for v in values if v.value is None).most_common())
