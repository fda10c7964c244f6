"""The verdicts that count because a judge was asked once more, after a reply of it that could not be used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from sciexam.report.evidence import Bench
from sciexam.store import Store


def drawn_again(benches: Sequence[Bench], store: Store) -> Iterator[str]:
    """Of each judge that compares, how many of its verdicts are such, in a sentence."""
    usable, later = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for bench in benches:
        for _, verdict in bench.asked:
            if verdict.kind == "judge" and verdict.status == "ok":
                usable[verdict.rater].add(verdict.key)
                if verdict.attempt:
                    later[verdict.rater].add(verdict.key)
    for judge, keys in later.items():
        if count := store.columns.after_invalid(keys):
            verdicts = f"{count:,} of {len(usable[judge]):,} usable verdicts of {judge}"
            were, replies = ("was", "its reply") if count == 1 else ("were", "their replies")
            yield (
                f"{verdicts} {were} drawn again, as {replies} could not be used at first; "
                "the judge may fail more often on some answers than on others."
            )
