"""A pilot: what the ledger knows of these contestants by these judges, read without a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sciexam.battles import Slot, cluster, name_of, pair, resolve
from sciexam.exam.answers import responses_of
from sciexam.exam.benches import bench_of
from sciexam.exam.cost import PAID, AtHand
from sciexam.exam.plan import Plan, conversations_of
from sciexam.exam.recordings import recording_of
from sciexam.exam.references import with_references
from sciexam.report.evidence import Bench
from sciexam.report.planning.costs import Orders
from sciexam.report.record import Figure
from sciexam.report.scores import distinct
from sciexam.stats.estimate import Undefined
from sciexam.stats.variance import VarianceComponents, pooled, variance_components
from sciexam.store import Store, is_there
from sciexam.types import Comparison, Response

FEW_SHARED = 10  # prompts judged by people and judge below which no correlation is given

Row = tuple[float, str, str, int, str, str]  # score of a, prompt, order, sample, rater, cluster


@dataclass(frozen=True, slots=True)
class Pilot(AtHand):
    """The facts of a plan as they are now. `said` holds each judge's replies, `clusters` that of each prompt."""

    pairs: Sequence[tuple[str, str]]
    benches: Mapping[str, Bench]
    clusters: Mapping[str, str]

    def components(self, name: str) -> VarianceComponents | Undefined:
        """The components between equal contestants by one judge, the mean over the pairs; or why there are none."""
        rows = self._rows(name)
        if not any(rows.values()):
            return Undefined("the ledger has no usable verdict of it on these contestants")
        found = [_components(listed) for listed in rows.values() if listed]
        known = [one.at_one_half() for one in found if isinstance(one, VarianceComponents)]
        return pooled(known) if known else next(one for one in found if isinstance(one, Undefined))

    def _rows(self, name: str) -> dict[tuple[str, str], list[Row]]:
        """Every usable verdict of a bench as a score of its own, by pair."""
        rows: dict[tuple[str, str], list[Row]] = {one: [] for one in self.pairs}
        bench = self.benches.get(name)
        for shown, verdict in bench.verdicts if bench else ():
            comparison = self._comparison(verdict.first, verdict.second, verdict.prompt, shown.sample)
            if bench is None or comparison is None or verdict.status != "ok":
                continue
            score = resolve(comparison, [(shown, verdict)], verdict.rater, "mean").score
            if score is not None:
                order = shown.order if bench.sees_order else ""
                about = (verdict.prompt, order, shown.sample, verdict.rater, self.clusters[verdict.prompt])
                rows[comparison.a.contestant, comparison.b.contestant].append((score, *about))
        return rows

    def _comparison(self, first: str, second: str, prompt: str, sample: int) -> Comparison | None:
        here = self.comparisons.get((first, second, prompt, sample))
        return here or self.comparisons.get((second, first, prompt, sample))

    def stored(self, name: str) -> dict[Orders, int]:
        """Verdicts that are not asked for again: all of them in both orders, one of each comparison's orders in one.

        An unusable one is paid for too, and is asked for again only by `--retry-invalid`.
        """
        bench = self.benches.get(name)
        paid = [] if bench is None else [shown for shown, verdict in bench.asked if verdict.status in PAID]
        each = {(p.prompt.id, p.sample, p.repeat, frozenset((p.first_by, p.second_by))) for p in paid}
        return {"both": len(paid), "one": len(each), "own": len(paid)}

    def correlation(self, judge: str, people: str) -> float | Undefined:
        """Pearson's correlation of the judge's prompt scores with the people's, over prompts, within pairs.

        Each pair's means are taken off first: that some pairs lie farther apart than others, which judge and people
        both see, does not help to tell the win rate of any one of them.
        """
        import numpy as np

        mine, theirs = self._prompt_scores(judge), self._prompt_scores(people)
        shared = sorted(mine.keys() & theirs.keys())
        if len(shared) < FEW_SHARED:
            return Undefined(f"people and {judge} have judged {len(shared)} prompts in common")
        pairs = np.unique([f"{a}\0{b}" for a, b, _ in shared], return_inverse=True)[1]
        both = np.array([[scores[key] for key in shared] for scores in (mine, theirs)])
        x, y = (row - (np.bincount(pairs, row) / np.bincount(pairs))[pairs] for row in both)
        if np.ptp(x) < 1e-12 or np.ptp(y) < 1e-12:
            return Undefined("one of the two gave every prompt the same score")
        return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1, 1))

    def judged(self, name: str) -> int:
        """The prompts that have a score by a judge, or by people."""
        return len({prompt for _, _, prompt in self._prompt_scores(name)})

    def position_bias(self, name: str) -> Figure:
        """How far a judge favours the answer shown first, over what it has judged in both orders."""
        from sciexam.stats.bias import position_bias

        bench = self.benches.get(name)
        firsts: dict[str, list[float]] = {}
        for one in bench.battles if bench else ():
            if one.first is not None and len(one.by_order) == 2 and not one.of_one_text:
                firsts.setdefault(one.prompt, []).append(one.first)
        if not firsts:
            return Undefined("no prompt was judged in both orders")
        means = [sum(found) / len(found) for found in firsts.values()]
        return position_bias(means, distinct(self.clusters[prompt] for prompt in firsts))

    def _prompt_scores(self, name: str) -> dict[tuple[str, str, str], float]:
        bench = self.benches.get(name)
        found: dict[tuple[str, str, str], list[float]] = {}
        for battle in bench.settled if bench else ():
            if battle.score is not None:
                found.setdefault((battle.a, battle.b, battle.prompt), []).append(battle.score)
        return {key: sum(scores) / len(scores) for key, scores in found.items()}


def read_pilot(plan: Plan, location: str) -> Pilot | None:
    """The pilot in the ledger at `location`; None where there is no ledger, for a plan does not make one."""
    if not is_there(location):
        return None
    with Store(location) as store:
        plan = with_references(plan, store)
        responses = _responses(plan, store)
        compared = list(pair(plan.prompts, plan.pairs, plan.samples, responses))
        benches = [bench_of(plan, name, store, compared, {}) for name in plan.benches]
        called = {rater.bench for rater in plan.raters if rater.model is not None}
        said = {
            bench.name: list(store.replies({shown.key: None for shown, _ in bench.verdicts}).values())
            for bench in benches
            if bench.name in called
        }
    comparisons = {name_of(one): one for one in compared}
    clusters = {prompt.id: cluster(prompt) for prompt in plan.prompts}
    by_name = {bench.name: bench for bench in benches}
    return Pilot(responses, said, comparisons, plan.pairs, by_name, clusters)


def _components(rows: Sequence[Row]) -> VarianceComponents | Undefined:
    scores, prompts, orders, samples, raters, clusters = zip(*rows, strict=True)
    grouped = clusters if len(set(clusters)) < len(set(prompts)) else None
    return variance_components(scores, prompts, orders, samples, raters, grouped)


def _responses(plan: Plan, store: Store) -> dict[Slot, Response]:
    """What every contestant answered: as the files of answers have it, which may have grown, and else the ledger."""
    responses = responses_of(plan, store)
    for name in plan.contestants:
        if recording := recording_of(plan.suite, name):
            asked = dict(conversations_of(plan, name))
            replies = recording.generate(asked.values())
            responses |= {slot: Response(*slot, reply) for slot, reply in zip(asked, replies, strict=True)}
    return responses
