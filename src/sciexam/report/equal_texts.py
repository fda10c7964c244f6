"""Comparisons in which both contestants gave one and the same text."""

from __future__ import annotations

from collections.abc import Iterator

from sciexam.battles import pair
from sciexam.report.evidence import Evidence


def equal_texts(evidence: Evidence) -> Iterator[str]:
    """How many comparisons are of two equal texts, and what that means, where there are any."""
    found = [one.of_one_text for one in pair(evidence.prompts, evidence.pairs, evidence.samples, evidence.responses)]
    if any(found):
        are, it = ("is", "it") if sum(found) == 1 else ("are", "them")
        yield (
            f"{sum(found):,} of {len(found):,} comparisons {are} of two equal texts: people are not shown {it}, where "
            "a file has a verdict of theirs it is a tie in the win rates, and no verdict of anybody there counts in "
            "agreement, order consistency or position bias."
        )
