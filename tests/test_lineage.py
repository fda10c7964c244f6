"""A lineage has known parents and no circle; its digest names everything that a model was made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from sciexam.lineage import chain, faults, lineage_digest, parents
from sciexam.lineage.specs import ModelSpec
from sciexam.suite import load_suite

Models = dict[str, ModelSpec]
read_models: TypeAdapter[Models] = TypeAdapter(dict[str, ModelSpec])


def family(folder: Path, **changes: dict[str, Any]) -> Models:
    """base -> sft -> rs (by the reward model rm) -> rlhf; data in `folder`; `changes` are made to a model's keys."""
    for name in ("demos", "pairs", "questions"):
        (folder / name).touch()
    models: dict[str, dict[str, Any]] = {
        "base": {"weights": "org/base", "revision": "abc"},
        "sft": {"from": "base", "stage": "sft", "data": str(folder / "demos"), "lora": {"r": 16}},
        "rm": {"from": "sft", "stage": "reward", "data": str(folder / "pairs")},
        "rs": {"from": "sft", "stage": "best_of_n", "prompts": str(folder / "questions"), "reward": "rm", "n": 8},
        "rlhf": {"from": "rs", "stage": "dpo", "data": str(folder / "pairs")},
        "gpt": {"backend": "openai", "model": "gpt-4"},
    }
    return read_models.validate_python({name: spec | changes.get(name, {}) for name, spec in models.items()})


def digests(models: Models) -> dict[str, str]:
    return {name: lineage_digest(models, name) for name in models}


def changed(before: Models, after: Models) -> set[str]:
    old, new = digests(before), digests(after)
    return {name for name in old if old[name] != new[name]}


def test_the_chain_goes_from_the_pretrained_model_by_first_parents(tmp_path: Path) -> None:
    models = family(tmp_path)
    assert faults(models) == []
    assert chain(models, "rlhf") == ["base", "sft", "rs", "rlhf"]
    assert chain(models, "gpt") == ["gpt"]
    assert parents(models["rs"]) == ("sft", "rm")


def test_an_unknown_parent_is_named_with_the_nearest_model(tmp_path: Path) -> None:
    models = family(tmp_path, sft={"from": "bas"}, rs={"reward": "nothing"})
    assert faults(models) == [
        ("sft", "'bas' is not among the models; did you mean 'base'?"),
        ("rs", "'nothing' is not among the models; known: base, gpt, rlhf, rm, rs, sft"),
    ]


def test_a_circle_is_told_of_each_model_on_it(tmp_path: Path) -> None:
    models = family(tmp_path, sft={"from": "rlhf"})
    found = dict(faults(models))
    assert set(found) == {"sft", "rs", "rlhf", "rm"}
    assert found["sft"].startswith("descends from itself: sft -> rlhf -> rs -> ")
    assert found["sft"].endswith(" -> sft")


def test_a_model_that_is_its_own_parent_is_a_circle(tmp_path: Path) -> None:
    assert faults(family(tmp_path, rm={"from": "rm"})) == [("rm", "descends from itself: rm -> rm")]


def test_a_circle_through_the_reward_model_counts(tmp_path: Path) -> None:
    assert set(dict(faults(family(tmp_path, rm={"from": "rs"})))) == {"rm", "rs"}


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"base": {"revision": "def"}}, {"base", "sft", "rm", "rs", "rlhf"}),
        ({"sft": {"lora": {"r": 8}}}, {"sft", "rm", "rs", "rlhf"}),
        ({"rm": {"learning_rate": 0.1}}, {"rm", "rs", "rlhf"}),
        ({"rlhf": {"beta": 0.2}}, {"rlhf"}),
        ({"base": {"note": "a remark"}}, set()),
    ],
)
def test_a_changed_setting_changes_the_model_and_its_descendants(
    tmp_path: Path, change: dict[str, dict[str, Any]], touched: set[str]
) -> None:
    assert changed(family(tmp_path), family(tmp_path, **change)) == touched


def test_one_changed_byte_of_the_data_changes_the_model_and_its_descendants(tmp_path: Path) -> None:
    models = family(tmp_path)
    before = digests(models)
    (tmp_path / "pairs").write_bytes(b"\x00")
    assert {name for name, old in before.items() if lineage_digest(models, name) != old} == {"rm", "rs", "rlhf"}


def test_the_same_data_under_another_path_are_the_same_model(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert digests(family(tmp_path / "a")) == digests(family(tmp_path / "b"))


def test_the_seed_of_the_suite_is_part_of_what_is_trained_with_it(tmp_path: Path) -> None:
    found = {}
    for seed in (1, 2):
        (tmp_path / "demonstrations.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
        (tmp_path / "prompts.jsonl").write_text('{"id": "p1", "text": "Why?"}\n')
        models = {"base": {"weights": "w"}, "sft": {"from": "base", "stage": "sft", "data": "demonstrations.jsonl"}}
        suite = {
            "suite": "s",
            "seed": seed,
            "prompts": "prompts.jsonl",
            "models": models,
            "contestants": ["base", "sft"],
        }
        (tmp_path / "s.yaml").write_text(json.dumps(suite))
        found[seed] = digests(load_suite(str(tmp_path / "s.yaml")).models)
    assert found[1]["base"] == found[2]["base"]
    assert found[1]["sft"] != found[2]["sft"]
