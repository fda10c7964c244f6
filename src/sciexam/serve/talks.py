"""What the page remembers while it is open: conversations that go to two models at once, in memory alone."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from sciexam.serve.refusal import Refusal
from sciexam.types import Message

Hand = Literal["left", "right"]
HANDS: tuple[Hand, ...] = ("left", "right")

KEPT = 256  # conversations, of which the oldest is forgotten for one more
TURNS = 20  # questions of one conversation
LONGEST = 20_000  # characters of a question


@dataclass(slots=True, eq=False)
class Talk:
    """One conversation. `names`: which model is on which hand; `is_blind`: whether the page does not know yet.

    `said`: the messages of each hand; a question is the same for both, the answers differ from the first one on.
    """

    names: dict[Hand, str]
    is_blind: bool
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    said: dict[Hand, list[Message]] = field(default_factory=dict)
    is_busy: bool = False
    is_voted: bool = False

    def __post_init__(self) -> None:
        self.said = {hand: [] for hand in self.names}

    def ask(self, text: str) -> dict[Hand, tuple[Message, ...]]:
        """What each hand is asked now. Raises Refusal; nothing is remembered before it is answered."""
        if self.is_busy:
            raise Refusal(409, "The last question is still being answered.")
        if not text.strip() or len(text) > LONGEST:
            raise Refusal(400, f"A question has 1 to {LONGEST:,} characters.", "text")
        if any(len(said) >= 2 * TURNS for said in self.said.values()):
            raise Refusal(400, f"This conversation has {TURNS} questions. Begin another.", "text")
        question = Message(role="user", content=text)
        return {hand: (*said, question) for hand, said in self.said.items()}

    def answered(self, text: str, answers: dict[Hand, str]) -> None:
        """Remember a question and what every hand has answered."""
        for hand, said in self.said.items():
            said += [Message(role="user", content=text), Message(role="assistant", content=answers[hand])]

    def reveal(self) -> dict[Hand, str]:
        """The names, which the page knows from here on: nothing that is said after it is a blind vote."""
        self.is_blind = False
        return self.names


class Talks:
    """The last KEPT conversations, of whoever holds their ids."""

    def __init__(self, names: Sequence[str]):
        self._names = tuple(names)
        self._talks: OrderedDict[str, Talk] = OrderedDict()

    def begin(self, is_blind: bool) -> Talk:
        """Another conversation; where it is blind, left and right are drawn."""
        names = list(self._names)
        if is_blind and len(names) > 1 and secrets.randbelow(2):
            names.reverse()
        talk = Talk(dict(zip(HANDS, names, strict=False)), is_blind and len(names) > 1)
        self._talks[talk.id] = talk
        while len(self._talks) > KEPT:
            self._talks.popitem(last=False)
        return talk

    def get(self, id: str) -> Talk:
        """Raises Refusal for one that is not there."""
        if id not in self._talks:
            raise Refusal(404, "This conversation is over: the server was started again, or forgot it. Begin another.")
        self._talks.move_to_end(id)
        return self._talks[id]
