"""A row of a peer's board: the peer's figures of one contestant, and ours of the same verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sciexam.battles import Battle
from sciexam.report.evidence import Evidence
from sciexam.report.record import Figure
from sciexam.report.standings.leaderboard import Leaderboard


@dataclass(frozen=True, slots=True)
class Part:
    """What a board of a peer is of: all prompts, or those of one `category` against a baseline of its own."""

    evidence: Evidence
    board: Leaderboard
    category: str | None = None


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One contestant: the peer's figures under the peer's names, and ours by what they are an interval of.

    `n`: the prompts that are used in its figures, of the `prompts` that there are. `category` is that of the board, or
    None for all prompts. `why` says of a figure that the peer has and this row lacks what is missing. Ours are shares,
    or on the scale of the ratings; `rank_low` .. `rank_high` are the ranks that are possible at the board's level.
    """

    contestant: str
    category: str | None
    baseline: str
    n: int
    prompts: int
    theirs: Mapping[str, float | int | None]
    ours: Mapping[str, Figure]
    rank_low: int | None
    rank_high: int | None
    why: Mapping[str, str] = field(default_factory=dict)


def peer_row(
    part: Part,
    name: str,
    used: Iterable[str],
    theirs: Mapping[str, Any],
    ours: Mapping[str, Figure],
    why: Mapping[str, str],
) -> PeerRow:
    """`used`: the ids of the prompts in its figures, each once or more."""
    place = next(row for row in part.board.rows if row.contestant == name)
    return PeerRow(
        contestant=name,
        category=part.category,
        baseline=part.board.baseline,
        n=len(set(used)),
        prompts=len(part.evidence.prompts),
        theirs=theirs,
        ours=ours,
        rank_low=place.rank_low,
        rank_high=place.rank_high,
        why=why,
    )


def against_baseline(part: Part) -> Iterator[str]:
    """The contestants that met the baseline."""
    met = {battle.b for battle in part.evidence.benches[0].battles if battle.a == part.board.baseline}
    yield from (name for name in part.evidence.contestants if name in met)


def win_rate_of(part: Part, name: str) -> Figure:
    return next(row.win_rate for row in part.board.rows if row.contestant == name)


def answers_lacking(lacking: int, compared: int) -> str:
    """Why nothing can be said of the answers themselves."""
    return f"in {lacking:,} of {compared:,} comparisons no imported file holds one of the answers"


def score_of_b(battle: Battle) -> float:
    assert battle.score is not None
    return 1 - battle.score
