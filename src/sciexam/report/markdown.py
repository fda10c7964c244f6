"""A report as Markdown, for a pull request or a paper's appendix: the numbers and the caveats, no answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from sciexam.report import wording
from sciexam.report.plain_text import one_line
from sciexam.report.record import Report
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from sciexam.report.benchmarks import Beside

# Entities where a backslash would do in CommonMark but not in every renderer: a `\<` is a live tag in Python-Markdown.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "`": "&#96;", "~": "&#126;", "$": "&#36;"}
_MARKUP = re.compile(
    r"[&<>|`~$]"
    r"|[\\*_]"
    r"|^(?:[-+=#:\[]|\d{1,9}(?=[.)](?:\s|$)))"  # what starts a list, a heading, a task or a definition at the beginning
    r"|\](?![\s,.;)]|$)"  # a bracket closes a link only if `(`, `[` or `:` follows
    r"|:(?=//)|(?<=www)\.",  # what GitHub would link
    re.IGNORECASE,
)


def to_markdown(report: Report) -> str:
    """The report in GitHub's Markdown, with a line break at its end. Nothing in the record can become markup."""
    return "\n\n".join(_blocks(report)) + "\n"


def escape(text: str) -> str:
    """`text` on one line as Markdown that shows exactly it, also in the cell of a table."""
    return _MARKUP.sub(_escaped, one_line(text))


def code(text: str) -> str:
    """`text` on one line as code to copy; one that holds a backtick is escaped instead."""
    line = one_line(text)
    return escape(line) if "`" in line else f"`{line}`"


def _escaped(match: re.Match[str]) -> str:
    found = match.group()
    if found[0].isdigit():
        return f"&#{ord(found[0])};{found[1:]}"
    if found in ".:":
        return f"&#{ord(found)};"
    return _ENTITIES.get(found, f"\\{found}")


def _blocks(report: Report) -> Iterator[str]:
    yield f"# {escape(wording.title(report))}"
    yield f"Suite {escape(report.suite)}, rubric {escape(report.rubric)}, {_prompts(report)}."
    if report.missing:
        yield f"**So far:** {wording.so_far(report)}"
    for pair in report.pairs:
        result = f"**By {escape(pair.judge)} {escape(wording.after_judge(pair))}**"
        yield " ".join(filter(None, (result, escape(wording.conclusion(report, pair)), escape(wording.bounds(pair)))))
    yield _results(report)
    yield wording.WON_TIED_LOST
    if report.benchmarks:
        yield from _benchmarks(report.benchmarks)
    if report.caveats:
        yield "## Caveats"
        yield "\n".join(f"- {escape(caveat)}" for caveat in report.caveats)
    if report.next_steps:
        yield "## What to do next"
        yield "\n".join(f"- {escape(step.why)}: {code(step.command)}" for step in report.next_steps)
    yield from _slices(report, report.by, "categories")
    yield from _slices(report, "criterion", "criteria")
    yield "## Prompts used, and other figures"
    yield "\n".join(_counts(report))
    for heading, lines in (("Notes", wording.noted(report.notes)), ("Not applicable", _undefined(report))):
        if lines:
            yield f"## {heading}"
            yield "\n".join(f"- {escape(line)}" for line in lines)
    yield "## How it was made"
    yield "\n".join(f"- {escape(line)}" for line in _making(report))


def _results(report: Report) -> str:
    head = ("contestants", "judge", "win rate", "W/T/L", "used/planned", *wording.p_names(report), "order consistency")
    rows = (
        (
            escape(wording.contest(pair)),
            escape(pair.judge),
            wording.value(pair.win_rate),
            f"{pair.wins}/{pair.ties}/{pair.losses}",
            f"{pair.used}/{pair.planned}",
            escape(wording.p_value(pair.p_value)),
            escape(wording.p_value(pair.p_holm)),
            wording.value(pair.order_consistency),
            pair.concluded,
        )
        for pair in report.pairs
    )
    return _table((*head, "conclusion"), rows)


def _prompts(report: Report) -> str:
    return f"{report.prompts} prompt{'s' if report.prompts != 1 else ''}"


def _benchmarks(found: Beside) -> Iterator[str]:
    from sciexam.report.benchmarks_text import beside_tables  # its tables are written with what stands here

    for table in beside_tables(found):
        yield f"## {escape(table.title)}"
        yield _table(map(escape, table.head), (map(escape, row) for row in table.rows))
        yield from map(escape, table.notes)


def _slices(report: Report, by: str, which: Literal["categories", "criteria"]) -> Iterator[str]:
    rows = [
        (
            escape(category.name),
            escape(wording.contest(pair)),
            escape(pair.judge),
            wording.value(category.win_rate)
            if isinstance(category.win_rate, Estimate)
            else f"n/a: {escape(str(category.win_rate))}",
            f"{category.used}/{category.planned}",
        )
        for pair in report.pairs
        for category in getattr(pair, which)
    ]
    if rows:
        yield f"## Win rate by {escape(by)}"
        yield _table((escape(by), "contestants", "judge", "win rate", "used/planned"), rows)


def _counts(report: Report) -> Iterator[str]:
    for pair in report.pairs:
        yield f"- {escape(wording.contest(pair))}, {escape(pair.judge)}: {wording.used(pair)}"
        yield from (f"  - {escape(line)}" for line in filter(None, [wording.skipped(pair)]))
        yield f"  - {escape('; '.join(wording.figures(pair)))}"
        yield from (f"  - {escape(line)}" for line in wording.members(pair))
        yield from (f"  - {escape(line)}" for line in wording.reasons(report, pair, most=None))


def _undefined(report: Report) -> list[str]:
    return [
        f"{wording.contest(pair)}, {pair.judge}, {figure}: {why}"
        for pair in report.pairs
        for figure, why in wording.undefined(pair).items()
    ]


def _making(report: Report) -> Iterator[str]:
    yield f"run {report.run}, schema {report.schema}"
    for level, method in wording.methods(report):
        yield f"intervals at {wording.percent(level)}: {method}"
    yield wording.calls(report.calls)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
