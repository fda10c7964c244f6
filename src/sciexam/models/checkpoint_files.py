"""The files of a checkpoint: where they lie, what is wrong with them, and their digests. Nothing here needs torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from sciexam.errors import UsageError
from sciexam.models.checkpoint_digests import READ, digests_of
from sciexam.models.settings import Checkpoint

Head = Literal["causal", "reward"]

WEIGHTS, INDEX, ADAPTER = "model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
_HUB_ID = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?")
_LIKE_A_PATH = re.compile(r"\.{0,2}/|~|\.{1,2}$")
_TRAINED_FOR = {"ForSequenceClassification": "reward", "ForCausalLM": "causal", "LMHeadModel": "causal"}


def is_folder(named: str, beside: Path = Path()) -> bool:
    """Whether `weights:` or `adapter:` names a folder, and not a hub's id: it looks like a path, or is one there."""
    return bool(_LIKE_A_PATH.match(named)) or (beside / named).is_dir()


@dataclass(frozen=True)
class Files:
    """The folder of a checkpoint, and that of the adapter on top of it, for the model or judge called `name`."""

    name: str
    weights: Path
    adapter: Path | None = None

    @cached_property
    def contents(self) -> dict[str, dict[str, str]]:
        """The SHA-256 of every file that a reply can depend on, by its name; those of the adapter by themselves."""
        folders = {"weights": self.weights} | ({"adapter": self.adapter} if self.adapter else {})
        return {part: digests_of(folder) for part, folder in folders.items()}

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json. Raises UsageError."""
        return read_json(self.name, self.weights / "config.json")

    @property
    def tokenizer(self) -> Path:
        """The folder of the tokenizer: the adapter's where it brings one, with the template that it was trained on."""
        return self.adapter if self.adapter and _has_tokenizer(self.adapter) else self.weights

    @property
    def has_chat_template(self) -> bool:
        """Whether a chat template came with the tokenizer."""
        if any(self.tokenizer.glob("chat_template.*")):
            return True
        told = self.tokenizer / "tokenizer_config.json"
        return told.is_file() and bool(read_json(self.name, told).get("chat_template"))

    def check(self, head: Head) -> None:
        """Raise UsageError where these files cannot be loaded as `head`, with what to do about it."""
        for fault in self._faults(head):
            raise UsageError(f"{self.name}: {fault}")

    def _faults(self, head: Head) -> Iterator[str]:
        yield from _weight_faults(self.weights, WEIGHTS)
        if self.adapter:
            yield from _weight_faults(self.adapter, ADAPTER)
        else:
            yield from _head_faults(self.weights, self.config, head)
        if not _has_tokenizer(self.tokenizer):
            yield (
                f"weights: no tokenizer in {self.weights}; save it there, too: "
                f"AutoTokenizer.from_pretrained(...).save_pretrained({str(self.weights)!r})"
            )


def find(name: str, settings: Checkpoint, fetch: bool = True) -> Files:
    """Where the files lie that `settings` name; a hub's id is looked for in the local cache, and else fetched, if
    `fetch` allows it.

    Raises UsageError, which begins with `name`: no such folder, an adapter in the place of weights, not to be had.
    """
    weights = _folder(name, "weights", settings.weights, settings.revision, fetch)
    if (weights / "adapter_config.json").is_file():
        base = read_json(name, weights / "adapter_config.json").get("base_model_name_or_path") or "its base model"
        raise UsageError(
            f"{name}: weights: {weights} is an adapter; write `weights: {base}` and `adapter: {settings.weights}`"
        )
    if not (weights / "config.json").is_file():
        raise UsageError(f"{name}: weights: no config.json in {weights}: this is no checkpoint of transformers")
    if settings.adapter is None:
        return Files(name, weights)
    adapter = _folder(name, "adapter", settings.adapter, None, fetch)
    if not (adapter / "adapter_config.json").is_file():
        what = "whole weights: name it in `weights:`" if (adapter / "config.json").is_file() else "no adapter of peft"
        raise UsageError(f"{name}: adapter: no adapter_config.json in {adapter}: this is {what}")
    return Files(name, weights, adapter)


def read_json(name: str, path: Path) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint. Raises UsageError."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{name}: {path}: cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{name}: {path}: not a JSON object")
    return value


# ---------------------------------------------------------------- where they lie


def _folder(name: str, key: str, named: str, revision: str | None, fetch: bool) -> Path:
    if is_folder(named):
        path = Path(named).expanduser().absolute()
        if not path.is_dir():
            raise UsageError(f"{name}: {key}: no such folder: {path}")
        return path
    if not _HUB_ID.fullmatch(named):
        raise UsageError(f"{name}: {key}: {named!r} is neither a folder that is there nor a hub's id (`owner/name`)")
    if (cached := _cached(named, revision)) is not None and not _lacks(cached):
        return cached
    if not fetch:
        raise UsageError(
            f"{name}: {key}: {named} is not in the local cache; a command that asks it fetches it, as does: "
            f"{_download(named, revision)}"
        )
    return _fetched(name, key, named, revision)


