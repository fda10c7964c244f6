"""What the commands share that ask a model for training data: the model, how it is asked, and what it replied."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sciexam.errors import UsageError
from sciexam.exam.answers import responses_of
from sciexam.exam.bulk import ask, chosen_model, chunks_of
from sciexam.exam.plan import Plan, make_plan
from sciexam.exam.preflight import Owed
from sciexam.exam.recordings import is_recorded
from sciexam.exam.tally import Progress
from sciexam.exchange.marked_reply import Request
from sciexam.models.spending import Budget
from sciexam.models.terms import Terms
from sciexam.report.calls import Calls
from sciexam.store import Store
from sciexam.suite import Suite, load_suite
from sciexam.types import HUMANS, Generation, Response


@dataclass(frozen=True, slots=True)
class Errand:
    """How a command asks: what it may take, and whom it tells. Each as in `exam.compare`."""

    budget: float | Budget | None = None
    batch: bool = False
    engine: Any = "local"
    retry_invalid: bool = False
    max_wait: float = 120.0
    store: str | Path | None = None
    results: str | Path = "results"
    stop: threading.Event | None = None
    preflight: Callable[[Owed], None] | None = None
    progress: Callable[[Progress], None] | None = None


def suite_with(suite: Suite | str | None, model: str, **generation: Any) -> tuple[Suite, str]:
    """The suite with `model` in it, asked as `generation` says, and the model's name there."""
    chosen, name = chosen_model(suite if isinstance(suite, Suite) else load_suite(suite), model, None, None)
    if is_recorded(chosen, name):
        raise UsageError(f"{name} is a file of answers; name a model that can be asked")
    asked = Generation.model_validate(chosen.generation_of(name).model_dump(exclude={"samples"}) | generation)
    return chosen.with_models({name: chosen.models[name].model_copy(update={"generation": asked})}), name


def plan_requests(
    suite: Suite, name: str, requests: Sequence[Request], terms: Terms
) -> tuple[Plan, dict[str, Any], Sequence[Request]]:
    """The plan of asking a model for a reply to each of these requests."""
    prompts = tuple(request.prompt for request in requests)
    alone = suite.model_copy(update={"prompts": prompts, "judges": {}, "contestants": (name,)})
    plan, models = make_plan(alone, [name], [HUMANS], None, "mean", None, "category", None, terms, purpose="answer")
    return plan, models, requests


def asked(
    planned: tuple[Plan, dict[str, Any], Sequence[Request]], ledger: Store, terms: Terms, errand: Errand
) -> tuple[Calls, tuple[str, ...], Iterator[tuple[Request, Response]]]:
    """Ask for all that is owed; then every reply as the ledger has it, or why it has none, in the order of the plan."""
    plan, models, requests = planned
    calls, notes = ask(
        plan, models, ledger, terms, errand.retry_invalid, errand.stop, errand.preflight, errand.progress
    )

    def replies() -> Iterator[tuple[Request, Response]]:
        by_id = {request.prompt.id: request for request in requests}
        for chunk in chunks_of(plan):
            for response in responses_of(chunk, ledger).values():
                yield by_id[response.prompt], response

    return calls, (*plan.caveats, *notes), replies()


def together(one: Calls, other: Calls) -> Calls:
    """What two parts of a command asked models for."""
    usd = None if one.usd is None or other.usd is None else one.usd + other.usd
    return replace(
        one,
        made=one.made + other.made,
        reused=one.reused + other.reused,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        usd=usd,
        unasked=one.unasked or other.unasked,
    )
