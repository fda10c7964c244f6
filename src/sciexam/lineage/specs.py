"""Which record the mapping of a model in YAML is: a stage, or something that can be asked as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from sciexam.lineage.stages import BestOfN, Dpo, External, Ppo, Pretrain, Reward, Rloo, SelfRewarding, Sft
from sciexam.models.settings import Custom, Endpoint, Recorded, Scripted, Vllm, Weights

STAGES = ("pretrain", "external", "sft", "reward", "best_of_n", "dpo", "rloo", "ppo", "self_rewarding")


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
    Annotated[Pretrain, Tag("pretrain")]
    | Annotated[External, Tag("external")]
    | Annotated[Sft, Tag("sft")]
    | Annotated[Reward, Tag("reward")]
    | Annotated[BestOfN, Tag("best_of_n")]
    | Annotated[Dpo, Tag("dpo")]
    | Annotated[Rloo, Tag("rloo")]
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
