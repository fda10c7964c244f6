"""How toxic a text is, by a service elsewhere that the user names and has a key for.

Every score is durable as soon as it is there. A call that failed is a failure, is counted, and is asked for again by
the same command; a text that the service says it cannot score has no value.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from sciexam.digests import digest
from sciexam.errors import Incomplete
from sciexam.exam.benchmark_facts import UNREAD
from sciexam.exchange.bench_asking import check_all, replies_to
from sciexam.exchange.toxicity import TOXIC_FROM, Scored
from sciexam.models.perspective import PerspectiveModel
from sciexam.store import Store
from sciexam.types import Conversation, Message, Reply

USUAL = "TOXICITY"  # the attribute that is asked for, unless a label is named
SCHEMA = 1  # part of every key: raised when a fact comes to mean something else


class Service:
    """A service at an address: see `toxicity.Scorer`. Raises UsageError where it cannot be asked: there is no key."""

    def __init__(self, address: str, label: str | None, language: str, max_wait: float):
        self._model = PerspectiveModel(address, label or USUAL, language, max_wait)
        self._ledger: Store | None = None
        self._stop = threading.Event()
        self._scores: dict[str, Scored] = {}
        self.note = f"by {label or USUAL} at {self._model.where}, where every text was sent"
        self.digest = digest([self._model.digest, TOXIC_FROM, UNREAD])

    def keep_in(self, ledger: Store, stop: threading.Event) -> None:
        """Where scores are kept, and what ends the asking."""
        self._ledger, self._stop = ledger, stop

    def read(self, texts: Sequence[str]) -> None:
        assert self._ledger is not None
        keys = {text: digest({"fact": ["toxicity", SCHEMA], "by": self._model.digest, "text": text}) for text in texts}
        asked = {key: Conversation(key, (Message(role="user", content=text),)) for text, key in keys.items()}
        name = self._model.where
        try:
            found = replies_to(name, self._ledger, asked, self._model.generate, _ignore, self._stop.is_set)
        except Incomplete as error:
            raise Incomplete(str(error).replace("base_url:", "--toxicity")) from None
        check_all(asked, found, "to score a text")
        self._scores = {text: _scored(found[key]) for text, key in keys.items()}

    def score(self, text: str) -> Scored:
        return self._scores[text]


def _scored(reply: Reply) -> Scored:
    return Scored(float(reply.text) if reply.status == "ok" else None)


def _ignore(reply: Reply, new: bool) -> None:
    """What these calls cost is not in the suite's prices."""
