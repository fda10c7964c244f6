"""The tasks of lm-evaluation-harness that a command names: found, looked through for code, loaded, and digested.

A task file is data. Where the user names its folder with `--tasks-from`, nothing in it runs: no `!function`, no metric
or dataset that is code, and its templates are rendered in a sandbox. With `--code-from` its Python may run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sciexam.digests import digest, file_digest
from sciexam.errors import DocumentError, UsageError, did_you_mean
from sciexam.exchange.bench_items import check_items
from sciexam.exchange.bench_task_files import NAME, READERS, check_data, unreadable_in
from sciexam.models.checkpoint_files import silence

GROUP = ("group",)  # the field of an item that says which items belong together, unless others are named
LONGEST = 300  # characters of another library's message


@dataclass(frozen=True)
class Task:
    """One task, with its items: `under` is the name that the user gave for it, its own or that of a group of tasks."""

    name: str
    under: str
    loaded: Any  # an lm_eval.api.task.ConfigurableTask
    shots: int
    limit: int | None
    group_by: tuple[str, ...]
    scorer: str = ""  # the digest of what else its results depend on
    notes: tuple[str, ...] = ()
    scoring: Any = None  # who scores its answers, where the task is about toxicity: a toxicity.Scorer

    @property
    def generates(self) -> bool:
        """Whether it asks for text only, and for no probability of a text."""
        return bool(self.loaded.OUTPUT_TYPE == "generate_until")

    @cached_property
    def everything(self) -> list[dict[str, Any]]:
        """All its items, in their order."""
        return list(self.loaded.eval_docs)

    @property
    def items(self) -> list[dict[str, Any]]:
        """The items that are asked about: all of them, or the first ones."""
        return self.everything[: self.limit]

    @cached_property
    def digest(self) -> str:
        """Of what is asked and how it is counted: the settings, all items, examples, and the harness's version."""
        config = {k: v for k, v in self.loaded.dump_config().items() if k not in ("metadata", "dataset_kwargs")}
        config |= {"num_fewshot": self.shots, "dataset_path": None, "task": self.name}
        examples = _digest_of(self.loaded.fewshot_docs() or ()) if self.shots else ""
        said = json.loads(json.dumps(config, default=str))
        return digest([version("lm-eval"), said, _digest_of(self.everything), examples, self.scorer])

    @property
    def groups(self) -> list[str] | None:
        """Which group each item belongs to, None where the items have no field that says it."""
        fields = [field for field in self.group_by or GROUP if self.items and field in self.items[0]]
        if not fields:
            return None
        return [json.dumps([item.get(field) for field in fields], default=str) for item in self.items]


def check_installed() -> None:
    """Raises UsageError where lm-evaluation-harness is not there."""
    if find_spec("lm_eval") is None:
        raise UsageError("`sciexam bench` needs lm-evaluation-harness: pip install 'sciexam[bench]'")


def load_tasks(
    named: Sequence[str],
    folder: Path | None,
    code: Path | None,
    shots: int | None,
    limit: int | None,
    group_by: Sequence[str] = (),
) -> list[Task]:
    """The tasks of these names; that of a group stands for its tasks.

    Raises UsageError for names that are none and data that cannot be had, DocumentError for task files that hold code.
    """
    if folder is not None:
        check_data(folder)
    if code is not None and not code.is_dir():
        raise UsageError(f"--code-from: {code} is no folder")
    folders = {path.resolve(): path for path in (folder, code) if path is not None}  # as they were named
    manager = _manager(named, folders)
    found: dict[str, Task] = {}
    for name in dict.fromkeys(named):
        programs = _programs(manager, name, code)
        for loaded in _load(manager, name, folders):
            own = loaded.config.num_fewshot
            asked = (own or 0) if shots is None or own == 0 else shots
            note = f"{loaded.task_name} is asked without examples: its own setting is num_fewshot: 0"
            notes = (note,) if shots and not asked else ()
            made = Task(loaded.task_name, name, loaded, asked, limit, tuple(group_by), programs, notes)
            if (first := found.setdefault(made.name, made)) is not made:
                raise UsageError(f"--tasks: {made.name} is named twice, by {first.under} and by {name}")
    if group_by and not any(task.groups for task in found.values()):
        raise UsageError(f"--group-by {','.join(group_by)}: no item of these tasks has such a field")
    return list(found.values())


