"""Planning ahead: what a comparison could find, and what it would cost, before anything is asked or paid."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sciexam.errors import DocumentError, UsageError
from sciexam.exam.cost import Party, cost_of, is_recorded, parties_of
from sciexam.exam.pilot import Marker, Pilot, ledger_file, read_pilot
from sciexam.exam.plan import Plan, baseline_first, make_plan
from sciexam.judges import settings_of
from sciexam.judges.settings import EndpointJudge, RecordedJudge, ScriptedJudge
from sciexam.models.recorded import RecordedModel
from sciexam.report.outlook import Budget, Design, Effect, Ground, Joint, Labels, Orders, Outlook
from sciexam.stats.estimate import Undefined
from sciexam.stats.power import detectable_win_rate, prompts_needed, with_labels
from sciexam.stats.variance import VarianceComponents, forced_choice_components
from sciexam.suite import HUMANS, Suite, load_suite
from sciexam.types import Judge

SIZES = (25, 50, 100, 200, 500, 1000, 2000)
LEVEL = 0.95
TIES, CONSISTENCY = 0.1, 0.8  # assumed of a judge without a pilot
CORRELATIONS = (0.3, 0.5, 0.7)  # of a judge with people, where none was measured
SAMPLES = (1, 2, 4)  # that a budget is weighed over
FEW_PROMPTS = 30
PILOT_PROMPTS = 50
MOST_PROMPTS = 100_000  # that a budget is spent on


@dataclass(frozen=True, slots=True)
class _Exam:
    """Everything that a design is judged by."""

    suite: Suite
    contestants: tuple[str, ...]
    markers: tuple[Marker, ...]
    grounds: tuple[Ground, ...]
    parties: tuple[Party, ...]
    orders: tuple[Orders, ...]  # to choose from
    samples: int
    power: float
    pilot: Pilot | None

    @property
    def pairs(self) -> int:
        return len(self.contestants) * (len(self.contestants) - 1) // 2

    @property
    def comparisons(self) -> int:
        return self.pairs * len(self.markers)

    def variances(self, orders: Orders, samples: int) -> list[float]:
        return [_variance(m, g.components, orders, samples) for m, g in zip(self.markers, self.grounds, strict=True)]

    def design(self, prompts: int, orders: Orders, samples: int, note: str = "") -> Design:
        """The design with what it finds by every judge, which is what the least sensitive of them finds."""
        found = [
            detectable_win_rate(prompts, variance, power=self.power, level=LEVEL, comparisons=self.comparisons)
            for variance in self.variances(orders, samples)
        ]
        nothing = next((one for one in found if isinstance(one, Undefined)), None)
        finds = nothing or max(one for one in found if not isinstance(one, Undefined))
        return Design(prompts, orders, samples, finds, cost_of(self.parties, prompts, orders, samples), note)


def plan_ahead(
    suite: Suite | str,
    *contestants: str,
    judges: Sequence[str | Judge] = (),
    orders: Literal["both", "one"] | None = None,
    prompts: int | None = None,
    samples: int | None = None,
    effect: float | None = None,
    budget: float | None = None,
    power: float = 0.8,
    labels: int | None = None,
    store: str | Path | None = None,
    results: str | Path = "results",
    typed: Sequence[str] = (),
) -> Outlook:
    """What comparing `contestants` by `judges` could find and would cost, by prompts, orders and samples.

    From the verdicts that the ledger holds on them, or else from stated assumptions. No model is called and nothing is
    written. `effect`: the win rate to find, which gives the prompts needed; `budget`: USD, which gives what it buys;
    `prompts`: another number of prompts to look at; `labels`: prompts that people label as well. `typed`: options that
    the recommended command repeats. Raises UsageError for names that are not in the suite and numbers out of range.
    """
    suite = load_suite(suite) if isinstance(suite, str) else suite
    judges = [judges] if isinstance(judges, str) else list(judges) or [suite.judge]
    _check(prompts, samples, effect, budget, power, labels)
    location = str(store or Path(results) / "ledger.sqlite")
    plan, pilot, why = _look(suite, contestants, judges, location, labels is not None)
    names = plan.contestants if plan else tuple(contestants) or baseline_first(suite)
    markers = tuple(_markers(suite, judges, plan))
    exam = _Exam(
        suite=suite,
        contestants=names,
        markers=markers,
        grounds=tuple(_ground(marker, pilot, why, location) for marker in markers),
        parties=tuple(parties_of(suite, names, markers, pilot)),
        orders=_choices(markers, orders),
        samples=samples or min(suite.generation_of(name).samples for name in names),
        power=power,
        pilot=pilot,
    )
    answered = _answered(suite, names)
    there = answered or len(suite.prompts)
    sought = _effect(exam, effect) if effect is not None else None
    bought = _budget(exam, budget, samples, there) if budget is not None else None
    chosen, conclusion = _conclude(exam, prompts or there, there, sought, bought)
    return Outlook(
        suite=suite.name,
        contestants=names,
        judges=tuple(marker.name for marker in markers),
        prompts=len(suite.prompts),
        answered=answered,
        comparisons=exam.comparisons,
        power=power,
        level=LEVEL,
        grounds=exam.grounds,
        rates=tuple(party.rate for party in exam.parties),
        unpriced=tuple(dict.fromkeys(party.rate.model for party in exam.parties if party.rate.usd is None)),
        designs=tuple(_table(exam, prompts, answered)),
        effect=sought,
        budget=bought,
        labels=_labels(exam, labels, prompts or len(suite.prompts)) if labels is not None else None,
        conclusion=conclusion,
        next=tuple(_next(exam, chosen, answered, typed)),
    )


def _check(
    prompts: int | None,
    samples: int | None,
    effect: float | None,
    budget: float | None,
    power: float,
    labels: int | None,
) -> None:
    for name, number in (("--prompts", prompts), ("--samples", samples), ("--labels", labels)):
        if number is not None and number < 1:
            raise UsageError(f"{name}: 1 or more, not {number}")
    if effect is not None and not (0.5 < effect < 1 or 0 < effect < 0.5):
        raise UsageError(f"--effect: the win rate to find, between 0 and 1 and not one half, not {effect:g}")
    if budget is not None and not 0 < budget < float("inf"):
        raise UsageError(f"--budget: a sum of USD above 0, not {budget:g}")
    if not 0.05 < power < 1:
        raise UsageError(f"--power: the probability of finding the effect, above 0.05 and below 1, not {power:g}")


# ---------------------------------------------------------------- what is known


def _look(
    suite: Suite, contestants: Sequence[str], judges: Sequence[str | Judge], location: str, people: bool
) -> tuple[Plan | None, Pilot | None, str]:
    """The plan and its pilot; or why there is none. A contestant that cannot be asked yet can still be planned for."""
    try:
        plan, _ = make_plan(suite, contestants, judges, None, "mean", None, "category", None, 120.0)
    except DocumentError:
        raise
    except UsageError as error:
        names = tuple(contestants) or baseline_first(suite)
        if len(set(names)) < max(2, len(names)):
            raise
        for name in names:
            suite.model(name)
        for judge in judges:
            if isinstance(judge, str) and judge != HUMANS:
                suite.judge_spec(judge)
        return None, None, str(error).rstrip(".?")
    if ledger_file(location) is None:
        return plan, None, f"there is no ledger at {location}"
    benches = {**plan.benches, HUMANS: "people"} if people else plan.benches
    pilot = read_pilot(replace(plan, benches=benches), location)
    return plan, pilot, "" if pilot else f"{location} has no verdict on these contestants"


def _markers(suite: Suite, judges: Sequence[str | Judge], plan: Plan | None) -> Iterator[Marker]:
    """Each bench of the plan once; without a plan, each judge as its settings describe it."""
    named = {str(judge): judge for judge in judges}
    if plan is not None:
        for bench in plan.benches:
            rater = next((rater for rater in plan.raters if rater.bench == bench), None)
            if rater is None or rater.by_name or rater.kind == "human":
                yield Marker(bench, True, "own", 1, None, named.get(bench))
            elif not rater.sees_order:
                yield Marker(bench, False, "own", rater.repeats, rater.model, named.get(bench))
            else:
                yield Marker(bench, True, rater.orders, rater.repeats, rater.model, named.get(bench))
        return
    for judge in judges:
        spec = suite.judge_spec(judge) if isinstance(judge, str) and judge != HUMANS else None
        settings, name = settings_of(spec), getattr(judge, "name", str(judge))
        asked = isinstance(spec, EndpointJudge | ScriptedJudge)
        model = "scripted" if isinstance(spec, ScriptedJudge) else getattr(spec, "model", None)
        free = "own" if spec is None or isinstance(spec, RecordedJudge) or not asked else settings.orders or "both"
        yield Marker(name, asked, free, settings.samples, model, judge)


def _ground(marker: Marker, pilot: Pilot | None, why: str, location: str) -> Ground:
    found = pilot.components(marker.name) if pilot else Undefined(why)
    if isinstance(found, Undefined):
        components = forced_choice_components(TIES, CONSISTENCY)
        how = f"forced choices with {TIES:.0%} ties"
        how += "" if marker.orders == "own" else f", and {CONSISTENCY:.0%} of the verdicts the same in both orders"
        return Ground(marker.name, "assumed", found.why, components, _worth(marker, components), assumption=how)
    units = "prompts" if found.size <= 1 else f"groups of {found.size:.1f} prompts"
    few = found.units < FEW_PROMPTS
    caution = f"{found.units} {units} are few: what they say of the spread is itself rough" if few else ""
    why = f"{found.prompts} prompts in {location}"
    return Ground(marker.name, "pilot", why, found, _worth(marker, found), caution=caution)


def _worth(marker: Marker, components: VarianceComponents) -> dict[Orders, float]:
    choices: tuple[Orders, ...] = ("own",) if marker.orders == "own" else ("both", "one")
    return {orders: 0.25 / _variance(marker, components, orders, 1) for orders in choices}


def _variance(marker: Marker, components: VarianceComponents, orders: Orders, samples: int) -> float:
    """Of a prompt's score between equal contestants; a panel stays as large as it was in the pilot."""
    if marker.orders == "own":
        seen, repeats = components.orders, components.repeats
    else:
        seen, repeats = 1.0 if orders == "one" else 2.0, float(marker.repeats)
    variance = components.of_score(seen, samples, components.judges, repeats, position=marker.orders != "own")
    return max(variance, 1e-4)


