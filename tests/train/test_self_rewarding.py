"""Iterations of DPO on pairs that the model has judged itself: each a stage of its own, until one is not accepted."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from job_world import World, make_world

from conftest import write_jsonl, write_suite
from endpoint import Body, Endpoint, prompt_of
from sciexam.errors import UsageError
from sciexam.judges.settings import WeightsJudge
from sciexam.lineage import faults
from sciexam.lineage.artifacts import Lineage, read_lineage
from sciexam.lineage.sources import Judged
from sciexam.lineage.stages import Dpo
from sciexam.prompts import read_prompts
from sciexam.suite import Suite, load_suite
from sciexam.train.data.preferences import judged
from sciexam.train.self_rewarding import Iteration, check_iterations, iterate, with_iteration
from sciexam.train.workshop import Workshop
from train_world import LONGER

JUDGES = (
    LONGER
    + """
class Vowels:
    name = "vowels"
    def grade(self, submissions):
        for s in submissions:
            yield s.grade(self.name, float(sum(s.text.count(v) for v in "aeiou")))
"""
)
SAID: dict[str, Any] = {"from": "m1", "stage": "self_rewarding", "prompts": "train.jsonl", "judge": "self"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("self_rewarding"))


@pytest.fixture
def suite_of(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Suite]:
    (tmp_path / "liking_itself.py").write_text(JUDGES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "liking_itself", raising=False)
    write_jsonl(tmp_path / "train.jsonl", [{"id": f"t{i}", "text": f"What makes tide {i}?"} for i in range(8)])

    def suite(models: dict[str, Any] | None = None, judges: dict[str, Any] | None = None, **m3: Any) -> Suite:
        path = write_suite(
            tmp_path,
            4,
            {"m1": {"weights": str(world.policy)}, "m3": {**SAID, **m3}, **(models or {})},
            contestants=["m1", "m3"],
            rubric="self-rewarding",
            generation={"max_tokens": 8},
            judges={
                "longer": {"backend": "liking_itself:Longer"},
                "self": {"backend": "huggingface", "weights": str(world.policy)},
                "vowels": {"backend": "liking_itself:Vowels"},
                **(judges or {}),
            },
        )
        return load_suite(str(path), tmp_path / "results")

    return suite


class Walking:
    """Stands in for training and the exam: accepts what it is told to, and notes each iteration with its suite."""

    def __init__(self, world: World, folder: Path, accepted: list[bool]):
        self._world, self._folder, self._accepted = world, folder, accepted
        self.suites: list[Suite] = []

    def __call__(self, workshop: Workshop, model: str) -> Path:
        accepted, place = self._accepted[len(self.suites)], self._folder / model
        self.suites.append(workshop.suite)
        shutil.copytree(self._world.policy, place)
        (place / "metrics.jsonl").write_text(json.dumps({"step": 1, "of": model}) + "\n")
        exam = {"why": [] if accepted else ["it is worse"]}
        told = Lineage(model, "dpo", f"digest of {model}", {}, {}, {"rows": 3}, 7, {}, accepted, exam)
        (place / "lineage.json").write_text(told.to_text())
        return place


def walked(
    world: World, suite: Suite, tmp_path: Path, accepted: list[bool], **more: Any
) -> tuple[Lineage, Path, Walking]:
    walking = Walking(world, tmp_path / "walked", accepted)
    workshop = Workshop(suite, tmp_path / "results", **more)
    check_iterations(workshop, "m3")
    told, made = iterate(workshop, "m3", "known", tmp_path / "work", walking)
    return told, made, walking


# ---------------------------------------------------------------- what an iteration is


def test_an_iteration_is_a_stage_of_dpo_whose_judge_is_the_model_before_it(
    suite_of: Callable[..., Suite], tmp_path: Path
) -> None:
    suite = suite_of(n=6, marks=3, beta=0.2, learning_rate=1e-4, seed=11, gate={"margin": 0.2}, steps=5)
    expanded = with_iteration(suite, Iteration("m3", 2, "m1", tmp_path / "p.jsonl"), "/weights/of/m1")
    judge = "self as m1 (3 marks)"
    model = expanded.models["m3.2"]
    assert isinstance(model, Dpo)
    assert model.data == Judged(
        of=("m1",),
        prompts=str(tmp_path / "p.jsonl"),
        n=6,
        temperature=0.7,
        top_p=0.9,
        judge=judge,
        pairs="best_worst",
    )
    assert (model.parent, model.beta, model.learning_rate, model.seed, model.steps) == ("m1", 0.2, 1e-4, 11, 5)
    assert model.gate.margin == 0.2
    assert model.trained_against() == (judge,)
    own = expanded.judges[judge]
    assert isinstance(own, WeightsJudge)
    assert (own.weights, own.samples, own.compare_by) == ("/weights/of/m1", 3, "grades")
    assert own.generation is not None
    assert (own.generation.temperature, own.generation.top_p) == (0.7, 0.9)  # several marks are drawn
    assert not faults(expanded.models)
    assert "m3.2" not in suite.models


def test_a_judge_says_itself_how_its_marks_are_drawn(suite_of: Callable[..., Suite], world: World) -> None:
    self = {"backend": "huggingface", "weights": str(world.policy), "generation": {"temperature": 0.3}}
    suite = suite_of(judges={"self": self})
    own = with_iteration(suite, Iteration("m3", 1, "m1", Path("p")), "w").judges["self as m1 (3 marks)"]
    assert isinstance(own, WeightsJudge)
    assert own.generation is not None
    assert own.generation.temperature == 0.3


def test_a_judge_of_ones_own_class_stays_what_it_is(suite_of: Callable[..., Suite]) -> None:
    suite = suite_of(judge="vowels")
    own = with_iteration(suite, Iteration("m3", 1, "m1", Path("p")), "w").judges["vowels as m1 (3 marks)"]
    assert own == suite.judges["vowels"]


def test_a_judge_that_could_not_be_the_model_itself_is_refused(suite_of: Callable[..., Suite]) -> None:
    suite = suite_of(judge="far", judges={"far": {"backend": "openai", "model": "gpt"}})
    with pytest.raises(UsageError, match=r"m3: judge: 'far' is not asked in weights, so that the model itself cannot"):
        check_iterations(Workshop(suite, Path("results")), "m3")


def test_a_model_with_the_name_of_an_iteration_is_refused(suite_of: Callable[..., Suite], world: World) -> None:
    suite = suite_of({"m3.2": {"weights": str(world.policy)}})
    with pytest.raises(UsageError, match=r"m3: its iteration is called 'm3\.2', and so is another model; rename one"):
        check_iterations(Workshop(suite, Path("results")), "m3")


# ---------------------------------------------------------------- one after the other


def test_iterations_end_at_the_first_that_is_not_accepted_and_the_last_accepted_one_is_taken(
    suite_of: Callable[..., Suite], world: World, tmp_path: Path
) -> None:
    told_lines: list[str] = []
    suite = suite_of(iterations=4)
    told, made, walking = walked(world, suite, tmp_path, [True, True, False], tell=told_lines.append)
    assert [suite.models[f"m3.{k}"].parent for k, suite in enumerate(walking.suites, 1)] == ["m1", "m3.1", "m3.2"]  # type: ignore[union-attr]
    assert told.accepted is True
    assert (told.data["taken"], told.data["rows"]) == ("m3.2", 3)
    assert [(one["name"], one["accepted"], one["exam"]["why"]) for one in told.data["iterations"]] == [
        ("m3.1", True, []),
        ("m3.2", True, []),
        ("m3.3", False, ["it is worse"]),
    ]
    assert json.loads((made / "metrics.jsonl").read_text())["of"] == "m3.2"
    taken = tmp_path / "walked" / "m3.2" / "model.safetensors"
    assert (made / "model.safetensors").samefile(taken)  # the same file on disk, not another copy
    assert read_lineage(made) is None  # it gets its own
    assert told_lines == ["m3: m3.3 was not accepted; m3.2 is the last one"]
    own = walking.suites[1].judges["self as m3.1 (3 marks)"]
    assert isinstance(own, WeightsJudge)
    assert own.weights == str(tmp_path / "walked" / "m3.1")


def test_where_not_even_the_first_is_accepted_there_are_no_weights(
    suite_of: Callable[..., Suite], world: World, tmp_path: Path
) -> None:
    told, made, _ = walked(world, suite_of(), tmp_path, [False])
    assert told.accepted is False
    assert told.exam == {"why": ["it is worse"]}
    assert [path.name for path in made.iterdir()] == ["metrics.jsonl"]


def test_a_baseline_that_is_the_model_itself_is_no_baseline_of_its_iterations(
    suite_of: Callable[..., Suite], world: World, tmp_path: Path
) -> None:
    suite = suite_of().model_copy(update={"baseline": "m3"})
    _, _, walking = walked(world, suite, tmp_path, [False])
    assert walking.suites[0].models["m3.1"].gate.baseline is False  # type: ignore[union-attr]


# ---------------------------------------------------------------- prompts


def test_iterations_share_no_prompt_and_neither_order_nor_ids_of_the_file_move_any(
    suite_of: Callable[..., Suite], world: World, tmp_path: Path
) -> None:
    suite = suite_of(per_iteration=4)
    asked: list[list[set[str]]] = []
    for turn in range(2):
        folder = tmp_path / str(turn)
        _, _, walking = walked(world, suite, folder, [True, True])
        files = [Path(walking.suites[k].models[f"m3.{k + 1}"].data.prompts) for k in range(2)]  # type: ignore[union-attr]
        asked.append([{prompt.text for prompt in read_prompts(file)} for file in files])
        lines = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
        write_jsonl(tmp_path / "train.jsonl", [{**line, "id": f"x{i}"} for i, line in enumerate(reversed(lines))])
    assert asked[0] == asked[1]
    assert not asked[0][0] & asked[0][1]
    assert len(asked[0][0] | asked[0][1]) == 8


def test_too_few_prompts_are_told_before_anything_is_trained(suite_of: Callable[..., Suite]) -> None:
    suite = suite_of(per_iteration=5)
    with pytest.raises(
        UsageError,
        match=r"m3: 2 iterations of 5 prompts each need 10, and .*train\.jsonl holds 8 different ones; lower",
    ):
        check_iterations(Workshop(suite, Path("results")), "m3")


def test_written_prompts_are_neither_the_exams_nor_the_files_nor_those_of_an_earlier_iteration(
    suite_of: Callable[..., Suite], world: World, tmp_path: Path
) -> None:
    pytest.importorskip("datasketch")
    wanted: list[int] = []

    def write(suite: Suite, model: str, shown: Path, folder: Path, replies: int, seed: int) -> Path:
        """Every other prompt cannot be used; more replies only lengthen the file."""
        wanted.append(replies)
        refused = ("Why does thing 0 happen?", "What makes tide 3?", "what is ROCK 0")
        texts = [refused[i % 3] if i % 2 else f"What is rock {i}?" for i in range(replies)]
        return write_jsonl(folder / "new.jsonl", [{"id": str(i), "text": text} for i, text in enumerate(texts)])

    suite = suite_of(prompts_by="m1", per_iteration=3)
    _, _, walking = walked(world, suite, tmp_path, [True, True], write_prompts=write)
    files = [Path(walking.suites[k].models[f"m3.{k + 1}"].data.prompts) for k in range(2)]  # type: ignore[union-attr]
    assert [[prompt.text for prompt in read_prompts(file)] for file in files] == [
        [f"What is rock {i}?" for i in (0, 2, 4)],
        [f"What is rock {i}?" for i in (6, 8, 10)],
    ]
    assert wanted == [3, 6, 6, 12]


def test_the_command_has_the_fixed_model_write_prompts_and_asks_for_none_twice(
    suite_of: Callable[..., Suite], world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasketch")
    from sciexam.cli.train import prompt_writer

    monkeypatch.setenv("OPENAI_API_KEY", "k")
    birds, shown = iter(("robin", "wren", "heron", "swift", "stork", "crane", "finch", "eagle")), list[str]()

    def writes(body: Body) -> str:
        shown.append(prompt_of(body))
        nonce = re.findall(r"^PROMPT ([0-9a-f]{12})$", prompt_of(body), re.M)[-1]
        return f"PROMPT {nonce}\nWhere does the {next(birds)} sleep while a {next(birds)} is awake?"

    with Endpoint(writes) as endpoint:
        fixed = {"backend": "openai", "model": "fixed", "base_url": endpoint.url, "concurrency": 1}
        suite = suite_of({"fixed": fixed}, prompts_by="fixed", per_iteration=2)
        for turn in range(2):  # the second one finds every reply in the ledger
            _, _, walking = walked(
                world, suite, tmp_path / str(turn), [True, True], write_prompts=prompt_writer(results=tmp_path / "r")
            )
    files = [Path(walking.suites[k].models[f"m3.{k + 1}"].data.prompts) for k in range(2)]  # type: ignore[union-attr]
    asked = [{prompt.text for prompt in read_prompts(file)} for file in files]
    assert [len(one) for one in asked] == [2, 2]
    assert not asked[0] & asked[1]
    assert len(shown) == 4
    assert all(text.count("What makes tide") == 8 for text in shown)  # eight shots


def test_without_the_command_nobody_writes_prompts(suite_of: Callable[..., Suite]) -> None:
    with pytest.raises(UsageError, match=r"m3: prompts_by: prompts are written by the command `sciexam train`"):
        check_iterations(Workshop(suite_of(prompts_by="m1"), Path("results")), "m3")


# ---------------------------------------------------------------- with everything


@pytest.mark.slow
def test_the_model_marks_its_own_answers_and_it_is_said_where_it_cannot(
    suite_of: Callable[..., Suite], world: World, tmp_path: Path
) -> None:
    """These weights were never taught to mark: no mark is usable."""
    self = {"backend": "huggingface", "weights": "nowhere", "generation": {"max_tokens": 4}}
    suite = suite_of(judges={"self": self}, n=2, marks=2)
    prompts = write_jsonl(tmp_path / "one.jsonl", [{"id": "t", "text": "What makes tides?"}])
    expanded = with_iteration(suite, Iteration("m3", 1, "m1", prompts), str(world.policy))
    told: list[str] = []
    data = expanded.models["m3.1"].data  # type: ignore[union-attr]
    with pytest.raises(UsageError, match=r"no pair of answers is left to learn from: .*1 without a usable verdict"):
        judged(Workshop(expanded, tmp_path / "results", tell=told.append), data)
    assert told[1].startswith("self as m1 (2 marks): 4 answers have no mark")


@pytest.mark.slow
def test_one_iteration_is_trained_on_its_own_answers_and_is_a_contestant_like_any_other(
    suite_of: Callable[..., Suite], tmp_path: Path
) -> None:
    pytest.importorskip("trl")
    from sciexam.train.walk import walk

    gate = {"margin": 0.49, "length": 100, "unfinished": 1, "repetitive": 1, "gibberish": 1, "baseline": False}
    training = {"steps": 2, "batch_size": 2, "learning_rate": 1e-3}
    suite = suite_of(judge="vowels", iterations=1, n=3, gate=gate, **training)
    workshop = Workshop(suite, tmp_path / "results")
    (step,) = walk(workshop, "m3")
    assert (step.outcome, step.stage) == ("trained", "self_rewarding"), step.exam
    again = load_suite(str(tmp_path / "exam.yaml"), tmp_path / "results")
    assert again.models["m3"].weights == step.folder  # type: ignore[union-attr]
    told = read_lineage(Path(step.folder))
    assert told is not None
    assert [one["name"] for one in told.data["iterations"]] == ["m3.1"]
    (there,) = walk(replace(workshop, suite=again), "m3")
    assert there.outcome == "there"
