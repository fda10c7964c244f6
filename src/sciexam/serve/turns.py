"""Answers that are written at once in one thread, each a token at a time in turn; those that wait, wait in line."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sciexam.models.streaming import Token

AT_ONCE = 8  # answers that are written at once
WAITING = 32  # that wait for one of these places
SECONDS = 2  # after which it is worth asking again

Told = Token | BaseException | None  # None: the answer is whole


class Full(Exception):
    """Nobody else can wait."""


class Stopped(Exception):
    """The server ends, and with it every answer."""


@dataclass(eq=False)
class Turn:
    """One answer: where its tokens come from, and who is told of them.

    `is_over`: nobody waits for more of it. Whoever asked and leaves may set it, from any thread; so does the end.
    """

    start: Callable[[], Iterator[Token]]
    tell: Callable[[Told], None]
    is_over: bool = False
    _tokens: Iterator[Token] | None = field(default=None, repr=False)

    def take(self) -> bool:
        """Write the next token; whether more may come."""
        try:
            if self._tokens is None:
                self._tokens = self.start()
            self.tell(next(self._tokens))
            return True
        except StopIteration:
            self._end(None)
        except Exception as error:  # of the weights, of the device: it is told to whoever asked, and ends this answer
            self._end(error)
        return False

    def _end(self, told: Told) -> None:
        self.is_over = True  # first: who is told of the end may ask again at once, and finds this place free
        self.tell(told)

    def close(self) -> None:
        if self._tokens is not None:
            self._tokens.close()  # type: ignore[attr-defined]


class Turns:
    """The thread, and the line before it. `at_once` and `waiting` are numbers of answers."""

    def __init__(self, at_once: int = AT_ONCE, waiting: int = WAITING):
        self._at_once, self._room = at_once, at_once + waiting
        self._waiting: deque[Turn] = deque()
        self._writing: list[Turn] = []
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="sciexam serve", daemon=True)
        self._thread.start()

    def queue(self, turn: Turn) -> None:
        """Put an answer in line. Raises Full."""
        with self._change:
            taken = sum(not turn.is_over for turn in (*self._waiting, *self._writing))
            if self._closed or taken >= self._room:
                raise Full
            self._waiting.append(turn)
            self._change.notify()

    def stop(self) -> None:
        """Write nothing more; whoever waits for an answer is told. From any thread, and from a signal handler."""
        with self._change:
            self._closed = True
            self._change.notify()

    def close(self) -> None:
        """Like `stop`, and wait for the last token."""
        self.stop()
        self._thread.join(10)

    def _work(self) -> None:
        while self._take_up():
            for turn in tuple(self._writing):
                if turn.is_over or not turn.take():
                    turn.close()
                    with self._change:
                        self._writing.remove(turn)
        for turn in (*self._writing, *self._waiting):
            turn.close()
            turn.tell(Stopped())

    def _take_up(self) -> bool:
        """Let those in line begin where there is room, wait where there is nobody; whether there is anything to do."""
        with self._change:
            self._drop_what_is_over()
            while not (self._closed or self._writing or self._waiting):
                self._change.wait()
                self._drop_what_is_over()
            while self._waiting and len(self._writing) < self._at_once:
                self._writing.append(self._waiting.popleft())
            return not self._closed

    def _drop_what_is_over(self) -> None:
        self._waiting = deque(turn for turn in self._waiting if not turn.is_over)