def _choices(markers: Sequence[Marker], orders: Literal["both", "one"] | None) -> tuple[Orders, ...]:
    """The orders to choose from; the first is what `sciexam compare` does by itself."""
    asked = [marker.orders for marker in markers if marker.orders != "own"]
    if not asked:
        return ("own",)
    if orders is not None:
        return (orders,)
    return ("one", "both") if set(asked) == {"one"} else ("both", "one")


def _answered(suite: Suite, names: Sequence[str]) -> int | None:
    """Prompts that everyone whose answers are recorded has answered; None where no answers are recorded."""
    models = [RecordedModel(Path(path)) for name in names if (path := getattr(suite.models[name], "responses", None))]
    if not models:
        return None
    return sum(all(model.answers(prompt) for model in models) for prompt in suite.prompts)


# ---------------------------------------------------------------- what follows


def _table(exam: _Exam, prompts: int | None, answered: int | None) -> Iterator[Design]:
    whole = len(exam.suite.prompts)
    notes = {whole: "in suite"}
    if answered is not None and 0 < answered < whole:
        notes[answered] = "answered"
    if prompts is not None:
        notes.setdefault(prompts, "asked for")
    for orders in exam.orders:
        for size in sorted({*SIZES, *notes}):
            yield exam.design(size, orders, exam.samples, notes.get(size, ""))


