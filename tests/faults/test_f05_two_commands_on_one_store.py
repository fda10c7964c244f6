"""Several commands judge the same comparisons at the same time, on one ledger."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import clean_environment, write_suite
from endpoint import Body, Endpoint, judge_longer, nonce_of, prompt_of
from forked import Commands, Running
from judged import CONCURRENCY, begin, exam, verdict_rows
from rows import Tally
from sciexam.store.writer import UNCOMMITTED_REPLIES


@pytest.mark.parametrize(
    ("processes", "prompts"), [(3, 30), pytest.param(4, 500, marks=pytest.mark.slow)], ids=["3x60", "4x1000"]
)
def test_commands_on_one_store_ask_for_each_key_once(
    tmp_path: Path, commands: Commands, tally: Tally, processes: int, prompts: int
) -> None:
    names = [f"command{number}" for number in range(processes)]
    with Endpoint("judge-longer", latency=0.02) as endpoint:
        suite = exam(tmp_path, endpoint.url, prompts)
        children = [begin(commands, tmp_path, "compare", "--suite", str(suite), "--json", said=name) for name in names]
        codes = [child.wait(100) for child in children]
        errors = [(tmp_path / f"{name}.err").read_text(encoding="utf-8") for name in names]
        assert codes == [0] * processes, errors
        assert endpoint.requests == 2 * prompts
    reports = [json.loads((tmp_path / f"{name}.out").read_text(encoding="utf-8"))["pairs"] for name in names]
    assert all(report == reports[0] for report in reports)
    keys = [row[0] for row in verdict_rows(tmp_path)]
    assert len(keys) == len(set(keys)) == 2 * prompts
    assert "locked" not in "".join(errors)
    tally(2 * prompts, 2 * prompts - len(set(keys)))


# ---------------------------------------------------------------- commands of all kinds, some of them killed

PROCESSES = int(os.environ.get("SCIEXAM_SOAK_PROCESSES", "24"))
SEED = int(os.environ.get("SCIEXAM_SOAK_SEED", "1"))
PROMPTS = 60
EACH = 4  # commands that each process runs, one after the other
LISTENERS = 4  # two contestants and two judges: so many may have calls in flight
KINDS = (
    ("compare", "--judge", "llm", "--json"),
    ("compare", "--judge", "other", "--json"),
    ("compare", "--judge", "llm", "--judge", "other", "--orders", "one", "--json"),
    ("grade", "--judge", "llm", "--json"),
    ("leaderboard", "--judge", "other", "--json"),
    ("answer", "small", "--out", "{said}.jsonl"),
)


def says(body: Body) -> str:
    """An answer, the longer one's verdict, or the worst grade on each criterion."""
    asked = prompt_of(body)
    if graded := re.findall(r"^The grade on (.*) is one of these, worst first: ([^,]*)", asked, re.MULTILINE):
        (nonce,) = set(re.findall(r"^GRADE ([0-9a-f]{12}) ", asked, re.MULTILINE))
        return "\n".join(["Marked.", *(f"GRADE {nonce} {name}: {worst}" for name, worst in graded)])
    if nonce_of(asked) is None:
        return f"{body['model']} says: {asked}" + " and so on" * (len(asked) % 7 if body["model"] == "small" else 3)
    return judge_longer(body)


def mixed_exam(folder: Path, url: str) -> None:
    line = {"backend": "openai", "base_url": url, "api_key_env": None, "concurrency": CONCURRENCY}
    models = {name: line | {"model": name} for name in ("small", "large")}
    judges = {name: line | {"model": name} for name in ("llm", "other")}
    write_suite(folder, PROMPTS, models, judges=judges, judge="llm", baseline="small")


class Slot:
    """One process after the other, in a place of its own among many. A third of them are killed and begun again."""

    def __init__(self, name: str, folder: Path, commands: Commands, endpoint: Endpoint):
        self._name, self._folder, self._commands, self._endpoint = name, folder, commands, endpoint
        self._draw = random.Random(f"{SEED} {name}")
        self._owed = [self._draw.choice(KINDS) for _ in range(EACH)]
        self._running: Running | None = None
        self._kill_at: float = 0
        self.kills = 0

    def is_done(self) -> bool:
        """Look after the process: begin the next one, or kill the one that runs when its moment has come."""
        if self._running is None:
            if not self._owed:
                return True
            given = [part.format(said=self._name) for part in self._owed[0]]
            self._running = begin(self._commands, self._folder, *given, "--suite", "exam.yaml", said=self._name)
            lives = self._draw.random() > 1 / 3
            self._kill_at = float("inf") if lives else self._endpoint.requests + self._draw.randint(0, 200)
        code = self._running.poll()
        if code is None and self._endpoint.requests >= self._kill_at:
            self._running.kill()
            self._running.wait()
            self._running = None
            self.kills += 1
        elif code is not None:
            assert code == 0, (self._owed[0], (self._folder / f"{self._name}.err").read_text(encoding="utf-8"))
            self._owed.pop(0)
            self._running = None
        return False


@pytest.mark.soak
def test_many_mixed_processes_of_which_some_are_killed_share_one_ledger(
    tmp_path: Path, commands: Commands, tally: Tally
) -> None:
    with Endpoint(says, latency=0.02) as endpoint:
        mixed_exam(tmp_path, endpoint.url)
        slots = [Slot(f"process{number}", tmp_path, commands, endpoint) for number in range(PROCESSES)]
        while any(not done for done in [slot.is_done() for slot in slots]):  # each is looked after in every round
            time.sleep(0.01)
        kills = sum(slot.kills for slot in slots)
        again = endpoint.requests - len(endpoint.bodies)
        assert again <= kills * (LISTENERS * CONCURRENCY + UNCOMMITTED_REPLIES), "what was in flight, and no more"
        found = results(tmp_path, commands)
        requests = endpoint.requests
        assert results(tmp_path, commands) == found
        assert endpoint.requests == requests, "nothing was left to do"
    (tmp_path / "alone").mkdir()
    with Endpoint(says) as endpoint:
        mixed_exam(tmp_path / "alone", endpoint.url)
        assert results(tmp_path / "alone", commands) == found, "as if each had been alone"
    keys = [(key, attempt) for key, attempt, _ in verdict_rows(tmp_path)]
    assert len(keys) == len(set(keys))
    assert len({key for key, _ in keys}) == len(keys), "no verdict was stored twice"
    tally(PROCESSES * EACH + kills)


def results(folder: Path, commands: Commands) -> Sequence[Any]:
    """What every kind of comparison says in the end."""
    pairs = []
    for kind in KINDS[:3]:
        done = commands.run((*kind, "--suite", "exam.yaml"), folder, clean_environment(), timeout=100)
        assert done.returncode == 0, done.stderr
        pairs.append(json.loads(done.stdout)["pairs"])
    return pairs
