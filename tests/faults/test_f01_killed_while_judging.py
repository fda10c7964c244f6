"""The command is killed with kill -9 at random moments while a judge is asked, and started again."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import phases
from conftest import clean_environment
from endpoint import Endpoint
from forked import Commands
from judged import CONCURRENCY, begin, exam, kill_after, result, server, stats, usable, verdict_rows
from postgres import raw
from rows import Tally
from sciexam.store import Store
from sciexam.store.writer import UNCOMMITTED_REPLIES

KILLS = int(os.environ.get("SCIEXAM_SOAK_KILLS", "1000"))
SEED = int(os.environ.get("SCIEXAM_SOAK_SEED", "1"))


def killed_again_and_again(
    folder: Path, commands: Commands, prompts: int, kills: int, seed: int, least: int = 0
) -> tuple[int, int]:
    """Kill the same command so often, then let it end. Returns (kills, lost verdicts), and asserts what was paid.

    A kill comes after `least` to 30 requests more.

    An exam that is finished before all kills are used up is followed by another one.
    """
    draw = random.Random(seed)
    done = lost = survived = 0
    while done < kills:
        place = folder / f"exam{done}"
        place.mkdir()
        with server("--reply", "judge-longer", "--latency", "0.04") as url:
            suite = exam(place, url, prompts)
            command = ("compare", "old", "new", "--suite", str(suite), "--json")
            kept: set[Any] = set()
            here = 0
            while done < kills and len(kept) < 2 * prompts:
                kill_after(url, begin(commands, place, *command), draw.randint(least, 30), draw)
                done, here = done + 1, here + 1
                found = usable(place)
                lost += len(kept - found)
                kept |= found
            ended = commands.run(command, place, clean_environment(), timeout=100)
            pair = result(ended)
            assert (pair["used"], pair["win_rate"]["value"]) == (prompts, 1.0)
            lost += len(kept - usable(place))
            assert len(verdict_rows(place)) == 2 * prompts
            assert stats(url)["requests"] <= 2 * prompts + here * (CONCURRENCY + UNCOMMITTED_REPLIES)
            survived += len(kept)
        gc.collect()  # a connection to a ledger holds itself, and its files, until then
    assert survived, "every kill came before the first verdict; the test shows nothing"
    return done, lost


def test_killed_twice_the_same_command_ends_with_every_verdict_once(
    tmp_path: Path, commands: Commands, tally: Tally
) -> None:
    kills, lost = killed_again_and_again(tmp_path, commands, prompts=20, kills=2, seed=3, least=20)
    tally(kills, lost)
    assert lost == 0, "an acknowledged verdict is gone"


@pytest.mark.slow
def test_kill_9_at_forty_moments_loses_no_verdict_and_pays_only_for_what_was_in_flight(
    tmp_path: Path, commands: Commands, tally: Tally
) -> None:
    kills, lost = killed_again_and_again(tmp_path, commands, prompts=200, kills=40, seed=1)
    tally(kills, lost)
    assert lost == 0, "an acknowledged verdict is gone"


@pytest.mark.soak
def test_a_thousand_kills_lose_no_verdict(tmp_path: Path, commands: Commands, tally: Tally) -> None:
    kills, lost = killed_again_and_again(tmp_path, commands, prompts=400, kills=KILLS, seed=SEED)
    tally(kills, lost)
    assert lost == 0, "an acknowledged verdict is gone"


# ---------------------------------------------------------------- in every phase of a command with all there is


def without_anchors(caveats: list[str]) -> list[str]:
    """A run that was killed before its anchors has none on that day."""
    return [caveat for caveat in caveats if "anchors" not in caveat]


@pytest.mark.slow
def test_killed_in_every_phase_a_command_ends_as_if_it_had_not_been(tmp_path: Path, tally: Tally) -> None:
    known, calls = phases.whole(tmp_path / "whole")
    with Endpoint(phases.reply, latency=0.01) as endpoint:
        phases.exam(tmp_path, endpoint.url)
        for share in phases.PHASES.values():
            child = phases.started(tmp_path)
            phases.wait_for(endpoint, int(share * calls), child)
            assert child.poll() is None, "it was over before it could be killed"
            child.send_signal(signal.SIGKILL)
            child.communicate()
        found = phases.finished(tmp_path)
        distinct, requests = len(endpoint.bodies), endpoint.requests
        again = phases.finished(tmp_path)
        assert endpoint.requests == requests
    assert found["pairs"] == known["pairs"] == again["pairs"]
    assert without_anchors(found["caveats"]) == without_anchors(known["caveats"])
    # A judge that a kill left nothing to ask has no anchors on this day. Besides, a kill costs what was in flight (to
    # two contestants and a judge at most) and what was not yet durable.
    assert calls - 2 * phases.ANCHORS <= distinct <= calls
    tally(len(phases.PHASES))
    assert requests <= distinct + len(phases.PHASES) * (3 * phases.CONCURRENCY + UNCOMMITTED_REPLIES)


@pytest.mark.slow
def test_killed_between_rounds_a_run_until_it_is_decided_stops_at_the_same_prompt(tmp_path: Path, tally: Tally) -> None:
    """With references, which are written round by round: of 40 prompts far fewer are asked for."""
    options = ("--until-decided", "--judge", "cheap", "--judge", "dear")
    known, calls = phases.whole(tmp_path / "whole", *options)
    stops = [pair["stop"]["prompts"] for pair in known["pairs"]]
    with Endpoint(phases.reply, latency=0.01) as endpoint:
        phases.exam(tmp_path, endpoint.url)
        for share in (0.1, 0.4, 0.7):
            child = phases.started(tmp_path, *options)
            phases.wait_for(endpoint, int(share * calls), child)
            child.send_signal(signal.SIGKILL)
            child.communicate()
        found = phases.finished(tmp_path, *options)
        requests = endpoint.requests
        phases.finished(tmp_path, *options)
        assert endpoint.requests == requests
        assert phases.asked(endpoint)["teacher"] <= max(stops) + 2 * 8 + 3 * (phases.CONCURRENCY + UNCOMMITTED_REPLIES)
    for one, other in zip(found["pairs"], known["pairs"], strict=True):
        assert {k: one[k] for k in ("stop", "win_rate", "conclusion", "p_value")} == {
            k: other[k] for k in ("stop", "win_rate", "conclusion", "p_value")
        }


# ---------------------------------------------------------------- the ledger alone, in SQLite and in PostgreSQL

WRITER = """
    import sys
    from sciexam.store import Store
    from sciexam.types import Reply
    import hashlib
    def durable(facts):
        for fact in facts:
            print(fact.key, flush=False)
        sys.stdout.flush()
    with Store(sys.argv[1]) as store, store.writer(durable) as writer:
        for number in range(1_000_000):
            writer.put(Reply(hashlib.sha256(f"{sys.argv[2]} {number}".encode()).hexdigest(), "text " * 20))
