"""An exam of local weights on a Ray cluster of two nodes, over a ledger on PostgreSQL; one node is lost half-way."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import checkpoints
from conftest import clean_environment, write_suite
from sciexam.store import Store
from sciexam.store.tables import meta

pytest.importorskip("torch")
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'sciexam[ray]'")

pytestmark = pytest.mark.slow

PROMPTS = 60
SCIEXAM = Path(sys.executable).parent / "sciexam"


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """Two nodes with one core each, beside a head with none."""
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    started.workers = [started.add_node(num_cpus=1), started.add_node(num_cpus=1)]
    yield started
    started.shutdown()


def exam_of(folder: Path) -> Path:
    """Two contestants, an LLM judge and a reward model, all of tiny weights made here."""
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
        *(str(SCIEXAM), "compare", "base", "sft", "--suite", str(suite), *judges, "--quiet"),
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
