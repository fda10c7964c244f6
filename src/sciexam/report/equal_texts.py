"""Comparisons in which both contestants gave one and the same text."""

from __future__ import annotations

from collections.abc import Iterator

from sciexam.battles import pair
from sciexam.report.evidence import Evidence


def equal_texts(evidence: Evidence) -> Iterator[str]:
    """How many comparisons are of two equal texts, and what that means, where there are any."""
    found = [one.of_one_text for one in pair(evidence.prompts, evidence.pairs, evidence.samples, evidence.responses)]
    if any(found):
        are = "is" if sum(found) == 1 else "are"
        yield (
            f"{sum(found):,} of {len(found):,} comparisons {are} of two equal texts: a judge is asked once for both "
            "orders, people are not shown them, and agreement, order consistency and position bias leave them out."
        )
