"""Responses that exist already, as a model: JSON Lines or a list, with our keys or AlpacaEval's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from sciexam.digests import digest, file_digest
from sciexam.documents import parse_lines, read_answers_jsonl
from sciexam.errors import DocumentError, UsageError
from sciexam.lines import TwiceError, distinct_keys
from sciexam.types import ABSENT, NO_ANSWER, Conversation, Prompt, Reply

# What others call a prompt and a text, for whoever has to rename a key.
ALIASES = {
    "prompt": ("question", "instruction", "query", "input", "user"),
    "text": ("completion", "output", "answer", "response", "generation", "reply", "model_output"),
}
THEIRS = {"instruction", "output"}  # as AlpacaEval
_BETWEEN = re.compile(r"[\s,]*")  # two items of a JSON list


class ResponseLine(BaseModel):
    """One line of a responses file; other keys are left alone."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, extra="ignore")

    prompt: str
    text: str
    sample: int = 0
    finish_reason: str = ""
    absent: bool = False  # of an import: the text is a sentence in the place of an answer that no file holds
    instruction: str | None = None


class RecordedModel:
    """Looks each answer up by the prompt's id, or by its text; an answer that is not there is skipped."""

    def __init__(self, path: Path):
        self.path = path
        self.lines = read_responses(path)
        self.digest = digest({"backend": "recorded", "file": file_digest(path)})

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        for conversation in conversations:
            line = self._line(conversation.prompt, conversation.messages[-1].content, conversation.sample)
            if line is None:
                yield Reply(conversation.key, status="skipped", failure=NO_ANSWER)
            else:
                reason = ABSENT if line.absent else line.finish_reason
                yield Reply(conversation.key, line.text, finish_reason=reason, model=self.path.stem)

    def _line(self, prompt: str, text: str, sample: int) -> ResponseLine | None:
        return self.lines.get((prompt, sample)) or self.lines.get((text, sample))

    def answers(self, prompt: Prompt, sample: int = 0) -> bool:
        """Whether the file holds an answer to this prompt."""
        return self.answer(prompt, sample) is not None

    def answer(self, prompt: Prompt, sample: int = 0) -> str | None:
        """The answer to this prompt; None where the file holds none."""
        line = self._line(prompt.id, prompt.messages[-1].content, sample)
        return None if line is None else line.text

    def unmatched(self, prompts: Iterable[Prompt]) -> list[str]:
        """The prompts that the file has an answer for and the suite does not know, sorted."""
        known = {name for prompt in prompts for name in (prompt.id, prompt.messages[-1].content)}
        return sorted({prompt for prompt, _ in self.lines} - known)


def read_all(paths: Iterable[Path]) -> list[dict[tuple[str, int], ResponseLine]]:
    """The recorded responses of each file. All faults of all of them are raised at once."""
    read: list[dict[tuple[str, int], ResponseLine]] = []
    faults: list[str] = []
    for path in paths:
        try:
            read.append(read_responses(path))
        except DocumentError as error:
            faults += error.faults
    if faults:
        raise DocumentError(faults)
    return read


def read_responses(path: Path) -> dict[tuple[str, int], ResponseLine]:
    """The recorded responses of a file by (prompt, sample). All faults of the file are raised at once.

    Of an `instruction` and its `output`, as AlpacaEval writes them, the instruction stands for the prompt's id.
    """
    lines: dict[tuple[str, int], ResponseLine] = {}
    seen: dict[tuple[str, int], int] = {}
    faults: list[str] = []
    keys: list[str] = []
    for number, line in parse_lines(ResponseLine, _ours(_objects(path), keys), path, faults):
        slot = (line.prompt, line.sample)
        if slot in seen:
            faults.append(
                f"{path}:{number}: prompt: {line.prompt!r} sample {line.sample} was answered in line {seen[slot]}; "
                f'remove one of the two, or give it "sample": {line.sample + 1}'
            )
        seen[slot] = number
        lines[slot] = line
    if faults:
        raise DocumentError([*faults, _remedy(path, keys)] if keys and not {"prompt", "text"} <= set(keys) else faults)
    if not lines:
        raise DocumentError([f"{path}: holds no responses"])
    return lines


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open("rb") as file:
            start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if not start.startswith(b"["):
        yield from read_answers_jsonl(path)
        return
    try:
        rows = json.loads(text := path.read_bytes().decode("utf-8-sig"), object_pairs_hook=distinct_keys)
    except TwiceError as error:
        raise DocumentError([f"{path}:{_line_of_twice(text)}: {error}"]) from None
    except (ValueError, RecursionError) as error:
        raise DocumentError([f"{path}: not a JSON list: {error}"]) from None
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not any(row.keys() >= keys for keys in ({"prompt", "text"}, THEIRS)):
            has = "an item has 'prompt' and 'text', or as AlpacaEval's 'instruction' and 'output'"
            more = [_remedy(path, list(row))] if isinstance(row, dict) and number == 1 else []
            raise DocumentError([f"{path}: item {number}: {has}", *more])
        yield number, row


def _ours(rows: Iterable[tuple[int, dict[str, Any]]], keys: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows with our keys; those that the first one has are put into `keys`."""
    for number, row in rows:
        if row.keys() >= THEIRS and not row.keys() >= {"prompt", "text"}:
            row = {"prompt": row["instruction"], "text": row["output"], "instruction": row["instruction"]}
        keys += [] if keys else row
        yield number, row


def _remedy(path: Path, keys: Iterable[str]) -> str:
    """What to do with a file no line of which is an answer."""
    there = [key[:40] for key in keys]
    found = {ours: next((key for key in there if key.lower() in names), None) for ours, names in ALIASES.items()}
    named = " and ".join(f"{key} to {ours}" for ours, key in found.items() if key and ours not in there)
    renamed = f"rename {named}" if named else "write it so"
    return (
        f'{path}: a line of answers is {{"prompt": "...", "text": "..."}}: {renamed}, or say which column '
        "is what: `sciexam import table` with a --mapping (docs/importing.md)"
    )


def _line_of_twice(text: str) -> int:
    """The line in which the first item of a JSON list begins that has a key twice; there is one."""
    decoder, at = json.JSONDecoder(object_pairs_hook=distinct_keys), text.index("[") + 1
    while True:
        at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # it may be empty
        try:
            _, at = decoder.raw_decode(text, at)
        except TwiceError:
            return text.count("\n", 0, at) + 1
