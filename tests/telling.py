"""A study whose suite, files, prompts and contestants have telling names, and visitors that keep all they are sent."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from conftest import write_jsonl
from forked import Commands
from study import Study

CONTESTANTS = ("zebra-base", "zebra-sft", "zebra-dpo")
# By whole words these stand in no text that is shown, and in none of ours.
TELLING = ("zebra", "okapi", "quagga", "numbat", "pangolin", "wombat")


@contextmanager
def serve(
    commands: Commands,
    folder: Path,
    contestants: Sequence[str],
    prompts: int,
    *options: str,
    texts: Callable[[str, int], str] | None = None,
) -> Iterator[Study]:
    """A study whose suite, files, prompts and contestants have telling names, and whose texts have none."""
    exam(folder, contestants, prompts, texts or text_of)
    made = Study(folder, [*options, "--suite", "exam.yaml"], commands=commands)
    try:
        yield made.start()
    finally:
        made.stop()


def exam(folder: Path, contestants: Sequence[str], prompts: int, texts: Callable[[str, int], str], **more: Any) -> None:
    """The suite of such a study, as exam.yaml."""
    rows = [
        {
            "id": f"quagga-{i}",
            "text": f"What is known of thing {i}?",
            "category": f"numbat-{i % 2}",
            "group": f"wombat-{i % 3}",
            "reference": "pangolin reference",
            "source": "pangolin metadata",
        }
        for i in range(prompts)
    ]
    write_jsonl(folder / "okapi-prompts.jsonl", rows)
    for name in contestants:
        lines = [{"prompt": f"quagga-{i}", "text": texts(name, i)} for i in range(prompts)]
        write_jsonl(folder / f"okapi-of-{name}.jsonl", lines)
    models = {name: {"responses": f"okapi-of-{name}.jsonl"} for name in contestants}
    suite = {
        "suite": "zebra-study",
        "prompts": "okapi-prompts.jsonl",
        "models": models,
        "contestants": [*contestants],
    } | more
    (folder / "exam.yaml").write_text(json.dumps(suite), encoding="utf-8")


def text_of(name: str, prompt: int) -> str:
    """An answer of a length of its own, by a number at its end that only a test can make something of."""
    drawn = random.Random(f"{name} {prompt}")
    said = ["much is known of it", "little of it is certain", "one can measure it", "some doubt this", "so it seems"]
    return ". ".join(drawn.choice(said) for _ in range(drawn.randrange(2, 20))) + f". [{number_of(name, prompt)}]"


def number_of(name: str, prompt: int) -> str:
    return hashlib.sha256(f"answer {name} {prompt}".encode()).hexdigest()[:10]


@dataclass
class Visitor:
    """An annotator's browser, and everything that it was ever sent."""

    served: Study
    link: str
    got: list[httpx2.Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._client = httpx2.Client(base_url=self.served.origin, timeout=60)

    def get(self, target: str) -> httpx2.Response:
        self.got.append(self._client.get(target))
        return self.got[-1]

    def post(self, target: str, form: Mapping[str, str], **headers: str) -> httpx2.Response:
        self.got.append(self._client.post(target, data=dict(form), headers=headers))
        return self.got[-1]

    def items(self) -> Iterator[tuple[str, str]]:
        """Each item that comes next: its address, and its page. Whoever asks for the next one has judged it."""
        while target := self._coming():
            yield target, self.get(target).text

    def _coming(self) -> str | None:
        """Where a judgement led to, or else what comes next."""
        led = self.got[-1].headers.get("location", "") if self.got else ""
        return led if "/item/" in led else self.get(f"{self.link}/next").headers.get("location")
