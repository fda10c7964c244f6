"""A peer's own figures by the peer's own rule, and beside them the interval and the ranks that the peer lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from sciexam.report.caveats import caveats_of
from sciexam.report.marking.marks import Marking
from sciexam.report.record import plain
from sciexam.report.standings import as_alpacaeval, as_arena_hard, as_mt_bench
from sciexam.report.standings.as_arena_hard import Styles
from sciexam.report.standings.peer_rows import Part, PeerRow
from sciexam.report.tables import Table
from sciexam.stats import Calibration

SCHEMA = "sciexam/as-peer/1"
Peer = Literal["alpacaeval", "arena-hard", "mt-bench"]
PEERS: tuple[Peer, ...] = get_args(Peer)

# Of the peer's figures, those that its own table is read for; all are in the JSON.
SHOWN: dict[Peer, tuple[str, ...]] = {
    "alpacaeval": as_alpacaeval.SHOWN,
    "arena-hard": as_arena_hard.SHOWN,
    "mt-bench": as_mt_bench.SHOWN,
}
HEADLINES: dict[Peer, tuple[str, ...]] = {
    "alpacaeval": as_alpacaeval.HEADLINES,
    "arena-hard": as_arena_hard.HEADLINES,
    "mt-bench": as_mt_bench.HEADLINES,
}


@dataclass(frozen=True, slots=True)
class AsPeer:
    """The boards of one judge as `peer` would print them, each best first, and our figures beside it.

    There is one board of all prompts; of Arena-Hard v2.0 one for each category, which its rows name with its baseline.
    """

    peer: Peer
    rule: str
    suite: str
    run: str
    judge: str
    baseline: str  # of the suite
    level: float
    prompts: int  # that there are
    rows: tuple[PeerRow, ...]
    caveats: tuple[str, ...]
    schema: str = SCHEMA

    def to_json(self) -> dict[str, Any]:
        made: dict[str, Any] = plain(self)
        return made

    def tables(self) -> list[Table]:
        """What the console and Markdown print. Ours stand on the peer's scale."""
        from sciexam.report.standings.as_peers_text import tables_of

        return [*tables_of(self)]


def build_as_peer(
    peer: Peer,
    parts: Sequence[Part],
    ratings: Marking | None = None,
    compares: bool = True,
    calibration: Calibration | None = None,
    styles: Styles | None = None,
) -> AsPeer:
    """The boards as `peer` counts them, one a part, of the one bench of their evidence.

    `ratings`, of MT-Bench, are its single ratings; `compares`: whether the bench compared answers, and did not mark
    them one by one. `calibration` is AlpacaEval's, `styles` are those of Arena-Hard's answers.
    """
    board = parts[0].board
    rows = [
        row
        for part in parts
        for row in sorted(_rows(peer, part, ratings, compares, calibration, styles), key=partial(_headline, peer))
    ]
    told = [caveat for part in parts for caveat in (*part.evidence.caveats, *caveats_of(part.evidence, ()))]
    return AsPeer(
        peer=peer,
        rule=_rule(peer, parts[0], styles),
        suite=board.suite,
        run=board.run,
        judge=board.judge,
        baseline=board.baseline,
        level=board.level,
        prompts=sum(len(part.evidence.prompts) for part in parts),
        rows=tuple(rows),
        caveats=tuple(dict.fromkeys(told)),
    )


def _rows(
    peer: Peer,
    part: Part,
    ratings: Marking | None,
    compares: bool,
    calibration: Calibration | None,
    styles: Styles | None,
) -> Iterator[PeerRow]:
    match peer:
        case "alpacaeval":
            return as_alpacaeval.alpacaeval_rows(part, calibration)
        case "arena-hard":
            return as_arena_hard.arena_hard_rows(part, styles)
        case "mt-bench":
            return as_mt_bench.mt_bench_rows(part, ratings, compares)


def _rule(peer: Peer, part: Part, styles: Styles | None) -> str:
    match peer:
        case "alpacaeval":
            return as_alpacaeval.RULE
        case "mt-bench":
            return as_mt_bench.RULE
        case "arena-hard":
            rule = as_arena_hard.RULE_V01 if part.category is None else as_arena_hard.RULE_V2
            return f"{rule} {as_arena_hard.RULE_STYLE}" if styles is not None else rule


def _headline(peer: Peer, row: PeerRow) -> tuple[float, ...]:
    """What the peer sorts by, the best first: its first figure that is known."""
    return tuple(1.0 if (value := row.theirs.get(name)) is None else -value for name in HEADLINES[peer])
