"""The boards of a peer in words: a table for each, what its rule is, and how our intervals were made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from sciexam.report.record import Figure
from sciexam.report.standings.as_peers import SHOWN, AsPeer
from sciexam.report.standings.peer_rows import PeerRow
from sciexam.report.tables import Table, methods_table, reasons
from sciexam.stats import Estimate, Undefined


def tables_of(found: AsPeer) -> Iterator[Table]:
    boards = [list(rows) for _, rows in groupby(found.rows, key=lambda row: row.category)]
    for rows in boards:
        yield _table(found, rows, last=rows is boards[-1])
    ours: dict[str, list[Figure]] = {}
    for row in found.rows:
        for name, figure in row.ours.items():
            ours.setdefault(name, []).append(figure)
    yield from methods_table(ours, found.level)


def _table(found: AsPeer, rows: Sequence[PeerRow], last: bool) -> Table:
    """The board of the category, or of all prompts, that these rows are of. Below the last one stands the rule."""
    theirs = [name for name in SHOWN[found.peer] if any(row.theirs.get(name) is not None for row in rows)]
    given = dict.fromkeys(name for row in rows for name in row.ours)
    ours = [name for name in given if any(isinstance(row.ours.get(name), Estimate) for row in rows)]
    percent = found.peer != "mt-bench"
    shown: Callable[[Figure], str] = _of_100 if percent else str
    cells = [
        (
            row.contestant,
            f"{row.n}/{row.prompts}",
            *(_number(row.theirs.get(name)) for name in theirs),
            *("n/a" if isinstance(figure := row.ours[name], Undefined) else shown(figure) for name in ours),
            _rank(row),
        )
        for row in rows
    ]
    level = f"{100 * found.level:g} %"
    rule = (
        found.rule,
        f"With an interval: sciexam's own at {level}, by prompt{', of 100' if percent else ''}. "
        "n: the prompts used, of those there are. rank: the ranks that are possible.",
    )
    lacking = {f"sciexam's {name}": [row.ours[name] for row in rows] for name in given if name not in ours}
    told = tuple(reasons(lacking))
    missing = {(name, why) for row in rows for name, why in row.why.items()}
    said = sorted(
        f"n/a for {name.replace('_', ' ')}: {why}."
        for name, why in missing
        if name in theirs or not any(why in one for one in told)
    )
    head = (
        "contestant",
        "n",
        *(name.replace("_", " ") for name in theirs),
        *(f"sciexam: {name.removesuffix(' against the baseline')}" for name in ours),  # the title says against whom
        "rank",
    )
    of = f" in {rows[0].category}" if rows[0].category is not None else ""
    title = f"As {found.peer} counts {found.suite}{of}, by {found.judge} against {rows[0].baseline}"
    return Table(title, head, cells, (*(rule if last else ()), *told, *said))


def _rank(row: PeerRow) -> str:
    if row.rank_low is None:
        return "n/a"
    return str(row.rank_low) if row.rank_low == row.rank_high else f"{row.rank_low}-{row.rank_high}"


def _number(value: float | int | None) -> str:
    return "n/a" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _of_100(figure: Figure) -> str:
    assert isinstance(figure, Estimate)
    return f"{100 * figure.value:z.1f} [{100 * figure.low:z.1f}, {100 * figure.high:z.1f}]"
