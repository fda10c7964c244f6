"""The plan of a leaderboard: one judge, a baseline that everyone meets, and a null contestant that must not do well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Literal

from sciexam.battles import Policy
from sciexam.errors import UsageError
from sciexam.exam.null_contestant import NULL, TEXTS, EmptyWords
from sciexam.exam.plan import Plan, baseline_first, make_plan, samples_of
from sciexam.models import open_model
from sciexam.models.settings import Custom
from sciexam.models.terms import Terms
from sciexam.suite import Suite
from sciexam.types import Judge, Model

NOTE = (
    "answers no prompt, and shows whether empty words win; it says one of these, as drawn for each prompt: "
    f"{', '.join(TEXTS.values())}"
)


def make_board_plan(
    suite: Suite,
    contestants: Sequence[str],
    judge: str | Judge | None,
    pairs: Literal["all", "baseline"],
    orders: Literal["both", "one"] | None,
    policy: Policy,
    by: str,
    limit: int | None,
    terms: Terms,
) -> tuple[Plan, dict[str, Model]]:
    """The plan of a leaderboard, its baseline first, and the models. Raises UsageError as `make_plan` does.

    The null contestant joins as the last where the judge can be asked, and meets the baseline alone. A suite that has a
    model called "null" brings its own.
    """
    names = _names(suite, contestants)
    if len(names) == 1:
        which = "the baseline" if names[0] == suite.baseline else "the only one that is named"
        whole = (
            f", or none for all of the suite: `{suite.command('leaderboard')}`" if len(suite.contestants) > 1 else ""
        )
        raise UsageError(f"a leaderboard needs two contestants, and {names[0]!r} is {which}; name another{whole}")
    judges = [judge] if judge is not None else []
    plan, models = make_plan(suite, names, judges, orders, policy, None, by, limit, terms)
    if len(plan.benches) > 1:
        raise UsageError(
            f"a leaderboard is by one judge, and {judge or suite.judge!r} stands for {len(plan.benches)}: "
            f"{', '.join(plan.benches)}; keep the verdicts of one in a file of its own"
        )
    if any(not rater.by_name for rater in plan.raters) and NULL not in names:
        if NULL in suite.models:
            plan, models = make_plan(suite, (*names, NULL), judges, orders, policy, None, by, limit, terms)
        else:
            plan, models = _with_null(plan, models)
    return replace(plan, purpose="leaderboard", pairs=_pairs(plan, pairs)), models


def _with_null(plan: Plan, models: Mapping[str, Model]) -> tuple[Plan, dict[str, Model]]:
    """The plan and its models with a null contestant of ours as the last."""
    spec = Custom(backend=f"{EmptyWords.__module__}:{EmptyWords.__name__}", note=NOTE)
    suite = plan.suite.with_models({NULL: spec})
    model = open_model(NULL, spec, suite.generation_of(NULL))
    names = (*plan.contestants, NULL)
    digests = {**plan.models, NULL: model.digest}
    met = tuple(combinations(names, 2))
    samples = samples_of(suite, names)
    plan = replace(plan, suite=suite, contestants=names, pairs=met, models=digests, samples=samples)
    return plan, {**models, NULL: model}


def _names(suite: Suite, contestants: Sequence[str]) -> tuple[str, ...]:
    """The contestants, the baseline first: that of the suite, also where it is not named, or else the first named."""
    if not contestants:
        return baseline_first(suite)
    if suite.baseline is None:
        return tuple(contestants)
    return (suite.baseline, *(name for name in contestants if name != suite.baseline))


def _pairs(plan: Plan, wanted: Literal["all", "baseline"]) -> tuple[tuple[str, str], ...]:
    baseline = plan.contestants[0]
    return tuple((a, b) for a, b in plan.pairs if a == baseline or (wanted == "all" and NULL not in (a, b)))
