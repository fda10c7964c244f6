"""A lineage has known parents and no circle; its digest names everything that a model was made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from sciexam.errors import DocumentError
from sciexam.lineage import chain, faults, lineage_digest, parents
from sciexam.lineage.specs import ModelSpec
from sciexam.models.settings import Custom
from sciexam.suite import Suite, load_suite

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


def test_what_a_stage_has_said_and_how_it_is_asked_do_not_change_it(tmp_path: Path) -> None:
    (tmp_path / "said").write_text('{"prompt": "p1", "text": "x"}\n')
    before = family(tmp_path)
    said = {"responses": str(tmp_path / "said"), "generation": {"max_tokens": 7}}
    assert changed(before, family(tmp_path, sft=said, rlhf=said)) == set()


def test_a_stage_that_learns_from_what_it_says_is_another_one_where_it_is_asked_otherwise(tmp_path: Path) -> None:
    own = {"stage": "self_rewarding", "prompts": str(tmp_path / "questions"), "prompts_by": "gpt", "judge": "self"}
    before = read_models.validate_python(_with_self(tmp_path, own))
    after = read_models.validate_python(_with_self(tmp_path, own | {"generation": {"max_tokens": 7}}))
    assert changed(before, after) == {"m2"}


def _with_self(folder: Path, own: dict[str, Any]) -> dict[str, Any]:
    (folder / "questions").touch()
    return {"m1": {"weights": "org/m1"}, "gpt": {"backend": "openai", "model": "gpt-4"}, "m2": {"from": "m1"} | own}


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


TEMPLATE = "{{ question }} {{ answer_a }} {{ answer_b }} {{ boundary }} {{ nonce }}"
RUBRIC = {
    "rubric": "own",
    "criteria": [
        {
            "name": "truth",
            "question": "Is it true?",
            "measure": "structure",
            "levels": [{"label": "no", "anchor": "It is not."}, {"label": "yes", "anchor": "It is."}],
        }
    ],
}


def judged(folder: Path, **changes: Any) -> Suite:
    """base -> sft -> rs, picked by a judge -> rlhf; pairs of rm come from a panel; `changes` by dotted key."""
    folder.mkdir(exist_ok=True)
    for name in ("demos", "questions"):
        (folder / name).write_text('{"id": "t1", "text": "What is rust?"}\n')
    (folder / "prompts.jsonl").write_text('{"id": "p1", "text": "Why?"}\n')
    (folder / "judge.j2").write_text(changes.pop("template", TEMPLATE))
    (folder / "said.jsonl").write_text(changes.pop("said", "{}\n"))
    (folder / "own.yaml").write_text(json.dumps(RUBRIC | {"about": changes.pop("about", "Explanations.")}))
    pairs = {"of": "sft", "prompts": "questions", "n": 2}
    suite: dict[str, Any] = {
        "suite": "s",
        "prompts": "prompts.jsonl",
        "rubric": "own.yaml",
        "models": {
            "base": {"weights": "w"},
            "writer": {"backend": "openai", "model": "gpt-4"},
            "sft": {"from": "base", "stage": "sft", "data": "demos"},
            "rs": {"from": "sft", "stage": "best_of_n", "prompts": "questions", "judge": "llm"},
            "rlhf": {"from": "rs", "stage": "dpo", "data": pairs | {"judge": "llm"}},
            "rm": {"from": "sft", "stage": "reward", "data": [pairs | {"judge": "both"}, pairs | {"judge": "file"}]},
            "self": {"from": "sft", "stage": "self_rewarding", "prompts": "questions", "judge": "own"},
        },
        "contestants": ["base", "sft"],
        "generation": {"max_tokens": 100},
        "judges": {
            "llm": {"backend": "openai", "model": "gpt-4", "template": "judge.j2", "reference": "writer"},
            "cheap": {"backend": "scripted", "rules": [{"say": "A"}]},
            "both": {"backend": "panel", "judges": ["cheap", "measures"]},
            "file": {"backend": "recorded", "verdicts": "said.jsonl"},
            "own": {"backend": "huggingface", "weights": "w"},
        },
    }
    suite["models"]["self"]["prompts_by"] = "writer"
    for key, value in changes.items():
        *path, last = key.split("__")
        place = suite
        for part in path:
            place = place[part]
        place[last] = value
    (folder / "s.yaml").write_text(json.dumps(suite))
    return load_suite(str(folder / "s.yaml"))


LLM, RM, SELF = {"rs", "rlhf"}, {"rm"}, {"self"}


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"template": TEMPLATE + " Be strict."}, LLM),
        ({"about": "Short explanations."}, LLM | RM | SELF),
        ({"judges__llm__model": "gpt-5"}, LLM),
        ({"judges__llm__generation": {"temperature": 1.0}}, LLM),
        ({"judges__llm__samples": 3}, LLM),
        ({"judges__llm__timeout": 5.0}, set()),
        ({"judges__llm__concurrency": 1}, set()),
        ({"judges__cheap__rules": [{"say": "B"}]}, RM),
        ({"said": '{"prompt": "p1"}\n'}, RM),
        ({"judges__own__grading": "self-rewarding"}, SELF),
        ({"models__writer__model": "gpt-5"}, LLM | SELF | {"writer"}),
        ({"models__writer__timeout": 5.0}, set()),
        ({"models__writer__generation": {"max_tokens": 7}}, LLM | SELF | {"writer"}),
        ({"generation__max_tokens": 200}, LLM | RM | SELF),
        ({"generation__temperature": 0.5}, LLM),
        ({"models__sft__gate": {"margin": 0.2}}, set()),
    ],
)
def test_a_model_is_another_one_where_those_whose_word_it_learnt_from_are_others(
    tmp_path: Path, change: dict[str, Any], touched: set[str]
) -> None:
    before, after = judged(tmp_path / "a"), judged(tmp_path / "b", **change)
    assert {name for name in before.models if before.lineage_digest(name) != after.lineage_digest(name)} == touched


def test_a_judge_of_ones_own_is_another_one_where_its_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "strangers_judge.py").write_text("raise RuntimeError('it is read, and never run')\n")
    suite = judged(tmp_path / "a", judges__llm={"backend": "strangers_judge:Judge"})
    before = suite.lineage_digest("rs")
    (tmp_path / "strangers_judge.py").write_text("class Judge: ...\n")
    assert suite.lineage_digest("rs") != before
    (tmp_path / "strangers_judge.py").unlink()
    assert suite.lineage_digest("rs") != before


def test_a_judge_of_a_package_is_another_one_where_a_file_beside_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "strangers").mkdir()
    for name in ("__init__", "judge", "marks"):
        (tmp_path / "strangers" / f"{name}.py").write_text("")
    suite = judged(tmp_path / "a", judges__llm={"backend": "strangers.judge:Judge"})
    before = suite.lineage_digest("rs")
    (tmp_path / "strangers" / "marks.py").write_text("BEST = 5\n")
    assert suite.lineage_digest("rs") != before


def test_looks_choose_the_weights_and_so_they_are_part_of_what_a_model_is(tmp_path: Path) -> None:
    dev = tmp_path / "dev.jsonl"
    dev.write_text('{"id": "d1", "text": "Why?"}\n')
    looked = {"models__sft__gate": {"dev": str(dev), "looks": 2, "judge": "cheap"}}
    known = [judged(tmp_path / "a").lineage_digest("sft"), judged(tmp_path / "b", **looked).lineage_digest("sft")]
    known.append(judged(tmp_path / "c", **looked, judges__cheap__rules=[{"say": "B"}]).lineage_digest("sft"))
    dev.write_text('{"id": "d1", "text": "How?"}\n')
    known.append(judged(tmp_path / "d", **looked).lineage_digest("sft"))
    assert len(set(known)) == 4


def test_a_reward_model_of_the_lineage_is_named_as_such_where_something_learns_from_it(tmp_path: Path) -> None:
    learnt = {"of": "sft", "prompts": "questions", "judge": "rm"}
    with pytest.raises(DocumentError, match=r"judge: 'rm' is a reward model of the lineage; write `reward: rm`"):
        judged(tmp_path, models__rlhf__data=learnt)


def test_a_judge_whose_references_are_written_by_a_model_that_it_made_has_a_digest(tmp_path: Path) -> None:
    suite = judged(tmp_path / "a", judges__llm__reference="rlhf")
    assert len(suite.lineage_digest("rlhf")) == 64


def test_the_digest_is_the_same_after_a_suite_was_written_down_and_read(tmp_path: Path) -> None:
    suite = judged(tmp_path / "a")
    again = Suite.model_validate(json.loads(json.dumps(suite.model_dump(mode="json", by_alias=True))))
    assert {name: again.lineage_digest(name) for name in again.models} == {
        name: suite.lineage_digest(name) for name in suite.models
    }


def test_a_model_of_ones_own_class_is_its_source_and_that_of_the_files_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "of_mine"
    package.mkdir()
    for name, text in (
        ("__init__", "raise RuntimeError('it runs')\n"),
        ("writer", "class Writer: pass\n"),
        ("beside", "WORDS = 1\n"),
    ):
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    models: Models = {"own": Custom(backend="of_mine.writer:Writer"), "other": Custom(backend="nowhere.at_all:Writer")}
    known = [lineage_digest(models, "own")]
    for name in ("writer", "beside"):
        (package / f"{name}.py").write_text("CHANGED = True\n")
        known.append(lineage_digest(models, "own"))
    assert len(set(known)) == 3
    assert lineage_digest(models, "other") == lineage_digest(models, "other"), "what cannot be read goes by its name"
