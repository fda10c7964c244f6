"""Text in, text out: every backend behind one seam, `generate(conversations) -> Iterator[Reply]`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sciexam.errors import UsageError
from sciexam.models.settings import Custom, Endpoint, Recorded, Scripted, Vllm, Weights, artifact_of
from sciexam.models.terms import USUAL, Terms
from sciexam.types import Generation, Model, Record


def open_model(name: str, settings: Record, generation: Generation, terms: Terms = USUAL) -> Model:
    """The model called `name`. Raises UsageError where nobody could ask it, and for one at an endpoint without a price
    where `terms` hold a budget; see also `check_ready`."""
    match settings:
        case Endpoint():
            return _endpoint(name, settings, generation, terms)
        case Scripted():
            from sciexam.models.scripted import ScriptedModel

            return ScriptedModel(settings)
        case Recorded():
            from sciexam.models.recorded import recorded

            return recorded(Path(settings.responses))
        case Custom():
            model: Model = load_class(name, settings.backend, "generate")(**settings.settings)
            if not isinstance(getattr(model, "digest", None), str):
                raise UsageError(f"model {name!r}: its class has no `digest`, a word that changes with what it says")
            return model
    if responses := getattr(settings, "responses", None):
        return open_model(name, Recorded(responses=responses), generation)
    match artifact_of(settings):
        case Weights() as weights:
            from sciexam.models.huggingface import HuggingFaceModel

            opener = partial(HuggingFaceModel, name, weights, generation, terms.fetch)
            return placed(opener, weights, terms)
        case Vllm() as weights:
            from sciexam.models.vllm import open_vllm

            # Budgets and journals do not travel.
            own = terms if terms.engine == "local" else Terms(terms.max_wait, fetch=terms.fetch)
            return placed(partial(open_vllm, name, weights, generation, own), weights, terms)
    raise UsageError(f"model {name!r} is a training stage without weights or answers here")


def _endpoint(name: str, settings: Endpoint, generation: Generation, terms: Terms) -> Model:
    from sciexam.models.openai import OpenAIModel, resolve

    base_url, api_key = resolve(settings)
    account = terms.account(name, settings.model)
    asked: dict[str, Any] = {"base_url": base_url, "api_key": api_key, "max_wait": terms.max_wait, "account": account}
    if terms.journal is not None:
        from sciexam.models.batch import BatchModel

        return BatchModel(settings, generation, journal=terms.journal, **asked)
    return OpenAIModel(settings, generation, **asked)


def placed(opener: Callable[[], Model], settings: Record, terms: Terms) -> Model:
    """The model that `opener` opens, where it is to be asked: in this process, or on the nodes of a Ray cluster.

    One that runs somewhere already, at an address, stays there.
    """
    if terms.engine != "ray" or getattr(settings, "base_url", None):
        return opener()
    from sciexam.models.over_ray import RayModel

    return RayModel(opener, settings)


def check_ready(asked: object) -> None:
    """Raise UsageError where a model or judge says that it cannot be asked here and now: a key is missing."""
    if callable(check := getattr(asked, "check_ready", None)):
        check()


def load_class(name: str, path: str, method: str) -> Any:
    """The class at `package.module:Class`, named by `name` in a suite. It must have `method`. Raises UsageError."""
    module, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{name}: backend {path!r}: {error}; is it installed, or its folder in PYTHONPATH?") from None
    if not isinstance(found, type) or not callable(getattr(found, method, None)):
        raise UsageError(f"{name}: backend {path!r} is not a class with a method {method}()")
    return found
