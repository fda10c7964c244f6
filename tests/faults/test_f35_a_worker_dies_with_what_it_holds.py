"""A process is killed with keys that it claimed, and a node of a Ray cluster is lost in the middle of an exam."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
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
from sciexam.store.tables import meta
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
    """Two nodes with one core each, beside a head with none."""
    pytest.importorskip("torch")
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'sciexam[ray]'")
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    started.workers = [started.add_node(num_cpus=1), started.add_node(num_cpus=1)]
    yield started
    started.shutdown()


def exam_of(folder: Path) -> Path:
    """Two contestants, an LLM judge and a reward model, all of tiny weights made here."""
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
        },
        "rm": {"backend": "reward", "weights": "./rm"},
    }
    models = {name: {"weights": f"./{name}", "dtype": "fp32"} for name in ("base", "sft")}
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
            columns = f"f.key, f.attempt, f.status, t.body{more}"
            rows = connection.exec_driver_sql(f"SELECT {columns} FROM {table} f LEFT JOIN texts t ON t.id = {text}")
            found |= {(table, *(bytes(v) if isinstance(v, (bytes, memoryview)) else v for v in row)) for row in rows}
    return found


@pytest.mark.slow
def test_a_node_is_lost_half_way_and_the_ledger_holds_what_one_process_finds(
    tmp_path: Path, postgresql: str, nodes: Any
) -> None:
    suite = exam_of(tmp_path)
    environment = clean_environment() | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    alone = str(tmp_path / "alone.sqlite")
    share_secret(alone, postgresql)
    subprocess.run(command(suite, alone, tmp_path / "alone"), env=environment, check=True, cwd=tmp_path)

    spread = command(suite, postgresql, tmp_path / "spread", "--engine", "ray")
    running = subprocess.Popen(
        spread,
        env=environment | {"RAY_ADDRESS": nodes.address},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_facts(postgresql, PROMPTS // 2, running)
    nodes.remove_node(nodes.workers.pop(), allow_graceful=False)
    said, told = running.communicate(timeout=600)
    assert running.returncode == 0, told
    assert "sft" in said

    assert facts(postgresql) == facts(alone)
    again = subprocess.run(spread[:-2], env=environment, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "nothing was left to do" in again.stderr  # the same command without Ray


def share_secret(*ledgers: str) -> None:
    """What a judge is shown holds words that are derived from the ledger's secret: with another one it may say else."""
    for ledger in ledgers:
        with Store(ledger) as opened, opened.database.writing() as connection:
            connection.execute(sa.update(meta).where(meta.c.name == "secret").values(value=bytes(32)))


def wait_for_facts(store: str, count: int, running: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end and running.poll() is None:
        try:
            if len(facts(store)) >= count:
                return
        except Exception:  # the tables are not there yet
            pass
        time.sleep(0.2)
    raise AssertionError(running.communicate(timeout=10) if running.poll() is not None else "it took too long")


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
