"""A report on a terminal: 80 columns are enough, and nothing that a model wrote reaches it as a control code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sciexam.report import wording
from sciexam.report.benchmarks_text import beside_tables
from sciexam.report.record import Category, Pair, Report
from sciexam.report.tables import break_words, print_steps, print_tables, text_for
from sciexam.stats import Estimate

NARROW = 72  # columns below which the table is left out: the sentences say the same
WIDE = 110  # columns from which an interval stands beside its value, and not below it
MOST_PAIRS = 6  # comparisons that are told one by one; of more the page has the details
MOST_BENCHMARKS = 12  # comparisons of two contestants on a task that are told one by one
MOST_CATEGORIES = 3  # pairs whose categories are printed; more of them are left to the report


def print_report(report: Report, console: Console, html: Path | None) -> None:
    """Print the results, what they rest on, and where the HTML report is. Writes to `console` and nowhere else."""
    table = _results(report, console) if console.width >= NARROW else None
    if table is not None:
        console.print(table)
        judges = ", ".join(dict.fromkeys(pair.judge for pair in report.pairs))
        console.print(text_for(console, f"by {judges}, rubric {report.rubric}", "dim"))
        console.print(Text(wording.WON_TIED_LOST, "dim"))
        for figure, why in _undefined(report):
            console.print(text_for(console, f"n/a for {figure}: {why}", "dim"))
        console.print()
    if len(report.pairs) > MOST_PAIRS:
        _print_what_differs(report, console)
    else:
        _print_pairs(report, console)
    if report.benchmarks:
        console.print()
        print_tables(beside_tables(report.benchmarks, MOST_BENCHMARKS), console)
    spaced = report.benchmarks is not None  # a blank line follows each table
    for heading, lines in (("Caveats", report.caveats), ("Notes", wording.noted(report.notes))):
        if lines:
            if not spaced:
                console.print()
            spaced = False
            console.print(Text(heading, "bold"))
            for line in lines:
                console.print(Padding(text_for(console, f"- {line}"), (0, 0, 0, 2)))
    if report.next_steps:
        console.print()
        print_steps(report.next_steps, console)
    else:
        console.print()
    if report.missing:
        console.print(text_for(console, f"So far: {wording.so_far(report)}", "bold"))
    console.print(text_for(console, f"Calls: {wording.calls(report.calls)}"))
    console.print(text_for(console, f"Run: {report.run}"))
    if html is not None:
        # On one line however long it is: a path that is broken in two cannot be clicked or copied.
        console.print(text_for(console, f"Report: {html}"), soft_wrap=True)


def _print_pairs(report: Report, console: Console) -> None:
    """Each pair by each judge in words, and its win rates by category and criterion."""
    for pair in report.pairs:
        console.print(text_for(console, pair.sentence, "bold"))
        console.print(Padding(text_for(console, wording.conclusion(report, pair)), (0, 0, 0, 2)))
        lost = (wording.used(pair), *wording.reasons(report, pair), wording.bounds(pair), wording.skipped(pair))
        for line in (*lost, *wording.members(pair)):
            if line:
                console.print(Padding(text_for(console, line), (0, 0, 0, 2)))
    _print_categories(report, console)
    for pair in report.pairs[:MOST_CATEGORIES]:
        if pair.criteria:
            console.print()
            heading = f"Win rate of {wording.contest(pair)} by criterion, judge {pair.judge}"
            console.print(text_for(console, heading, "bold"))
            console.print(_slices("criterion", pair.criteria, console))


def _print_what_differs(report: Report, console: Console) -> None:
    """What many comparisons come to, and those of which more is to be said than the table does."""
    console.print(text_for(console, wording.overview(report), "bold"))
    for line in wording.unlike_the_rest(report):
        console.print(Padding(text_for(console, f"- {line}"), (0, 0, 0, 2)))
    console.print("Each comparison in words, by category and with every figure, is on the page.")


NAME = 15  # columns of a judge's name that are not broken where there is room
SCRAP = 6  # columns into which no name is broken that is longer
CONTEST = 11  # columns that the contestants have at least


def _results(report: Report, console: Console) -> Table | None:
    """The pairs as a table; None where the figures leave no room for the names."""
    wide = console.width >= WIDE
    between = " " if wide else "\n"
    heads, rows = _heads(report, between), [_figures(pair, between) for pair in report.pairs]
    columns = zip(heads, *([cell.plain for cell in row] for row in rows), strict=True)
    gap = 2 if wide else 1
    taken = (max(len(line) for cell in column for line in cell.split("\n")) for column in columns)
    left = console.width - gap - sum(gap + one for one in taken)  # for the two columns of names
    longest = max(map(len, ("judge", *(pair.judge for pair in report.pairs))))
    judge = min(NAME, longest, left - CONTEST)
    if judge < min(SCRAP, longest):
        return None
    beside = left - judge
    widest = max((len(wording.contest(pair)) for pair in report.pairs), default=0)
    room = left - max(CONTEST, min(beside, widest))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1 if wide else 0, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("contestants", overflow="fold", min_width=CONTEST, max_width=beside)
    table.add_column("judge", overflow="fold", min_width=judge)
    for head in heads:
        table.add_column(head, no_wrap=True)
    for pair, figures in zip(report.pairs, rows, strict=True):
        contest = break_words(text_for(console, wording.contest(pair)), beside)
        table.add_row(contest, break_words(text_for(console, pair.judge), room), *figures)
    return table


def _heads(report: Report, between: str) -> tuple[str, ...]:
    p = wording.p_names(report)[1].replace(" ", between, 1)
    return "win rate", "W/T/L", f"used/{between.strip(' ')}planned", p, f"orders{between}agree", "conclusion"


def _figures(pair: Pair, between: str) -> tuple[Text, ...]:
    """The figures of a pair, which no terminal cuts."""
    return (
        Text(wording.value(pair.win_rate).replace(" [", f"{between}[")),
        Text(f"{pair.wins}/{pair.ties}/{pair.losses}"),
        Text(f"{pair.used}/{between.strip(' ') if pair.planned > 999 else ''}{pair.planned}"),
        Text(wording.p_value(pair.p_holm)),
        Text(f"{pair.order_consistency.value:.2f}" if isinstance(pair.order_consistency, Estimate) else "n/a"),
        Text(pair.concluded.replace(" ", between, 1), "bold"),
    )


def _undefined(report: Report) -> Iterator[tuple[str, str]]:
    """Each reason once for each figure that the table shows, however many pairs share it."""
    shown = {"win rate": "the win rate", "p-value": "p", "order consistency": "orders agree"}
    reasons = (
        (shown[figure], why)
        for pair in report.pairs
        for figure, why in wording.undefined(pair).items()
        if figure in shown
    )
    yield from dict.fromkeys(reasons)


def _print_categories(report: Report, console: Console) -> None:
    sliced = [
        pair
        for pair in report.pairs
        if len(pair.categories) > 1 and any(isinstance(one.win_rate, Estimate) for one in pair.categories)
    ]
    if not sliced:
        return
    console.print()
    if len(report.pairs) > MOST_CATEGORIES:
        console.print(text_for(console, f"The win rates by {report.by} are in the report."))
        return
    for pair in sliced:
        heading = f"Win rate of {wording.contest(pair)} by {report.by}, judge {pair.judge}"
        console.print(text_for(console, heading, "bold"))
        console.print(_slices(report.by, pair.categories, console))


def _slices(by: str, categories: Sequence[Category], console: Console) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), pad_edge=True, header_style="dim")
    for head in (by, "win rate", "used/planned"):
        table.add_column(text_for(console, head))
    for category in categories:
        rate = category.win_rate
        table.add_row(
            text_for(console, category.name),
            Text(str(rate)) if isinstance(rate, Estimate) else text_for(console, f"n/a: {rate.why}"),
            Text(f"{category.used}/{category.planned}"),
        )
    return table