def _effect(exam: _Exam, effect: float) -> Effect:
    designs = []
    why = ""
    for orders in exam.orders:
        needed = [
            prompts_needed(effect, variance, power=exam.power, level=LEVEL, comparisons=exam.comparisons)
            for variance in exam.variances(orders, exam.samples)
        ]
        known = [one for one in needed if not isinstance(one, Undefined)]
        if len(known) == len(needed):
            designs.append(exam.design(max(known), orders, exam.samples))
        else:
            why = next(one.why for one in needed if isinstance(one, Undefined))
    return Effect(max(effect, 1 - effect), tuple(designs), why)


def _budget(exam: _Exam, usd: float, samples: int | None, there: int) -> Budget:
    """What `usd` buys, and what it buys with no more prompts than are `there`."""
    if not exam.parties:
        return Budget(usd, (), None, why="no model is called, so nothing has to be paid")
    if unpriced := sorted({party.rate.model for party in exam.parties if party.rate.usd is None}):
        return Budget(usd, (), None, why=f"what a call of {', '.join(unpriced)} costs is not known")
    choices = [(orders, number) for orders in exam.orders for number in _sample_choices(exam, samples)]
    affordable = [(_affordable(exam, usd, *choice), *choice) for choice in choices]
    designs = tuple(exam.design(*one) for one in affordable if one[0])
    if not designs:
        return Budget(usd, (), None, why="they do not pay for a single prompt")
    best = _best(designs)
    if best is None:
        return Budget(usd, designs, None, why="what they buy is too little to find anything")
    within = _best([exam.design(min(design.prompts, there), design.orders, design.samples) for design in designs])
    return Budget(usd, designs, best, within if best.prompts > there else None)


