"""Task files that are data: what in them would have code run is found before the harness reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from sciexam.errors import DocumentError, UsageError

READERS = ("json", "csv", "parquet", "text", "arrow")  # of `datasets`, for files; others unpickle what they read
# What a task file may say of generation: others of transformers' arguments name code to load.
GENERATION = (
    *("until", "max_gen_toks", "max_tokens", "max_new_tokens", "max_length", "do_sample", "temperature", "top_p"),
    *("top_k", "min_p", "repetition_penalty", "num_beams", "seed"),
)
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # as the harness reads them, but for its `!function`
PLAIN_TAGS = ("tag:yaml.org,2002:",)  # of what YAML itself knows; a safe loader refuses those that name classes
ENDS = (".yaml", ".yml")


def check_data(folder: Path) -> None:
    """Raise DocumentError where a task file of `folder` would have code run, all faults at once."""
    if not folder.is_dir():
        raise UsageError(f"--tasks-from: {folder} is no folder")
    files = sorted(path for end in ENDS for path in folder.rglob(f"*{end}"))
    if faults := [fault for path in files for fault in _faults(path, folder.resolve())]:
        last = f"{folder}: if you trust what is in this folder, and its code may run, write --code-from {folder}"
        raise DocumentError([*faults, last])


def _faults(path: Path, folder: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8")
        tagged = [
            f"{path}:{event.start_mark.line + 1}: {tag} names code"
            for event in yaml.parse(text, Loader=LOADER)
            if event.start_mark and (tag := getattr(event, "tag", None)) and not tag.startswith(PLAIN_TAGS)
        ]
        if tagged:
            yield from tagged
            return
        said = yaml.load(text, Loader=LOADER)  # noqa: S506 - a safe one
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        yield f"{path}: {' '.join(str(error).split())}"
        return
    yield from (f"{path}: {fault}" for fault in _named(said, path.resolve().parent, folder))


def _named(said: Any, beside: Path, folder: Path) -> Iterator[str]:
    """What in a part of a task file names code, or files that were not looked through."""
    if isinstance(said, (list, tuple)):
        for inner in said:
            yield from _named(inner, beside, folder)
    if not isinstance(said, Mapping):
        return
    for key, value in said.items():
        match key:
            case "include":
                for one in map(str, value if isinstance(value, list) else [value]):
                    if not (beside / one).resolve().is_relative_to(folder) or not one.endswith(ENDS):
                        yield f"include: {one} is no task file in this folder"
            case "class" | "custom_dataset" | "use_prompt" | "unsafe_code" | "trust_remote_code" | "hf_evaluate" if (
                value
            ):
                yield f"{key}: is, or fetches, code"
            case "metric" if isinstance(value, str) and not _is_metric(value):
                yield f"metric: {value} is none of lm-eval's own, and would be fetched as code"
            case "dataset_path" if str(value) not in READERS and (
                "/" not in str(value) or str(value)[0] in "./~" or Path(str(value)).exists()
            ):
                yield f"dataset_path: {value}; for files of your own write one of {', '.join(READERS)}"
            case "generation_kwargs" if isinstance(value, Mapping) and (
                other := sorted(map(str, value.keys() - set(GENERATION)))
            ):
                yield f"generation_kwargs: {other[0]} is not taken here; known: {', '.join(sorted(GENERATION))}"
        yield from _named(value, beside, folder)


def _is_metric(name: str) -> bool:
    import lm_eval.api.metrics  # noqa: F401 - it fills the registry
    from lm_eval.api.registry import metric_registry

    return name in metric_registry
