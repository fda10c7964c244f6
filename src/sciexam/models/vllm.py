"""Weights of one's own, asked through vLLM: at running servers, at one started for them, or in this process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from sciexam.digests import digest
from sciexam.errors import Incomplete, UsageError
from sciexam.models.checkpoint_files import Files, find
from sciexam.models.openai import OpenAIModel
from sciexam.models.settings import Vllm
from sciexam.models.terms import USUAL, Terms
from sciexam.models.token_prompts import PLAIN, PLAIN_STOP
from sciexam.models.vllm_engine import Engine, EngineModel
from sciexam.models.vllm_launch import NO_TEMPLATE, Launch, ends_of, launch_of, template_of
from sciexam.models.vllm_server import Server
from sciexam.models.vllm_wire import Asked, VllmWire, endpoint_of
from sciexam.types import Conversation, Generation, Model, Reply

NOT_YET = "http://127.0.0.1:0/v1"  # the address of a server that is not started

Holder = TypeVar("Holder", Server, Engine)
_held: WeakValueDictionary[tuple[type, Launch], Any] = WeakValueDictionary()


def open_vllm(name: str, settings: Vllm, generation: Generation, terms: Terms = USUAL) -> Model:
    """The model called `name`: at `base_url` where one is named, else by a server that `python` starts, else here.

    Nothing is started, loaded or asked before the first call. Raises UsageError where the weights are not to be found,
    and for what vLLM cannot do with them.
    """
    if settings.base_url:
        return _found(name, settings, generation, terms)
    files = find(name, settings, terms.fetch)
    launch = launch_of(name, settings, files)
    template = template_of(settings, files)
    asked = Asked(settings.adapter or settings.weights, template, tuple(ends_of(files)), template == PLAIN)
    if asked.plain:
        generation = generation.model_copy(update={"stop": (*generation.stop, PLAIN_STOP)})
    bounded = {} if settings.max_model_len is None else {"max_model_len": settings.max_model_len}  # it cuts answers off
    key = _key(settings, generation, asked, files.contents | bounded)
    if settings.python is None:
        return EngineModel(name, settings, generation, _share(Engine, launch, settings, files), asked, key)
    server = _share(Server, launch, settings, files)
    return VllmModel(name, settings, generation, asked, (NOT_YET,), None, key, terms, server, files)


def _found(name: str, settings: Vllm, generation: Generation, terms: Terms) -> VllmModel:
    """Behind servers that run already. Which of them is asked, and where, changes no reply, and is in no key."""
    asked = Asked(settings.adapter or settings.weights, settings.chat_template)
    names = {name: getattr(settings, name) for name in ("weights", "revision", "adapter")}
    key = _key(settings, generation, asked, names)
    secret = os.environ.get(settings.api_key_env, "").strip() if settings.api_key_env else ""
    return VllmModel(name, settings, generation, asked, settings.base_url, secret or None, key, terms)


def _key(settings: Vllm, generation: Generation, asked: Asked, weights: dict[str, Any]) -> str:
    """A digest of all that could change a reply; `weights` say which they are, by their contents or by name."""
    said = {name: getattr(settings, name) for name in ("quantization", "dtype", "system", "thinking")}
    said |= {"chat_template": asked.template, "generation": generation.model_dump(exclude={"samples"})}
    return digest({"backend": "vllm", **weights, **said})


def _share(kind: type[Holder], launch: Launch, settings: Vllm, files: Files) -> Holder:
    """The vLLM that holds these weights for others, too, if it can be asked for this adapter."""
    held: Holder | None = _held.get((kind, launch))
    if held is None or not held.admits(settings.adapter):
        held = _held[kind, launch] = kind(launch)
    if settings.adapter and files.adapter:
        held.adapters[settings.adapter] = files.adapter
    return held


class VllmModel(OpenAIModel):
    """Weights behind one or several servers of vLLM: as OpenAIModel, in vLLM's words.

    Replicas share the conversations; while one of them answers, nothing is lost. `server` is started at the first call.
    Raises, beside what OpenAIModel raises: UsageError where the server cannot start, EndpointRefused where a replica
    serves another model or takes no chat template, and Incomplete where all replicas are dead.
    """

    def __init__(
        self,
        name: str,
        settings: Vllm,
        generation: Generation,
        asked: Asked,
        urls: tuple[str, ...],
        api_key: str | None,
        key: str,
        terms: Terms,
        server: Server | None = None,
        files: Files | None = None,
    ):
        endpoint = endpoint_of(settings, asked.model, urls[0])
        # Only what has a price is counted in a budget: one's own machine has none.
        account = terms.account(name, settings.weights) if settings.weights in terms.prices else None
        super().__init__(
            endpoint, generation, base_url=urls[0], api_key=api_key, max_wait=terms.max_wait, account=account
        )
        self.name, self.digest = name, key
        self._vllm, self._generation, self._asked_for = settings, generation, asked
        self._server, self._files = server, files
        self._connect(urls, api_key)
        if asked.plain:
            self.notes.append(NO_TEMPLATE)

    def _connect(self, urls: tuple[str, ...], api_key: str | None) -> None:
        told = self.notes
        self._wire = VllmWire(self._vllm, self._generation, self._asked_for, urls, api_key)
        self.notes = self._wire.notes = told

    def check_ready(self) -> None:
        """Raise UsageError where it cannot be asked here and now, before anything is started."""
        if self._server is None:
            super().check_ready()
            return
        assert self._files is not None
        self._files.check("causal")
        try:
            self._server.check_ready()
        except UsageError as error:
            raise UsageError(f"model {self.name!r}: {error}") from None

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        """As OpenAIModel's; a server of its own is started first, and waited for."""
        if self._server is None:
            yield from super().generate(conversations)
            return
        self.check_ready()
        try:
            if not self._server.start(lambda: self._stopped):
                return
        except UsageError as error:
            raise UsageError(f"model {self.name!r}: {error}") from None
        self._connect((self._server.url,), self._server.key)
        try:
            yield from super().generate(conversations)
        except Incomplete as error:
            if self._server.ended:
                raise Incomplete(f"{error}; vLLM ended: {self._server.last_words()}") from None
            raise

    def line(self) -> tuple[tuple[str, ...], str | None, Asked]:
        """Where it is asked, with which key and as what, for one who asks by himself; its server is started first."""
        self.check_ready()
        if self._server is None:
            return self._vllm.base_url, self._wire.check_ready(), self._asked_for
        self._server.start()
        return (self._server.url,), self._server.key, self._asked_for
