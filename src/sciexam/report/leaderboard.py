"""The standings of contestants by one judge: ratings, rank ranges, and the win rate of each against the baseline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sciexam.battles import ROUNDING
from sciexam.report.build import field_of
from sciexam.report.caveats import caveats_of
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.gains import Gain, gains_of
from sciexam.report.lengths import control_lengths, words_of
from sciexam.report.record import Calls, Figure, plain
from sciexam.report.scores import Score, consistency_of, distinct, scores_of, used_of, values_of
from sciexam.report.tables import Table, methods_table, to_csv
from sciexam.stats import (
    Estimate,
    Undefined,
    bradley_terry,
    win_rate,
)
from sciexam.stats.ratings import Ratings, Standing

SCHEMA = "sciexam/leaderboard/1"
LEVEL = 0.95
IS_BASELINE = Undefined("it is the baseline")
NO_REWARD = Undefined("no reward of it is in the ledger")
HARMLESS = 0.05  # a null contestant whose win rate may exceed it has gamed the judge
By = Mapping[tuple[str, str], Sequence[Score]]


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant. `win_rate` and `length_controlled` are its own against the baseline, ties half.

    `rank_low` .. `rank_high` are the ranks it may have at the board's level; contestants of one `tie_group` are not
    told apart. `words` is the mean length of its answers, `prompts` counts those with a score in any of its pairs.
    `reward` is the mean of the board's reward model over prompts, with the standard deviation `reward_sd`. `usd` is
    what 1,000 of its answers cost, None where its model has no price.
    """

    contestant: str
    rank: int | None
    rank_low: int | None
    rank_high: int | None
    tie_group: int | None
    rating: Figure
    win_rate: Figure
    length_controlled: Figure
    order_consistency: Figure
    words: float | None
    prompts: int
    battles: int
    reward: Figure = NO_REWARD
    reward_sd: float | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class Meeting:
    """Contestant b against contestant a over all prompts. `win_rate` and `length_controlled` are b's.

    Counts are prompts: `wins`, `ties` and `losses` are b's; `planned` less `used` have no score.
    """

    a: str
    b: str
    win_rate: Figure
    length_controlled: Figure
    order_consistency: Figure
    wins: int
    ties: int
    losses: int
    planned: int
    used: int


