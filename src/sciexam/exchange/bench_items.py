"""Whether the items of a task file have what the file says of them: a field that is not there, or an answer that is
none of the choices, would be counted as wrong for every model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexam.errors import DocumentError, did_you_mean
from sciexam.exchange.bench_task_files import NAME, metric_fault

SHOWN = 80  # characters of a value


def check_items(task: Any, file: Path, folder: Path) -> None:
    """Raise DocumentError where an item of `task` (an lm_eval ConfigurableTask) has no answer that can be right.

    `file` is the task's, below `folder`, to which the names of its data files are relative. All faults at once.
    """
    if faults := [*_of_file(task, file), *_of_items(task, file, folder)]:
        raise DocumentError(faults)


def _of_file(task: Any, file: Path) -> Iterator[str]:
    """Fields and metrics that are not there."""
    for key in _named_fields(task):
        said = getattr(task.config, key)
        fixed = f'a fixed text is written as "{{{{ {said!r} }}}}"'
        yield f"{file}: {key}: {said!r} is no field of the items ({fixed}){did_you_mean(said, task.features)}"
    for one in () if _counts_by_itself(task) else task.config.metric_list or ():
        name = one.get("metric") if isinstance(one, Mapping) else None
        if isinstance(name, str) and task._metric_fn_list.get(name, name) is None:
            yield f"{file}: {metric_fault(name)}"


def _named_fields(task: Any) -> list[str]:
    """The settings that are one word, and no field: for a choice the word may be the answer itself."""
    keys = ["doc_to_text"] if _counts_by_itself(task) else ["doc_to_text", "doc_to_target"]
    bare = [key for key in keys if isinstance(said := getattr(task.config, key), str) and NAME.fullmatch(said)]
    found = [key for key in bare if getattr(task.config, key) not in task.features]
    if "doc_to_target" in found and task.OUTPUT_TYPE == "multiple_choice":
        choices = task.config.doc_to_choice
        known = choices.values() if isinstance(choices, Mapping) else choices if isinstance(choices, list) else ()
        if task.config.doc_to_target in known:
            found.remove("doc_to_target")
    return found


def _of_items(task: Any, file: Path, folder: Path) -> Iterator[str]:
    """What is wrong with single items."""
    if _counts_by_itself(task) or "doc_to_target" in _named_fields(task):
        return
    target = task.config.doc_to_target
    key = target if isinstance(target, str) and target in task.features else "doc_to_target"
    where = _rows(task, file, folder)
    for place, item in enumerate(task.eval_docs, 1):
        try:
            fault = _fault(task, item)
        except Exception as error:  # a template of a stranger, on whatever is in a row
            fault = f"{type(error).__name__}: {' '.join(str(error).split())[:SHOWN]}"
        if fault:
            yield f"{where} {place}: {key}: {fault}"


def _counts_by_itself(task: Any) -> bool:
    """Whether a task has a function or a scorer for its answers: it needs no right ones."""
    metadata = task.config.metadata
    return callable(task.config.process_results) or (isinstance(metadata, Mapping) and metadata.get("toxicity") is True)


def _rows(task: Any, file: Path, folder: Path) -> str:
    """How an item is named: by its row where its data file is known."""
    config = task.config
    files = (config.dataset_kwargs or {}).get("data_files")
    if isinstance(files, Mapping):
        files = files.get(config.test_split or config.validation_split)
    if isinstance(files, (list, tuple)) and len(files) == 1:
        files = files[0]
    if not isinstance(files, str) or config.process_docs is not None:
        return f"{file}: item"
    return f"{folder / files}: row"


def _fault(task: Any, item: Mapping[str, Any]) -> str:
    """What is wrong with the answer of an item, "" where nothing is."""
    answer = task.doc_to_target(item)
    if answer is None:
        return "no value"
    if task.OUTPUT_TYPE != "multiple_choice":
        return ""
    choices = task.doc_to_choice(item)
    if task.multiple_input:
        answer = task.doc_to_text(item)
    wanted = answer if isinstance(answer, list) else [answer]
    return next((_none_of(one, choices) for one in wanted if not _is_one(one, choices)), "" if wanted else "no value")


def _is_one(answer: Any, choices: Sequence[str]) -> bool:
    if isinstance(answer, int):
        return 0 <= answer < len(choices)
    return isinstance(answer, str) and answer in choices


def _none_of(answer: Any, choices: Sequence[str]) -> str:
    if isinstance(answer, int):
        return f"{answer} is no place among its {len(choices)} choices, which are counted from 0 to {len(choices) - 1}"
    listed = ", ".join(map(repr, choices))
    return f"{_cut(repr(answer))} is none of its choices: {_cut(listed)}"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
