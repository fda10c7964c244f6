"""A file of answers as a suite's `responses:` takes it, or as AlpacaEval's list of outputs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from sciexam.errors import UsageError
from sciexam.types import Prompt, Response

Format = Literal["jsonl", "alpacaeval"]
HEAD = 1_000_000  # bytes of a file that tell whether it holds answers


def items_of(answers: Iterable[tuple[Prompt, Response]], format: Format) -> Iterator[dict[str, Any]]:
    """One object an answer."""
    for prompt, response in answers:
        if format == "jsonl":
            yield _line(prompt, response)
        else:
            yield {"instruction": prompt.text, "output": response.text, "generator": response.contestant}


def each_text_once(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Of prompts of one text the first: AlpacaEval's list has one output an instruction."""
    return tuple({prompt.text: prompt for prompt in reversed(prompts)}.values())[::-1]


def _line(prompt: Prompt, response: Response) -> dict[str, Any]:
    """`instruction` is the question, for whoever has the file without its prompts."""
    reply = response.reply
    told = {
        "finish_reason": reply.finish_reason or None,
        "model": reply.model or None,
        "input_tokens": reply.input_tokens,
        "output_tokens": reply.output_tokens,
        "reasoning_tokens": reply.reasoning_tokens,
    }
    line = {"prompt": prompt.id, "sample": response.sample, "instruction": prompt.text, "text": response.text}
    return line | {key: value for key, value in told.items() if value is not None}


def joined(items: Iterable[dict[str, Any]], format: Format) -> Iterator[str]:
    """The pieces of the file."""
    if format == "jsonl":
        yield from (f"{_dumped(item)}\n" for item in items)
        return
    before = "["
    for item in items:
        yield f"{before}\n{_dumped(item)}"
        before = ","
    yield "\n]\n"


def _dumped(item: dict[str, Any]) -> str:
    """One line of JSON, readable in every language. Half a character, which UTF-8 refuses, makes it ASCII."""
    text = json.dumps(item, ensure_ascii=False, allow_nan=False)
    return json.dumps(item) if any("\ud800" <= c <= "\udfff" for c in text) else text


def check_alpacaeval(prompts: Sequence[Prompt], samples: int) -> None:
    """Raises UsageError for what an AlpacaEval list has no room for."""
    if samples > 1:
        raise UsageError("--format alpacaeval: its list has one output an instruction; add --samples 1")
    for prompt in prompts:
        if len(prompt.messages) > 1:
            raise UsageError(
                f"--format alpacaeval: an instruction is one text, and prompt {prompt.id!r} is a conversation of "
                f"{len(prompt.messages)} messages; leave --format out"
            )


def check_replaceable(out: Path, ledger: str) -> None:
    """Raises UsageError where `out` cannot be written, or holds something else than answers."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise UsageError(f"--out: {out} cannot be written: {(error.strerror or str(error)).lower()}") from None
    if not out.exists():
        return
    if not out.is_file():
        raise UsageError(f"--out: {out} is no file")
    if "://" not in ledger and Path(ledger).exists() and out.samefile(ledger):
        raise UsageError(f"--out: {out} is the ledger; name another file")
    with out.open("rb") as file:
        head = file.read(HEAD)
    if head.strip() and not _holds_answers(head):
        raise UsageError(f"--out: {out} holds something else than answers, and would be replaced; name another file")


def _holds_answers(head: bytes) -> bool:
    """By the first line of JSON Lines, or by what an AlpacaEval list has in every item."""
    start = head.lstrip()
    if start.startswith(b"["):
        return b'"instruction"' in start and b'"output"' in start
    line = start.split(b"\n", 1)[0]
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return len(line) == HEAD and start.startswith(b'{"prompt"')  # a line that is longer than what was read
    return isinstance(first, dict) and "prompt" in first and "text" in first
