"""Benchmarks as a sentence and tables: what the console and Markdown print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sciexam.report.benchmarks import Benchmarks, Beside, Paired, Result
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
    models = len({one.model for one in found.results})
    said = f"{models} model{'s' if models != 1 else ''} on {tasks} task{'s' if tasks != 1 else ''}"
    return f"{len(found.results)} results of {said}."


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
        note = f"By lm-eval {found.harness}; reported: its own figure of the metric, which for most is the same mean."
        yield _results(found.results, (note,))
    if found.pairs:
        yield _pairs(found.pairs)
    if found.missing:
        rows = [(what, why) for what, why in found.missing.items()]
        yield Table("Without a result", ("task and model", "why"), rows)
    figures = [*(one.value for one in found.results), *(pair.difference for pair in found.pairs)]
    yield from methods_table(figures, found.level)


def beside_tables(found: Beside, most: int | None = None) -> Iterator[Table]:
    """What stands beside a comparison: two contestants in one table, more of them in two.

    With more than `most` pairs only the results are told.
    """
    note = "By `sciexam bench`, as the ledger has it: the mean of each task's metric. No judge has a say in it."
    in_order = [
        name for pair in found.pairs for name in (pair.a, pair.b)
    ]  # a task that only the second did may be first
    models = [*dict.fromkeys([*in_order, *(one.model for one in found.results)])]
    if len(models) == 2:
        yield _two(found, models, note)
        return
    results = _results(found.results, (note, *found.shortfalls))
    reported = results.head.index("reported")
    rows = [(*row[:reported], *row[reported + 1 :]) for row in results.rows]
    yield Table("Benchmarks", (*results.head[:reported], *results.head[reported + 1 :]), rows, results.notes)
    if most is not None and len(found.pairs) > most:
        yield Table("Benchmarks, each two", (), (), (f"{len(found.pairs)} comparisons are on the page.",))
    elif found.pairs:
        yield replace(_pairs(found.pairs), title="Benchmarks, each two")


def _two(found: Beside, models: Sequence[str], note: str) -> Table:
    """Two contestants, a row a task; what is said of both is n/a where only one of them did it."""
    a, b = models
    of = {(one.task, one.model): one for one in found.results}
    paired = {pair.task: pair for pair in found.pairs}
    rows = []
    for task in dict.fromkeys(one.task for one in found.results):
        both, pair = [of.get((task, model)) for model in models], paired.get(task)
        values = [value(one.value) if one else "n/a" for one in both]
        cells = _of_pair(pair) if pair else ("n/a",) * 4
        rows.append((_name(next(one for one in both if one)), *values, *cells))
    notes = [note]
    if found.pairs:
        right = f"Alone right: items that only {a}, and only {b}, got right."
        notes += [f"Difference: {b} less {a}, on the same items. {right}", *_on_p(found.pairs, named=True)]
        notes += _on_margins(found.pairs)
    missing = {"mean": [one.value for one in found.results], "difference": [pair.difference for pair in found.pairs]}
    notes += [*found.shortfalls, *reasons(missing)]
    head = ("task", a, b, "difference", "finding", "alone right", "p Holm")
    return Table("Benchmarks", head, rows, tuple(notes))


def _name(one: Result) -> str:
    """A task with its metric, and how it was asked where that is not usual."""
    shots = f", {one.shots} shot{'s' if one.shots != 1 else ''}" if one.shots else ""
    return f"{one.task} {one.metric}{shots}{'' if one.higher_is_better else ' (lower is better)'}"


def _of_pair(pair: Paired) -> tuple[str, ...]:
    alone = "n/a" if pair.only_a is None else f"{pair.only_a}/{pair.only_b}"
    return value(pair.difference), pair.finding, f"{alone} of {pair.items}", p_value(pair.p_holm)


def _results(results: Sequence[Result], notes: Sequence[str]) -> Table:
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
        for one in results
    ]
    notes = (*notes, *reasons({"mean": [one.value for one in results]}))
    return Table("Results", ("task", "model", "metric", "mean", "reported", "items", "shots"), rows, notes)


def _reported(one: Result) -> str:
    known = [number for name, number in one.reported.items() if name.split(",")[0] == one.metric]
    return f"{known[0]:.4f}" if known else "n/a"


def _pairs(pairs: Sequence[Paired]) -> Table:
    head = ["task", "models", "difference", "both", "first only", "second only", "neither", "p Holm", "test", "finding"]
    notes = [
        "Difference: the mean of the first named less that of the other, on the same items.",
        *_on_p(pairs),
        *_on_margins(pairs),
        *reasons({"difference": [pair.difference for pair in pairs]}),
    ]
    return Table("Each two models", tuple(head), [_row(pair) for pair in pairs], tuple(notes))


def _on_p(pairs: Sequence[Paired], named: bool = False) -> Iterator[str]:
    """What p is of, where there is one; `named`: and by which tests, where no column says it."""
    tests = [pair.test for pair in pairs if pair.p is not None]
    if not tests:
        return
    names = [name.replace("McNemar, exact", "McNemar's exact test") for name in dict.fromkeys(tests)]
    by = f" By {' or '.join(names)}." if named else ""
    over = f"Holm-corrected over {len(tests)} comparison{'s' if len(tests) != 1 else ''}"
    yield f"p: that both are as likely to be right where one of them is; {over}.{by}"


def _on_margins(pairs: Sequence[Paired]) -> Iterator[str]:
    """What is known of equivalence, for each margin with the tasks that have it where there are several."""
    by_margin: dict[float | None, dict[str, None]] = {}
    for pair in pairs:
        by_margin.setdefault(pair.margin, {})[pair.task] = None
    for margin, tasks in by_margin.items():
        where = f" ({', '.join(tasks)})" if len(by_margin) > 1 else ""
        if margin is None:
            yield f"Not told apart is not the same{where}: with `sciexam bench --margin 0.03`, say, that can be shown."
        else:
            yield f"Equivalent{where}: two one-sided tests at 5 % show that the difference lies within {margin:g}."


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
