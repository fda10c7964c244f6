"""What benchmarks left in the ledger, as reports show it: on a leaderboard, and beside a comparison."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sciexam.exam.benchmark_facts import RATER, Outcome, Setting, identities_of, read_outcome, shortfalls_of, told_of
from sciexam.report.benchmarks import LEVEL, Beside, figure_of, pairs_of, pooled, results_of
from sciexam.report.record import Figure
from sciexam.store import Store
from sciexam.suite import Suite

BENCH = '"purpose": "bench"'  # in the text of a manifest: others are not parsed


def on_board(suite: Suite, models: Mapping[str, str], store: Store, level: float) -> dict[str, dict[str, Figure]]:
    """The figures of the benchmarks in the ledger: by task, with its metric, and by contestant.

    `models`: the digests of the contestants' models.

    Of one task the figures have one setting, that which most contestants have, and of these the latest.
    """
    if not store.knows(RATER):
        return {}
    found: dict[str, dict[str, Figure]] = {}
    for outcomes in alike_of(identities_of(suite, models), store):
        first = outcomes[0]
        shots = f", {first.setting.shots} shot{'s' if first.setting.shots != 1 else ''}" if first.setting.shots else ""
        found[f"{first.task} {first.metric}{shots}"] = {
            one.model: figure_of(one.values, one.groups, level) for one in outcomes
        }
    return found


def alike_of(identities: Mapping[str, str], store: Store) -> list[list[Outcome]]:
    """What models did, task by task; of each only those with the setting that most of them have, the latest of such.

    `identities`: by the name under which a model is reported, in their order.
    """
    by_task: dict[str, list[Outcome]] = {}
    for name, model in identities.items():
        for grade in store.grades_on([model], RATER):
            if grade.status == "ok":
                by_task.setdefault(grade.rater, []).append(read_outcome(grade, name))
    found = []
    for outcomes in by_task.values():
        chosen = _most_common(outcomes)
        found.append([*{one.model: one for one in outcomes if one.setting == chosen}.values()])
    return found


def _most_common(outcomes: Iterable[Outcome]) -> Setting:
    latest = {one.setting: place for place, one in enumerate(outcomes)}
    models = Counter(setting for setting, _ in {(one.setting, one.model) for one in outcomes})
    return max(latest, key=lambda setting: (models[setting], latest[setting]))


def beside(identities: Mapping[str, str], store: Store, level: float = LEVEL) -> Beside | None:
    """What the contestants of a comparison did on benchmarks, and each two of them; None where they did none.

    `identities` are theirs, by name. Groups of tasks, and which difference does not matter, are as the last
    `sciexam bench` on a task had them.
    """
    if not identities or not store.knows(RATER):
        return None
    alike = alike_of(identities, store)
    if not alike:
        return None
    told = [told_of(one) for outcomes in alike for one in outcomes]
    groups, margins = _as_last_time({outcomes[0].task: outcomes[0].setting for outcomes in alike}, store)
    everything = [*pooled(told, groups)]
    return Beside(
        results=results_of(everything, level),
        pairs=pairs_of(everything, margins, level),
        level=level,
        shortfalls=tuple(line for outcomes in alike for one in outcomes for line in shortfalls_of(one)),
    )


Groups = dict[str, list[str]]  # tasks, by the name that stands for them: a task's own where it is alone
Margins = dict[str, float | None]


def _as_last_time(settings: Mapping[str, Setting], store: Store) -> tuple[Groups, Margins]:
    """The groups of these tasks, and the margins of tasks and groups, as the latest command on each had them."""
    groups: Groups = {}
    margins: Margins = {}
    for plan in _plans_of_bench(store):
        if settings.keys() <= margins.keys():
            break
        for name, tasks in _groups_of(plan).items():
            owed = [task for task in tasks if task not in margins and _is_of(settings.get(task), plan["tasks"][task])]
            whole = owed == tasks and name not in margins
            groups |= {name: tasks} if whole else {task: [task] for task in owed}
            margins |= dict.fromkeys([*owed, *([name] if whole else [])], plan["margin"])
    return groups | {task: [task] for task in settings if task not in margins}, margins


def _plans_of_bench(store: Store) -> Iterator[dict[str, Any]]:
    """The plans of all `sciexam bench`, the latest first."""
    for text in store.manifests():
        if BENCH in text and (plan := json.loads(text)["plan"]).get("purpose") == "bench":
            yield plan


def _groups_of(plan: Mapping[str, Any]) -> Groups:
    groups: Groups = {}
    for task in plan["tasks"]:
        groups.setdefault(plan.get("under", {}).get(task, task), []).append(task)
    return groups


def _is_of(setting: Setting | None, asked: Sequence[Any]) -> bool:
    """Whether a task was asked as a plan has it: the digest of the task, shots and items."""
    return setting is not None and [setting.task, setting.shots, setting.items] == [*asked]
