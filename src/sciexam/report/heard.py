"""Which verdicts of people a report counts: a run has one name, however many more they give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sciexam.report.evidence import Bench
from sciexam.types import ADJUDICATION


def heard(benches: Sequence[Bench]) -> Iterator[str]:
    """How many verdicts of the people in the ledger count, of how many annotators, and when they last judged."""
    for bench in benches:
        if bench.last_judged is not None:
            raters = [verdict.rater for _, verdict in bench.verdicts if verdict.status != "skipped"]
            people = len({*raters} - {ADJUDICATION})
            when = datetime.fromtimestamp(bench.last_judged / 1000, UTC)
            yield (
                f"Counted: {len(raters):,} verdict{'s' * (len(raters) != 1)} by {people:,} "
                f"annotator{'s' * (people != 1)}, the last of which came in on {when:%Y-%m-%d %H:%M:%S} UTC; people "
                "may judge on, and a report of this run then counts what they say."
            )
