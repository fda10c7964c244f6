"""Replies that are to be one new prompt each: read, told from what is none, and the lines that they become."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sciexam.contamination import Exam
from sciexam.digests import digest
from sciexam.exchange.candidates import SOURCE
from sciexam.exchange.decontamination import HOLDS
from sciexam.exchange.marked_reply import Request, read_marked
from sciexam.near_duplicates import repeats
from sciexam.types import Prompt, Reply, Response

Line = dict[str, Any]

WORD = "PROMPT"  # of the line above the prompt
FEWEST_WORDS, FEWEST_CHARACTERS = 3, 8  # a prompt with fewer of both asks nothing
CHARACTERS_A_WORD = 10  # more than a word has in languages that put blanks between words
# The first line of a list of several prompts, or of one that was given a heading.
_LABELLED = re.compile(
    r"\s*(?:[-*#>]|\d+[.):]|(?:the |my )?(?:new )?(?:prompt|question|task|instruction)\s*\d*\s*:)", re.I
)


@dataclass(frozen=True, slots=True)
class NewPrompt:
    """What one request gave: a prompt, or why there is none. `shots` are the prompts that the model was shown."""

    number: int
    shots: tuple[Prompt, ...]
    reply: Reply
    text: str
    failure: str

    @property
    def open(self) -> bool:
        """Whether the same command asks again."""
        return self.reply.status in ("failed", "skipped")


def read_prompt(
    number: int, shots: tuple[Prompt, ...], request: Request, response: Response, exam: Exam, longest: int
) -> NewPrompt:
    """`longest` is in words."""
    found = read_marked(response.reply, WORD, request)
    failure = found.failure or _unfit(found.text, exam, longest)
    return NewPrompt(number, shots, response.reply, found.text, failure)


def _unfit(text: str, exam: Exam, longest: int) -> str:
    """Why a text is no prompt to use; "" where it is one."""
    words = len(text.split())
    if _LABELLED.match(text):
        return "begins like a list, or has a heading"
    if words < FEWEST_WORDS and len(text) < FEWEST_CHARACTERS:
        return "too short to ask anything"
    if words > longest or len(text) > longest * CHARACTERS_A_WORD:
        return f"longer than {longest} words"
    return HOLDS if exam.asked_in(text) is not None else ""


def without_duplicates(said: Sequence[NewPrompt], exam: Exam, read: Sequence[Prompt]) -> Iterator[NewPrompt]:
    """All of them; what says nearly the same as a prompt of the suite, of the file or an earlier one is of no use."""
    usable = [one for one in said if not one.failure]
    known = [*exam.texts, *(prompt.text for prompt in read)]
    near = iter(repeats(known, [one.text for one in usable], each_once=True))
    for one in said:
        other = None if one.failure else next(near)
        if other is None:
            yield one
        else:
            whose = "a prompt of the suite" if other < len(exam.texts) else "a prompt of the file"
            whose = whose if other < len(known) else "an earlier one"
            yield replace(one, failure=f"says nearly the same as {whose}")


def prompt_line(one: NewPrompt, model: str) -> Line:
    """A line of a prompts file; its id follows from its text."""
    told = {"written_by": model, "model": one.reply.model, "key": one.reply.key}
    line = {"id": f"new-{digest(one.text)[:16]}", "text": one.text} | told | {"shots": [shot.id for shot in one.shots]}
    sources = [
        {"shot": shot.id} | {key: shot.metadata[key] for key in SOURCE if shot.metadata.get(key) is not None}
        for shot in one.shots
    ]
    return line | ({"shown": sources} if any(len(source) > 1 for source in sources) else {})


def rejected_line(one: NewPrompt) -> Line:
    """For reading: what the reply said as far as it could be read, and the whole of it otherwise."""
    said = {"number": one.number, "reason": one.failure, "reply": one.text or one.reply.text}
    return said | {"key": one.reply.key, "shots": [shot.id for shot in one.shots]}
