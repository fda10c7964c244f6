"""The leaderboard of what one bench said: ratings, ranks, win rates, and what every two contestants did to each other.

Everything is counted over arrays, all pairs at once (see `outcomes`); a figure is the one that `compare` prints.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sciexam.battles import cluster
from sciexam.models.spending import Price
from sciexam.prompts import field_of
from sciexam.report.caveats import caveats_of
from sciexam.report.evidence import Evidence
from sciexam.report.gains import gains_of
from sciexam.report.lengths import words_of
from sciexam.report.marking.marks import Marking, of_score, values_of
from sciexam.report.record import Figure
from sciexam.report.scores import NO_ORDER
from sciexam.report.standings.leaderboard import IS_BASELINE, LEVEL, NO_REWARD, Leaderboard, Meeting, Row, Standings
from sciexam.report.standings.outcomes import Codes, Floats, Outcomes
from sciexam.stats import Distribution, LengthControl, Undefined, bradley_terry, distribution, length_controlled
from sciexam.stats.clusters import codes_of
from sciexam.stats.mean import means
from sciexam.stats.ratings import Ratings, Standing
from sciexam.stats.sides import sides_of

HARMLESS = 0.05  # a null contestant whose win rate may exceed it has gamed the judge
MOST_EMPTY = 3  # texts that a null contestant has; who says more says something
UNUSED = Undefined("no prompt has a usable verdict")
UNMEASURED = Undefined("no imported file holds both answers to a prompt")
UNUSED_AGAINST = Undefined("no prompt has a usable verdict against the baseline")
ONE_WAY = Undefined("no prompt was judged in both orders")


@dataclass(frozen=True, slots=True)
class Besides:
    """What else stands in the rows: the `rewards` of one reward model, the `prices` of contestants' models, and what
    `benchmarks` of others found, by task and contestant."""

    rewards: Marking | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    benchmarks: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)


def build_leaderboard(
    evidence: Evidence,
    outcomes: Outcomes,
    baseline: str,
    null: str,
    besides: Besides | None = None,
    empty_words: Mapping[str, str] | None = None,
) -> Leaderboard:
    """The leaderboard of what one bench said.

    `null` names the contestant that answers nothing, there or not; `empty_words` says what each of its texts is.
    """
    besides = besides or Besides()
    board = _Board(evidence, outcomes, baseline, null, besides)
    everything = np.arange(len(evidence.prompts))
    controlled = board.controlled(everything)
    whole = board.standings(None, everything, controlled)
    meetings = tuple(board.meetings(controlled))
    rates = {(m.a, m.b, outcomes.name): m.win_rate for m in meetings}
    return Leaderboard(
        suite=evidence.suite,
        run=evidence.run,
        rubric=evidence.rubric,
        judge=outcomes.name,
        judge_is=outcomes.description,
        contestants=evidence.contestants,
        baseline=baseline,
        notes=evidence.notes,
        policy=evidence.policy,
        by=evidence.by,
        level=LEVEL,
        standings=(whole, *(board.standings(name, part, board.controlled(part)) for name, part in _slices(evidence))),
        invalid=outcomes.verdicts["invalid"],
        failed=outcomes.verdicts["failed"] + sum(r.reply.status == "failed" for r in evidence.responses.values()),
        calls=evidence.calls,
        meetings=meetings,
        lineage=tuple(gains_of(evidence.lineage, [outcomes.name], rates)),
        reward_model=besides.rewards.marks[0].judge if besides.rewards else None,
        benchmarks=besides.benchmarks,
        caveats=(
            *_null_caveats(board, whole, null, empty_words or {}),
            *evidence.caveats,
            *besides.caveats,
            *caveats_of(replace(evidence, contestants=tuple(n for n in evidence.contestants if n != null)), ()),
            *_missing(outcomes),
            *(f"{cycle}: no rating can show that, so look at the pairs." for cycle in whole.cycles),
        ),
    )


def _slices(evidence: Evidence) -> Iterator[tuple[str, Codes]]:
    """The places of the prompts of each category, where there are two categories or more."""
    inside: dict[str, list[int]] = {}
    for place, prompt in enumerate(evidence.prompts):
        if (name := field_of(prompt, evidence.by)) is not None:
            inside.setdefault(name, []).append(place)
    if len(inside) > 1:
        yield from ((name, np.array(places, dtype=np.intp)) for name, places in sorted(inside.items()))


class _Board:
    """What every category's standings are made of, looked up once. `part`: the places of a category's prompts.

    Contestants are numbered by their names' order, so that the order in which they are given decides nothing.
    """

    def __init__(self, evidence: Evidence, outcomes: Outcomes, baseline: str, null: str, besides: Besides):
        self._evidence, self._outcomes, self._besides = evidence, outcomes, besides
        self._baseline, self._null = baseline, null
        self._names = sorted(evidence.contestants)
        place = {name: i for i, name in enumerate(self._names)}
        self._a, self._b = (np.array([place[pair[side]] for pair in evidence.pairs], dtype=np.intp) for side in (0, 1))
        self._pair = {pair: i for i, pair in enumerate(evidence.pairs)}
        self._cluster = _coded([cluster(prompt) for prompt in evidence.prompts])
        which = {prompt.id: q for q, prompt in enumerate(evidence.prompts)}
        self._words = np.full((len(place), len(which)), np.nan)
        for (name, prompt), words in words_of(evidence).items():
            self._words[place[name], which[prompt]] = words
        self._agree = sides_of(outcomes.swapped[:, 0]) == sides_of(outcomes.swapped[:, 1])

    # ------------------------------------------------------------ standings

    def controlled(self, part: Codes) -> LengthControl:
        """What the win rates of the pairs, by their places, would be were the answers equally long."""
        pair, prompt, values = self._used(part)
        own, other = self._words[self._b[pair], prompt], self._words[self._a[pair], prompt]
        known = ~np.isnan(own + other)
        clusters = self._clusters(prompt[known])
        return length_controlled(values[known], own[known], other[known], pair[known], clusters, level=LEVEL)

    def standings(self, category: str | None, part: Codes, controlled: LengthControl) -> Standings:
        rated = self._ratings(part)
        ranked = {self._names[int(one.name)]: one for one in rated.standings} if isinstance(rated, Ratings) else {}
        why = rated if isinstance(rated, Undefined) else Undefined("it has no battle")
        rows = list(self._rows(part, ranked, why, controlled))
        if category is not None:  # whether empty words win is asked once, of all prompts
            rows = [row for row in rows if row.contestant != self._null]
        elif self._null not in self._evidence.contestants:
            rows.append(_not_judged(self._null))
        places = {name: place for place, name in enumerate(ranked)}  # as the ratings order them, the best first
        rows.sort(key=lambda row: places.get(row.contestant, len(places)))
        circles = rated.intransitivity.certain if isinstance(rated, Ratings) else ()
        cycles = (" beats ".join(self._names[int(i)] for i in (*circle, circle[0])) for circle in circles)
        return Standings(category, tuple(rows), tuple(cycles), controlled.slope)

    def _used(self, part: Codes) -> tuple[Codes, Codes, Floats]:
        """The pair, the prompt and b's score, wherever there is one."""
        scores = self._outcomes.scores[:, part]
        pair, column = np.nonzero(~np.isnan(scores))
        return pair, part[column], scores[pair, column]

    def _clusters(self, prompt: Codes) -> Codes | None:
        """The clusters of these prompts as statistics take them: None where every value is its own."""
        clusters = self._cluster[prompt]
        return clusters if np.bincount(clusters).max(initial=0) > 1 else None

    def _ratings(self, part: Codes) -> Ratings | Undefined:
        pair, prompt, values = self._used(part)
        if not len(pair):
            return UNUSED
        a, b, baseline = self._a[pair], self._b[pair], self._names.index(self._baseline)
        return bradley_terry(
            a,
            b,
            1 - values,
            self._clusters(prompt),
            baseline=baseline if baseline in a or baseline in b else None,
            # Of a probability, Davidson's model would take all but what lies beyond 1/2 for a tie.
            ties="half" if self._outcomes.weighed else "davidson",
            level=LEVEL,
            seed=self._evidence.seed,
        )

    def _rows(
        self, part: Codes, ranked: Mapping[str, Standing], why: Undefined, controlled: LengthControl
    ) -> Iterator[Row]:
        scored = ~np.isnan(self._outcomes.scores[:, part])
        met, battles = self._met(scored), self._battles(scored)
        rates, agreement = self._rates(part), self._consistency(part)
        for name in self._evidence.contestants:
            standing, i = ranked.get(name), self._names.index(name)
            against, is_baseline = self._pair.get((self._baseline, name)), name == self._baseline
            rate = UNUSED_AGAINST if against is None or rates[against] is UNUSED else rates[against]
            at_equal_length = controlled.win_rates.get(against, UNUSED if rate is UNUSED_AGAINST else UNMEASURED)
            words = self._words[i, part][met[i]]
            words = words[~np.isnan(words)]
            reward, sd = self._reward(name, part)
            yield Row(
                contestant=name,
                rank=standing.rank if standing else None,
                rank_low=standing.rank_low if standing else None,
                rank_high=standing.rank_high if standing else None,
                tie_group=standing.tie_group if standing else None,
                rating=standing.rating if standing else why,
                win_rate=IS_BASELINE if is_baseline else rate,
                length_controlled=IS_BASELINE if is_baseline else at_equal_length,
                order_consistency=agreement[i],
                words=float(words.mean()) if len(words) else None,
                prompts=int(met[i].sum()),
                battles=int(battles[i]),
                reward=reward,
                reward_sd=sd,
                usd=self._usd(i, part),
            )

    # ------------------------------------------------------------ figures of all at once

    def _met(self, scored: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether each contestant has a score on each prompt, in any of its pairs."""
        met = np.zeros((len(self._names), scored.shape[1]), dtype=np.bool_)
        for side in (self._a, self._b):
            np.logical_or.at(met, side, scored)
        return met

    def _battles(self, scored: NDArray[np.bool_]) -> Codes:
        """The scores of each contestant, over all its pairs."""
        own = scored.sum(1)
        count = np.bincount(self._a, own, len(self._names)) + np.bincount(self._b, own, len(self._names))
        return count.astype(np.intp)

    def rates_by_text(self, name: str) -> dict[str, Figure]:
        """The win rate of a contestant against the baseline with each of its texts, where it has few and says them over
        and over; all intervals hold at once (Bonferroni)."""
        which = {prompt.id: q for q, prompt in enumerate(self._evidence.prompts)}
        said: dict[str, set[int]] = {}
        for (contestant, prompt, _), response in self._evidence.responses.items():
            if contestant == name and response.reply.status == "ok":
                said.setdefault(response.text, set()).add(which[prompt])
        pair, level = self._pair.get((self._baseline, name)), 1 - (1 - LEVEL) / max(1, len(said))
        if pair is None:
            return {}
        parts = {text: np.array(sorted(places), dtype=np.intp) for text, places in said.items()}
        return {text: self._rates(part, level)[pair] for text, part in parts.items()}

    @property
    def units(self) -> str:
        """What the n of a rate counts."""
        return "prompts" if len(set(self._cluster.tolist())) == len(self._cluster) else "groups of prompts"

    def _rates(self, part: Codes, level: float = LEVEL) -> list[Figure]:
        """The win rate of b of each pair."""
        scores = self._outcomes.scores[:, part]
        clusters = _coded(self._cluster[part].tolist())
        shape = len(scores), int(clusters.max(initial=-1)) + 1
        totals, sizes = np.zeros(shape), np.zeros(shape)
        np.add.at(totals.T, clusters, np.nan_to_num(scores).T)
        np.add.at(sizes.T, clusters, ~np.isnan(scores).T)
        return [UNUSED if n == 0 else one for one, n in zip(means(totals, sizes, level), sizes.sum(1), strict=True)]

    def _consistency(self, part: Codes) -> list[Figure]:
        """How often each contestant's comparisons have the same winner both ways round, or both a tie."""
        pair, prompt = self._outcomes.swapped_at.T
        inside = np.isin(prompt, part)
        pair, prompt, agree = pair[inside], prompt[inside], self._agree[inside]
        sides = np.concatenate([self._a[pair], self._b[pair]])
        return self._shares(sides, np.tile(prompt, 2), np.tile(agree, 2), len(self._names))

    def _consistency_of_pairs(self) -> list[Figure]:
        pair, prompt = self._outcomes.swapped_at.T
        return self._shares(pair, prompt, self._agree, len(self._a))

    def _shares(self, of: Codes, prompt: Codes, agree: NDArray[np.bool_], count: int) -> list[Figure]:
        """For each of `count`, the share of its rows that agree."""
        if not self._outcomes.sees_order:
            return [Undefined(NO_ORDER)] * count
        clusters = int(self._cluster.max(initial=-1)) + 1
        cell = of * clusters + self._cluster[prompt]
        shape = count, clusters
        totals = np.bincount(cell, agree, count * clusters).astype(np.float64, copy=False).reshape(shape)
        sizes = np.bincount(cell, minlength=count * clusters).astype(np.float64).reshape(shape)
        return [ONE_WAY if n == 0 else one for one, n in zip(means(totals, sizes, LEVEL), sizes.sum(1), strict=True)]

    # ------------------------------------------------------------ pairs

    def meetings(self, controlled: LengthControl) -> Iterator[Meeting]:
        """What every two contestants who met did to each other, over all prompts."""
        scores = self._outcomes.scores
        known, sides = ~np.isnan(scores), sides_of(scores)
        counts = (sides > 0, known & (sides == 0), sides < 0, known)
        counted = zip(*(which.sum(1).tolist() for which in counts), strict=True)
        rates, agreement = self._rates(np.arange(scores.shape[1])), self._consistency_of_pairs()
        for place, ((a, b), (wins, ties, losses, used)) in enumerate(zip(self._evidence.pairs, counted, strict=True)):
            yield Meeting(
                a=a,
                b=b,
                win_rate=rates[place],
                length_controlled=controlled.win_rates.get(place, UNMEASURED if used else UNUSED),
                order_consistency=agreement[place],
                wins=wins,
                ties=ties,
                losses=losses,
                planned=scores.shape[1],
                used=used,
            )

    # ------------------------------------------------------------ rewards and costs

    @cached_property
    def _values(self) -> dict[str, Floats]:
        """The reward of each contestant on each prompt, NaN where there is none."""
        marking = self._besides.rewards
        if marking is None:
            return {}
        return {
            name: np.array([v.value for v in values_of(marking, marking.marks[0], name, of_score)], dtype=np.float64)
            for name in marking.contestants
        }

    def _reward(self, name: str, part: Codes) -> tuple[Figure, float | None]:
        """The mean reward over prompts, and the standard deviation, as `report.marking.rewards` has them."""
        values = self._values.get(name, np.empty(0))
        prompt = part[np.isfinite(values[part])] if len(values) else part[:0]
        if not len(prompt):
            return NO_REWARD, None
        found = distribution(values[prompt], self._clusters(prompt), LEVEL)
        assert isinstance(found, Distribution)
        return found.mean, None if isinstance(found.sd, Undefined) else found.sd

    @cached_property
    def _cost(self) -> Floats:
        """What an answer of each contestant to each prompt cost on average in USD, NaN where that is not known."""
        costs: dict[tuple[int, int], list[float]] = {}
        which = {prompt.id: q for q, prompt in enumerate(self._evidence.prompts)}
        for (name, prompt, _), response in self._evidence.responses.items():
            price, reply = self._besides.prices.get(name), response.reply
            cost = price.of(reply.input_tokens, reply.output_tokens) if price and reply.status == "ok" else None
            if cost is not None:
                costs.setdefault((self._names.index(name), which[prompt]), []).append(cost)
        table = np.full((len(self._names), len(which)), np.nan)
        for cell, listed in costs.items():
            table[cell] = sum(listed) / len(listed)
        return table

    def _usd(self, i: int, part: Codes) -> float | None:
        """What 1,000 answers of contestant i cost."""
        costs = self._cost[i, part]
        known = costs[~np.isnan(costs)]
        return 1000 * float(known.mean()) if len(known) else None


def _coded(labels: Sequence[Hashable]) -> Codes:
    return codes_of(labels, len(labels))


def _not_judged(name: str) -> Row:
    none = Undefined("it answers no prompt, and is not judged, as the verdicts are recorded and nobody can be asked")
    return Row(name, None, None, None, None, none, none, none, none, None, 0, 0)


def _missing(outcomes: Outcomes) -> Iterator[str]:
    asked = sum(count for status, count in outcomes.verdicts.items() if status != "skipped")
    if missing := asked - outcomes.verdicts["ok"]:
        yield f"{missing} of {asked} verdicts are invalid or failed; their prompts have no score."


def _null_caveats(board: _Board, whole: Standings, null: str, kinds: Mapping[str, str]) -> Iterator[str]:
    row = next(row for row in whole.rows if row.contestant == null)
    by_text = board.rates_by_text(null)
    if len(by_text) > MOST_EMPTY:
        yield f"{null} gave {len(by_text)} different texts: it is no null contestant, and shows nothing of empty words."
        return
    if isinstance(row.win_rate, Undefined):
        yield f"The null contestant has no win rate, so nothing shows whether empty words win: {row.win_rate.why}."
        return
    tried = [(text, rate) for text, rate in by_text.items() if not isinstance(rate, Undefined)]
    if not tried:
        yield "None of the texts of the null contestant has prompts enough for a win rate of its own."
        return
    text, best = max(tried, key=lambda one: one[1].low)
    if best.low > HARMLESS:
        yield (
            f"The null contestant scores {best} over {best.n:,} {board.units} against the baseline with "
            f"{kinds.get(text, 'one constant text')}, surely above {HARMLESS:g}: this judge can be "
            "won over without an answer, or the baseline is as empty."
        )
