"""A copy of a ledger that is one state of it, made while others write."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from sciexam.errors import StoreError, UsageError
from sciexam.files import drafted, put_new
from sciexam.store.examination import Examination, examine
from sciexam.store.sqlite import file_of, looked_at, translated


def back_up(location: str, copy: Path) -> Examination:
    """Write the ledger in the SQLite file at `location` to `copy`, which must not be there; what is in the copy.

    The copy is one file that needs no other beside it. It is read before it gets its name, so that a damaged ledger has
    no backup that looks like a good one: StoreError.
    """
    there = UsageError(f"{copy} is there already, and a backup overwrites nothing; name another file")
    if copy.exists():
        raise there
    with translated(f"{location} to {copy}"), looked_at(location) as connection, drafted(copy) as draft:
        with closing(sqlite3.connect(draft)) as target:
            source = connection.connection.driver_connection
            assert source is not None
            target.execute("PRAGMA journal_mode = OFF")  # a draft that is not finished is thrown away
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        found = examine(str(draft))
        if found.faults:
            raise StoreError(
                f"{location}: damaged ({found.faults[0]}), and not copied; `sciexam store repair` salvages what can be "
                "read"
            )
        shutil.copymode(file_of(location), draft)
        try:
            put_new(draft, copy)
        except FileExistsError:
            raise there from None
    return found
