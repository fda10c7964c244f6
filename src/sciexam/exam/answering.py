"""What contestants answer, asked for what is owed and judged by nobody: what people are shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sciexam.battles import Slot, in_drawn_order
from sciexam.errors import UsageError
from sciexam.exam.answers import responses_of
from sciexam.exam.plan import make_plan
from sciexam.exam.preflight import Owed, bill_of
from sciexam.exam.runs import check_all_ready, hold
from sciexam.exam.sitting import Sitting
from sciexam.exam.tally import Progress
from sciexam.models.recorded import RecordedModel
from sciexam.models.terms import Terms
from sciexam.store import Store
from sciexam.suite import Suite
from sciexam.types import HUMANS, Model, Prompt, Response


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of some contestants to the prompts, in their drawn order, that all of them can answer.

    `prompts` are the first ones of that order, a random sample of the `drawn_from` prompts that could be taken.
    """

    contestants: tuple[str, ...]
    samples: int
    prompts: tuple[Prompt, ...]
    drawn_from: int
    responses: Mapping[Slot, Response]

    def usable(self, contestant: str, prompt: str, sample: int) -> Response | None:
        """The answer, if there is one that can be shown."""
        found = self.responses.get((contestant, prompt, sample))
        return found if found is not None and found.reply.status == "ok" else None


def bare_prompts(suite: Suite, draw: int | None = None) -> Answers:
    """The prompts alone, in their drawn order, for people to write answers to."""
    prompts = in_drawn_order(suite.prompts, suite.seed)
    _check_draw(draw, len(prompts), suite)
    return Answers((), 1, prompts[:draw], len(prompts), {})


def answers_of(
    suite: Suite,
    contestants: Sequence[str],
    store: Store,
    terms: Terms,
    *,
    draw: int | None = None,
    recorded_only: bool = False,
    stop: threading.Event | None = None,
    preflight: Callable[[Owed], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Answers:
    """The answers of `contestants` of `suite`, of which those are asked for that the ledger lacks.

    `draw` takes so many prompts at random; `recorded_only` asks nobody, and takes what files and the ledger have. The
    rest as in `compare`. Raises UsageError where there is nobody to ask, or nothing to draw from.
    """
    plan, models = make_plan(
        suite, contestants, [HUMANS], None, "mean", None, "category", None, terms, purpose="annotate"
    )
    able = in_drawn_order([p for p in plan.prompts if _can_answer(models, p, plan.samples)], suite.seed)
    if not able:
        raise UsageError(f"no prompt of suite {suite.name!r} has an answer from each of {', '.join(plan.contestants)}")
    _check_draw(draw, len(able), suite)
    plan = replace(plan, prompts=able[:draw])
    if not recorded_only:
        check_all_ready(plan, models, store)
        if preflight is not None:
            preflight(bill_of(plan, store))
    sitting = Sitting(
        plan, store, stop or threading.Event(), progress, retry_invalid=False, recorded_only=recorded_only, terms=terms
    )
    hold(sitting, plan, models, store)
    return Answers(plan.contestants, plan.samples, plan.prompts, len(able), responses_of(plan, store))


def _can_answer(models: Mapping[str, Model], prompt: Prompt, samples: int) -> bool:
    return all(
        model.answers(prompt, sample)
        for model in models.values()
        if isinstance(model, RecordedModel)
        for sample in range(samples)
    )


def _check_draw(draw: int | None, able: int, suite: Suite) -> None:
    if draw is not None and draw < 1:
        raise UsageError(f"--draw: 1 or more prompts, not {draw}")
    if draw is not None and draw > able:
        have = f"{draw} prompts of the {able} in {suite.name!r} that everyone can answer"
        raise UsageError(f"--draw: {have}; draw fewer, or leave --draw out for all {able}")
