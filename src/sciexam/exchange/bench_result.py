"""What benchmarks come to: the record, its files, and the plan in its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from sciexam.exam.benchmark_facts import Outcome, shortfalls_of, told_of
from sciexam.exchange.bench_run import Taker
from sciexam.exchange.bench_tasks import Task
from sciexam.report.benchmarks import LEVEL, Benchmarks, Item, items_csv, pairs_of, pooled, results_of
from sciexam.report.calls import Calls
from sciexam.suite import Suite, suite_digest

Outcomes = Mapping[tuple[str, str], Outcome]  # by task and model


def found_of(
    suite: Suite,
    run: str,
    takers: Sequence[Taker],
    tasks: Sequence[Task],
    outcomes: Outcomes,
    margin: float | None,
    missing: Mapping[str, str],
    calls: Calls,
    asked: int,
) -> Benchmarks:
    """The record of what was done; the arguments are as in `Benchmarks`."""
    told = [
        told_of(outcomes[task.name, taker.name])
        for task in tasks
        for taker in takers
        if (task.name, taker.name) in outcomes
    ]
    groups: dict[str, list[str]] = {}
    for task in tasks:
        groups.setdefault(task.under, []).append(task.name)
    everything = list(pooled(told, groups))
    return Benchmarks(
        suite=suite.name,
        run=run,
        contestants=tuple(taker.name for taker in takers),
        tasks=tuple(task.name for task in tasks),
        harness=version("lm-eval"),
        level=LEVEL,
        margin=margin,
        results=results_of(everything),
        pairs=pairs_of(everything, margin),
        missing=missing,
        calls=calls,
        asked=asked,
        caveats=(
            *dict.fromkeys(note for task in tasks for note in task.notes),
            *(line for one in outcomes.values() for line in shortfalls_of(one)),
            *_limited(tasks),
            *_mixed(takers),
        ),
        notes={taker.name: note for taker in takers if (note := getattr(suite.models[taker.name], "note", None))},
    )


def _limited(tasks: Sequence[Task]) -> Iterator[str]:
    if short := [task.name for task in tasks if len(task.items) < len(task.everything)]:
        yield f"Of {', '.join(short)} only the first items were asked: no figure of them is that of the whole task."


def _mixed(takers: Sequence[Taker]) -> Iterator[str]:
    if len({taker.chat for taker in takers}) > 1:
        plain = ", ".join(taker.name for taker in takers if not taker.chat)
        yield f"{plain}: asked with plain text, and the others in turns; --chat asks all of them in turns."


def plan_of(suite: Suite, takers: Sequence[Taker], tasks: Sequence[Task], margin: float | None) -> dict[str, Any]:
    """The plan as every manifest has it, with the tasks besides."""
    names = [taker.name for taker in takers]
    return {
        "suite": suite.model_dump(mode="json", by_alias=True),
        "contestants": names,
        "pairs": [],
        "prompts": [],
        "benches": {},
        "raters": [],
        "models": {taker.name: taker.identity for taker in takers},
        "digests": {
            "suite": suite_digest(suite),
            "rubric": suite.rubric.digest,
            "lineage": {name: suite.lineage_digest(name) for name in names},
        },
        "policy": "mean",
        "orders": "both",
        "margin": margin,
        "by": "category",
        "purpose": "bench",
        "caveats": [],
        "tasks": {task.name: [task.digest, task.shots, len(task.items)] for task in tasks},
        "under": {task.name: task.under for task in tasks},
    }


def files_of(found: Benchmarks, items: Iterator[Item], manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The files of a run, each with its name."""
    from sciexam.report.benchmarks_text import sentence_of, tables_of
    from sciexam.report.result_files import result_files

    notes = [f"{name}: {note}" for name, note in found.notes.items()]
    told: dict[str, Any] = {"sentence": sentence_of(found), "caveats": found.caveats, "remarks": notes}
    tables = tables_of(found)
    files = result_files("bench", "Benchmarks", found.title, found, tables, manifest, **told, has_figures=False)
    yield next(files)  # the record is written first
    yield "bench.csv", items_csv(list(items))
    yield from files
