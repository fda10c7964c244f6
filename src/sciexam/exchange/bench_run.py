"""One task on one model, through lm-evaluation-harness: its result as facts."""

from __future__ import annotations

import json
import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sciexam.exam.benchmark_facts import RATER, Outcome, Setting, item_key, task_grade, task_key
from sciexam.exchange.bench_tasks import Task
from sciexam.models.checkpoint import LocalCheckpoint
from sciexam.models.settings import Weights
from sciexam.report.benchmarks import Item
from sciexam.types import Grade

SEED = 1234  # the harness's own
CUT = "runcat"  # truncated, Truncating: in what the harness says of a prompt that has no room


@dataclass(frozen=True)
class Taker:
    """One model that is to do the tasks: local weights, or (`weights` is None) whatever writes text."""

    name: str
    identity: str
    chat: bool
    weights: LocalCheckpoint | None = None
    settings: Weights | None = None


def setting_of(task: Task, chat: bool) -> Setting:
    """What a task asks, and how."""
    return Setting(task.digest, task.shots, chat, len(task.items))


def run_task(
    lm: Any, model: str, identity: str, task: Task, chat: bool, system: str | None
) -> tuple[Outcome, list[Item]]:
    """Ask everything of `task`: its outcome, and its items in their order.

    `identity` is the digest of the model. Raises whatever the harness and the model raise.
    """
    from lm_eval.evaluator import evaluate

    _seed()
    task.loaded.set_config(key="num_fewshot", value=task.shots)
    task.loaded.set_fewshot_seed(seed=SEED)
    with _hearing() as ear:
        found = evaluate(
            lm=lm,
            task_dict={"tasks": {task.name: task.loaded}, "groups": {}, "group_map": {}},
            limit=None if task.limit is None else len(task.items),
            bootstrap_iters=0,
            apply_chat_template=chat,
            fewshot_as_multiturn=chat,
            system_instruction=system if chat else None,
        )
    samples: list[dict[str, Any]] = found["samples"][task.name]
    by_place: dict[int, list[dict[str, Any]]] = defaultdict(list)  # one a filter, that of the task first
    for one in samples:
        by_place[int(one["doc_id"])].append(one)
    metric, is_mean = _metric(task, samples)
    groups = task.groups
    items = [
        _item(model, task, place, of_item, metric, groups[place] if groups else "")
        for place, of_item in sorted(by_place.items())
    ]
    setting = setting_of(task, chat)
    outcome = Outcome(
        model=model,
        task=task.name,
        metric=metric,
        higher_is_better=task.loaded.higher_is_better().get(metric) is not False,
        setting=setting,
        values=tuple(item.value for item in items) if is_mean else (),
        groups=None if groups is None else tuple(groups),
        reported=_reported(found["results"][task.name]),
        cut=ear.heard,
        key=task_key(identity, setting),
    )
    return outcome, items


def _seed() -> None:
    """As the harness's own command does, so that the same examples are drawn."""
    import random

    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(SEED)
    torch.manual_seed(SEED)


def grades_of(outcome: Outcome, items: Sequence[Item], identity: str) -> list[Grade]:
    """The facts of a task: first the items', then its own, which says that all are there."""
    own = next((value for name, value in outcome.reported.items() if name.split(",")[0] == outcome.metric), None)
    made = [_grade(item, outcome, identity) for item in items]
    return [*made, task_grade(outcome, identity, own)]


def _grade(item: Item, outcome: Outcome, identity: str) -> Grade:
    said = {"group": item.group, "prompt": item.prompt, "choice": item.choice, "place": item.place}
    return Grade(
        key=item_key(identity, outcome.setting, item.place, item.item),
        prompt=f"{item.task}:{item.place}",
        contestant=item.model,
        rater=RATER + item.task,
        subject=item.item,
        score=item.value,
        criteria=item.metrics,
        reason=json.dumps(said),
    )


def item_of(grade: Grade, model: str) -> Item:
    """The item that a fact holds."""
    said = json.loads(grade.reason)
    return Item(
        model=model,
        task=grade.rater.removeprefix(RATER),
        place=said["place"],
        item=grade.subject,
        value=grade.score,
        group=said["group"],
        prompt=said["prompt"],
        choice=said["choice"],
        metrics=grade.criteria,
    )


def _metric(task: Task, samples: Sequence[Mapping[str, Any]]) -> tuple[str, bool]:
    """The task's metric: the first one it lists that is a mean over items; and whether there is one."""
    from lm_eval.api.metrics import mean, nanmean

    listed = [one["metric"] for one in task.loaded.config.metric_list or ()]
    names = [name if isinstance(name, str) else name.__name__ for name in listed] or list(samples[0]["metrics"])
    how = task.loaded.aggregation()
    for name in names:
        if how.get(name) in (mean, nanmean) and any(_number(one.get(name)) is not None for one in samples):
            return name, True
    return names[0], False


def _item(model: str, task: Task, place: int, of_item: Sequence[Mapping[str, Any]], metric: str, group: str) -> Item:
    sample = of_item[0]
    known = {f"{name},{one['filter']}": _number(one[name]) for one in of_item for name in one["metrics"]}
    return Item(
        model=model,
        task=task.name,
        place=place,
        item=sample["doc_hash"],
        value=_number(sample.get(metric)),
        group=group,
        prompt=sample["prompt_hash"],
        choice=_choice(task, sample),
        metrics={name: value for name, value in known.items() if value is not None},
    )


def _choice(task: Task, sample: Mapping[str, Any]) -> str:
    """What the model wrote, or which of the texts it gave the highest probability."""
    said = sample["filtered_resps"]
    if task.generates:
        first = said[0][0] if isinstance(said[0], list) and said[0] else said[0]
        return str(first)
    if task.loaded.OUTPUT_TYPE == "multiple_choice":
        best = max(range(len(said)), key=lambda i: float(said[i][0]))
        return str(sample["arguments"][best][1])
    return ""


def _number(value: Any) -> float | None:
    """A number as JSON has it; None for whatever is none."""
    try:
        found = float(value) if not isinstance(value, (str, bytes)) else math.nan
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _reported(results: Mapping[str, Any]) -> dict[str, float]:
    known = {name: _number(value) for name, value in results.items() if "," in name and "_stderr" not in name}
    return {name: value for name, value in known.items() if value is not None}


class _Ear(logging.Handler):
    """Counts what the harness says of prompts that it cut."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.heard += CUT in record.getMessage()


@contextmanager
def _hearing() -> Iterator[_Ear]:
    """What the harness says goes to the ear, and not onto the terminal."""
    said, ear = logging.getLogger("lm_eval"), _Ear()
    before = said.level, said.propagate
    said.addHandler(ear)
    said.setLevel(logging.WARNING)
    said.propagate = False
    try:
        yield ear
    finally:
        said.removeHandler(ear)
        said.setLevel(before[0])
        said.propagate = before[1]
