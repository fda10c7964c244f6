"""Folders that look like checkpoints to whoever reads their files alone, made without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHATML = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"


def weights(folder: Path, *, template: str | None = CHATML, word: str = "a") -> Path:
    """Whole weights of a causal model, with a tokenizer."""
    _write(folder, "config.json", {"architectures": ["LlamaForCausalLM"], "model_type": "llama"})
    _tensors(folder / "model.safetensors", word)
    tokenizer(folder, template=template)
    return folder


def adapter(folder: Path, *, rank: int = 16, template: str | None = CHATML, own: bool = True, word: str = "b") -> Path:
    """A LoRA adapter; with a tokenizer of its `own`, as trainers save one."""
    _write(folder, "adapter_config.json", {"peft_type": "LORA", "r": rank, "base_model_name_or_path": "base"})
    _tensors(folder / "adapter_model.safetensors", word)
    if own:
        tokenizer(folder, template=template)
    return folder


def tokenizer(folder: Path, *, template: str | None, ends: str = "<|im_end|>", words: int = 2) -> None:
    special = ["<|endoftext|>", "<|im_end|>", *(f"<w{n}>" for n in range(words - 2))]
    added = [{"id": number, "content": word, "special": True} for number, word in enumerate(special)]
    _write(folder, "tokenizer.json", {"added_tokens": added})
    _write(folder, "tokenizer_config.json", {"eos_token": ends, **({"chat_template": template} if template else {})})


def _write(folder: Path, name: str, value: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(value), encoding="utf-8")


def _tensors(path: Path, word: str) -> None:
    """The header of a safetensors file that holds no tensor, and a word by which its contents differ from others."""
    header = json.dumps({"__metadata__": {"word": word}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
