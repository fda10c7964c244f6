"""What an audit of a judge takes, by the verdicts that it gave already."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from sciexam.exam.cost import usd_of_verdict
from sciexam.exam.plan import Plan
from sciexam.exam.raters import UNCALLED
from sciexam.report.audit import Takes
from sciexam.store import Store
from sciexam.types import Reply

MEASURED = 200  # verdicts whose replies say what one costs


def takes_of(plan: Plan, bench: str, store: Store, keys: Iterable[str]) -> Takes | None:
    """What an audit of the judge takes for a prompt at most; None where no model is called."""
    raters = [rater for rater in plan.raters if rater.bench == bench and rater.model not in UNCALLED]
    if not raters:
        return None
    referred = any(prompt.reference for prompt in plan.prompts) or any(rater.reference for rater in raters)
    replies: list[Reply] = list(store.replies(islice(keys, MEASURED)).values())
    repeats = sum(rater.repeats for rater in raters)
    costs = [(rater.repeats, usd_of_verdict(plan.suite, rater.model, replies)) for rater in raters]
    known = [times * usd for times, usd in costs if usd is not None]
    return Takes(referred, sum(known) / repeats if len(known) == len(costs) else None, repeats)
