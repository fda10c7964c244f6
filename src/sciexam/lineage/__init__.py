"""How each model comes to exist: parents, chains and digests. A DAG from pretrained weights to a contestant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciexam.digests import digest, file_digest
from sciexam.errors import did_you_mean
from sciexam.lineage.artifacts import MODELS, place_of, read_lineage
from sciexam.lineage.sources import Judged, made_on_the_way
from sciexam.lineage.specs import ModelSpec, kind_of
from sciexam.lineage.stages import Pretrain, SelfRewarding, Stage
from sciexam.models.checkpoint_digests import digests_of
from sciexam.models.class_source import source_of
from sciexam.models.settings import WHERE, Custom


def faults(models: Mapping[str, ModelSpec]) -> list[tuple[str, str]]:
    """What is wrong with a lineage, as (model, what): unknown parents, and cycles."""
    found = []
    for name, spec in models.items():
        for parent in parents(spec):
            if parent not in models:
                found.append((name, f"{parent!r} is not among the models{did_you_mean(parent, models)}"))
    if not found:
        found = [
            (name, f"descends from itself: {' -> '.join(loop)}") for name in models if (loop := _loop(models, name))
        ]
    return found


def parents(spec: ModelSpec) -> tuple[str, ...]:
    """The models that `spec` is made from; none for pretrained weights, endpoints and records."""
    return spec.parents() if isinstance(spec, Stage) else ()


def chain(models: Mapping[str, ModelSpec], name: str) -> list[str]:
    """The line from the pretrained model to `name`, both included; the first parent is followed."""
    spec = models[name]
    if not isinstance(spec, Stage) or isinstance(spec, Pretrain):
        return [name]
    return [*chain(models, spec.parent), name]


def walk(models: Mapping[str, ModelSpec], name: str) -> list[str]:
    """Everything that `name` is made from, each after its own parents, and `name` last."""
    found: dict[str, None] = {}
    for parent in parents(models[name]):
        found |= dict.fromkeys(walk(models, parent))
    return [*found, name]


def trained(
    models: Mapping[str, ModelSpec], results: str | Path, digest_of: Callable[[str], str]
) -> dict[str, ModelSpec]:
    """Those of the models that were trained and accepted, with their weights, which lie among `results`.

    `digest_of`: the digest of the lineage of each.
    """
    found: dict[str, ModelSpec] = {}
    if not (Path(results) / MODELS).is_dir():
        return found
    for name, spec in models.items():
        if isinstance(spec, Stage) and not (spec.weights or spec.responses):
            folder = place_of(results, name, digest_of(name))
            told = read_lineage(folder)
            if told is not None and told.accepted is not False:
                found[name] = spec.model_copy(update={"weights": str(folder)})
    return found


@dataclass(frozen=True, slots=True)
class Descent:
    """From whom a contestant descends: its nearest ancestor among the contestants, and the stages that lead to it.

    `parent` is None where no ancestor sits the exam; `stages` then begin at the pretrained model.
    """

    contestant: str
    parent: str | None
    stages: tuple[str, ...]


def descents(models: Mapping[str, ModelSpec], contestants: Sequence[str]) -> tuple[Descent, ...]:
    """The descent of each contestant, in their order."""
    return tuple(_descent(models, contestants, name) for name in contestants)


def _descent(models: Mapping[str, ModelSpec], contestants: Sequence[str], name: str) -> Descent:
    line = chain(models, name)[:-1]
    ancestors = [ancestor for ancestor in line if ancestor in contestants]
    parent = ancestors[-1] if ancestors else None
    between = [*(line[line.index(parent) + 1 :] if parent else line), name]
    return Descent(name, parent, tuple(str(kind_of(models[one])) for one in between if isinstance(models[one], Stage)))


def lineage_digest(models: Mapping[str, ModelSpec], name: str, told: Callable[[str], str] = lambda name: "") -> str:
    """What `name` is: its settings, the files it is made from, and the digests of its parents.

    `told`: the digest of what a stage learns from judges, from answers and from people, which is more than their names;
    empty where it asks nobody. Where things lie does not matter, and neither does what a model has to show before it
    is accepted. Weights that sciexam has trained are what they were made of. A class of one's own is its source.
    """
    spec = models[name]
    weights = getattr(spec, "weights", None)
    if weights and isinstance(spec, Stage) and (made := read_lineage(Path(weights))) is not None:
        return made.digest
    return digest(
        {
            "settings": spec.model_dump(mode="json", exclude=_besides(spec)),
            "files": [file_digest(Path(file)) if Path(file).is_file() else file for file in _files(spec)],
            "weights": [_contents(folder) for key in _FOLDERS if (folder := getattr(spec, key, None))],
            "parents": [lineage_digest(models, parent, told) for parent in parents(spec)],
        }
        | ({"told": learnt} if (learnt := told(name)) else {})
        | ({"source": source_of(spec.backend)} if isinstance(spec, Custom) else {})
    )


def _besides(spec: ModelSpec) -> set[str]:
    """The settings that say nothing of what a model is, and those that are files.

    How a stage is asked when it is there does not change it, unless it learns from answers of its own making.
    """
    asked = {"generation"} if isinstance(spec, Stage) and not isinstance(spec, SelfRewarding) else set()
    return {"gate", "responses", *WHERE, *_FILES, *_FOLDERS, *asked}


_FILES = ("data", "prompts")
_FOLDERS = ("weights", "adapter", "backbone")


def training_files(spec: ModelSpec) -> Iterator[tuple[str, Path]]:
    """The files that a stage learns from: the key that names each, and where it lies."""
    for key in _FILES:
        named = getattr(spec, key, None)
        for one in named if isinstance(named, tuple) else (named,):
            match one:
                case str() as file:
                    yield key, Path(file)
                case Judged() as judged:
                    yield f"{key}.prompts", Path(judged.prompts)


def _files(spec: ModelSpec) -> Iterator[str]:
    yield from (str(path) for _, path in training_files(spec))
    if not isinstance(spec, Stage) and (responses := getattr(spec, "responses", None)):
        yield responses  # of a stage they are what it has said, not what it is
    if data := getattr(spec, "data", None):
        yield from (judged.model_dump_json(exclude={"prompts"}) for judged in made_on_the_way(data))


def _contents(folder: str) -> Any:
    """Of weights on this disk what is in them; of a hub's their name."""
    return digests_of(Path(folder)) if Path(folder).is_dir() else folder


def _loop(models: Mapping[str, ModelSpec], name: str) -> list[str]:
    path, frontier = {name: [name]}, [name]
    while frontier:
        here = frontier.pop()
        for parent in parents(models[here]):
            if parent == name:
                return [*path[here], name]
            if parent not in path:
                path[parent] = [*path[here], parent]
                frontier.append(parent)
    return []
