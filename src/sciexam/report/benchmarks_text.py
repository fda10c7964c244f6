"""Benchmarks as a sentence and tables: what the console and Markdown print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sciexam.report.benchmarks import Benchmarks, Paired, Result
from sciexam.report.record import Figure
from sciexam.report.tables import Table, methods_table, reasons
from sciexam.report.wording import p_value, value
from sciexam.stats import Estimate

MOST = 4  # tasks that a sentence names; of more it gives the number


def sentence_of(found: Benchmarks) -> str:
    """Of two models what was found on each task; else how many results there are."""
    if not found.results:
        return "No task has a result."
    if len(found.contestants) == 2 and found.pairs:
        return " ".join(_of_two(found))
    if len(found.results) == 1:
        (one,) = found.results
        return f"{one.model} has {_said(one.value, one)} on {one.task}."
    tasks = len({one.task for one in found.results})
    return f"{len(found.results)} results of {len(found.contestants)} models on {tasks} tasks."


def _of_two(found: Benchmarks) -> Iterator[str]:
    a, b = found.pairs[0].a, found.pairs[0].b
    margin = f" within {found.margin:g}" if found.margin is not None else ""
    said = {
        "higher": f"{b} has the higher mean on",
        "lower": f"{b} has the lower mean on",
        "equivalent": f"{b} and {a} are equivalent{margin} on",
        "undecided": f"{b} and {a} are not told apart on",
    }
    for finding, words in said.items():
        tasks = [pair.task for pair in found.pairs if pair.finding == finding]
        if tasks:
            yield f"{words} {', '.join(tasks) if len(tasks) <= MOST else f'{len(tasks)} tasks'}."


def _said(figure: Figure, one: Result) -> str:
    return f"{one.metric} {figure}" if isinstance(figure, Estimate) else f"no interval of {one.metric}"


def tables_of(found: Benchmarks) -> Iterator[Table]:
    """The results by task, each two models, and how the figures are made."""
    if found.results:
        yield _results(found)
    if found.pairs:
        yield _pairs(found)
    if found.missing:
        rows = [(what, why) for what, why in found.missing.items()]
        yield Table("Without a result", ("task and model", "why"), rows)
    figures = [*(one.value for one in found.results), *(pair.difference for pair in found.pairs)]
    yield methods_table(figures, found.level)


def _results(found: Benchmarks) -> Table:
    rows = [
        (
            one.task,
            one.model,
            f"{one.metric}{'' if one.higher_is_better else ' (lower is better)'}",
            value(one.value),
            _reported(one),
            str(one.items),
            str(one.shots),
        )
        for one in found.results
    ]
    notes = (
        f"By lm-eval {found.harness}; reported: its own figure of the metric, which for most is the same mean.",
        *reasons({"mean": [one.value for one in found.results]}),
    )
    return Table("Results", ("task", "model", "metric", "mean", "reported", "items", "shots"), rows, notes)


def _reported(one: Result) -> str:
    known = [number for name, number in one.reported.items() if name.split(",")[0] == one.metric]
    return f"{known[0]:.4f}" if known else "n/a"


def _pairs(found: Benchmarks) -> Table:
    head = ["task", "models", "difference", "both", "first only", "second only", "neither", "p Holm", "test", "finding"]
    rows = [_row(pair) for pair in found.pairs]
    tested = sum(pair.p is not None for pair in found.pairs)
    notes = [
        "Difference: the mean of the first named less that of the other, on the same items.",
        f"p: that both are as likely to be right where one of them is; Holm-corrected over {tested} "
        f"comparison{'s' if tested != 1 else ''}.",
    ]
    if found.margin is None:
        notes.append("Not told apart is not the same: with --margin 0.03, say, that can be shown.")
    else:
        notes.append(f"Equivalent: two one-sided tests at 5 % show that the difference lies within {found.margin:g}.")
    notes += reasons({"difference": [pair.difference for pair in found.pairs]})
    return Table("Each two models", tuple(head), rows, tuple(notes))


def _row(pair: Paired) -> tuple[str, ...]:
    counts: Sequence[int | None] = (pair.both, pair.only_b, pair.only_a, pair.neither)
    return (
        pair.task,
        f"{pair.b} against {pair.a}",
        value(pair.difference),
        *("n/a" if count is None else str(count) for count in counts),
        p_value(pair.p_holm),
        pair.test.split(",")[0].removesuffix(" of groups"),
        pair.finding,
    )
