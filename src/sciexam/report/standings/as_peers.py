"""A peer's own figures by the peer's own rule, and beside them the interval and the ranks that the peer lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from sciexam.battles import Battle, cluster
from sciexam.report.caveats import caveats_of
from sciexam.report.evidence import Evidence
from sciexam.report.marking.marks import Marking, of_score, sample_value
from sciexam.report.record import Figure, plain
from sciexam.report.standings.leaderboard import Leaderboard
from sciexam.report.tables import Table, methods_table, reasons
from sciexam.stats import Calibration, Estimate, Undefined, alpacaeval_length_controlled, mean
from sciexam.stats.alpacaeval import alpacaeval_row
from sciexam.stats.arena_hard import arena_hard_score
from sciexam.stats.mt_bench import mt_bench_pairs, mt_bench_score
from sciexam.types import Prompt, Verdict

SCHEMA = "sciexam/as-peer/1"
Peer = Literal["alpacaeval", "arena-hard", "mt-bench"]
PEERS: tuple[Peer, ...] = get_args(Peer)
LEAST_RATING, MOST_RATING = 1.0, 10.0

# Of the peer's figures, those that its own table is read for; all are in the JSON.
SHOWN: dict[Peer, tuple[str, ...]] = {
    "alpacaeval": ("win_rate", "standard_error", "discrete_win_rate", "length_controlled_winrate"),
    "arena-hard": ("score", "low", "high"),
    "mt-bench": ("turn_1", "turn_2", "average", "win", "loss", "tie", "win_rate_adjusted"),
}
HEADLINES: dict[Peer, tuple[str, ...]] = {
    "alpacaeval": ("length_controlled_winrate", "win_rate"),
    "arena-hard": ("score",),
    "mt-bench": ("average", "win_rate_adjusted"),
}
RULES: dict[Peer, str] = {
    "alpacaeval": (
        "AlpacaEval: win_rate = 100 mean(preference - 1) against the baseline over the prompts with a verdict, "
        "discrete_win_rate counts wins and half of the draws, standard_error takes prompts as independent."
    ),
    "arena-hard": (
        "Arena-Hard v0.1: of both games of a prompt, a verdict >> counts three times and every other one once; score "
        "is the mean for the model, of 100, and low .. high are quantiles of 100 resamples of these rows."
    ),
    "mt-bench": (
        "MT-Bench: the plain mean of single ratings, by turn and of both; a pairwise win only where both games name "
        "the model, or the one that there is, a tie otherwise; comparisons of which a game failed are left out."
    ),
}


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One contestant: the peer's figures under the peer's names, and ours by what they are an interval of.

    `n`: the prompts that are used in its figures. `why` says of a figure that the peer has and this row lacks what is
    missing. Ours are shares, or on the scale of the
    ratings; `rank_low` .. `rank_high` are the ranks that are possible at the board's level.
    """

    contestant: str
    n: int
    theirs: Mapping[str, float | int | None]
    ours: Mapping[str, Figure]
    rank_low: int | None
    rank_high: int | None
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AsPeer:
    """The board of one judge as `peer` would print it, best first, and our figures beside it."""

    peer: Peer
    rule: str
    suite: str
    run: str
    judge: str
    baseline: str
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
        return [*_tables(self)]


def build_as_peer(
    peer: Peer,
    evidence: Evidence,
    board: Leaderboard,
    ratings: Marking | None = None,
    compares: bool = True,
    calibration: Calibration | None = None,
) -> AsPeer:
    """The board as `peer` counts it, of the one bench of `evidence`.

    `ratings`, of MT-Bench, are its single ratings; `compares`: whether the bench compared answers, and did not mark
    them one by one. `calibration` is AlpacaEval's.
    """
    match peer:
        case "alpacaeval":
            rows = _alpacaeval(evidence, board, calibration)
        case "arena-hard":
            rows = _arena_hard(evidence, board)
        case "mt-bench":
            rows = _mt_bench(evidence, board, ratings, compares)
    return AsPeer(
        peer=peer,
        rule=RULES[peer],
        suite=board.suite,
        run=board.run,
        judge=board.judge,
        baseline=board.baseline,
        level=board.level,
        prompts=len(evidence.prompts),
        rows=tuple(sorted(rows, key=partial(_headline, peer), reverse=True)),
        caveats=(*evidence.caveats, *caveats_of(evidence, ())),
    )


def _headline(peer: Peer, row: PeerRow) -> tuple[float, ...]:
    """What the peer sorts by: its first figure that is known."""
    return tuple(-1.0 if (value := row.theirs.get(name)) is None else value for name in HEADLINES[peer])