@dataclass(frozen=True, slots=True)
class Standings:
    """The rows over all prompts (`category` is None), or over one category, best first."""

    category: str | None
    rows: tuple[Row, ...]
    cycles: tuple[str, ...]  # a beats b beats c beats a, which no rating can show
    slope: Figure  # log-odds of winning with all of the two answers' words against none


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The standings by one judge over one version of a suite and one rubric, overall and by category."""

    suite: str
    run: str
    rubric: str
    judge: str
    judge_is: str
    contestants: tuple[str, ...]
    baseline: str
    notes: Mapping[str, str]
    policy: str
    by: str
    level: float
    standings: tuple[Standings, ...]
    invalid: int  # verdicts; `failed` counts answers too
    failed: int
    calls: Calls
    caveats: tuple[str, ...]
    meetings: tuple[Meeting, ...] = ()
    lineage: tuple[Gain, ...] = ()
    reward_model: str | None = None  # whose rewards stand in the rows
    schema: str = SCHEMA

    @property
    def title(self) -> str:
        return f"Leaderboard of {self.suite} by {self.judge}"

    @property
    def incomplete(self) -> bool:
        """Whether a call failed, or was not made for the budget, or no verdict is usable."""
        return bool(self.calls.unasked) or self.failed > 0 or not any(row.battles for row in self.rows)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows over all prompts."""
        return self.standings[0].rows

    def to_json(self) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, no infinity."""
        made: dict[str, Any] = plain(self)
        return made

    def to_csv(self) -> str:
        """One row a contestant and category ("" is all prompts), with every digit."""
        figures = ("rating", "win_rate", "length_controlled", "order_consistency")
        counts = ("words", "prompts", "battles")
        ranks = ("rank", "rank_low", "rank_high", "tie_group")
        head = ["category", "contestant", *ranks]
        head += [name + end for name in figures for end in ("", "_low", "_high")] + [*counts]
        rows = []
        for one in self.standings:
            for row in one.rows:
                cells: list[object] = [one.category or "", row.contestant, *(getattr(row, name) for name in ranks)]
                for name in figures:
                    figure = getattr(row, name)
                    known = isinstance(figure, Estimate)
                    cells += [figure.value, figure.low, figure.high] if known else [None, None, None]
                rows.append([*cells, *(getattr(row, name) for name in counts)])
        return to_csv(head, rows)

    def tables(self) -> list[Table]:
        """What the console and Markdown print."""
        return [*_tables(self)]


def build_leaderboard(evidence: Evidence, baseline: str, null: str) -> Leaderboard:
    """The leaderboard of what one bench judged. `null` names the constant contestant, there or not."""
    (bench,) = evidence.benches
    scores = scores_of(evidence, bench)
    board = _Board(evidence, bench, baseline, null)
    standings = [board.standings(None, scores), *(board.standings(*one) for one in _slices(evidence, scores))]
    return Leaderboard(
        suite=evidence.suite,
        run=evidence.run,
        rubric=evidence.rubric,
        judge=bench.name,
        judge_is=bench.description,
        contestants=evidence.contestants,
        baseline=baseline,
        notes=evidence.notes,
        policy=evidence.policy,
        by=evidence.by,
        level=LEVEL,
        standings=tuple(standings),
        invalid=sum(verdict.status == "invalid" for _, verdict in bench.verdicts),
        failed=_failed(evidence, bench),
        calls=evidence.calls,
        meetings=(meetings := tuple(board.meetings(scores))),
        lineage=tuple(gains_of(evidence.lineage, [bench.name], {(m.a, m.b, bench.name): m.win_rate for m in meetings})),
        caveats=(
            *_null_caveats(evidence, standings[0], null),
            *evidence.caveats,
            *caveats_of(evidence, ()),
            *_missing(bench),
            *(f"{cycle}: no rating can show that, so look at the pairs." for cycle in standings[0].cycles),
        ),
    )


def _slices(evidence: Evidence, scores: By) -> Iterator[tuple[str, By]]:
    """The scores of each category, where there are two or more."""
    inside: dict[str, dict[tuple[str, str], list[Score]]] = defaultdict(lambda: {pair: [] for pair in scores})
    for pair, listed in scores.items():
        for s in listed:
            if (name := field_of(s.prompt, evidence.by)) is not None:
                inside[name][pair].append(s)
    if len(inside) > 1:
        yield from sorted(inside.items())


class _Board:
    """What every category's standings are made of, looked up once."""

    def __init__(self, evidence: Evidence, bench: Bench, baseline: str, null: str):
        self._evidence, self._bench, self._baseline, self._null = evidence, bench, baseline, null
        self._words = words_of(evidence)

    def standings(self, category: str | None, scores: By) -> Standings:
        used = {pair: used_of(listed) for pair, listed in scores.items()}
        rated = self._ratings(used)
        controlled = control_lengths(used, self._words, LEVEL)
        ranked = {one.name: one for one in rated.standings} if isinstance(rated, Ratings) else {}
        why = rated if isinstance(rated, Undefined) else Undefined("it has no battle")
        rows = [
            self._row(name, ranked.get(name), why, controlled.win_rates, used) for name in self._evidence.contestants
        ]
        if self._null not in self._evidence.contestants:
            rows.append(_not_judged(self._null))
        places = {name: place for place, name in enumerate(ranked)}  # as the ratings order them, the best first
        rows.sort(key=lambda row: places.get(row.contestant, len(places)))
        cycles = rated.intransitivity.certain if isinstance(rated, Ratings) else ()
        return Standings(
            category, tuple(rows), tuple(" beats ".join(map(str, (*c, c[0]))) for c in cycles), controlled.slope
        )

    def meetings(self, scores: By) -> Iterator[Meeting]:
        """What every two contestants who met did to each other."""
        used = {pair: used_of(listed) for pair, listed in scores.items()}
        controlled = control_lengths(used, self._words, LEVEL).win_rates
        for (a, b), own in used.items():
            values = values_of(own)
            yield Meeting(
                a=a,
                b=b,
                win_rate=_rate(own),
                length_controlled=controlled.get((a, b), Undefined("no prompt has a usable verdict")),
                order_consistency=consistency_of(self._bench, own, LEVEL),
                wins=sum(value > 0.5 + ROUNDING for value in values),
                ties=sum(abs(value - 0.5) <= ROUNDING for value in values),
                losses=sum(value < 0.5 - ROUNDING for value in values),
                planned=len(scores[a, b]),
                used=len(own),
            )

    def _ratings(self, used: By) -> Ratings | Undefined:
        rows = [(a, b, 1 - value, s.cluster) for (a, b), listed in used.items() for s, value in _valued(listed)]
        if not rows:
            return Undefined("no prompt has a usable verdict")
        first, second, values, clusters = zip(*rows, strict=True)
        return bradley_terry(
            first,
            second,
            values,
            distinct(clusters),
            baseline=self._baseline,
            level=LEVEL,
            seed=self._evidence.seed,
        )

    def _row(
        self,
        name: str,
        standing: Standing | None,
        why: Undefined,
        controlled: Mapping[Any, Figure],
        used: By,
    ) -> Row:
        mine = [s for pair, listed in used.items() if name in pair for s in listed]
        against = self._baseline, name
        own = used.get(against, ())
        met = {s.prompt.id for s in mine}
        lengths = [words for (who, prompt), words in self._words.items() if who == name and prompt in met]
        return Row(
            contestant=name,
            rank=standing.rank if standing else None,
            rank_low=standing.rank_low if standing else None,
            rank_high=standing.rank_high if standing else None,
            tie_group=standing.tie_group if standing else None,
            rating=standing.rating if standing else why,
            win_rate=IS_BASELINE if name == self._baseline else _rate(own),
            length_controlled=IS_BASELINE
            if name == self._baseline
            else controlled.get(against, Undefined("no prompt has a usable verdict")),
            order_consistency=consistency_of(self._bench, mine, LEVEL),
            words=sum(lengths) / len(lengths) if lengths else None,
            prompts=len(met),
            battles=len(mine),
        )


