"""Planning ahead: what a comparison could find, and what it would cost, before anything is asked or paid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from sciexam.errors import DocumentError, UsageError
from sciexam.exam.cost import parties_of
from sciexam.exam.markers import Marker, markers_of
from sciexam.exam.people import held_by
from sciexam.exam.plan import Plan, baseline_first, make_plan, samples_of
from sciexam.exam.planning.advice import advise
from sciexam.exam.planning.designs import LEVEL, Exam, choose, find, spend, table
from sciexam.exam.planning.grounds import choices_of, ground_of
from sciexam.exam.planning.labels import label
from sciexam.exam.planning.pilot import Pilot, read_pilot
from sciexam.exam.recordings import equal_texts, recording_of
from sciexam.models import check_ready
from sciexam.models.settings import Rule, Scripted
from sciexam.models.terms import USUAL
from sciexam.report.planning.outlook import Ground, Outlook
from sciexam.report.validating.faults import leaning
from sciexam.suite import Suite, load_suite
from sciexam.types import HUMANS, Judge


def plan_ahead(
    suite: Suite | str,
    *contestants: str,
    judges: Sequence[str | Judge] = (),
    orders: Literal["both", "one"] | None = None,
    size: int | None = None,
    samples: int | None = None,
    effect: float | None = None,
    budget: float | None = None,
    power: float = 0.8,
    labels: int | None = None,
    store: str | Path | None = None,
    results: str | Path = "results",
) -> Outlook:
    """What comparing `contestants` by `judges` could find and would cost, by prompts, orders and samples.

    From the verdicts that the ledger holds on them, or else from stated assumptions. No model is called and nothing is
    written. `effect`: the win rate to find, which gives the prompts needed; `budget`: USD, which gives what it buys;
    `size`: another number of prompts to look at; `labels`: prompts that people label as well. Raises UsageError
    for names that are not in the suite and numbers out of range.
    """
    suite = load_suite(suite, results) if isinstance(suite, str) else suite
    judges = [judges] if isinstance(judges, str) else list(judges)
    named = (*contestants, *(word for one in judges if isinstance(one, str) for word in ("--judge", one)))
    judges = judges or [suite.judge]
    _check(size, samples, effect, budget, power, labels)
    location = str(store or Path(results) / "ledger.sqlite")
    exam = _look(suite, contestants, judges, orders, samples, power, location, Path(results), labels is not None)
    sought = find(exam, effect) if effect is not None else None
    bought = spend(exam, budget, samples) if budget is not None else None
    chosen, conclusion = choose(exam, size, sought, bought)
    wanted, judged = exam.by_people(chosen.prompts, labels)
    return Outlook(
        suite=suite.name,
        contestants=exam.contestants,
        judges=tuple(marker.name for marker in exam.markers),
        prompts=len(suite.prompts),
        answered=None if exam.answered is None else len(exam.answered),
        comparisons=exam.comparisons,
        power=power,
        level=LEVEL,
        grounds=exam.grounds,
        rates=tuple(party.rate for party in exam.parties),
        unpriced=tuple(dict.fromkeys(party.rate.model for party in exam.parties if party.rate.usd is None)),
        of_files=suite.of_files,
        uncounted=exam.foreign,
        recorded=exam.recorded,
        designs=tuple(table(exam, size)),
        effect=sought,
        budget=bought,
        equal=exam.equal,
        labels=label(exam, labels, size or exam.there) if labels is not None else None,
        conclusion=conclusion,
        judgements=max(0, wanted - judged) * exam.pairs,
        next=tuple(advise(exam, chosen, named, effect, labels)),
    )


def _unready(plan: Plan) -> Iterator[str]:
    """What keeps a judge from being asked here and now: a key that is not set."""
    for rater in plan.raters:
        try:
            check_ready(rater.judge)
        except UsageError as error:
            yield str(error)


def _check(
    size: int | None,
    samples: int | None,
    effect: float | None,
    budget: float | None,
    power: float,
    labels: int | None,
) -> None:
    for name, number in (("--size", size), ("--samples", samples), ("--labels", labels)):
        if number is not None and number < 1:
            raise UsageError(f"{name}: 1 or more, not {number}")
    if effect is not None and not (0.5 < effect < 1 or 0 < effect < 0.5):
        raise UsageError(f"--effect: the win rate to find, between 0 and 1 and not one half, not {effect:g}")
    if budget is not None and not 0 < budget < float("inf"):
        raise UsageError(f"--budget: a sum of USD above 0, not {budget:g}")
    if not 0.05 < power < 1:
        raise UsageError(f"--power: the probability of finding the effect, above 0.05 and below 1, not {power:g}")


def _look(
    suite: Suite,
    contestants: Sequence[str],
    judges: Sequence[str | Judge],
    orders: Literal["both", "one"] | None,
    samples: int | None,
    power: float,
    location: str,
    results: Path,
    people: bool,
) -> Exam:
    """The exam as it could be held, with what the ledger at `location` knows of it, and of `people`'s verdicts."""
    plan, absent = _plan(suite, contestants, judges)
    names = plan.contestants
    benches = {**plan.benches, HUMANS: "people"} if people else plan.benches
    pilot = read_pilot(replace(plan, benches=benches), location)
    markers = tuple(markers_of(plan, judges))
    equal, there = equal_texts(suite, names, pilot.responses if pilot else {})
    return Exam(
        suite=suite,
        contestants=names,
        absent=absent,
        unready=tuple(_unready(plan)),
        markers=markers,
        grounds=tuple(_ground(plan, marker, pilot, absent, location, results) for marker in markers),
        parties=tuple(parties_of(suite, names, markers, pilot, equal / max(1, there))),
        equal=(equal, there),
        orders=choices_of(markers, orders),
        samples=samples or samples_of(suite, names),
        power=power,
        pilot=pilot,
        answered=_answered(suite, names),
    )


