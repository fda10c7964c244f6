"""Who of a file's raters is an annotator of the ledger: the same name is the same person, who counts once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sciexam.exam.raters import Rater
from sciexam.store import Store
from sciexam.store.annotators import Annotator


def pseudonyms(people: Iterable[Annotator]) -> dict[str, str]:
    """The pseudonym of each of the ledger's annotators whose name it knows."""
    return {one.name: one.pseudonym for one in people if one.name}


def as_known_here(rater: Rater, known: Mapping[str, str]) -> Rater:
    """A person of a file under the pseudonym that the ledger has for the name; anybody else as they are."""
    return replace(rater, name=known[rater.name]) if _is_known(rater, known) else rater


def called_otherwise(raters: Iterable[Rater], store: Store) -> Iterator[str]:
    """That people of a file are those of the ledger, a sentence a file."""
    known = pseudonyms(store.annotators.all())
    files: dict[str, int] = {}
    for rater in raters:
        if _is_known(rater, known):
            files[rater.bench] = files.get(rater.bench, 0) + 1
    for file, count in files.items():
        who = f"1 annotator of {file} is" if count == 1 else f"{count} annotators of {file} are"
        yield f"{who} in the ledger by name: here under the pseudonym, and counted once a judge."


def _is_known(rater: Rater, known: Mapping[str, str]) -> bool:
    return rater.kind == "human" and rater.part_of is None and rater.name in known
