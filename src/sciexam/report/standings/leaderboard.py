"""The standings of contestants by one judge: ratings, rank ranges, and the win rate of each against the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sciexam.report.calls import Calls
from sciexam.report.gains import Gain
from sciexam.report.record import Figure, Step, plain
from sciexam.report.tables import Table, to_csv
from sciexam.stats import Estimate, Undefined

SCHEMA = "sciexam/leaderboard/1"
LEVEL = 0.95
IS_BASELINE = Undefined("it is the baseline")
NO_REWARD = Undefined("no reward of it is in the ledger")


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
    # Of benchmarks of others the mean over items, by task with its metric, and by contestant.
    benchmarks: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    next_steps: tuple[Step, ...] = ()
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

    @property
    def benchmarked(self) -> frozenset[str]:
        """The contestants of which a benchmark has a figure."""
        return frozenset(name for of in self.benchmarks.values() for name in of)

    @property
    def rated(self) -> bool:
        """Whether anybody has a rating over all prompts."""
        return any(isinstance(row.rating, Estimate) for row in self.rows)

    @property
    def anchor(self) -> str:
        """Who stands at 1000 points over all prompts: the baseline; where it has no rating, the mean of the rated."""
        rated = any(row.contestant == self.baseline and isinstance(row.rating, Estimate) for row in self.rows)
        return self.baseline if rated else f"the mean of the rated ({self.baseline}, the baseline, has no rating)"

    def to_json(self) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, no infinity."""
        made: dict[str, Any] = plain(self)
        return made

    def to_csv(self) -> str:
        """One row a contestant and category ("" is all prompts), with every digit."""
        figures = ("rating", "win_rate", "length_controlled", "order_consistency", "reward")
        counts = ("reward_sd", "words", "prompts", "battles", "usd")
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
        from sciexam.report.standings.leaderboard_text import tables_of

        return tables_of(self)