def _row(
    board: Leaderboard,
    name: str,
    used: Iterable[str],
    theirs: Mapping[str, Any],
    ours: Mapping[str, Figure],
    why: Mapping[str, str],
) -> PeerRow:
    """`used`: the ids of the prompts in its figures, each once or more."""
    place = next(row for row in board.rows if row.contestant == name)
    return PeerRow(name, len(set(used)), theirs, ours, place.rank_low, place.rank_high, why)


def _against_baseline(evidence: Evidence, board: Leaderboard) -> Iterator[str]:
    """The contestants that met the baseline."""
    met = {battle.b for battle in evidence.benches[0].battles if battle.a == board.baseline}
    yield from (name for name in evidence.contestants if name in met)


def _win_rate(board: Leaderboard, name: str) -> Figure:
    return next(row.win_rate for row in board.rows if row.contestant == name)


# ---------------------------------------------------------------- AlpacaEval


def _alpacaeval(evidence: Evidence, board: Leaderboard, calibration: Calibration | None) -> Iterator[PeerRow]:
    """Each battle is a row of AlpacaEval's, also where a prompt has several samples or raters."""
    for name in _against_baseline(evidence, board):
        met = [one for one in evidence.benches[0].battles if (one.a, one.b) == (board.baseline, name)]
        fought = [one for one in met if one.score is not None]
        found = alpacaeval_row([_score_of_b(battle) for battle in fought])
        theirs: dict[str, float | int | None] = {} if isinstance(found, Undefined) else plain(found)
        controlled = _controlled(evidence, fought, calibration)
        answers = [one for one in evidence.responses.values() if one.contestant == name and one.reply.status == "ok"]
        theirs["avg_length"] = int(np.mean([len(one.text) for one in answers])) if answers else None
        theirs["length_controlled_winrate"] = 100 * controlled.value if isinstance(controlled, Estimate) else None
        why = {"length_controlled_winrate": controlled.why} if isinstance(controlled, Undefined) else {}
        ours = {"win rate": _win_rate(board, name), "length controlled": controlled}
        yield _row(board, name, (one.prompt for one in fought), theirs, ours, why)


def _controlled(evidence: Evidence, fought: Sequence[Battle], calibration: Calibration | None) -> Figure:
    if calibration is None:
        return Undefined("it needs AlpacaEval's calibration; name the file with --calibration")
    known = dict(zip(calibration.prompts, np.asarray(calibration.difficulty).tolist(), strict=True))
    difficulty = {prompt.id: known[prompt.id] for prompt in evidence.prompts}
    judged = [battle.prompt for battle in fought]
    unjudged = difficulty.keys() - set(judged)
    return alpacaeval_length_controlled(
        judged,
        [_score_of_b(battle) for battle in fought],
        [len(evidence.responses[battle.a, battle.prompt, battle.sample].text) for battle in fought],
        [len(evidence.responses[battle.b, battle.prompt, battle.sample].text) for battle in fought],
        [difficulty[prompt] for prompt in judged],
        calibration,
        unjudged={prompt: difficulty[prompt] for prompt in sorted(unjudged)},
    )


def _score_of_b(battle: Battle) -> float:
    assert battle.score is not None
    return 1 - battle.score


# ---------------------------------------------------------------- Arena-Hard


def _arena_hard(evidence: Evidence, board: Leaderboard) -> Iterator[PeerRow]:
    for name in _against_baseline(evidence, board):
        said = [
            verdict
            for _, verdict in evidence.benches[0].verdicts
            if verdict.status == "ok" and {verdict.first, verdict.second} == {board.baseline, name}
        ]
        strong = [verdict.strength == "strong" for verdict in said]
        found = arena_hard_score([_score_of(verdict, name) for verdict in said], strong, evidence.seed)
        theirs = {} if isinstance(found, Undefined) else plain(found)
        why = {"score": found.why} if isinstance(found, Undefined) else {}
        used = (verdict.prompt for verdict in said)
        yield _row(board, name, used, theirs, {"win rate": _win_rate(board, name)}, why)


def _score_of(verdict: Verdict, name: str) -> float:
    second = verdict.probability_second
    if second is None:
        second = {"first": 0.0, "tie": 0.5, "second": 1.0}[verdict.preferred or "tie"]
    return second if verdict.second == name else 1 - second


# ---------------------------------------------------------------- MT-Bench


