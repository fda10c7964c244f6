"""An endpoint that teaches, grades and writes prompts, and a suite around it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from conftest import write_jsonl, write_suite
from endpoint import Body, Endpoint, prompt_of

LEVELS = [{"label": label, "anchor": f"{label} it is"} for label in ("poor", "fair", "good")]
RUBRIC = {
    "rubric": "marks",
    "criteria": [{"name": "clarity", "question": "Clear?", "levels": LEVELS, "measure": "clarity"}],
    "examples": [
        {
            "question": "Why is ice cold?",
            "first": "No heat.",
            "second": "Heat left it.",
            "verdict": "B>A",
            "reason": "why",
        },
        {"question": "Why is a tie no shot?", "first": "one", "second": "other", "verdict": "A=B"},
    ],
}


def word_of(body: Body, word: str) -> str | None:
    """The nonce of the line that is asked for; None where no such line is."""
    found = re.findall(rf"^{word} ([0-9a-f]{{12}})$", prompt_of(body), re.MULTILINE)
    return found[-1] if found else None


def question_of(body: Body) -> str:
    return re.findall(r"^<<<QUESTION \w+$\n(.*?)\n^QUESTION", prompt_of(body), re.DOTALL | re.MULTILINE)[-1]


def grade_of(body: Body) -> str:
    """As good as the answer says that it is."""
    (nonce,) = set(re.findall(r"^GRADE (\w+) clarity", prompt_of(body), re.MULTILINE))
    (answer,) = re.findall(r"^<<<ANSWER \w+$\n(.*?)\n^ANSWER", prompt_of(body), re.DOTALL | re.MULTILINE)
    said = next((word for word in ("good", "fair", "poor") if word in answer), None)
    return f"I looked.\nGRADE {nonce} clarity: {said}" if said else "I cannot say."


def by_seed(body: Body) -> str:
    """Grades where it is asked to; else it answers, well or badly as the seed of the request has it."""
    return grade_of(body) if word_of(body, "ANSWER") is None else answer(body, int(body["seed"]))


def answer(body: Body, how: int) -> str:
    said = ("poor", "good", "fair")[how % 3]
    nonce = word_of(body, "ANSWER")
    return f"Thinking about it.\n\nANSWER {nonce}\n\nA {said} answer to: {question_of(body)}\n"


class Teaches:
    """The same, but the first answer that a question gets is poor, the second one good, the third one fair."""

    def __init__(self) -> None:
        self._seen: dict[str, list[int]] = {}

    def __call__(self, body: Body) -> str:
        if word_of(body, "ANSWER") is None:
            return grade_of(body)
        seeds = self._seen.setdefault(question_of(body), [])
        if body["seed"] not in seeds:
            seeds.append(body["seed"])
        return answer(body, seeds.index(body["seed"]))


def model(endpoint: Endpoint, **more: Any) -> dict[str, Any]:
    return {"backend": "openai", "model": "m-1", "base_url": endpoint.url, "api_key_env": None} | more


def suite_at(folder: Path, endpoint: Endpoint, **more: Any) -> Path:
    """A suite of three prompts whose teacher and judge are the endpoint; returns its file."""
    (folder / "marks.yaml").write_text(json.dumps(RUBRIC), encoding="utf-8")
    models = {"llm": model(endpoint, **more.pop("model", {}))}
    judges = {"judge": model(endpoint)}
    return write_suite(folder, 3, models, rubric="marks.yaml", judges=judges, **more)


def prompts_at(folder: Path, count: int, name: str = "train.jsonl") -> Path:
    rows = [{"id": f"t{i}", "text": f"How do bees of kind {i} find their way home?"} for i in range(count)]
    return write_jsonl(folder / name, rows)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]
