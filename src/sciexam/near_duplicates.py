"""Which questions say nearly the same: MinHash signatures by datasketch, and their LSH buckets in a database.

Two texts are near-duplicates where the Jaccard similarity of their sets of three words in a row, as 128 permutations
estimate it, is at least 0.7 (Broder 1997; Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.3 and 3.4).
Candidates share one of 25 bands of 5 permutations: a pair at the threshold shares one with a probability of 0.99.
datasketch's own index lies in memory, and grows with the questions; this one is on the disk.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from datasketch import MinHash

PERMUTATIONS, BANDS, ROWS = 128, 25, 5
SHINGLE = 3  # words
SIMILAR = 0.7
SEED = 1
LONGEST = 20_000  # characters of a text that are looked at

_TABLES = """
CREATE TABLE signature (question INTEGER PRIMARY KEY, hashes BLOB);
CREATE TABLE band (bucket INTEGER, question INTEGER);
CREATE TABLE kept (place INTEGER PRIMARY KEY, question INTEGER UNIQUE)
"""
# Of a bucket with one question in it nothing follows, and most are like that.
_SHARED = """
CREATE INDEX band_bucket ON band (bucket);
CREATE TABLE shared (question INTEGER, bucket INTEGER, PRIMARY KEY (question, bucket)) WITHOUT ROWID;
INSERT OR IGNORE INTO shared SELECT question, bucket FROM band
    WHERE bucket IN (SELECT bucket FROM band GROUP BY bucket HAVING count(*) > 1);
DROP TABLE band;
CREATE INDEX shared_bucket ON shared (bucket, question)
"""


def repeats(known: Sequence[str], texts: Sequence[str], *, each_once: bool = False) -> list[int | None]:
    """For each of `texts`, the place in [*known, *texts] of one that says nearly the same; None where none does.

    `each_once`: also of earlier texts, those aside that repeat something themselves.
    """
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        database.execute("BEGIN")
        index = NearDuplicates(database)
        for place, text in enumerate((*known, *texts)):
            index.add(place, text)
        index.finish()
        for place in range(len(known)):
            index.keep(place)
        found = []
        for place in range(len(known), len(known) + len(texts)):
            found.append(index.duplicate_of(place))
            if each_once and found[-1] is None:
                index.keep(place)
        return found


class NearDuplicates:
    """Signatures first (`add` each, then `finish`); then `duplicate_of` and `keep`, in the order in which
    questions are to be kept."""

    def __init__(self, database: sqlite3.Connection):
        self._database = database
        self._empty = MinHash(num_perm=PERMUTATIONS, seed=SEED, scheme="affine32")
        self._run(_TABLES)

    def add(self, question: int, text: str) -> None:
        """Remember the text of a question, known by its number. A text without a word is like no other."""
        if not (shingles := shingles_of(text)):
            return
        hashes = self._signature(shingles)
        self._database.execute("INSERT INTO signature VALUES (?, ?)", (question, hashes.tobytes()))
        buckets = ((bucket, question) for bucket in _buckets(hashes))
        self._database.executemany("INSERT INTO band VALUES (?, ?)", buckets)

    def finish(self) -> None:
        self._run(_SHARED)

    def duplicate_of(self, question: int) -> int | None:
        """The question that was kept first of those that say nearly the same as this one, or None."""
        mine: Any = None
        for other, hashes in self._candidates(question):
            if mine is None:
                query = "SELECT hashes FROM signature WHERE question = ?"
                mine = np.frombuffer(self._database.execute(query, (question,)).fetchone()[0], np.uint32)
            if other != question and np.mean(mine == np.frombuffer(hashes, np.uint32)) >= SIMILAR:
                return other
        return None

    def keep(self, question: int) -> None:
        self._database.execute("INSERT OR IGNORE INTO kept (question) VALUES (?)", (question,))

    def _run(self, statements: str) -> None:
        """Inside of the open transaction, which `executescript` would end."""
        for statement in statements.split(";"):
            self._database.execute(statement)

    def _candidates(self, question: int) -> Iterator[tuple[int, bytes]]:
        query = (
            "SELECT DISTINCT kept.place, other.question, signature.hashes FROM shared AS mine "
            "JOIN shared AS other ON other.bucket = mine.bucket JOIN kept ON kept.question = other.question "
            "JOIN signature ON signature.question = other.question WHERE mine.question = ? ORDER BY kept.place"
        )
        for _, other, hashes in self._database.execute(query, (question,)):
            yield other, hashes

    def _signature(self, shingles: set[bytes]) -> Any:
        made = self._empty.copy()
        made.update_batch(sorted(shingles))
        return np.asarray(made.hashvalues, np.uint32)


def shingles_of(text: str) -> set[bytes]:
    """Each run of three words, case and punctuation aside; a shorter text is one run."""
    words = re.findall(r"\w+", text[:LONGEST].casefold())
    runs = range(max(1, len(words) - SHINGLE + 1)) if words else range(0)
    return {" ".join(words[at : at + SHINGLE]).encode("utf-8", "surrogatepass") for at in runs}


def _buckets(hashes: Any) -> Iterator[int]:
    """One number a band: 64 bits that its place and its five hashes determine."""
    for band in range(BANDS):
        rows = hashes[band * ROWS : (band + 1) * ROWS].tobytes()
        digest = hashlib.blake2b(rows, digest_size=8, salt=band.to_bytes(2, "little")).digest()
        yield int.from_bytes(digest, "little", signed=True)