def _ground(plan: Plan, marker: Marker, pilot: Pilot | None, absent: str, location: str, results: Path) -> Ground:
    """What is known of a judge: how its scores spread, and beside that how it agreed with people, and its bias."""
    ground = ground_of(marker, pilot, absent, location)
    if marker.human:
        return ground
    place = leaning(pilot.position_bias(marker.name)) if pilot else ()
    against = held_by(plan, marker.name, results)
    held, chance = (against.describe(""), against.by_chance) if against else ("", "")
    held += ": more prompts tell what it prefers, and not what people do" if chance else ""
    return replace(ground, held=held, by_chance=chance, leaning="".join(place))


def _plan(suite: Suite, contestants: Sequence[str], judges: Sequence[str | Judge]) -> tuple[Plan, str]:
    """The plan, and why it cannot be carried out yet: whoever cannot be asked has a stand-in that has said nothing."""

    def planned(suite: Suite) -> Plan:
        return make_plan(suite, contestants, judges, None, "mean", None, "category", None, USUAL)[0]

    try:
        return planned(suite), ""
    except DocumentError:
        raise
    except UsageError as error:
        absent = [name for name in contestants or baseline_first(suite) if not _can_sit(suite, name)]
        if not absent:
            raise
        why = str(error).rstrip(".?")
    stand_in = Scripted(backend="scripted", rules=(Rule(failure="absent"),))
    return planned(suite.with_models(dict.fromkeys(absent, stand_in))), why


def _can_sit(suite: Suite, name: str) -> bool:
    """Whether a contestant can be asked, or has answered a prompt of the suite."""
    try:
        suite.open_model(name)
    except DocumentError:
        raise
    except UsageError:
        if name not in suite.models:
            raise
        return False
    recording = recording_of(suite, name)
    return recording is None or any(map(recording.answers, suite.prompts))


def _answered(suite: Suite, names: Sequence[str]) -> tuple[int, ...] | None:
    """The places of the prompts that everyone whose answers are recorded has answered; None where none are recorded."""
    recordings = [found for name in names if (found := recording_of(suite, name))]
    if not recordings:
        return None
    return tuple(place for place, prompt in enumerate(suite.prompts) if all(one.answers(prompt) for one in recordings))
