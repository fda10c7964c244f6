"""Task files that are data: what in them would have code run is found before the harness reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from sciexam.errors import DocumentError, UsageError, did_you_mean

READERS = ("json", "csv", "parquet", "text", "arrow")  # of `datasets`, for files; others unpickle what they read
# What a task file may say of generation: others of transformers' arguments name code to load.
GENERATION = (
    *("until", "max_gen_toks", "max_tokens", "max_new_tokens", "max_length", "do_sample", "temperature", "top_p"),
    *("top_k", "min_p", "repetition_penalty", "num_beams", "seed"),
)
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # as the harness reads them, but for its `!function`
PLAIN_TAGS = ("tag:yaml.org,2002:",)  # of what YAML itself knows; a safe loader refuses those that name classes
ENDS = (".yaml", ".yml")
NAME = re.compile(r"[A-Za-z_]\w*")


REMOTE = "://"  # in the name of a data file: whatever scheme it is, it is not read from this machine


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is wrong with a task file; whether it would be right in a folder whose code may run."""

    said: str
    code: bool = False


def check_data(folder: Path) -> None:
    """Raise DocumentError where a task file of `folder` would have code run, or cannot be read: all faults at once."""
    if not folder.is_dir():
        raise UsageError(f"--tasks-from: {folder} is no folder")
    faults = [fault for path in _files(folder) for fault in _faults(path, folder.resolve())]
    advice = f"{folder}: if you trust what is in this folder, and its code may run, write --code-from {folder}"
    if faults:
        raise DocumentError([*(one.said for one in faults), *([advice] if any(one.code for one in faults) else [])])


def unreadable_in(folder: Path) -> list[str]:
    """The task files of `folder` that are no YAML, each with where it breaks off."""
    return [said for path in _files(folder) if (said := _syntax(path))]


def _files(folder: Path) -> list[Path]:
    return sorted(path for end in ENDS for path in folder.rglob(f"*{end}"))


def _syntax(path: Path) -> str:
    """Where a file breaks off that is no YAML, "" where it does not."""
    try:
        for _ in yaml.parse(path.read_text(encoding="utf-8"), Loader=LOADER):
            pass
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        return _broken(path, error)
    return ""


def _broken(path: Path, error: Exception) -> str:
    """A file that is no YAML, by the line and the words of whoever read it."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{path}: {' '.join(str(error).split())}"
    told = [getattr(error, name, None) for name in ("context", "problem")]
    return f"{path}:{mark.line + 1}: cannot be read as YAML: {', '.join(filter(None, told))} (column {mark.column + 1})"


def _faults(path: Path, folder: Path) -> Iterator[_Fault]:
    try:
        text = path.read_text(encoding="utf-8")
        tagged = [
            _Fault(f"{path}:{event.start_mark.line + 1}: {tag} names code", code=True)
            for event in yaml.parse(text, Loader=LOADER)
            if event.start_mark and (tag := getattr(event, "tag", None)) and not tag.startswith(PLAIN_TAGS)
        ]
        if tagged:
            yield from tagged
            return
        said = yaml.load(text, Loader=LOADER)  # noqa: S506 - a safe one
    except yaml.constructor.ConstructorError as error:
        yield _Fault(_broken(path, error), code=True)
        return
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        yield _Fault(_broken(path, error))
        return
    yield from (replace(one, said=f"{path}: {one.said}") for one in _named(said, path.resolve().parent, folder))


def _named(said: Any, beside: Path, folder: Path) -> Iterator[_Fault]:
    """What in a part of a task file names code, what is elsewhere, or files that were not looked through."""
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
                        yield _Fault(f"include: {one} is no task file in this folder", code=True)
            case "class" | "custom_dataset" | "use_prompt" | "unsafe_code" | "trust_remote_code" | "hf_evaluate" if (
                value
            ):
                yield _Fault(f"{key}: is, or fetches, code", code=True)
            case "metric" if isinstance(value, str) and not _is_metric(value):
                yield _Fault(metric_fault(value), code=not NAME.fullmatch(value))
            case "dataset_path" if REMOTE in str(value):
                yield _Fault(f"dataset_path: {value}; only local files are read: put them into this folder")
            case "dataset_path" if str(value) not in READERS and (
                "/" not in str(value) or str(value)[0] in "./~" or Path(str(value)).exists()
            ):
                wanted = f"for files of your own write one of {', '.join(READERS)}"
                yield _Fault(f"dataset_path: {value}; {wanted}", code=not get_close_matches(str(value), READERS))
            case "dataset_kwargs":
                for one in filter(lambda text: REMOTE in text, _texts(value)):
                    told = "is an address, and only local files are read: put it into this folder, and write its name"
                    yield _Fault(f"dataset_kwargs: {one} {told}")
            case "generation_kwargs" if isinstance(value, Mapping):
                for other in sorted(map(str, value.keys() - set(GENERATION))):
                    told = f"generation_kwargs: {other} is not taken here{did_you_mean(other, GENERATION)}"
                    yield _Fault(told, code=not get_close_matches(other, GENERATION))
        yield from _named(value, beside, folder)


def _texts(said: Any) -> Iterator[str]:
    """Every text in a value, at whatever depth."""
    if isinstance(said, str):
        yield said
    elif isinstance(said, Mapping):
        for inner in said.values():
            yield from _texts(inner)
    elif isinstance(said, (list, tuple)):
        for inner in said:
            yield from _texts(inner)


def metric_fault(name: str) -> str:
    """Why a task cannot be counted by the metric of this name: it is misspelt, or code from elsewhere."""
    if NAME.fullmatch(name):
        return f"metric: {name!r} is no metric of lm-eval{did_you_mean(name, _metrics())}"
    return f"metric: {name} is none of lm-eval's own, and would be fetched as code"


def _is_metric(name: str) -> bool:
    return name in _metrics()


def _metrics() -> Mapping[str, Any]:
    import lm_eval.api.metrics  # noqa: F401 - it fills the registry
    from lm_eval.api.registry import metric_registry

    known: Mapping[str, Any] = metric_registry
    return known
