"""A model of the suite as lm-evaluation-harness asks one: local weights in this process, or anything that writes text.

Imported where a task is run: the harness comes with it.
"""

from __future__ import annotations

import copy
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from lm_eval.api.model import LM

from sciexam.errors import UsageError
from sciexam.exam.plan import conversation_of
from sciexam.exchange.bench_asking import check_all, replies_to
from sciexam.models import open_model
from sciexam.models.checkpoint import LocalCheckpoint
from sciexam.models.checkpoint_loading import Loaded
from sciexam.models.settings import Weights
from sciexam.models.terms import Terms
from sciexam.store import Store
from sciexam.suite import Suite
from sciexam.types import Conversation, Message, Model, Prompt, Reply

TOKENS = 1024  # what an item is reckoned at, for how many are asked at once
MOST_AT_ONCE = 64
MOST_STOPS = 4  # that endpoints take; the others end a text when it is here


@contextmanager
def local_model(weights: LocalCheckpoint, settings: Weights, chat: bool) -> Iterator[Any]:
    """The weights as the harness takes them, with their device to themselves until the block ends."""
    from lm_eval.models.huggingface import HFLM

    with weights.use() as loaded:
        tokenizer = copy.copy(loaded.tokenizer)  # the harness sets what it lacks
        if settings.chat_template:
            tokenizer.chat_template = settings.chat_template
        if chat and not tokenizer.chat_template:
            raise UsageError(f"{weights.name}: --chat: it has no chat template; leave --chat out, or give it one")
        at_once = max(1, min(MOST_AT_ONCE, settings.batch_tokens // TOKENS))
        lm = HFLM(pretrained=_whole(loaded), tokenizer=tokenizer, batch_size=at_once, max_length=loaded.context)
        if not sys.stderr.isatty():
            for asked in ("loglikelihood", "loglikelihood_rolling", "generate_until"):
                setattr(lm, asked, partial(getattr(lm, asked), disable_tqdm=True))
        yield lm


def _whole(loaded: Loaded) -> Any:
    """The model with its adapter's layers in place, as a class of transformers."""
    unwrapped = getattr(loaded.model, "get_base_model", None)
    return unwrapped() if unwrapped else loaded.model


class AskedModel(LM):  # type: ignore[misc]
    """A model that writes text, asked through its own backend: the ledger, the limits and the budget hold.

    Every answer is durable as soon as it is there, so that a task which is killed asks only for the rest.
    """

    def __init__(
        self,
        name: str,
        suite: Suite,
        store: Store,
        terms: Terms,
        stop: threading.Event,
        account: Callable[[str, Reply, bool], None],
    ):
        super().__init__()
        self._name, self._suite, self._store, self._terms, self._stop = name, suite, store, terms, stop
        self._account = account

    @property
    def tokenizer_name(self) -> str:
        """For the harness's cache of requests, which is not used."""
        return ""

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The turns as they are: the endpoint has the template."""
        return json.dumps(chat_history, ensure_ascii=False)

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        """Raises UsageError: a text's probability is not to be had from a model that only writes."""
        raise UsageError(f"{self._name} only writes text")

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        """Raises UsageError, as `loglikelihood`."""
        raise UsageError(f"{self._name} only writes text")

    def generate_until(self, requests: list[Any]) -> list[str]:
        """One text a request. Raises Incomplete where a call failed, or was not made."""
        by_settings: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            by_settings.setdefault(json.dumps(request.args[1], sort_keys=True), []).append(place)
        texts: dict[int, str] = {}
        for settings, places in by_settings.items():
            asked = json.loads(settings)
            until = [asked["until"]] if isinstance(asked.get("until"), str) else list(asked.get("until") or ())
            model = self._opened(asked, [one for one in until if one])
            said = self._ask(model, [requests[place].args[0] for place in places])
            texts |= {place: _until(text, until) for place, text in zip(places, said, strict=True)}
        return [texts[place] for place in range(len(requests))]

    def _opened(self, asked: Mapping[str, Any], until: Sequence[str]) -> Model:
        """The model, asked as the task wants it; what the task leaves open is the suite's."""
        own = self._suite.generation_of(self._name)
        longest = next((asked[k] for k in ("max_gen_toks", "max_new_tokens", "max_tokens") if asked.get(k)), None)
        drawn = float(asked.get("temperature") or 0.0) if asked.get("do_sample", True) else 0.0
        generation = own.model_copy(
            update={
                "max_tokens": int(longest or own.max_tokens),
                "temperature": drawn,
                "top_p": asked.get("top_p") if drawn else None,
                "stop": tuple(until[:MOST_STOPS]),
                "samples": 1,
            }
        )
        return open_model(self._name, self._suite.model(self._name), generation, self._terms)

    def _ask(self, model: Model, contexts: Sequence[str]) -> list[str]:
        seen: Counter[str] = Counter()
        conversations: list[Conversation] = []
        for context in contexts:
            prompt = Prompt(id=self._name, messages=_messages(self._name, context))
            conversations.append(conversation_of(model.digest, prompt, seen[context], recorded=False))
            seen[context] += 1
        by_key = {one.key: one for one in conversations}
        found = replies_to(self._name, self._store, by_key, model.generate, self._account_for, self._is_over)
        check_all(by_key, found)
        return [found[one.key].text for one in conversations]

    def _account_for(self, reply: Reply, new: bool) -> None:
        self._account(self._name, reply, new)

    def _is_over(self) -> bool:
        return self._stop.is_set() or self._terms.over_budget


def _messages(name: str, context: str) -> tuple[Message, ...]:
    turns = json.loads(context)
    if turns and turns[-1]["role"] == "assistant":
        raise UsageError(
            f"{name}: the task begins the answer for the model (gen_prefix), which an endpoint cannot go on"
        )
    return tuple(Message(role=turn["role"], content=turn["content"]) for turn in turns)


def _until(text: str, until: Sequence[str]) -> str:
    """The text before the first of these words."""
    for word in until:
        text = text.split(word)[0] if word else text
    return text
