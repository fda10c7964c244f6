"""A suite whose models have tiny real weights and recorded answers, so that a test says what is answered, and judges
of our own that say what is better. Import it only where torch is installed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sciexam.suite import Suite, load_suite
from sciexam.train.workshop import Workshop
from sciexam.types import Presentation, Verdict

PROMPTS = 9  # as many as have no figures drawn, which take the time
TEXT = "Light of short waves is scattered more, which makes the sky blue at noon"
Answers = Callable[[int], str | dict[str, str]]


class Counts:
    """Prefers the answer that has a word more often, or the one that has it less often."""

    def __init__(self, word: str, name: str = "counts", less: bool = False):
        self.name, self.word, self.less = name, word, less

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for one in presentations:
            ahead = one.first.count(self.word) - one.second.count(self.word)
            ahead = -ahead if self.less else ahead
            yield one.verdict(self.name, "first" if ahead > 0 else "second" if ahead < 0 else "tie")


def plain(number: int) -> str:
    """An answer like any other, which differs from prompt to prompt."""
    return f"{TEXT}, as {'seen ' * (number % 3)}in year {number}."


def better(number: int) -> str:
    return f"{plain(number)} It is better so."


def write_suite(
    folder: Path, models: Mapping[str, Mapping[str, Any]], said: Mapping[str, Answers], **more: Any
) -> Suite:
    """A suite in `folder`; the models in `said` answer what it holds for them."""
    lines = [{"id": f"p{n}", "text": f"Why is the sky blue in year {n}?"} for n in range(PROMPTS)]
    _write(folder / "prompts.jsonl", lines)
    _write(folder / "data.jsonl", [{"prompt": "What is light?", "completion": "A wave."}])
    for name, answer in said.items():
        _write(folder / f"{name}.jsonl", [_line(n, answer(n)) for n in range(PROMPTS)])
    suite = {
        "suite": "gates",
        "prompts": "prompts.jsonl",
        "models": {name: {**spec, **_responses(name, said)} for name, spec in models.items()},
        "contestants": list(said),
        "judges": {"counts": {"backend": "gate_world:Counts", "settings": {"word": "better"}}},
        **more,
    }
    (folder / "gates.yaml").write_text(json.dumps(suite), encoding="utf-8")  # which is YAML, too
    return load_suite(str(folder / "gates.yaml"), folder / "results")


class WithAnswers(Workshop):
    """A workshop in which a model that gets weights still answers what is recorded of it."""

    def with_weights(self, name: str, weights: Path) -> Workshop:
        spec = self.suite.models[name].model_copy(update={"weights": str(weights)})
        return replace(self, suite=self.suite.with_models({name: spec}))


def workshop(suite: Suite, folder: Path) -> Workshop:
    return WithAnswers(suite, folder / "results")


def _line(number: int, answer: str | dict[str, str]) -> dict[str, str]:
    said = {"text": answer} if isinstance(answer, str) else answer
    return {"prompt": f"p{number}", **said}


def _responses(name: str, said: Mapping[str, Answers]) -> dict[str, str]:
    return {"responses": f"{name}.jsonl"} if name in said else {}


def _write(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
