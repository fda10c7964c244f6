"""A board as one of the peers would count it: from verdicts that exist already, by the peer's own rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from sciexam.errors import UsageError
from sciexam.exam.board.answer_styles import styles_of
from sciexam.exam.board.besides import besides_of
from sciexam.exam.board.calibration_file import read_calibration
from sciexam.exam.board.plan import make_board_plan
from sciexam.exam.facts import read_facts
from sciexam.exam.null_contestant import NULL
from sciexam.exam.plan import Plan
from sciexam.exam.reading import read_in
from sciexam.judges.recorded import RecordedJudge
from sciexam.models.terms import USUAL
from sciexam.report.evidence import Evidence
from sciexam.report.standings.as_arena_hard import category_of, in_category, own_baseline
from sciexam.report.standings.as_peers import AsPeer, Peer, build_as_peer
from sciexam.report.standings.board import Besides, build_leaderboard
from sciexam.report.standings.outcomes import outcomes_of
from sciexam.report.standings.peer_rows import Part
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
    style_control: bool = False,
    by: str = "category",
    limit: int | None = None,
    store: str | Path | None = None,
    results: str | Path = "results",
) -> AsPeer:
    """The figures of `peer` for contestants of `suite` by one judge, and ours beside them. Nobody is asked.

    AlpacaEval and Arena-Hard count the pairs with the baseline alone, MT-Bench those of `pairs`. `reward` names who
    gave MT-Bench's single ratings (the suite's first reward model); `calibration` is AlpacaEval's file. Where prompts
    name the baseline of their category, Arena-Hard is counted as by v2.0, whose `style_control` this is.
    """
    if calibration is not None and peer != "alpacaeval":
        raise UsageError(f"--calibration is AlpacaEval's; {peer} needs none")
    baselines = _baselines(suite, limit) if peer == "arena-hard" else {}
    if style_control and not baselines:
        raise UsageError(
            "--style-control is that of Arena-Hard v2.0, whose prompts name the baseline of their category"
        )
    wanted: Literal["all", "baseline"] = pairs if peer == "mt-bench" else "baseline"
    policy: Literal["mean", "conservative"] = "conservative" if peer == "mt-bench" else "mean"
    named = tuple(dict.fromkeys((*contestants, *baselines.values()))) if contestants else ()
    plan, models = make_board_plan(suite, named, judge, wanted, None, policy, by, limit, USUAL)
    compares = not any(rater.grades for rater in plan.raters)
    if not compares and peer != "mt-bench":
        names = ", ".join(rater.name for rater in plan.raters)
        raise UsageError(f"--as {peer}: {names} marks answers one by one; name a judge that compared them with --judge")
    if baselines:
        plan = replace(plan, pairs=tuple(_against_each(plan, baselines)))
    if wanted == "baseline":
        plan = replace(plan, caveats=(*plan.caveats, *_against_others(plan, peer, baselines)))
    known = read_calibration(calibration, {prompt.id for prompt in plan.prompts}) if calibration else None
    styles = styles_of(plan) if style_control else None
    with read_in(plan, models, store, results) as read:
        evidence = read_facts(read.plan, read.store, read.calls, read.skipped)
        besides = besides_of(read.plan, read.store, reward)
    parts = [*_parts(evidence, baselines)] if baselines else [_part(evidence, plan.contestants[0], None, besides)]
    return build_as_peer(peer, parts, besides.rewards, compares, known, styles)


def _part(evidence: Evidence, baseline: str, category: str | None, besides: Besides) -> Part:
    outcomes = outcomes_of(evidence, evidence.benches[0])
    return Part(evidence, build_leaderboard(evidence, outcomes, baseline, NULL, besides), category)


# ---------------------------------------------------------------- a baseline for each category


def _baselines(suite: Suite, limit: int | None) -> dict[str, str]:
    """The baseline of each category whose prompts name one, which is a model of the suite.

    Raises UsageError where the prompts of a category name two.
    """
    found: dict[str, str] = {}
    for prompt in suite.prompts[:limit]:
        named = own_baseline(prompt)
        if named is None or named not in suite.models:
            continue
        if found.setdefault(category_of(prompt), named) != named:
            other = found[category_of(prompt)]
            raise UsageError(
                f"prompt {prompt.id!r}: baseline: {named!r}, where others of {category_of(prompt)!r} name {other!r}; "
                "Arena-Hard v2.0 has one for each category"
            )
    return found


def _against_each(plan: Plan, baselines: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for baseline in dict.fromkeys(baselines.values()):
        yield from ((baseline, name) for name in plan.contestants if name not in (baseline, NULL))


def _parts(evidence: Evidence, baselines: Mapping[str, str]) -> Iterator[Part]:
    """A board for each category that somebody has a verdict on."""
    for category, baseline in baselines.items():
        part = in_category(evidence, category, baseline)
        if not all(bench.silent for bench in part.benches):
            yield _part(part, baseline, category, Besides())


# ---------------------------------------------------------------- what is left out


def _against_others(plan: Plan, peer: Peer, baselines: Mapping[str, str]) -> Iterator[str]:
    """That verdicts on pairs without the board's baseline are left out, as far as files hold them."""
    boards: dict[str, set[str]] = {}
    for prompt in plan.prompts:
        if (baseline := baselines.get(category_of(prompt)) if baselines else plan.contestants[0]) is not None:
            boards.setdefault(baseline, set()).add(prompt.id)
    for baseline, prompts in boards.items():
        by_prompt: Counter[str] = Counter()
        for judge in (rater.judge for rater in plan.raters):
            if isinstance(judge, RecordedJudge):
                by_prompt.update(judge.without(baseline, prompts, plan.contestants))
        if by_prompt:
            many, on = f"{by_prompt.total():,} verdict{'s' * (by_prompt.total() > 1)}", len(by_prompt)
            why = " v2.0 counts each category against a baseline of its own: these are no figures of v2.0."
            yield (
                f"{many} on {on:,} prompt{'s' * (on > 1)} against others than {baseline}, the baseline of this board, "
                f"{'are' if by_prompt.total() > 1 else 'is'} left out."
                f"{why if peer == 'arena-hard' and not baselines else ''}"
            )
