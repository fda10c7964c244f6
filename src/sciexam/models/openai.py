"""A model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain

from sciexam.digests import digest
from sciexam.models.calls import GRACE, Run
from sciexam.models.settings import Endpoint
from sciexam.models.spending import Account
from sciexam.models.wire import Wire
from sciexam.types import Conversation, Generation, Reply

OPENAI = "https://api.openai.com/v1"


def resolve(settings: Endpoint) -> tuple[str, str | None]:
    """The base URL and the key that `settings` mean here and now: the one place where the environment is read.

    The URL is `base_url`, else OPENAI_BASE_URL, else OpenAI's own. The key is the value of the variable `api_key_env`;
    None when no variable is named or it is not set.
    """
    base_url = settings.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI
    key = os.environ.get(settings.api_key_env, "").strip() if settings.api_key_env else ""
    return base_url, key or None


class OpenAIModel:
    """A model behind `/v1/chat/completions`, or behind `/v1/completions` when it has a chat template.

    `generation` is what the model is asked with, the model's own fields already filled in. `max_wait` (seconds) bounds
    what a call waits because of its rate. `account`: the budget it spends from, and its price. Raises UsageError for a
    base URL that cannot be used, and for a chat template that does not work. What it was asked before can be looked up
    without a key; `check_ready` says whether it can be asked here and now.

    `digest` names all that could change a reply. `notes` lists what the endpoint does not take and was asked without.
    """

    def __init__(
        self,
        settings: Endpoint,
        generation: Generation,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        max_wait: float = 120.0,
        account: Account | None = None,
    ):
        self.settings = settings
        self.account = account
        self.max_wait = max_wait
        self.limit: float | None = None  # requests in flight that the endpoint was last seen to take
        self._wire = Wire(settings, generation, (base_url or settings.base_url or OPENAI).rstrip("/"), api_key)
        self.notes = self._wire.notes
        self._stopped = False
        self._runs: set[Run] = set()
        self.digest = digest(
            {
                "backend": "openai",
                "model": settings.model,
                "revision": settings.revision,
                "base_url": self._wire.base_url,
                "system": settings.system,
                "chat_template": settings.chat_template,
                "generation": generation.model_dump(exclude={"samples"}),
            }
        )

    def check_ready(self) -> None:
        """Raise UsageError when the key's variable is not set and the host is another machine."""
        self._wire.check_ready()

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        """Ask everything in `conversations`, yield the replies as they finish.

        The next conversation is pulled in the caller's thread, when fewer than `concurrency` are pulled and not yet
        yielded. A reply that finished while the iterable was pulled comes next. Close the iterator to give up at once.
        A call that the budget has no room for is dropped and has no reply; from then on nothing is pulled.

        Raises, after every reply that came back was yielded: EndpointRefused when asking again is no use (wrong key, no
        such model, a redirect); Incomplete when the endpoint cannot be reached, asks for a wait above `max_wait`, or
        failed 16 calls (or a whole window) in a row.
        """
        self.check_ready()
        source = iter(conversations)
        first = None if self._stopped or self._at_the_limit else next(source, None)
        if first is None:
            return
        source = chain([first], source)
        outstanding = 0
        exhausted = False
        run = Run(
            self._wire,
            concurrency=self.settings.concurrency,
            limit=self.limit,
            max_wait=self.max_wait,
            account=self.account,
        )
        self._runs.add(run)
        try:
            while True:
                ending = exhausted or self._stopped or run.winding_down or self._at_the_limit
                if not ending and outstanding < self.settings.concurrency:
                    conversation = next(source, None)
                    exhausted = conversation is None
                    if conversation is not None:
                        run.submit(conversation)
                        outstanding += 1
                    if not exhausted and run.finished.empty():
                        continue
                if outstanding == 0:
                    break
                reply = run.next_reply()
                outstanding -= 1
                if reply is not None:
                    yield reply
        finally:
            self._runs.discard(run)
            self.limit = run.limiter.limit
            run.close()
        if run.ending is not None:
            raise run.ending

    @property
    def _at_the_limit(self) -> bool:
        return self.account is not None and self.account.budget.reached

    def stop(self, grace: float = GRACE) -> None:
        """Ask nothing more, now or later. From any thread, and from a signal handler.

        Requests in flight have `grace` seconds to come back, and `generate` yields their replies; what is waiting for
        its turn is dropped and has no reply. A second call with a shorter grace hastens the end.
        """
        self._stopped = True
        for run in tuple(self._runs):
            run.wind_down(grace)
