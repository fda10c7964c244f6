"""Comparisons in which both contestants gave one and the same text."""

from __future__ import annotations

from collections.abc import Iterator

from sciexam.battles import pair
from sciexam.report.evidence import Evidence
from sciexam.types import HUMANS


def equal_texts(evidence: Evidence) -> Iterator[str]:
    """How many comparisons are of two equal texts, and what that means, where there are any."""
    found = [one.of_one_text for one in pair(evidence.prompts, evidence.pairs, evidence.samples, evidence.responses)]
    if any(found):
        are = "is" if sum(found) == 1 else "are"
        by_asking = any(bench.sees_order and not bench.recorded and bench.name != HUMANS for bench in evidence.benches)
        once = "a judge is asked once for both orders, " if by_asking else ""
        yield (
            f"{sum(found):,} of {len(found):,} comparisons {are} of two equal texts: {once}people are not shown them, "
            "and agreement, order consistency and position bias leave them out."
        )