def _cached(hub_id: str, revision: str | None) -> Path | None:
    """The snapshot in the hub's local cache, read by its layout: this needs no client of the hub."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{root}/huggingface"
    hub = Path(os.environ.get("HF_HUB_CACHE") or f"{home}/hub").expanduser()
    folder = hub / f"models--{hub_id.replace('/', '--')}"
    reference = folder / "refs" / (revision or "main")
    commit = reference.read_text().strip() if reference.is_file() else revision
    snapshot = folder / "snapshots" / (commit or "")
    return snapshot if commit and snapshot.is_dir() else None


def _lacks(snapshot: Path) -> bool:
    """Whether a fetch of this snapshot was broken off."""
    kind = ADAPTER if (snapshot / "adapter_config.json").is_file() else WEIGHTS
    return (kind == WEIGHTS and not (snapshot / "config.json").is_file()) or any(_missing_faults(snapshot, kind))


def _fetched(name: str, key: str, hub_id: str, revision: str | None) -> Path:
    at = f" at revision {revision}" if revision else ""
    try:
        silence()
        from huggingface_hub import constants, snapshot_download
    except ImportError:
        raise UsageError(
            f"{name}: {key}: {hub_id}{at} is not in the local cache, and fetching it needs huggingface_hub: "
            "pip install 'sciexam[local]'"
        ) from None
    if constants.HF_HUB_OFFLINE:
        raise UsageError(
            f"{name}: {key}: {hub_id}{at} is not in the local cache, and HF_HUB_OFFLINE is set; unset it, or fetch it "
            f"where there is a network: {_download(hub_id, revision)}"
        )
    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(READ)))
    except Exception as error:  # its client raises errors of its own, of httpx, and of the file system
        why = str(error).strip().splitlines() or [type(error).__name__]
        raise UsageError(f"{name}: {key}: {hub_id}{at} could not be fetched from the hub: {why[0]}") from None


def _download(hub_id: str, revision: str | None) -> str:
    return f"hf download {hub_id}{f' --revision {revision}' if revision else ''}"


def silence() -> None:
    """Tell Hugging Face's libraries to send no telemetry; to be called before they are imported."""
    for variable in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(variable, "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its warning about forks is printed over the progress


# ---------------------------------------------------------------- what is wrong with them


def _weight_faults(folder: Path, kind: str) -> Iterator[str]:
    key = "adapter" if kind == ADAPTER else "weights"
    for fault in _missing_faults(folder, kind):
        yield f"{key}: {fault}"
    for path in weight_files(folder, kind):
        if fault := _torn(path):
            yield f"{key}: {path}: {fault}; copy or download it again"


def _missing_faults(folder: Path, kind: str) -> Iterator[str]:
    found = weight_files(folder, kind)
    if missing := [path.name for path in found if not path.is_file()]:
        yield f"{folder} lacks {', '.join(missing[:3])} of {len(found)} weight files; copy or download it again"
    elif not found:
        pickles = sorted(path.name for suffix in ("bin", "pt", "pth") for path in folder.glob(f"*model*.{suffix}"))
        if pickles:
            yield (
                f"{folder} has its weights as pickle ({pickles[0]}), which can run code when it is read; have whoever "
                "you trust with it save them as safetensors: model.save_pretrained(FOLDER)"
            )
        else:
            yield f"no {kind} in {folder}"


def weight_files(folder: Path, kind: str = WEIGHTS) -> list[Path]:
    """The safetensors files that hold the weights in `folder`, whether they are there or not; none where none is."""
    if kind == WEIGHTS and (index := folder / INDEX).is_file():
        try:
            shards = set(json.loads(index.read_bytes())["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError):
            return [index]  # whose header then is no header of weights
        return [folder / Path(str(shard)).name for shard in sorted(shards)]
    return [folder / kind] if (folder / kind).is_file() else []


def tensors_of(path: Path) -> Mapping[str, Any]:
    """The header of a safetensors file: of each tensor its `dtype`, `shape` and `data_offsets`. Raises ValueError."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= 100_000_000:
            raise ValueError("its header is no header")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is no header")
    header.pop("__metadata__", None)
    end = 8 + length + max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    if (size := path.stat().st_size) != end:
        raise ValueError(f"has {size:,} bytes, and its header says {end:,}")
    return header


def _torn(path: Path) -> str:
    try:
        tensors_of(path)
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        return f"cut off or damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
    return ""


def _head_faults(folder: Path, config: Mapping[str, Any], head: Head) -> Iterator[str]:
    """By the class that saved the weights: what the head at hand is for. What it does not say is found in loading."""
    named = config.get("architectures")
    name = str(named[0]) if isinstance(named, list) and named else ""
    trained = next((kind for suffix, kind in _TRAINED_FOR.items() if name.endswith(suffix)), None)
    if not name or trained == head or (trained is None and name.endswith("ForConditionalGeneration")):
        return
    if trained == "reward":
        yield f"weights: {folder} is a {name}, which scores texts and writes none; as a judge it is `backend: reward`"
    elif head == "reward":
        yield f"weights: {folder} is a {name}, and a reward model is a ForSequenceClassification"
    else:
        yield f"weights: {folder} is a {name}, which writes no text; a contestant or LLM judge is a ForCausalLM"


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in TOKENIZERS)