def _mt_bench(evidence: Evidence, board: Leaderboard, ratings: Marking | None, compares: bool) -> Iterator[PeerRow]:
    baseline_alone = all(a == board.baseline for a, _ in evidence.pairs) and len(evidence.pairs) > 1
    for name in evidence.contestants:
        given = _ratings(ratings, name)
        by_turn = sorted({_turn(prompt) for prompt, _ in given})
        turns = {turn: [value for prompt, value in given if _turn(prompt) == turn] for turn in by_turn}
        means = {f"turn_{turn}": mt_bench_score(values) for turn, values in turns.items()}
        means |= {"average": mt_bench_score([value for _, value in given])}
        fought = _fought(evidence, name) if compares else []
        pairs = mt_bench_pairs([_score_for(battle, name) for battle in fought])
        left_out = baseline_alone and name == board.baseline  # MT-Bench has no pairwise row of its baseline
        theirs = {key: value for key, value in means.items() if not isinstance(value, Undefined)}
        theirs |= {} if left_out or isinstance(pairs, Undefined) else plain(pairs)
        why = {key: value.why for key, value in means.items() if isinstance(value, Undefined)}
        why |= {"win_rate_adjusted": pairs.why} if isinstance(pairs, Undefined) else {}
        if theirs:
            ours = {"average": _mean_rating(given), "win rate against the baseline": _win_rate(board, name)}
            used = [prompt.id for prompt, _ in given] + [battle.prompt for battle in ([] if left_out else fought)]
            yield _row(board, name, used, theirs, ours if compares else {"average": ours["average"]}, why)


def _ratings(ratings: Marking | None, name: str) -> list[tuple[Prompt, float]]:
    """Each prompt that has a rating, and the rating."""
    if ratings is None:
        return []
    grades = ratings.marks[0].grades
    found = [
        (prompt, sample_value(grades.get((name, prompt.id, sample), ()), of_score))
        for prompt in ratings.prompts
        for sample in range(ratings.samples)
    ]
    return [(prompt, value) for prompt, value in found if value is not None]


def _turn(prompt: Prompt) -> int:
    """A prompt without a number as its `turn` is of the first."""
    turn = prompt.metadata.get("turn")
    return turn if isinstance(turn, int) else 1


def _fought(evidence: Evidence, name: str) -> list[Battle]:
    return [one for one in evidence.benches[0].battles if name in (one.a, one.b) and one.score is not None]


def _score_for(battle: Battle, name: str) -> float:
    return float(battle.score or 0.0) if battle.a == name else _score_of_b(battle)


def _mean_rating(given: Sequence[tuple[Prompt, float]]) -> Figure:
    values = [value for _, value in given]
    inside = all(LEAST_RATING <= value <= MOST_RATING for value in values)
    bounds = {"low": LEAST_RATING, "high": MOST_RATING} if inside else {}
    return mean(values, [cluster(prompt) for prompt, _ in given], **bounds)


# ---------------------------------------------------------------- in words


def _tables(found: AsPeer) -> Iterator[Table]:
    theirs = [name for name in SHOWN[found.peer] if any(row.theirs.get(name) is not None for row in found.rows)]
    given = dict.fromkeys(name for row in found.rows for name in row.ours)
    ours = [name for name in given if any(isinstance(row.ours[name], Estimate) for row in found.rows)]
    percent = found.peer != "mt-bench"
    shown: Callable[[Figure], str] = _of_100 if percent else str
    rows = [
        (
            row.contestant,
            f"{row.n} of {found.prompts}",
            *(_number(row.theirs.get(name)) for name in theirs),
            *("n/a" if isinstance(figure := row.ours[name], Undefined) else shown(figure) for name in ours),
            "n/a" if row.rank_low is None else f"{row.rank_low}-{row.rank_high}",
        )
        for row in found.rows
    ]
    level = f"{100 * found.level:g} %"
    notes = (
        found.rule,
        f"With an interval: sciexam's own at {level}, by prompt{', of 100' if percent else ''}. "
        "n: the prompts used, of those there are. rank: the ranks that are possible.",
        *reasons({name: [row.ours[name] for row in found.rows] for name in given if name not in ours}),
        *sorted({f"n/a for {name}: {why}." for row in found.rows for name, why in row.why.items() if name in theirs}),
    )
    head = (
        "contestant",
        "n",
        *(name.replace("_", " ") for name in theirs),
        *(f"sciexam: {name}" for name in ours),
        "rank",
    )
    yield Table(f"As {found.peer} counts {found.suite}, by {found.judge} against {found.baseline}", head, rows, notes)
    yield methods_table((figure for row in found.rows for figure in row.ours.values()), found.level)


def _number(value: float | int | None) -> str:
    return "n/a" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _of_100(figure: Figure) -> str:
    assert isinstance(figure, Estimate)
    return f"{100 * figure.value:z.1f} [{100 * figure.low:z.1f}, {100 * figure.high:z.1f}]"
