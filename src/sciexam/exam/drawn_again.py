"""The verdicts that count because a judge was asked once more, after a reply of it that could not be used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence, Set

from sciexam.exam.stored import Heard
from sciexam.report.evidence import Bench
from sciexam.report.standings.outcomes import OK
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
        yield from _said(judge, len(usable[judge]), keys, store)


def drawn_again_by(heard: Heard, store: Store) -> Iterator[str]:
    """The same of one judge whose verdicts are known as arrays."""
    if heard.rater.kind == "judge":
        usable = (heard.verdicts.status == OK) & heard.said.asked
        later = heard.looks.keys[usable & (heard.verdicts.attempt > 0)]
        yield from _said(heard.rater.name, int(usable.sum()), {key.tobytes().hex() for key in later}, store)


def _said(judge: str, usable: int, keys: Set[str], store: Store) -> Iterator[str]:
    if count := store.columns.after_invalid(keys):
        were, replies = ("was", "its reply") if count == 1 else ("were", "their replies")
        yield (
            f"{count:,} of {usable:,} usable verdicts of {judge} {were} drawn again, as {replies} could not be used "
            "at first; the judge may fail more often on some answers than on others."
        )
