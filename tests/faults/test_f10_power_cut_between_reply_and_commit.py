"""The process dies after replies came and before they are committed."""

from __future__ import annotations

import fcntl
import sqlite3
import time
from pathlib import Path

from conftest import Cli
from endpoint import Endpoint
from forked import Commands
from judged import CONCURRENCY, PROMPTS, begin, exam, result, usable
from rows import Tally
from sciexam.store.writer import GROUP_ROWS

UNCOMMITTED = 8  # replies that may have been paid for and wait for their commit


def test_what_was_paid_for_and_not_committed_is_a_few_replies_and_never_half_a_batch(
    tmp_path: Path, commands: Commands, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint("judge-longer", latency=0.02) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        child = begin(commands, tmp_path, "compare", "--suite", str(suite), "--json")
        while len(usable(tmp_path)) < 8:
            time.sleep(0.005)
        with (tmp_path / "results" / "ledger.sqlite.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # from now on nothing can be committed
            kept = usable(tmp_path)
            _wait_until_it_stands_still(endpoint)
            child.kill()
            child.wait()
            paid = endpoint.requests
        assert usable(tmp_path) == kept
        assert 0 < paid - len(kept) <= UNCOMMITTED + CONCURRENCY <= GROUP_ROWS
        _assert_whole_batches(tmp_path)
        pair = result(sciexam("compare", "--suite", str(suite), "--json"))
        assert pair["used"] == PROMPTS
        assert endpoint.requests == 2 * PROMPTS + paid - len(kept), "only what was not committed was asked again"
        _assert_whole_batches(tmp_path)
    tally(1, len(kept - usable(tmp_path)))


def _wait_until_it_stands_still(endpoint: Endpoint) -> None:
    """Until nothing was asked for a while: whoever cannot store asks no more."""
    still, seen = 0, -1
    while still < 20:
        time.sleep(0.02)
        still = still + 1 if endpoint.requests == seen and not endpoint.in_flight else 0
        seen = endpoint.requests


def _assert_whole_batches(folder: Path) -> None:
    """Each verdict lies there with its reply and the texts of both: they are one transaction."""
    with sqlite3.connect(folder / "results" / "ledger.sqlite") as raw:
        torn = "SELECT count(*) FROM verdicts LEFT JOIN replies USING (key, attempt) LEFT JOIN texts ON replies.raw = "
        assert raw.execute(torn + "texts.id WHERE texts.body IS NULL").fetchone() == (0,)
        alone = "SELECT count(*) FROM replies LEFT JOIN verdicts USING (key, attempt) WHERE verdicts.key IS NULL "
        assert raw.execute(alone + "AND replies.raw IS NOT NULL").fetchone() == (0,)
