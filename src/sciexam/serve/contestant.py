"""Which models are served: the contestant that is named, and the one beside it, from what the suite says of them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sciexam.errors import UsageError
from sciexam.lineage.specs import kind_of
from sciexam.lineage.stages import Stage, Trained
from sciexam.models.settings import Vllm, Weights, artifact_of
from sciexam.serve.engine import Engine
from sciexam.serve.local import LocalEngine
from sciexam.serve.served import Served
from sciexam.serve.turns import Turns
from sciexam.serve.upstream import UpstreamEngine
from sciexam.suite import Suite

NOBODY = "none"


@dataclass(frozen=True, slots=True)
class Pair:
    """The contestant, and who is shown beside it; `why`: who that is to it, or why there is nobody."""

    name: str
    beside: str | None
    why: str

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,) if self.beside is None else (self.name, self.beside)


def pair_of(suite: Suite, name: str, beside: str | None) -> Pair:
    """Whom `sciexam serve NAME` serves; `beside` is what --beside says. Raises UsageError for what has no weights."""
    _weights(suite, name)
    if beside == NOBODY:
        return Pair(name, None, "")
    if beside is not None:
        if beside == name:
            raise UsageError(f"--beside {beside}: this is the contestant itself; name another model, or none")
        _weights(suite, beside)
        return Pair(name, beside, f"{beside} is shown beside it, as --beside says")
    parent, why = _parent(suite, name)
    if parent is None:
        return Pair(name, None, why)
    if artifact_of(suite.model(parent)) is None:
        return Pair(name, None, f"Its parent {parent} is not here: {_no_weights(suite, parent)}")
    return Pair(name, parent, why)


def _parent(suite: Suite, name: str) -> tuple[str | None, str]:
    """The model that `name` was made from, and how that is known."""
    spec = suite.model(name)
    if isinstance(spec, Stage):
        return spec.parent, f"{name} was made from {spec.parent} (stage: {kind_of(spec)})"
    own = artifact_of(spec)
    if own is not None and own.adapter:
        for other, settings in suite.models.items():
            theirs = artifact_of(settings)
            if theirs is not None and (theirs.weights, theirs.adapter) == (own.weights, None):
                return other, f"{name} is an adapter on the weights of {other}"
    return None, f"The suite names no parent of {name}"


def _weights(suite: Suite, name: str) -> Weights | Vllm:
    spec = suite.model(name)
    found = artifact_of(spec)
    if found is None and isinstance(spec, Trained):
        train = suite.command("train", name)
        raise UsageError(f"{name}: it has no weights here; `{train}` trains it, or name them in the suite")
    if found is None:
        raise UsageError(f"{name}: {_no_weights(suite, name)}; `sciexam serve` loads weights: name them in the suite")
    return found


def _no_weights(suite: Suite, name: str) -> str:
    kind = kind_of(suite.model(name))
    what = {"openai": "it is an endpoint", "recorded": "it is a file of answers", "scripted": "it is scripted"}
    return what.get(str(kind), f"it is made by {kind}, and the suite names no weights of it")


def open_all(suite: Suite, pair: Pair, merged_into: Path, turns: Turns) -> tuple[Pair, dict[str, Served]]:
    """The models, loaded and ready. Adapters of weights that are loaded here are merged into `merged_into` first.

    Raises UsageError where the contestant cannot be loaded; one that cannot be loaded beside it is left out.
    """
    specs = {name: _through_vllm(_weights(suite, name)) for name in pair.names}
    engines = _at_vllm(suite, {name: spec for name, spec in specs.items() if isinstance(spec, Vllm)})
    for name, spec in specs.items():
        if isinstance(spec, Weights):
            try:
                engines[name] = _here(name, spec, merged_into, turns)
            except UsageError as error:
                if name == pair.name:
                    raise
                pair = Pair(pair.name, None, f"{name} could not be loaded beside it: {error}")
    return pair, {n: Served(n, engine, suite.generation_of(n), specs[n].system) for n, engine in engines.items()}


def _through_vllm(spec: Weights | Vllm) -> Weights | Vllm:
    """The same weights for vLLM, where that is installed beside sciexam and there is a GPU."""
    if isinstance(spec, Vllm) or spec.quantization == "int8" or importlib.util.find_spec("vllm") is None:
        return spec
    from sciexam.models.checkpoint_files import silence

    silence()
    import torch

    if not torch.cuda.is_available() or spec.device not in (None, "cuda"):
        return spec
    same = {name: getattr(spec, name) for name in Vllm.model_fields if name in Weights.model_fields}
    return Vllm.model_validate({**same, "backend": "vllm", "python": sys.executable})


def _here(name: str, spec: Weights, merged_into: Path, turns: Turns) -> LocalEngine:
    from sciexam.models.merging import merged
    from sciexam.models.streaming import TokenStream

    stream = TokenStream(name, merged(name, spec, merged_into))
    stream.open()
    return LocalEngine(name, stream, stream.digest, turns)


def _at_vllm(suite: Suite, specs: Mapping[str, Vllm]) -> dict[str, Engine]:
    """Engines at vLLM servers. All are opened before one is started: models of the same weights share a server."""
    from sciexam.models.terms import Terms
    from sciexam.models.vllm import VllmModel, open_vllm

    python = {name: spec if spec.base_url or spec.python else _own(spec) for name, spec in specs.items()}
    terms = Terms(fetch=True)
    opened = {name: open_vllm(name, spec, suite.generation_of(name), terms) for name, spec in python.items()}
    engines: dict[str, Engine] = {}
    for name, model in opened.items():
        assert isinstance(model, VllmModel)
        urls, key, named = model.line()
        engines[name] = UpstreamEngine(name, model.digest, urls, key, named, specs[name].timeout)
    return engines


def _own(spec: Vllm) -> Vllm:
    return spec.model_copy(update={"python": sys.executable})
