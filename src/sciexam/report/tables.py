"""Tables of words, and their views: what agreement, plans and leaderboards print on a terminal, in Markdown and CSV."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sciexam.report.markdown import code, escape
from sciexam.report.plain_text import one_line
from sciexam.stats import Estimate, Undefined

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    from sciexam.report.record import Step

NEXT = "What to do next"
WIDE = 110  # columns from which an interval stands beside its value, and not below it
_ESTIMATE = re.compile(r"[-\d.]+ \[[-\d.]+, [-\d.]+\]")
MARKS = ":/-_.@"  # after which a long word is broken
LONGEST = 20  # columns that a word may claim before it is broken
INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a spreadsheet recognises what it would run


@dataclass(frozen=True, slots=True)
class Table:
    """A title, a head, rows of texts as wide as the head, and what to know before reading them."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()


def methods_table(
    figures: Iterable[Estimate | Undefined] | Mapping[str, Iterable[Estimate | Undefined]], level: float
) -> Iterator[Table]:
    """How the intervals of `figures` were made, each method once; nothing where there is no interval.

    Where the figures are given by column, each method names those that it is of.
    """
    methods: dict[str, dict[str, None]] = {}
    for column, listed in figures.items() if isinstance(figures, Mapping) else [("", figures)]:
        for figure in listed:
            if isinstance(figure, Estimate):
                methods.setdefault(figure.method, {})[column] = None
    told = [f"{', '.join(filter(None, columns))}: {method}".removeprefix(": ") for method, columns in methods.items()]
    notes = tuple(one[0].upper() + one[1:] + "." for one in told)
    if any("groups" in method for method in methods):
        notes += ("A group is what belongs to one prompt, or to prompts with one text or one `group`.",)
    if notes:
        yield Table(f"How the {100 * level:g} % intervals were made", (), (), notes)


def reasons(named: Mapping[str, Iterable[object]]) -> Iterator[str]:
    """Each reason for a missing figure once, with the columns in which it is missing."""
    found: dict[str, list[str]] = {}
    for column, figures in named.items():
        for why in dict.fromkeys(figure.why for figure in figures if isinstance(figure, Undefined)):
            found.setdefault(why, []).append(column)
    for why, columns in found.items():
        yield f"n/a for {', '.join(columns)}: {why}."


def print_tables(tables: Iterable[Table], console: Console) -> None:
    """Print tables to `console`; their texts are never read as rich markup, and carry no control code.

    Nothing is cut: where the columns have no room, those go in which no cell has a value, then intervals go below their
    values, then the intervals of the last columns are left out, which a note says; where even that does not do, each
    row becomes a few lines that name its cells.
    """
    from rich.padding import Padding

    for table in tables:
        console.print(text_for(console, table.title, "bold"))
        if table.rows:
            table, grid, width = _fitted(table, console)
            if width <= console.width:
                console.print(grid)
            else:
                for row in table.rows:
                    console.print(Padding(text_for(console, row[0]), (0, 0, 0, 2)))
                    cells = [f"{name} {cell}" for name, cell in zip(table.head[1:], row[1:], strict=True)]
                    console.print(Padding(text_for(console, "; ".join(cells)), (0, 0, 0, 4)))
        for note in table.notes:
            console.print(Padding(text_for(console, note, "dim"), (0, 0, 0, 2)))
        console.print()


def _fitted(table: Table, console: Console) -> tuple[Table, Grid, int]:
    """The most of a table that has room, and the columns that it takes; all of the table where none has room."""
    whole = (table, *_grid(table, console))
    for one, beside in _shorter(table):
        if whole[2] <= console.width:
            break
        if (found := _grid(one, console, beside))[1] <= console.width:
            return one, *found
    return whole


def _shorter(table: Table) -> Iterator[tuple[Table, bool]]:
    """A table, always shorter, and whether its intervals stand beside their values. The first interval stays."""
    yield table, False
    table = _without_empty(table)
    yield table, True
    yield table, False
    estimated = [i for i in range(len(table.head)) if any(_ESTIMATE.fullmatch(row[i]) for row in table.rows)]
    for first in reversed(estimated[1:]):
        bare = [i for i in estimated if i >= first]
        rows = [tuple(cell.split(" [")[0] if i in bare else cell for i, cell in enumerate(row)) for row in table.rows]
        note = f"No room here for the intervals of {', '.join(table.head[i] for i in bare)}."
        yield Table(table.title, table.head, rows, (*table.notes, note)), False


def _without_empty(table: Table) -> Table:
    """The table without the columns in which no row has a value; its notes say why there is none."""
    kept = [i for i in range(len(table.head)) if any(row[i] not in ("n/a", "") for row in table.rows)]
    rows = [tuple(row[i] for i in kept) for row in table.rows]
    return Table(table.title, tuple(table.head[i] for i in kept), rows, table.notes)


def _grid(table: Table, console: Console, beside: bool = True) -> tuple[Grid, int]:
    """The table for a terminal, and the columns that it takes at least. Rich itself would cut what has no room.

    `beside`: intervals stand beside their values where the terminal is wide, and not below.
    """
    from rich import box
    from rich.table import Table as Grid

    beside = beside and console.width >= WIDE
    shown = [[_estimate(cell, beside) or text_for(console, cell) for cell in row] for row in table.rows]
    columns = [
        [text_for(console, name), *cells] for name, cells in zip(table.head, zip(*shown, strict=True), strict=True)
    ]
    least = [min(LONGEST, max(len(part) for cell in column for part in _unbroken(cell))) for column in columns]
    wanted = [max(len(line) for cell in column for line in cell.plain.split("\n")) for column in columns]
    between = len(columns) - 1  # the columns' dividers, which are blank
    roomy = sum(wanted) + 2 * between < console.width
    taken = sum(least) + between
    spare = console.width - sum(least) - between * (2 if roomy else 1)
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, int(roomy), 0, 0), pad_edge=False, show_edge=False)
    for place, (column, width, whole) in enumerate(zip(columns, least, wanted, strict=True)):
        more = min(max(0, spare), max(0, whole - width))
        spare -= more
        least[place] += more
        grid.add_column(column[0], overflow="fold", width=width + more)
    for row in shown:
        grid.add_row(*(break_words(cell, width) for cell, width in zip(row, least, strict=True)))
    return grid, taken


