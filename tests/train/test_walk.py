"""A lineage is walked: what is missing is trained, once, from data without prompts of the exam; killed and resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from sciexam.digests import file_digest
from sciexam.errors import DocumentError, UsageError
from sciexam.lineage.artifacts import Lineage, read_lineage
from sciexam.suite import load_suite
from sciexam.train.walk import Step, train
from train_world import SFT, run, weights_of, write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"), {"tuned": {**SFT, "lora": {"r": 4}}})


@pytest.fixture(scope="module")
def trained(world: Path) -> list[Step]:
    return train(str(world), "base", results=world.parent / "results")


def lineage_of(step: Step) -> Lineage:
    told = read_lineage(Path(step.folder))
    assert told is not None
    return told


def test_a_base_is_made_from_nothing_and_leaves_weights_with_their_lineage(trained: list[Step], world: Path) -> None:
    (base,) = trained
    folder = Path(base.folder)
    assert (base.outcome, base.stage) == ("trained", "pretrain")
    assert {"model.safetensors", "tokenizer.json", "lineage.json", "metrics.jsonl"} <= set(os.listdir(folder))
    assert not [path for path in folder.rglob("*") if path.suffix in (".bin", ".pt", ".pth")]
    told = lineage_of(base)
    assert (told.accepted, told.parents, told.data["rows"]) == (None, {}, 320)
    losses = [line["loss"] for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())]
    assert losses[-1] < losses[0]
    assert load_suite(str(world), world.parent / "results").models["base"].weights == str(folder)


def test_what_is_there_is_not_trained_again(trained: list[Step], world: Path) -> None:
    weights = Path(trained[0].folder) / "model.safetensors"
    before = weights.stat().st_mtime_ns
    (step,) = train(str(world), "base", results=world.parent / "results")
    assert (step.outcome, step.folder) == ("there", trained[0].folder)
    assert weights.stat().st_mtime_ns == before


def test_a_prompt_of_the_exam_in_the_data_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    world = write_world(tmp_path)
    with (tmp_path / "demonstrations.jsonl").open("a") as file:
        file.write('{"prompt": "why is it so, with the tide on day 2", "completion": "The moon pulls."}\n')
    with pytest.raises(
        DocumentError, match=r"demonstrations\.jsonl:129: prompt p2 of the exam stands here, in the data"
    ):
        train(str(world), "sft", results=tmp_path / "results")
    assert not (tmp_path / "results" / "models").exists()


def test_rows_that_would_be_cut_off_are_refused(trained: list[Step], world: Path, tmp_path: Path) -> None:
    short = write_world(tmp_path, {"sft": {**SFT, "max_length": 12}}, documents=320)
    with pytest.raises(
        UsageError, match=r"sft: 128 of 128 rows have more than max_length: 12 tokens \(the longest \d+\)"
    ):
        train(load_suite(str(short), world.parent / "results"), "sft", results=world.parent / "results")


def test_every_fault_of_the_demonstrations_is_told_with_its_line(
    trained: list[Step], world: Path, tmp_path: Path
) -> None:
    other = write_world(tmp_path)
    (tmp_path / "demonstrations.jsonl").write_text(
        '{"prompt": "a", "completion": "b"}\n{"prompt": "a"}\n{"messages": [{"role": "user", "content": "x"}]}\n'
        '{"prompt": "a", "completion": " "}\n'
    )
    with pytest.raises(DocumentError) as raised:
        train(load_suite(str(other), world.parent / "results"), "sft", results=world.parent / "results")
    assert [fault.partition("demonstrations.jsonl:")[2][:1] for fault in raised.value.faults] == ["2", "3", "4"]


# ---------------------------------------------------------------- several processes, and adapters


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_world(tmp_path / folder)
    assert run(tmp_path / "one", "base").wait() == 0
    assert run(tmp_path / "two", "base", "--processes", "2").wait() == 0
    one, two = (
        [json.loads(line)["loss"] for line in (weights_of(tmp_path / f, "base").parent / "metrics.jsonl").open()]
        for f in ("one", "two")
    )
    assert one == pytest.approx(two, abs=2e-4)


@pytest.mark.slow
def test_a_lora_stage_leaves_whole_weights_that_are_not_its_parents(world: Path, trained: list[Step]) -> None:
    steps = train(str(world), "tuned", results=world.parent / "results", keep_rejected=True)
    folder = Path(steps[-1].folder)
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    assert file_digest(folder / "model.safetensors") != file_digest(Path(trained[0].folder) / "model.safetensors")
