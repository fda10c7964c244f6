"""What one vLLM holds: whole weights, how they are loaded, and the adapters on top of them that it can be asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciexam.errors import UsageError
from sciexam.models.checkpoint_files import TOKENIZERS, Files, read_json
from sciexam.models.settings import Vllm
from sciexam.models.token_prompts import PLAIN

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM has room for
NO_TEMPLATE = "has no chat template, and was asked in turns of plain text: `User: ...`, then `Assistant:`"
DTYPES = {"auto": "auto", "bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


@dataclass(frozen=True, slots=True)
class Launch:
    """Weights and how vLLM loads them. Models that differ in their adapter alone have the same, and share one vLLM."""

    weights: str  # a folder
    served: str  # the name that the suite has for them
    tokenizer: str  # a folder
    python: str | None
    quantization: str
    dtype: str
    tensor_parallel: int
    gpu_memory: float
    max_model_len: int | None

    def arguments(self, adapters: Mapping[str, Path]) -> dict[str, Any]:
        """What vLLM is started with, by the names of its engine's arguments; `adapters` are folders by name."""
        asked: dict[str, Any] = {
            "tokenizer": self.tokenizer,
            "dtype": DTYPES[self.dtype],
            "generation_config": "vllm",  # its own sampling, and not what a file beside the weights says
            "tensor_parallel_size": self.tensor_parallel,
            "gpu_memory_utilization": self.gpu_memory,
        }
        if self.quantization == "nf4":
            asked["quantization"] = "bitsandbytes"
        else:
            asked["load_format"] = "safetensors"  # pickle is not read
        if self.max_model_len is not None:
            asked["max_model_len"] = self.max_model_len
        if adapters:
            asked |= {"enable_lora": True, "max_loras": len(adapters), "max_lora_rank": _room_for(adapters)}
        return asked


def launch_of(name: str, settings: Vllm, files: Files) -> Launch:
    """What `settings` ask of vLLM. Raises UsageError for what it cannot do with weights of one's own."""
    if settings.quantization == "int8":
        raise UsageError(
            f"{name}: vLLM does not quantize to int8 while it loads; write `quantization: nf4`, name weights that are "
            "quantized already, or write `backend: huggingface`"
        )
    same = all(_content(files.weights / one) == _content(files.tokenizer / one) for one in TOKENIZERS)
    return Launch(
        weights=str(files.weights),
        served=settings.weights,
        tokenizer=str(files.weights if same else files.tokenizer),
        python=None if settings.python is None else str(Path(settings.python).expanduser()),
        quantization=settings.quantization,
        dtype=settings.dtype,
        tensor_parallel=settings.tensor_parallel,
        gpu_memory=settings.gpu_memory,
        max_model_len=settings.max_model_len,
    )


def template_of(settings: Vllm, files: Files) -> str | None:
    """The chat template to send with each request; None: the weights' own, which vLLM finds by itself.

    An adapter that brings a tokenizer was trained on that one's template. PLAIN is for weights that have none.
    """
    if settings.chat_template is not None:
        return settings.chat_template
    own, trained_on = _template_in(files.weights), _template_in(files.tokenizer)
    return None if trained_on is not None and trained_on == own else trained_on or PLAIN


def ends_of(files: Files) -> list[int]:
    """The tokens that end a turn of an adapter's tokenizer; of that of the weights, vLLM knows them by itself."""
    if files.tokenizer == files.weights or not (files.tokenizer / "tokenizer.json").is_file():
        return []
    named = _json(files.tokenizer / "tokenizer_config.json").get("eos_token")
    word = named.get("content") if isinstance(named, dict) else named
    added = _json(files.tokenizer / "tokenizer.json").get("added_tokens") or ()
    return [one["id"] for one in added if isinstance(one, dict) and one.get("content") == word and "id" in one]


def _template_in(folder: Path) -> str | None:
    if (path := folder / "chat_template.jinja").is_file():
        return path.read_text(encoding="utf-8")
    told = _json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(told, list):
        told = {one.get("name"): one.get("template") for one in told if isinstance(one, dict)}.get("default")
    return told if isinstance(told, str) else None


def _room_for(adapters: Mapping[str, Path]) -> int:
    """The least rank that vLLM has room for, and that is as high as that of every adapter. Raises UsageError."""
    highest = 0
    for name, folder in adapters.items():
        config = read_json(name, folder / "adapter_config.json")
        ranks = [config.get("r", 0), *(config.get("rank_pattern") or {}).values()]
        highest = max([highest, *(rank for rank in ranks if isinstance(rank, int))])
    room = next((rank for rank in RANKS if rank >= highest), None)
    if room is None:
        raise UsageError(
            f"adapter: a rank of {highest} is more than vLLM's {RANKS[-1]}; merge it into its weights first"
        )
    return room


def _content(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
