"""Training is killed, its checkpoints are cut off, and what it holds at once does not fit into memory."""

from __future__ import annotations

import json
import signal
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from rows import Tally
from sciexam.digests import file_digest
from sciexam.train.resuming import lacks, last_complete
from train_world import BASE, run, weights_of, write_world

ARCHIVES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
FILES = (*ARCHIVES, "model.safetensors", "trainer_state.json")


def checkpoint(folder: Path, step: int) -> Path:
    """What a trainer leaves at a step: archives as torch writes them, weights, and how far it has come."""
    made = folder / f"checkpoint-{step}"
    made.mkdir(parents=True)
    for name in ARCHIVES:
        with zipfile.ZipFile(made / name, "w") as archive:
            archive.writestr("data", bytes(2000))
    save_file({"weight": np.arange(1000, dtype=np.float32)}, made / "model.safetensors")
    (made / "trainer_state.json").write_text(json.dumps({"global_step": step, "log_history": [{"loss": 1.0}] * 20}))
    return made


TEARS: dict[str, Callable[[Path], Any]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "all but a byte": lambda path: path.write_bytes(path.read_bytes()[:-1]),
}


@pytest.mark.parametrize("tear", TEARS)
def test_a_checkpoint_that_was_cut_off_anywhere_is_passed_over_for_the_one_before_it(
    tmp_path: Path, tear: str, tally: Tally
) -> None:
    for name in FILES:
        before, newest = (checkpoint(tmp_path / name, step) for step in (5, 10))
        assert last_complete(tmp_path / name) == newest
        TEARS[tear](newest / name)
        assert lacks(newest) == [name]
        assert last_complete(tmp_path / name) == before
        TEARS[tear](before / name)
        assert last_complete(tmp_path / name) is None, "then the stage begins anew"
    tally(len(FILES))


def test_a_checkpoint_of_another_step_than_its_name_says_is_passed_over(tmp_path: Path) -> None:
    before, newest = (checkpoint(tmp_path, step) for step in (5, 10))
    (newest / "trainer_state.json").write_text((before / "trainer_state.json").read_text())
    assert last_complete(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("torn", ["optimizer.pt", "model.safetensors", "trainer_state.json", "weights"])
def test_a_stage_that_was_killed_goes_on_to_the_very_same_weights(tmp_path: Path, torn: str) -> None:
    """Also where the newest checkpoint lacks a file: the one before it is taken. `weights`: where those that a stage
    leaves at its end were half written.
    """
    pytest.importorskip("trl")
    base = {"base": {**BASE, "dropout": 0.1}}
    for folder in ("whole", "killed"):
        write_world(tmp_path / folder, base)
    assert run(tmp_path / "whole", "base").wait() == 0
    process = run(tmp_path / "killed", "base")
    while not list((tmp_path / "killed").glob("results/models/*.work/checkpoints/checkpoint-10/trainer_state.json")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    newest = max(
        (tmp_path / "killed").glob("results/models/*.work/checkpoints/checkpoint-*"), key=lambda p: int(p.name[11:])
    )
    if torn == "weights":
        (newest.parent.parent / "weights").mkdir(exist_ok=True)
        whole = (newest / "model.safetensors").read_bytes()
        (newest.parent.parent / "weights" / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    else:
        (newest / torn).unlink(missing_ok=True)
    assert run(tmp_path / "killed", "base").wait() == 0
    one, other = weights_of(tmp_path / "whole", "base"), weights_of(tmp_path / "killed", "base")
    assert file_digest(one) == file_digest(other)
    assert (one.parent / "metrics.jsonl").read_text() == (other.parent / "metrics.jsonl").read_text()


@pytest.mark.slow
def test_what_does_not_fit_into_memory_is_halved_and_learns_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model refuses more than 4 rows at once, as a device does that has no room for them."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("trl")
    from transformers import LlamaForCausalLM

    from sciexam.train.walk import train

    whole = write_world(tmp_path / "whole")
    small = write_world(tmp_path / "small")
    train(str(whole), "base", results=tmp_path / "whole/results")
    forward = LlamaForCausalLM.forward

    def narrow(self: Any, input_ids: Any = None, **rest: Any) -> Any:
        if len(input_ids) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, input_ids, **rest)

    monkeypatch.setattr(LlamaForCausalLM, "forward", narrow)
    train(str(small), "base", results=tmp_path / "small/results")
    one, other = (
        [json.loads(line)["loss"] for line in (weights_of(tmp_path / f, "base").parent / "metrics.jsonl").open()]
        for f in ("whole", "small")
    )
    assert one == pytest.approx(other, abs=2e-3)
