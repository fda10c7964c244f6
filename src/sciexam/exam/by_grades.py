"""Verdicts that follow from marks: of two answers the one with the higher mark is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sciexam.battles import Slot, present
from sciexam.exam.plan import Plan, submissions_of
from sciexam.exam.raters import Rater
from sciexam.store import Fact, Store
from sciexam.types import Comparison, Grade, Presentation, Side, Verdict

ROUNDING = 1e-9  # means of equal marks may differ by this


def verdicts_by_grades(
    plan: Plan, rater: Rater, store: Store, comparisons: Sequence[Comparison], skipped: Mapping[str, Fact]
) -> Iterator[tuple[Comparison, tuple[Presentation, Verdict]]]:
    """The verdict of `rater` on each comparison, from its marks in the ledger.

    A mark is the mean over the usable repeats. Marks that differ by at most `rater.tie_within` are a tie. Where either
    answer has no usable mark there is no verdict, for the reason of the graver failure.
    """
    given = grades_by_slot(plan, rater, store, comparisons, skipped)
    for c in comparisons:
        both = [given[r.contestant, c.prompt.id, r.sample] for r in (c.a, c.b)]
        shown = present(c, "ab")
        yield c, (shown, verdict_of_marks(rater, shown, *both))


def grades_by_slot(
    plan: Plan, rater: Rater, store: Store, comparisons: Sequence[Comparison], skipped: Mapping[str, Fact]
) -> dict[Slot, list[Grade | Fact | None]]:
    """What the ledger has of the marks of `rater` on every answer that is compared, one entry a repeat."""
    keys: dict[Slot, list[str]] = {}
    for c in comparisons:
        for response in (c.a, c.b):
            slot = (response.contestant, c.prompt.id, response.sample)
            if slot not in keys:
                keys[slot] = [s.key for s in submissions_of(plan, rater, c.prompt, response, store)]
    stored = store.grades({key for listed in keys.values() for key in listed})
    return {slot: [stored.get(key) or skipped.get(key) for key in listed] for slot, listed in keys.items()}


def mark_of(grades: Sequence[Grade | Fact | None]) -> float | None:
    """The mean of the usable marks; None where there is none."""
    scores = [g.score for g in grades if isinstance(g, Grade) and g.score is not None]
    return sum(scores) / len(scores) if scores else None


def verdict_of_marks(
    rater: Rater, shown: Presentation, a: Sequence[Grade | Fact | None], b: Sequence[Grade | Fact | None]
) -> Verdict:
    first, second = mark_of(a), mark_of(b)
    if first is None or second is None:
        return _no_verdict(rater, shown, [g for grades in (a, b) for g in grades if isinstance(g, Grade)])
    reason = f"marks {first:g} and {second:g}"
    return shown.verdict(rater.name, _side(second - first, rater.tie_within), kind=rater.kind, reason=reason)


def _side(ahead: float, tie_within: float) -> Side:
    if abs(ahead) <= tie_within + ROUNDING:
        return "tie"
    return "second" if ahead > 0 else "first"


def _no_verdict(rater: Rater, shown: Presentation, grades: Sequence[Grade]) -> Verdict:
    for status in ("failed", "invalid", "skipped"):
        for grade in grades:
            if grade.status == status:
                return shown.verdict(rater.name, kind=rater.kind, status=grade.status, failure=grade.failure)
    return shown.verdict(rater.name, kind=rater.kind, status="skipped", failure="not marked")
