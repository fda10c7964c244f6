"""What stands in a leaderboard besides the verdicts: the rewards of a reward model, what answers cost, benchmarks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

from sciexam.errors import SciexamError, UsageError, did_you_mean
from sciexam.exam.benchmark_figures import on_board
from sciexam.exam.marked import marking_of
from sciexam.exam.plan import Plan
from sciexam.exam.raters import Rater, raters_of
from sciexam.exam.sitting import Sitting
from sciexam.judges.settings import RewardJudge, RewardsJudge, RewardWeightsJudge
from sciexam.lineage.stages import Reward
from sciexam.models.settings import Endpoint
from sciexam.models.terms import USUAL
from sciexam.report.calls import Calls
from sciexam.report.marking.marks import Marking
from sciexam.report.standings.board import Besides
from sciexam.report.standings.leaderboard import LEVEL
from sciexam.store import Fact, Store

_log = logging.getLogger(__name__)


def besides_of(plan: Plan, store: Store, reward: str | None, files_are_read: bool = True) -> Besides:
    """The rewards, the prices and the benchmarks. `reward` names the reward model; None: the suite's first one.

    No model is asked. A file of rewards is taken into the ledger, unless what is there is only to be read. Raises
    UsageError where `reward` names no reward model, or one that has marked nothing here.
    """
    specs = {name: plan.suite.models[name] for name in plan.contestants}
    known = plan.suite.prices
    prices = {n: known[spec.model] for n, spec in specs.items() if isinstance(spec, Endpoint) and spec.model in known}
    done = on_board(plan.suite, plan.models, store, LEVEL)
    if reward is not None:
        return Besides(_marks_of(plan, reward_model(plan, reward), store, files_are_read), prices, (), done)
    for name in _reward_models(plan):
        try:
            return Besides(_marks_of(plan, next(_opened(plan, name)), store, files_are_read), prices, (), done)
        except SciexamError as error:  # nobody asked for rewards
            # What is wrong may be said in the words of somebody's file: it is not for the board, which is published.
            _log.warning("no rewards of %s stand in the leaderboard: %s", name, error)
            return Besides(None, prices, (f"No rewards of {name} stand in the rows; `sciexam reward` says why.",), done)
    return Besides(None, prices, (), done)


def _marks_of(plan: Plan, model: tuple[Rater, str], store: Store, files_are_read: bool) -> Marking:
    rater, described = model
    plan = replace(
        plan, purpose="reward", pairs=(), raters=(rater,), benches={rater.bench: described}, caveats=(), only=None
    )
    skipped = _taken_in(plan, store) if rater.by_name and files_are_read else {}
    return marking_of(plan, store, Calls(), skipped, ())


def _taken_in(plan: Plan, store: Store) -> dict[str, Fact]:
    """Read a file of rewards into the ledger; what it does not hold."""
    sitting = Sitting(plan, store, threading.Event(), None, retry_invalid=False, recorded_only=True)
    sitting.hold({n: plan.suite.open_model(n) for n in plan.contestants})
    return sitting.skipped


def _reward_models(plan: Plan) -> list[str]:
    """The suite's judges that are reward models."""
    return [
        name
        for name, spec in plan.suite.judges.items()
        if isinstance(spec, (RewardJudge, RewardsJudge, RewardWeightsJudge))
    ]


def reward_model(plan: Plan, reward: str) -> tuple[Rater, str]:
    """The reward model of this name: a judge, one of the lineage, a file, or one of those in a file of the suite."""
    judges = _reward_models(plan)
    is_one = reward in judges or reward.endswith(".jsonl") or isinstance(plan.suite.models.get(reward), Reward)
    found = list(_opened(plan, reward)) if is_one else []
    if len(found) != 1:
        everyone = found or [one for name in judges for one in _opened(plan, name)]
        found = [one for one in everyone if one[0].name == reward] or found
    if len(found) > 1:
        names = ", ".join(rater.name for rater, _ in found)
        raise UsageError(f"--reward: {reward!r} holds the rewards of {names}; name one of them")
    if not found:
        raise UsageError(f"--reward: {reward!r} is no reward model of the suite{did_you_mean(reward, judges)}")
    return found[0]


def _opened(plan: Plan, name: str) -> Iterator[tuple[Rater, str]]:
    yield from raters_of(plan.suite, name, None, USUAL, alone=True)
