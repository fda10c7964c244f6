"""A process is killed with keys that it claimed, and nodes of a Ray cluster are lost in the middle of an exam."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from conftest import COMMAND, clean_environment, write_suite
from endpoint import Endpoint
from forked import Commands
from judged import CONCURRENCY, begin, exam
from judged import PROMPTS as JUDGED
from postgres import SLOWLY, place, raw
from rows import Tally
from sciexam.store import Store
from sciexam.store.tables import decode, meta
from sciexam.store.writer import UNCOMMITTED_REPLIES

PROMPTS = 60


# ---------------------------------------------------------------- a process


@pytest.fixture(params=SLOWLY)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return place(request, tmp_path)


def test_another_process_takes_over_what_a_killed_one_had_claimed_and_each_key_is_there_once(
    tmp_path: Path, commands: Commands, store: str, tally: Tally
) -> None:
    with Endpoint("judge-longer", latency=0.2) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        command = ("compare", "old", "new", "--suite", str(suite), "--store", store, "--json", "--results")
        killed, other = (begin(commands, tmp_path, *command, name, said=name) for name in ("killed", "other"))
        end = time.monotonic() + 60
        while endpoint.requests < 2 * CONCURRENCY or len(claims_of(store)) < 2:
            assert time.monotonic() < end, (killed.poll(), other.poll())
            time.sleep(0.02)
        killed.kill()
        killed.wait()
        assert other.wait(100) == 0, (tmp_path / "other.err").read_text()
        assert json.loads((tmp_path / "other.out").read_text())["pairs"][0]["used"] == JUDGED
        paid_again = endpoint.requests - 2 * JUDGED
        assert paid_again <= CONCURRENCY + UNCOMMITTED_REPLIES, "only what was in flight is paid again"
    (kept,) = raw(store, "SELECT count(*), count(DISTINCT key) FROM verdicts WHERE status = 0")
    assert kept == (2 * JUDGED, 2 * JUDGED)
    assert claims_of(store) == {}, "nothing stays claimed"
    tally(2 * JUDGED, 2 * JUDGED - kept[1])


def claims_of(store: str) -> dict[str, int]:
    """How many keys each process has claimed."""
    try:
        return dict(raw(store, "SELECT owner, count(*) FROM claims GROUP BY owner"))  # type: ignore[arg-type]
    except Exception:  # the tables are not there yet; each database says so in its own words
        return {}


# ---------------------------------------------------------------- a node


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """Three nodes with one core each, beside a head with none."""
    pytest.importorskip("torch")
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'sciexam[ray]'")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # else whatever else runs here comes first
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        started.workers = [started.add_node(num_cpus=1) for _ in range(3)]
        yield started
        started.shutdown()


def exam_of(folder: Path) -> Path:
    """Two contestants, an LLM judge and a reward model, all of tiny weights made here, in batches of a few."""
    import checkpoints

    checkpoints.causal(folder / "base", seed=1)
    checkpoints.causal(folder / "sft", seed=2)
    checkpoints.causal(folder / "judge", "qwen3", seed=3, max_position_embeddings=4096)
    checkpoints.reward(folder / "rm", seed=4)
    judges = {
        "local": {
            "backend": "huggingface",
            "weights": "./judge",
            "template": "verdict-only",
            "probabilities": True,
            "batch_tokens": 2500,
        },
        "rm": {"backend": "reward", "weights": "./rm"},
    }
    models = {name: {"weights": f"./{name}", "dtype": "fp32", "batch_tokens": 100} for name in ("base", "sft")}
    return write_suite(folder, PROMPTS, models, judges=judges, generation={"max_tokens": 24})


def command(suite: Path, store: str, results: Path, *more: str) -> list[str]:
    judges = ("--judge", "local", "--judge", "rm")
    return [
        *(str(COMMAND), "compare", "base", "sft", "--suite", str(suite), *judges, "--quiet"),
        *("--store", store, "--results", str(results), *more),
    ]


def facts(store: str) -> set[tuple[Any, ...]]:
    """What was said, under which key: replies with their texts, verdicts and grades."""
    with Store(store) as ledger, ledger.database.reading() as connection:
        found = set()
        for table, text, more in (
            ("replies", "f.text", ""),
            ("verdicts", "f.reason", ", f.preferred"),
            ("grades", "f.reason", ""),
        ):
            columns = f"f.key, f.attempt, f.status{more}, t.body"
            rows = connection.exec_driver_sql(f"SELECT {columns} FROM {table} f LEFT JOIN texts t ON t.id = {text}")
            found |= {(table, bytes(key), *more, worded(body)) for key, *more, body in rows}
    return found


def worded(body: bytes | None) -> str | float | None:
    """A text; a reward as far as it does not depend on the batch that it was computed in."""
    if body is None:
        return None
    text = decode(body)
    try:
        return round(float(text), 4)
    except ValueError:
        return text


@pytest.mark.slow
@pytest.mark.timeout(900)  # a lost actor is another process that loads torch
def test_a_node_is_lost_half_way_in_answering_and_one_in_judging_and_the_ledger_holds_what_one_process_finds(
    tmp_path: Path, postgresql: str, nodes: Any
) -> None:
    suite = exam_of(tmp_path)
    environment = clean_environment() | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    alone = str(tmp_path / "alone.sqlite")
    share_secret(alone, postgresql)
    subprocess.run(command(suite, alone, tmp_path / "alone"), env=environment, check=True, cwd=tmp_path)
    answered, marked = 2 * PROMPTS, 2 * PROMPTS + 2 * PROMPTS  # verdicts in both orders, and a reward for each answer

    spread = command(suite, postgresql, tmp_path / "spread", "--engine", "ray")
    running = subprocess.Popen(
        spread,
        env=environment | {"RAY_ADDRESS": nodes.address},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for done, owed in ((answers_in, answered), (marks_in, marked)):
            lose_a_node(nodes, running, lambda done=done: done(postgresql), owed)  # type: ignore[misc]
        said, told = running.communicate(timeout=300)
    finally:
        running.kill()
    assert running.returncode == 0, told
    # Of the two nodes one may have had nothing to do when it was lost.
    assert "a Ray actor was lost, and others are asked for what it owed" in told, told
    assert "sft" in said

    assert facts(postgresql) == facts(alone)
    assert (answers_in(postgresql), marks_in(postgresql)) == (answered, marked), "each is there once"
    again = subprocess.run(spread[:-2], env=environment, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "nothing was left to do" in again.stderr  # the same command without Ray


def answers_in(store: str) -> int:
    """How many replies there are that no verdict and no grade was read from."""
    marks = "SELECT key FROM verdicts UNION ALL SELECT key FROM grades"
    return count(store, f"SELECT count(*) FROM replies WHERE key NOT IN ({marks})")


def marks_in(store: str) -> int:
    """How many verdicts and grades there are."""
    return count(store, "SELECT (SELECT count(*) FROM verdicts) + (SELECT count(*) FROM grades)")


def count(store: str, statement: str) -> int:
    try:
        ((number,),) = raw(store, statement)
    except Exception:  # the tables are not there yet; each database says so in its own words
        return 0
    return int(number)


def lose_a_node(nodes: Any, running: subprocess.Popen[str], done: Callable[[], int], owed: int) -> None:
    """Kill a node once a quarter of what is `owed` is done; it must be under way still."""
    end = time.monotonic() + 300
    while done() < owed // 4:
        assert running.poll() is None, running.communicate(timeout=10)
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)
    nodes.remove_node(nodes.workers.pop(), allow_graceful=False)
    assert done() < owed, "the node was lost too late to cost anything"


def share_secret(*ledgers: str) -> None:
    """What a judge is shown holds words that are derived from the ledger's secret: with another one it may say else."""
    for ledger in ledgers:
        with Store(ledger) as opened, opened.database.writing() as connection:
            connection.execute(sa.update(meta).where(meta.c.name == "secret").values(value=bytes(32)))


@pytest.mark.slow
def test_without_a_cluster_that_answers_nothing_is_asked(tmp_path: Path) -> None:
    suite = exam_of(tmp_path)
    environment = clean_environment() | {"RAY_ADDRESS": "127.0.0.1:1"}
    done = subprocess.run(
        command(suite, str(tmp_path / "l.sqlite"), tmp_path, "--engine", "ray"),
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "the Ray cluster at 127.0.0.1:1 cannot be reached: [Errno 111] Connection refused; is" in done.stderr