def break_words(text: Text, width: int) -> Text:
    """`text` with each word that is longer than `width` broken after a mark in it, as the colon of openai:MODEL."""
    from rich.text import Text

    if text.no_wrap or all(len(word) <= width for word in text.plain.split()):
        return text
    return Text(re.sub(r"\S+", lambda word: "\n".join(_pieces(word[0], width)), text.plain), text.style)


def _pieces(word: str, width: int) -> Iterator[str]:
    """A long word in pieces of at most `width`, none shorter than a third of it but the last."""
    while len(word) > width:
        cut = max((place for place, mark in enumerate(word[:width], 1) if mark in MARKS), default=width)
        cut = cut if 3 * cut >= width else width
        yield word[:cut]
        word = word[cut:]
    yield word


def print_list(heading: str, lines: Sequence[str], console: Console) -> None:
    """Print lines under a heading, and nothing where there are none."""
    from rich.padding import Padding

    if not lines:
        return
    console.print(text_for(console, heading, "bold"))
    for line in lines:
        console.print(Padding(text_for(console, f"- {line}"), (0, 0, 0, 2)))
    console.print()


def print_steps(steps: Sequence[Step], console: Console) -> None:
    """Print what to do next. A command is on one line however long it is: broken in two it cannot be copied."""
    from rich.padding import Padding
    from rich.text import Text

    if not steps:
        return
    console.print(text_for(console, NEXT, "bold"))
    for step in steps:
        console.print(Padding(text_for(console, f"- {step.why}:"), (0, 0, 0, 2)))
        console.print(Text("    ").append_text(text_for(console, step.command)), soft_wrap=True)
    console.print()


def to_markdown(heading: str, tables: Iterable[Table], steps: Sequence[Step] = (), **lists: Sequence[str]) -> str:
    """The tables under a heading in GitHub's Markdown, then lists under headings of their own names, then `steps`."""
    blocks = [f"# {escape(heading)}"]
    for table in tables:
        if table.title != heading:
            blocks.append(f"## {escape(table.title)}")
        if table.rows:
            blocks.append("\n".join(_markdown_rows(table)))
        blocks += [escape(note) for note in table.notes]
    for name, lines in lists.items():
        if lines:
            blocks += [f"## {escape(name.capitalize())}", "\n".join(f"- {escape(line)}" for line in lines)]
    if steps:
        blocks += [f"## {NEXT}", "\n".join(f"- {escape(step.why)}: {code(step.command)}" for step in steps)]
    return "\n\n".join(blocks) + "\n"


def to_csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV: numbers with all their digits, None empty, and no text that a spreadsheet would run.

    Texts are on one line. What is to be read by a program again is written by `data_file`, which alters no text.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_cell(one_line(v)) if isinstance(v, str) else v for v in row] for row in rows)
    return out.getvalue()


def text_for(console: Console, text: str, style: str = "") -> Text:
    """`text` on one line, never read as rich markup, in characters that the terminal's encoding has."""
    from rich.text import Text

    encoding = console.encoding
    return Text(one_line(text).encode(encoding, "replace").decode(encoding), style)


def _estimate(cell: str, beside: bool) -> Text | None:
    """An estimate with its interval beside it, or below it and without leading zeros."""
    from rich.text import Text

    if not _ESTIMATE.fullmatch(cell):
        return None
    value, interval = cell.split(" ", 1)
    below = re.sub(r"(?<!\d)0\.", ".", interval)
    return Text(cell if beside else f"{value}\n{below}", no_wrap=True)


def _unbroken(text: Text) -> list[str]:
    """What a narrow column must not break: lines of estimates, and words."""
    return text.plain.split("\n") if text.no_wrap else text.plain.split() or [""]


def to_cell(text: str) -> str:
    """`text` as a cell: an apostrophe makes a text of what a spreadsheet would run, or a reader take for no value."""
    return f"'{text}" if _needs_mark(text.lstrip("'")) else text


def from_cell(text: str) -> str:
    """What `to_cell` was given for a cell: without the apostrophe that it put before the text."""
    return text[1:] if text[:1] == "'" and _needs_mark(text.lstrip("'")) else text


def _cell(text: str) -> str:
    """A cell of a table that is read by people: what is empty stays so."""
    return to_cell(text) if text else ""


def _needs_mark(text: str) -> bool:
    """Whether a text needs the apostrophe; what begins with apostrophes is as the text after them, or they would not
    be told from ours."""
    return not text or _starts(text)


def _starts(text: str) -> bool:
    """Whether a spreadsheet might run it: full-width signs are folded, and what is invisible is passed over."""
    seen = unicodedata.normalize("NFKC", text[:50]).lstrip()
    return seen.lstrip(INVISIBLE).lstrip().startswith(FORMULA) or text.startswith(FORMULA)


def _markdown_rows(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(map(escape, table.head))} |"
    yield "|---" * len(table.head) + "|"
    for row in table.rows:
        yield f"| {' | '.join(map(escape, row))} |"
