"""Who writes an answer, seen from a request: pieces of text as they come, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from sciexam.models.streaming import Token
from sciexam.serve.request import Asked

Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Written:
    """A piece of the answer numbered `choice`, and its tokens where log probabilities were asked for."""

    text: str
    tokens: tuple[Token, ...] = ()
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """How an answer ended. The counts are of tokens; what ended the answer counts as written, and so does a thought."""

    finish: Finish
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int = 0
    choice: int = 0


Event = Written | Ended


class Engine(Protocol):
    """One served model. `digest` changes with whatever could change an answer."""

    name: str
    digest: str

    def write(self, asked: Asked) -> AsyncGenerator[Event, None]:
        """One answer (`asked.n` is not looked at). Raises Refusal; closing the iterator stops the writing."""
        ...


async def together(
    sources: Sequence[AsyncGenerator[Event, None]],
) -> AsyncGenerator[tuple[int, Event | Exception], None]:
    """What all `sources` yield, as it comes, each with the number of its source; a source that raises yields that last.

    Closing the iterator closes all sources.
    """
    found: asyncio.Queue[tuple[int, Event | Exception | None]] = asyncio.Queue()

    async def read(number: int, source: AsyncGenerator[Event, None]) -> None:
        try:
            async with aclosing(source) as events:
                async for event in events:
                    found.put_nowait((number, event))
            found.put_nowait((number, None))
        except Exception as error:  # carried over to whoever reads
            found.put_nowait((number, error))

    tasks = [asyncio.create_task(read(number, source)) for number, source in enumerate(sources)]
    try:
        open_ = len(tasks)
        while open_:
            number, event = await found.get()
            open_ -= event is None or isinstance(event, Exception)
            if event is not None:
                yield number, event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def write_all(engine: Engine, asked: Asked) -> AsyncGenerator[Event, None]:
    """All `asked.n` answers, interleaved as they are written. The seed of each is one more than that of the last."""
    sources = [engine.write(_numbered(asked, choice)) for choice in range(asked.n)]
    async with aclosing(together(sources)) as found:
        async for choice, event in found:
            if isinstance(event, Exception):
                raise event
            yield replace(event, choice=choice)


def _numbered(asked: Asked, choice: int) -> Asked:
    seed = asked.sampling.seed
    return asked if seed is None else replace(asked, sampling=replace(asked.sampling, seed=seed + choice))


class Stopping:
    """Text on its way out, which ends before the first of the texts in `stop`. `trims`: without white space around it.

    What may be the beginning of a text to stop at is held back until it is known, and so is white space that may be the
    last. A token goes out with the last of its text.
    """

    def __init__(self, stop: Sequence[str], trims: bool = False):
        self._stop, self._trims = tuple(stop), trims
        self._held = ""
        self._tokens: list[tuple[int, Token]] = []  # where each begins in what is held
        self._begun = not trims
        self.stopped = False

    def push(self, token: Token) -> Written | None:
        """What can be sent now that `token` has come; `stopped` says whether this was the end."""
        self._tokens.append((len(self._held), token))
        self._held += token.text
        found = [place for text in self._stop if (place := self._held.find(text)) >= 0]
        if found:
            self.stopped = True
            return self._sent(self._trimmed(min(found)))
        return self._sent(self._trimmed(len(self._held) - self._doubtful()))

    def rest(self) -> Written | None:
        """What was held back, when no more comes."""
        return self._sent(self._trimmed(len(self._held)), is_last=True)

    def _trimmed(self, length: int) -> int:
        return len(self._held[:length].rstrip()) if self._trims else length

    def _doubtful(self) -> int:
        """The length of the longest end of what is held that may begin a text to stop at."""
        longest = max((len(text) for text in self._stop), default=1) - 1
        ends = range(min(longest, len(self._held)), 0, -1)
        return next((n for n in ends if any(text.startswith(self._held[-n:]) for text in self._stop)), 0)

    def _sent(self, length: int, is_last: bool = False) -> Written | None:
        text, self._held = self._held[:length], self._held[length:]
        whole = is_last or (not self._held and not self.stopped)
        tokens = tuple(token for start, token in self._tokens if whole or start < length)
        self._tokens = [(max(start - length, 0), token) for start, token in self._tokens[len(tokens) :]]
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        return Written(text, tokens) if text or tokens else None
