"""Responses that exist already, as a model: JSON Lines or a list, with our keys or AlpacaEval's."""

from __future__ import annotations

import json
import os
import re
from array import array
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, field_validator

from sciexam.digests import digest, file_digest
from sciexam.documents import parse_lines, read_answers_jsonl
from sciexam.errors import DocumentError, UsageError
from sciexam.lines import TwiceError, distinct_keys, open_file
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

    @field_validator("text", mode="before")
    @classmethod
    def _is_there(cls, text: Any) -> Any:
        if text is None:
            raise ValueError('null is no answer; leave the line out if there is none, or write "" if it is empty')
        return text


class RecordedModel:
    """Looks each answer up by the prompt's id, or by its text; an answer that is not there is skipped.

    `lines`: the number of the line of each answer, or of the item of a list. Of JSON Lines no text is held: a line is
    read again when it is asked for.
    """

    def __init__(self, path: Path):
        self.path = path
        with open_file(path) as file:
            self._state = _state_of(file)
        self.lines: dict[tuple[str, int], int] = {}
        self._kept: dict[int, ResponseLine] | None = {} if path.suffix == ".gz" or _is_list(path) else None
        for number, line in _numbered(path):
            self.lines[line.prompt, line.sample] = number
            if self._kept is not None:
                self._kept[number] = line
        self._starts = _starts_of(path) if self._kept is None else array("q")
        self.digest = digest({"backend": "recorded", "file": file_digest(path)})

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        with open_file(self.path) as file:
            for conversation in conversations:
                number = self._number(conversation.prompt, conversation.messages[-1].content, conversation.sample)
                if number is None:
                    yield Reply(conversation.key, status="skipped", failure=NO_ANSWER)
                    continue
                line = self._kept[number] if self._kept is not None else self._line(file, number)
                reason = ABSENT if line.absent else line.finish_reason
                yield Reply(conversation.key, line.text, finish_reason=reason, model=self.path.stem)

    def _number(self, prompt: str, text: str, sample: int) -> int | None:
        return self.lines.get((prompt, sample)) or self.lines.get((text, sample))

    def _line(self, file: BinaryIO, number: int) -> ResponseLine:
        """A line of the file as it was when it was first read."""
        if _state_of(file) != self._state:
            raise UsageError(f"{self.path}: was changed while it was read; run the same command again")
        file.seek(self._starts[number - 1])
        row = json.loads(file.readline().decode("utf-8-sig").strip())
        return ResponseLine.model_validate(next(row for _, row in _ours([(number, row)], [])))

    def answers(self, prompt: Prompt, sample: int = 0) -> bool:
        """Whether the file holds an answer to this prompt."""
        return self._number(prompt.id, prompt.messages[-1].content, sample) is not None

    def unmatched(self, prompts: Iterable[Prompt]) -> list[str]:
        """The prompts that the file has an answer for and the suite does not know, sorted."""
        known = {name for prompt in prompts for name in (prompt.id, prompt.messages[-1].content)}
        return sorted({prompt for prompt, _ in self.lines} - known)


def recorded(path: Path) -> RecordedModel:
    """The answers in a file, which is read once for as long as it is the same."""
    with open_file(path) as file:
        return _read(path, _state_of(file))


@lru_cache(maxsize=32)
def _read(path: Path, state: tuple[int, ...]) -> RecordedModel:
    return RecordedModel(path)


def _state_of(file: BinaryIO) -> tuple[int, ...]:
    """What changes where another file takes its place, or something is written to it."""
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _starts_of(path: Path) -> array[int]:
    """The byte at which each line begins."""
    starts = array("q", [0])
    with open_file(path) as file:
        for raw in file:
            starts.append(starts[-1] + len(raw))
    return starts


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
    return {(line.prompt, line.sample): line for _, line in _numbered(path)}


def _numbered(path: Path) -> Iterator[tuple[int, ResponseLine]]:
    """The recorded responses of a file with their lines, or items; the faults are raised at its end."""
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
        yield number, line
    if faults:
        raise DocumentError([*faults, _remedy(path, keys)] if keys and not {"prompt", "text"} <= set(keys) else faults)
    if not seen:
        raise DocumentError([f"{path}: holds no responses"])


def _is_list(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if not _is_list(path):
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