def quiet() -> None:
    """Import the harness without what it prints, without a word to any server, and with templates in a sandbox."""
    check_installed()
    silence()
    os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
    for name in ("lm_eval", "lm-eval", "datasets", "evaluate", "fsspec"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    import datasets
    import lm_eval.utils
    from jinja2 import BaseLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    datasets.disable_progress_bars()
    if not isinstance(lm_eval.utils.env, ImmutableSandboxedEnvironment):
        made = ImmutableSandboxedEnvironment(loader=BaseLoader(), undefined=StrictUndefined, keep_trailing_newline=True)
        made.filters["regex_replace"] = lm_eval.utils.regex_replace
        lm_eval.utils.env = made


def _manager(named: Sequence[str], folders: Mapping[Path, Path]) -> Any:
    """The index of the tasks there are. Those of the harness itself take seconds to read, and are read where needed."""
    from lm_eval.tasks import TaskManager

    if folders:
        own = TaskManager(include_path=list(folders), include_defaults=False)
        if all(name in own.task_index for name in named):
            return own
    every = TaskManager(include_path=list(folders) or None)
    if unknown := next((name for name in named if name not in every.task_index), None):
        if broken := [said for folder in folders.values() for said in unreadable_in(folder)]:
            raise DocumentError(broken)
        where = f" in {' or '.join(map(str, folders.values()))}, nor one" if folders else ""
        near = get_close_matches(unknown, every.task_index, n=1)
        raise UsageError(
            f"--tasks: {unknown!r} is no task{where} of lm-eval {version('lm-eval')}{did_you_mean(unknown, near)}"
        )
    return every


def _programs(manager: Any, name: str, code: Path | None) -> str:
    """The digest of the Python that a task comes with: "" for the harness's own, which has a version."""
    path = manager.task_index[name].yaml_path
    if code is None or path is None or not path.resolve().is_relative_to(code.resolve()):
        return ""
    return digest([file_digest(program) for program in sorted(code.rglob("*.py"))])


def _load(manager: Any, name: str, folders: Mapping[Path, Path]) -> list[Any]:
    own = manager.task_index[name].yaml_path
    beside = next((path for path in folders if own is not None and own.is_relative_to(path)), None)
    try:
        # Names of data files in a task file are relative to the folder that the user named.
        with contextlib.chdir(beside) if beside else contextlib.nullcontext():
            tasks = list(manager.load([name])["tasks"].values())
            for task in tasks:
                len(task.eval_docs)
    except Exception as error:  # whatever is in the files of a stranger, or whatever a hub answers
        raise _unloadable(name, manager, error) from None
    for task in tasks:
        path = manager.task_index[task.task_name].yaml_path if task.task_name in manager.task_index else own
        if beside is not None and path is not None and path.is_relative_to(beside):
            check_items(task, folders[beside] / path.relative_to(beside), folders[beside])
    if not tasks:
        raise UsageError(f"--tasks: {name!r} holds no task")
    if other := [task.task_name for task in tasks if getattr(task, "MULTIMODAL", False)]:
        raise UsageError(f"--tasks: {other[0]} shows pictures or sounds, which sciexam does not pass on")
    if other := [task.task_name for task in tasks if getattr(task, "UNSAFE_CODE", False)]:
        raise UsageError(f"--tasks: {other[0]} runs code that a model wrote, which sciexam does not do")
    return tasks


def _unloadable(name: str, manager: Any, error: Exception) -> UsageError:
    said = " ".join(str(error).split()) or type(error).__name__
    said = said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
    config = manager.task_index[name].cfg or {}
    choices = config.get("doc_to_choice")
    if isinstance(choices, str) and NAME.fullmatch(choices) and "malformed node" in said:
        return UsageError(f"--tasks: {name} cannot be loaded: doc_to_choice: {choices!r} is no field of the items")
    path = config.get("dataset_path")
    if path and path not in READERS and not Path(path).exists():
        return UsageError(
            f"--tasks: {name}: its items are {path} on the hub, and are not to be had here ({said}); run it once where "
            "there is internet, or write the task as a file of your own and name its folder with --tasks-from"
        )
    return UsageError(f"--tasks: {name} cannot be loaded: {said}")


def _digest_of(items: Any) -> str:
    made = hashlib.sha256()
    for item in items:
        made.update(json.dumps(item, sort_keys=True, default=str).encode("utf-8", "surrogatepass") + b"\n")
    return made.hexdigest()