def _best(designs: Sequence[Design]) -> Design | None:
    finding = [design for design in designs if not isinstance(design.finds, Undefined)]
    return min(finding, key=lambda design: (_finds(design), design.samples, design.orders), default=None)


def _sample_choices(exam: _Exam, samples: int | None) -> tuple[int, ...]:
    """More samples are weighed where the pilot says what they do, and every contestant can give another answer."""
    known = all(not isinstance(ground.components.sample, Undefined) for ground in exam.grounds)
    drawn = all(
        not is_recorded(exam.suite, name) and exam.suite.generation_of(name).temperature != 0
        for name in exam.contestants
    )
    return tuple(sorted({*SAMPLES, exam.samples})) if samples is None and known and drawn else (exam.samples,)


def _affordable(exam: _Exam, usd: float, orders: Orders, samples: int) -> int:
    """The most prompts whose calls, less the stored ones, cost no more than `usd`."""

    def fits(prompts: int) -> bool:
        left = cost_of(exam.parties, prompts, orders, samples).usd_left
        return left is not None and left <= usd + 1e-9

    low, high = 0, MOST_PROMPTS
    if fits(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _finds(design: Design) -> float:
    return 1.0 if isinstance(design.finds, Undefined) else design.finds


def _conclude(
    exam: _Exam, prompts: int, there: int, sought: Effect | None, bought: Budget | None
) -> tuple[Design, tuple[str, ...]]:
    """The design to take, and what is said of it. Of two that find the same, one that needs no new prompts is taken."""
    found = sought.designs if sought is not None else ()
    cheapest = min(
        found, key=lambda d: (d.prompts > there, d.cost.usd_left or 0, d.cost.calls, d.prompts), default=None
    )
    if bought is None or bought.best is None:
        return cheapest or exam.design(prompts, exam.orders[0], exam.samples), ()
    if sought is None:
        return bought.best, ()
    paid = [design for design in found if (design.cost.usd_left or 0) <= bought.usd + 1e-9]
    if paid:
        chosen = cheapest if cheapest in paid else paid[0]
        return chosen or paid[0], (f"{bought.usd:,.2f} USD are enough to find a win rate of {sought.win_rate:g}.",)
    reach = f"what they buy finds {_finds(bought.best):.3f}"
    said = f"{bought.usd:,.2f} USD are not enough to find a win rate of {sought.win_rate:g}: {reach}."
    return bought.best, (said,)


def _labels(exam: _Exam, labels: int, prompts: int) -> Labels:
    """People's labels alone, and with the verdicts of each judge on the prompts that nobody labelled."""
    if labels > prompts:
        raise UsageError(f"--labels: {labels} of {prompts} prompts; label at most as many as there are (--prompts)")
    people = exam.pilot.components(HUMANS) if exam.pilot else Undefined("")
    if isinstance(people, Undefined):
        variance, source = (1 - TIES) / 4, f"a label is assumed to be a forced choice with {TIES:.0%} ties"
    else:
        variance = max(people.of_score(people.orders, people.samples, people.judges, people.repeats, False), 1e-4)
        source = f"labels vary as those on {people.prompts} prompts in the ledger do"
    judged = prompts - labels
    joint = [
        Joint(marker.name, rho, how, _found(exam, labels, worth), labels * variance / worth)
        for marker in exam.markers
        if marker.name != HUMANS
        for rho, how in _correlations(exam, marker)
        if (worth := max(with_labels(variance, labels, judged, rho), 1e-6))
    ]
    return Labels(labels, judged, source, _found(exam, labels, variance), tuple(joint))


def _found(exam: _Exam, prompts: int, variance: float) -> float | Undefined:
    return detectable_win_rate(prompts, variance, power=exam.power, level=LEVEL, comparisons=exam.pairs)


def _correlations(exam: _Exam, marker: Marker) -> list[tuple[float, str]]:
    measured = exam.pilot.correlation(marker.name, HUMANS) if exam.pilot else Undefined("")
    if not isinstance(measured, Undefined):
        return [(measured, "measured")]
    return [(rho, "assumed") for rho in CORRELATIONS]


# ---------------------------------------------------------------- what to type


def _next(exam: _Exam, chosen: Design, answered: int | None, typed: Sequence[str]) -> Iterator[str]:
    """The command for the chosen design, with what has to be there first; each line is said or typed as it is."""
    whole = len(exam.suite.prompts)
    assumed = any(ground.source == "assumed" for ground in exam.grounds)
    pilot = min(PILOT_PROMPTS, answered or whole)
    if assumed and exam.parties and chosen.prompts > pilot:
        yield "first a pilot, in place of the assumptions:"
        yield _command(exam, None, pilot if pilot < whole else None, typed)
    if chosen.prompts > whole:
        yield f"write {chosen.prompts - whole:,} more prompts: suite {exam.suite.name} has {whole:,}"
    if answered is not None and chosen.prompts > answered:
        yield f"answer {chosen.prompts - answered:,} more prompts: {answered:,} have a recorded answer from everyone"
    if chosen.samples != min(exam.suite.generation_of(name).samples for name in exam.contestants):
        yield f"set `samples: {chosen.samples}` under `generation:` in the suite"
    if chosen.prompts > (answered or whole) or (assumed and exam.parties and chosen.prompts > pilot):
        yield "then:"
    yield _command(exam, chosen, chosen.prompts if chosen.prompts < (answered or whole) else None, typed)


def _command(exam: _Exam, chosen: Design | None, limit: int | None, typed: Sequence[str]) -> str:
    words = ["sciexam", "compare", *typed]
    asked = {marker.orders for marker in exam.markers if marker.orders != "own"}
    if chosen is not None and chosen.orders != "own" and asked != {chosen.orders}:
        words += ["--orders", chosen.orders]
    return shlex.join([*words, "--limit", str(limit)] if limit else words)
