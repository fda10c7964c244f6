"""How far each member of a panel can be relied upon, and what the panel then says of each comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sciexam.report.agreeing.votes import ItemKey, matrix
from sciexam.report.evidence import Bench
from sciexam.stats import Undefined, dawid_skene

FEWEST_MEMBERS = 3
ITEMS_A_MEMBER = 10
# Without it 70 % of simulated panels (accuracies .95, .8, .6; 60 comparisons) had a member that was taken to be
# infallible, and the scores were further from the truth: a mean squared error of .096 against .067.
SMOOTHING = 1.0
TOLERANCE, ITERATIONS = 1e-8, 10_000  # EM is slow where members hardly agree: a thousand steps can be too few


@dataclass(frozen=True, slots=True)
class Reliability:
    """`scores`: b's on each comparison, P(b wins) + P(tie) / 2. `accuracies`: P(a member names the true side)."""

    scores: Mapping[ItemKey, float]
    accuracies: Mapping[str, float]
    converged: bool


def sides_of(bench: Bench) -> dict[str, dict[ItemKey, float]]:
    """What each member said of each comparison on which it has an outcome: -1 for a, 0 for a tie, 1 for b."""
    said: dict[str, dict[ItemKey, float]] = {name: {} for name in bench.raters}
    for battle in bench.battles:
        if battle.score is not None:
            ahead = round(0.5 - battle.score, 9)
            said[battle.rater][battle.a, battle.b, battle.prompt, battle.sample] = (ahead > 0) - float(ahead < 0)
    return said


def reliability_of(bench: Bench) -> Reliability | Undefined:
    """Dawid and Skene's fit to the members' outcomes on all comparisons of the bench, whichever pair they are of.

    Which contestant is called a is arbitrary, and no member knows it. So each comparison enters with its mirror image:
    a member errs towards either side alike, and before anyone has spoken both sides are as likely. To exchange the
    contestants of a comparison then changes no estimate, which the sign-flip test of the scores rests on. A score rests
    on the members that have an outcome on the comparison.

    Undefined for fewer than three members with outcomes, and for fewer comparisons than ten a member on which two
    members or more have an outcome.
    """
    said = {name: outcomes for name, outcomes in sides_of(bench).items() if outcomes}
    if len(said) < FEWEST_MEMBERS:
        return Undefined(f"{len(said)} members have verdicts; of two who differ, nothing tells which one errs")
    items = sorted({item for outcomes in said.values() for item in outcomes})
    shared = sum(sum(item in outcomes for outcomes in said.values()) > 1 for item in items)
    if shared < (fewest := ITEMS_A_MEMBER * len(said)):
        return Undefined(f"{shared} comparisons have verdicts by two members or more, and {fewest} are needed")
    rows = matrix(list(said.values()), items)
    fit = dawid_skene(
        [[*row, *(-side for side in row)] for row in rows],
        smoothing=SMOOTHING,
        tolerance=TOLERANCE,
        iterations=ITERATIONS,
    )
    if isinstance(fit, Undefined):
        return fit
    worth = {-1.0: 0.0, 0.0: 0.5, 1.0: 1.0}
    scores = fit.posteriors[: len(items)] @ [worth[side] for side in fit.classes if isinstance(side, float)]
    return Reliability(
        scores=dict(zip(items, scores.tolist(), strict=True)),
        accuracies=dict(zip(said, fit.accuracy.tolist(), strict=True)),
        converged=fit.converged,
    )