"""


@pytest.mark.slow
def test_kill_9_loses_no_acknowledged_fact_with_two_writers(ledger: str, tally: Tally) -> None:
    acknowledged: set[str] = set()
    Store(ledger).close()
    for kill in range(8 if "://" not in ledger else 3):
        children = [
            subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(WRITER), ledger, f"{kill} {who}"],
                stdout=subprocess.PIPE,
                text=True,
            )
            for who in range(2)
        ]
        lines: list[list[str]] = [[], []]
        readers = [
            threading.Thread(target=lambda c=child, into=into: into.extend(c.stdout or ()))
            for child, into in zip(children, lines, strict=True)
        ]
        for reader in readers:
            reader.start()
        while not all(lines):
            time.sleep(0.01)
        time.sleep(0.05 * (kill % 4))
        for child in children:
            child.kill()
            child.wait()
        for reader in readers:
            reader.join()
        # The last line may be torn by the kill; a whole one is 64 hex digits and a newline.
        tally(len(children))
        acknowledged |= {line.strip() for into in lines for line in into if len(line) == 65}
    assert len(acknowledged) > 1000
    with Store(ledger) as store:
        assert acknowledged <= store.replies(sorted(acknowledged)).keys()
    if "://" not in ledger:
        assert raw(ledger, "PRAGMA integrity_check") == [("ok",)]
