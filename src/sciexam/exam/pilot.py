"""A pilot: what the ledger knows of these contestants by these judges, read without a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sciexam.battles import cluster, name_of, pair, resolve
from sciexam.errors import UsageError
from sciexam.exam.facts import read_facts
from sciexam.exam.plan import Plan
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.outlook import Orders
from sciexam.report.record import Calls
from sciexam.stats.estimate import Undefined
from sciexam.stats.variance import VarianceComponents, pooled, variance_components
from sciexam.store import Store
from sciexam.types import Comparison, Judge, Reply

FEW_SHARED = 10  # prompts judged by people and judge below which no correlation is given

Named = tuple[str, str, str, int]  # a, b, the prompt's id, the sample: see battles.name_of


@dataclass(frozen=True, slots=True)
class Marker:
    """One who marks, as a plan sees it. `orders` is "own" where there is no choice: text measures, recorded, humans."""

    name: str
    sees_order: bool
    orders: Orders
    repeats: int
    model: str | None
    spec: str | Judge | None


@dataclass(frozen=True, slots=True)
class Pilot:
    """The facts of a plan as they are now; `said` holds each judge's replies."""

    evidence: Evidence
    said: Mapping[str, Sequence[Reply]]
    comparisons: Mapping[Named, Comparison]

    def bench(self, name: str) -> Bench | None:
        return next((bench for bench in self.evidence.benches if bench.name == name), None)

    def components(self, name: str) -> VarianceComponents | Undefined:
        """The components between equal contestants by one judge, the mean over the pairs; or why there are none."""
        bench = self.bench(name)
        if bench is None or all(verdict.status != "ok" for _, verdict in bench.verdicts):
            return Undefined("the ledger has no usable verdict of it on these contestants")
        found = [self._components(bench, a, b) for a, b in self.evidence.pairs]
        known = [one.at_one_half() for one in found if isinstance(one, VarianceComponents)]
        return pooled(known) if known else next(one for one in found if isinstance(one, Undefined))

    def _components(self, bench: Bench, a: str, b: str) -> VarianceComponents | Undefined:
        rows: list[tuple[float, str, str, int, str, str]] = []
        for shown, verdict in bench.verdicts:
            comparison = self.comparisons.get((a, b, verdict.prompt, shown.sample))
            if comparison is None or verdict.status != "ok" or {verdict.first, verdict.second} != {a, b}:
                continue
            score = resolve(comparison, [(shown, verdict)], verdict.rater, "mean").score
            order = shown.order if bench.sees_order else ""
            if score is not None:
                rows.append((score, verdict.prompt, order, shown.sample, verdict.rater, cluster(comparison.prompt)))
        if not rows:
            return Undefined("no pair has a usable verdict")
        scores, prompts, orders, samples, raters, clusters = zip(*rows, strict=True)
        grouped = clusters if len(set(clusters)) < len(set(prompts)) else None
        return variance_components(scores, prompts, orders, samples, raters, grouped)

    def stored(self, name: str) -> dict[Orders, int]:
        """Verdicts that would be reused: all of them in both orders, one of each comparison's orders in one."""
        bench = self.bench(name)
        usable = [] if bench is None else [shown for shown, verdict in bench.verdicts if verdict.status == "ok"]
        each = {(p.prompt.id, p.sample, p.repeat, frozenset((p.first_by, p.second_by))) for p in usable}
        return {"both": len(usable), "one": len(each), "own": len(usable)}

    def correlation(self, judge: str, people: str) -> float | Undefined:
        """Pearson's correlation of the judge's prompt scores with the people's, over prompts and pairs."""
        mine, theirs = self._prompt_scores(judge), self._prompt_scores(people)
        shared = sorted(mine.keys() & theirs.keys())
        if len(shared) < FEW_SHARED:
            return Undefined(f"people and {judge} have judged {len(shared)} prompts in common")
        import numpy as np

        x, y = np.array([mine[key] for key in shared]), np.array([theirs[key] for key in shared])
        if np.ptp(x) == 0 or np.ptp(y) == 0:
            return Undefined("one of the two gave every prompt the same score")
        return float(np.corrcoef(x, y)[0, 1])

    def _prompt_scores(self, name: str) -> dict[tuple[str, str, str], float]:
        bench = self.bench(name)
        found: dict[tuple[str, str, str], list[float]] = {}
        for battle in bench.battles if bench else ():
            if battle.score is not None:
                found.setdefault((battle.a, battle.b, battle.prompt), []).append(battle.score)
        return {key: sum(scores) / len(scores) for key, scores in found.items()}


def read_pilot(plan: Plan, location: str) -> Pilot | None:
    """The pilot in the ledger at `location`, which must exist; None where nobody has answered, or judged."""
    with Store(location) as store:
        try:
            evidence = read_facts(plan, store, Calls(), {})
        except UsageError:
            return None
        called = {rater.bench for rater in plan.raters if rater.model is not None}
        said = {
            bench.name: list(store.replies({shown.key: None for shown, _ in bench.verdicts}).values())
            for bench in evidence.benches
            if bench.name in called
        }
    comparisons = pair(plan.prompts, plan.pairs, plan.samples, evidence.responses)
    return Pilot(evidence, said, {name_of(one): one for one in comparisons})


def ledger_file(location: str) -> Path | None:
    """The file of a ledger that is there, for a plan does not make one. Other URLs are the store's to refuse."""
    path = Path(location.removeprefix("sqlite:///"))
    refused = "://" in location and not location.startswith("sqlite:///")
    return path if refused or path.is_file() else None
