"""How each model comes to exist: stages, parents, chains and digests. A DAG from pretrained weights to a contestant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from sciexam.digests import digest, file_digest
from sciexam.errors import did_you_mean
from sciexam.models.settings import Custom, Endpoint, ModelSettings, Recorded, Scripted, Vllm, Weights
from sciexam.types import Record


class Lora(Record):
    """Low-rank adapters (arXiv 2106.09685): rank, scale, dropout and the layers they sit on."""

    r: int = Field(16, ge=1)
    alpha: int | None = Field(None, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: str | tuple[str, ...] = "all-linear"


class Stage(ModelSettings):
    """An edge of the lineage: this model was made from `from` by `stage`. `responses` are answers recorded from it.

    `weights` and `adapter` are what it left: whole weights, or an adapter on top of those it names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), populate_by_name=True)

    parent: str = Field(alias="from")
    lora: Lora | None = None
    quantization: Literal["nf4", "int8", "none"] = "none"
    weights: str | None = None
    adapter: str | None = None
    responses: str | None = None

    def parents(self) -> tuple[str, ...]:
        return (self.parent,)


class Sft(Stage):
    stage: Literal["sft"]
    data: str


class Reward(Stage):
    stage: Literal["reward"]
    data: str


class BestOfN(Stage):
    stage: Literal["best_of_n"]
    prompts: str
    reward: str
    n: int = Field(8, ge=2)

    def parents(self) -> tuple[str, ...]:
        return (self.parent, self.reward)


class Dpo(Stage):
    stage: Literal["dpo"]
    data: str
    beta: float = Field(0.1, gt=0)


class Ppo(Stage):
    stage: Literal["ppo"]
    prompts: str
    reward: str
    beta: float = Field(0.05, ge=0)

    def parents(self) -> tuple[str, ...]:
        return (self.parent, self.reward)


class SelfRewarding(Stage):
    stage: Literal["self_rewarding"]
    prompts: str
    iterations: int = Field(2, ge=1)


STAGES = ("sft", "reward", "best_of_n", "dpo", "ppo", "self_rewarding")


def kind_of(value: Any) -> str | None:
    """Which record a model's mapping in YAML is: by `stage:`, else by `backend:`, `weights:` or `responses:`."""

    def get(key: str) -> Any:
        return value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)

    if get("stage") is not None or get("from") is not None:
        return str(get("stage"))
    if (backend := get("backend")) is not None:
        return "custom" if ":" in str(backend) else str(backend)
    return "huggingface" if get("weights") is not None else "recorded"


ModelSpec = Annotated[
    Annotated[Sft, Tag("sft")]
    | Annotated[Reward, Tag("reward")]
    | Annotated[BestOfN, Tag("best_of_n")]
    | Annotated[Dpo, Tag("dpo")]
    | Annotated[Ppo, Tag("ppo")]
    | Annotated[SelfRewarding, Tag("self_rewarding")]
    | Annotated[Endpoint, Tag("openai")]
    | Annotated[Scripted, Tag("scripted")]
    | Annotated[Custom, Tag("custom")]
    | Annotated[Weights, Tag("huggingface")]
    | Annotated[Vllm, Tag("vllm")]
    | Annotated[Recorded, Tag("recorded")],
    Discriminator(
        kind_of,
        custom_error_type="unknown_model",
        custom_error_message="name what it is by one of responses, weights, backend or stage: openai, huggingface, "
        f"vllm, scripted, package.module:Class, {', '.join(STAGES)}",
    ),
]


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
    return [*chain(models, spec.parent), name] if isinstance(spec, Stage) else [name]


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


def lineage_digest(models: Mapping[str, ModelSpec], name: str) -> str:
    """What `name` is: its settings, the files it is made from, and the digests of its parents."""
    spec = models[name]
    files = [getattr(spec, key, None) for key in ("data", "prompts", "responses")]
    return digest(
        {
            "settings": spec.model_dump(mode="json", exclude={"note", "data", "prompts", "responses"}),
            "files": [file_digest(Path(file)) if file and Path(file).is_file() else file for file in files],
            "parents": [lineage_digest(models, parent) for parent in parents(spec)],
        }
    )


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
