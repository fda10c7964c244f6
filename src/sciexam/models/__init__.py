"""Text in, text out: every backend behind one seam, `generate(conversations) -> Iterator[Reply]`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from sciexam.errors import UsageError
from sciexam.models.settings import Custom, Endpoint, Recorded, Scripted
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
            from sciexam.models.recorded import RecordedModel

            return RecordedModel(Path(settings.responses))
        case Custom():
            model: Model = load_class(name, settings.backend, "generate")(**settings.settings)
            if not isinstance(getattr(model, "digest", None), str):
                raise UsageError(f"model {name!r}: its class has no `digest`, a word that changes with what it says")
            return model
    responses = getattr(settings, "responses", None)
    if responses:
        return open_model(name, Recorded(responses=responses), generation)
    raise UsageError(
        f"model {name!r} cannot be asked from here: it is local weights or a training stage. Serve it "
        "(`vllm serve ...`) and name it with `backend: openai` and `base_url:`, or give `responses: FILE`"
    )


def _endpoint(name: str, settings: Endpoint, generation: Generation, terms: Terms) -> Model:
    from sciexam.models.batch import BatchModel
    from sciexam.models.openai import OpenAIModel, resolve

    base_url, api_key = resolve(settings)
    account = terms.account(name, settings.model)
    asked: dict[str, Any] = {"base_url": base_url, "api_key": api_key, "max_wait": terms.max_wait, "account": account}
    if terms.journal is not None:
        return BatchModel(settings, generation, journal=terms.journal, **asked)
    return OpenAIModel(settings, generation, **asked)


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
