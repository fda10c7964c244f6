"""A board as one of the peers would count it: from verdicts that exist already, by the peer's own rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from sciexam.errors import UsageError
from sciexam.exam.besides import besides_of
from sciexam.exam.calibration_file import read_calibration
from sciexam.exam.facts import read_facts
from sciexam.exam.plan import Plan
from sciexam.exam.reading import read_in
from sciexam.exam.standings import NULL, make_board_plan
from sciexam.judges.recorded import RecordedJudge
from sciexam.models.terms import USUAL
from sciexam.report.standings.as_peers import AsPeer, Peer, build_as_peer
from sciexam.report.standings.board import build_leaderboard
from sciexam.report.standings.outcomes import outcomes_of
from sciexam.suite import Suite
from sciexam.types import Judge


def as_peer(
    suite: Suite,
    *contestants: str,
    peer: Peer,
    judge: str | Judge | None = None,
    pairs: Literal["all", "baseline"] = "all",
    reward: str | None = None,
    calibration: Path | None = None,
    by: str = "category",
    limit: int | None = None,
    store: str | Path | None = None,
    results: str | Path = "results",
) -> AsPeer:
    """The figures of `peer` for contestants of `suite` by one judge, and ours beside them. Nobody is asked.

    AlpacaEval and Arena-Hard count the pairs with the baseline alone, MT-Bench those of `pairs`. `reward` names who
    gave MT-Bench's single ratings (the suite's first reward model); `calibration` is AlpacaEval's file.
    """
    if calibration is not None and peer != "alpacaeval":
        raise UsageError(f"--calibration is AlpacaEval's; {peer} needs none")
    wanted: Literal["all", "baseline"] = pairs if peer == "mt-bench" else "baseline"
    policy: Literal["mean", "conservative"] = "conservative" if peer == "mt-bench" else "mean"
    plan, models = make_board_plan(suite, contestants, judge, wanted, None, policy, by, limit, USUAL)
    compares = not any(rater.grades for rater in plan.raters)
    if not compares and peer != "mt-bench":
        names = ", ".join(rater.name for rater in plan.raters)
        raise UsageError(f"--as {peer}: {names} marks answers one by one; name a judge that compared them with --judge")
    if wanted == "baseline":
        plan = replace(plan, caveats=(*plan.caveats, *_against_others(plan, peer)))
    known = read_calibration(calibration, {prompt.id for prompt in plan.prompts}) if calibration else None
    with read_in(plan, models, store, results) as read:
        evidence = read_facts(read.plan, read.store, read.calls, read.skipped)
        besides = besides_of(read.plan, read.store, reward)
    outcomes = outcomes_of(evidence, evidence.benches[0])
    board = build_leaderboard(evidence, outcomes, plan.contestants[0], NULL, besides)
    return build_as_peer(peer, evidence, board, besides.rewards, compares, known)


def _against_others(plan: Plan, peer: Peer) -> Iterator[str]:
    """That verdicts on pairs without the board's baseline are left out, as far as files hold them."""
    baseline, prompts = plan.contestants[0], {prompt.id for prompt in plan.prompts}
    by_prompt: Counter[str] = Counter()
    for judge in (rater.judge for rater in plan.raters):
        if isinstance(judge, RecordedJudge):
            by_prompt.update(judge.without(baseline, prompts, plan.contestants))
    if by_prompt:
        many, on = f"{by_prompt.total():,} verdict{'s' * (by_prompt.total() > 1)}", len(by_prompt)
        why = " v2.0 counts each category against a baseline of its own: these are no figures of v2.0."
        yield (
            f"{many} on {on:,} prompt{'s' * (on > 1)} against others than {baseline}, the baseline of this board, "
            f"{'are' if by_prompt.total() > 1 else 'is'} left out.{why if peer == 'arena-hard' else ''}"
        )