def _failed(evidence: Evidence, bench: Bench) -> int:
    answers = sum(response.reply.status == "failed" for response in evidence.responses.values())
    return answers + sum(verdict.status == "failed" for _, verdict in bench.verdicts)


def _valued(used: Sequence[Score]) -> Iterator[tuple[Score, float]]:
    return ((s, s.score) for s in used if s.score is not None)


def _rate(used: Sequence[Score]) -> Figure:
    if not used:
        return Undefined("no prompt has a usable verdict against the baseline")
    return win_rate(values_of(used), distinct(s.cluster for s in used), LEVEL)


def _not_judged(name: str) -> Row:
    none = Undefined("not judged: the verdicts are recorded, and nobody can be asked")
    return Row(name, None, None, None, None, none, none, none, none, None, 0, 0)


def _missing(bench: Bench) -> Iterator[str]:
    statuses = [verdict.status for _, verdict in bench.verdicts if verdict.status != "skipped"]
    if missing := sum(status != "ok" for status in statuses):
        yield f"{missing} of {len(statuses)} verdicts are invalid or failed; their prompts have no score."


def _null_caveats(evidence: Evidence, whole: Standings, null: str) -> Iterator[str]:
    texts = {r.text for (name, _, _), r in evidence.responses.items() if name == null and r.reply.status == "ok"}
    if len(texts) > 1:
        yield f"{null} gave {len(texts)} different texts: it is no null contestant, and shows nothing of empty words."
        return
    for row in whole.rows:
        if row.contestant != null:
            continue
        if isinstance(row.win_rate, Undefined):
            yield f"The null contestant has no win rate, so nothing shows whether empty words win: {row.win_rate.why}."
        elif row.win_rate.low > HARMLESS:
            yield (
                f"One constant text for every prompt scores {row.win_rate} against the baseline, surely above "
                f"{HARMLESS:g}: this judge can be won over without an answer, or the baseline is as empty."
            )


# ---------------------------------------------------------------- in words


def _tables(board: Leaderboard) -> Iterator[Table]:
    whole, *sliced = board.standings
    head = ("rank", "contestant", "rating", "win rate", "at equal length", "orders agree", "words", "n")
    yield Table(board.title, head, [_cells(row) for row in whole.rows], tuple(_reading(board, whole)))
    if sliced:
        rows = [
            (
                one.category or "",
                row.contestant,
                _rank(row),
                _points(row.rating),
                _short(row.win_rate),
                str(row.prompts),
            )
            for one in sliced
            for row in one.rows
        ]
        why = {
            figure.why: None
            for one in sliced
            for row in one.rows
            for figure in (row.rating, row.win_rate)
            if isinstance(figure, Undefined) and figure != IS_BASELINE
        }
        columns = (board.by, "contestant", "rank", "rating", "win rate", "n")
        yield Table(f"By {board.by}", columns, rows, tuple(f"n/a: {reason}." for reason in why))
    shown = [row for one in board.standings for row in one.rows]
    figures = [(row.rating, row.win_rate, row.length_controlled, row.order_consistency) for row in shown]
    yield methods_table((figure for listed in figures for figure in listed), board.level)


def _cells(row: Row) -> tuple[str, ...]:
    rates = (row.win_rate, row.length_controlled, row.order_consistency)
    words = "n/a" if row.words is None else f"{row.words:.0f}"
    return (_rank(row), row.contestant, _points(row.rating), *map(_short, rates), words, str(row.prompts))


def _rank(row: Row) -> str:
    if row.rank_low is None:
        return "n/a"
    return str(row.rank_low) if row.rank_low == row.rank_high else f"{row.rank_low}-{row.rank_high}"


def _points(rating: Figure) -> str:
    if isinstance(rating, Undefined):
        return "n/a"
    interval = "" if rating.low == rating.high else f" [{rating.low:.0f}, {rating.high:.0f}]"
    return f"{rating.value:.0f}{interval}"


def _short(figure: Figure) -> str:
    return str(figure) if isinstance(figure, Estimate) else "n/a"


def _reading(board: Leaderboard, whole: Standings) -> Iterator[str]:
    rated = {row.contestant for row in whole.rows if isinstance(row.rating, Estimate)}
    anchor = board.baseline if board.baseline in rated else "the mean of the rated"
    points = f" Rating: {anchor} stands at 1000, and 400 points more are ten wins for one loss." if rated else ""
    level = f"{100 * board.level:g} %"
    yield f"Ranks that are possible at {level}.{points} Win rates are against {board.baseline}, ties half."
    reasons: dict[str, list[str]] = {}
    for row in whole.rows:
        for figure in (row.rating, row.win_rate, row.length_controlled, row.order_consistency):
            if isinstance(figure, Undefined) and figure != IS_BASELINE:
                names = reasons.setdefault(figure.why, [])
                if row.contestant not in names:
                    names.append(row.contestant)
    for why, names in reasons.items():
        who = "all" if len(names) == len(whole.rows) > 1 else ", ".join(names)
        yield f"n/a for {who}: {why}."
