"""Whether a judge may take the place of an annotator, by the alternative annotator test."""

from __future__ import annotations

from dataclasses import dataclass

from sciexam.report.agreeing.votes import matrix
from sciexam.report.record import Figure
from sciexam.report.validating.human_verdicts import NOT_JUDGED, HumanVerdicts, Sides
from sciexam.stats import AltTest, Undefined, alt_test, benjamini_yekutieli


@dataclass(frozen=True, slots=True)
class Replaced:
    """The judge in the place of one annotator. `advantage`: how often it is at least as near to the others, ties to it.

    `p`: of the hypothesis that the annotator is nearer by epsilon or more; `p_corrected`: after Benjamini and
    Yekutieli. None where the annotator was not tested; `why_not` says why.
    """

    annotator: str
    items: int
    advantage: float | None
    p: float | None
    p_corrected: float | None
    replaced: bool
    why_not: str


@dataclass(frozen=True, slots=True)
class Replacing:
    """The alt-test: `omega` is the share of the tested annotators whom the judge may replace; with 1/2 it passes.

    `rho` gives ties to the judge, as published; `rho_split` splits them. `why_not` says why there is no test.
    """

    epsilon: float
    omega: float | None
    passed: bool | None
    rho: Figure
    rho_split: Figure
    annotators: tuple[Replaced, ...]
    why_not: str = ""


def replacing(humans: HumanVerdicts, sides: Sides, epsilon: float, level: float) -> Replacing:
    """The alternative annotator test on the comparisons that annotators judged (Calderon et al. 2025)."""
    items = sorted(humans.majority)
    said, people = matrix([sides, *humans.sides], items)[0], matrix(humans.sides, items)
    clusters = humans.clusters(items)
    if not sides.keys() & humans.majority.keys():
        return _untested(epsilon, NOT_JUDGED)
    if len(humans.votes) == 1:
        return _untested(epsilon, "the alt-test leaves each annotator out in turn, and there is one")
    found = alt_test(said, people, epsilon=epsilon, clusters=clusters, level=level)
    if isinstance(found, Undefined):
        return _untested(epsilon, found.why)
    corrected = benjamini_yekutieli([row.p for row in found.humans])
    return Replacing(
        epsilon=epsilon,
        omega=found.omega,
        passed=found.passed,
        rho=found.rho,
        rho_split=found.rho_split,
        annotators=tuple(_replaced(humans, found, index, p) for index, p in enumerate(corrected)),
    )


def _replaced(humans: HumanVerdicts, found: AltTest, index: int, corrected: float | None) -> Replaced:
    row = found.humans[index]
    name = humans.votes[index].rater
    return Replaced(name, row.n, row.advantage, row.p, corrected, row.rejected, row.skipped)


def _untested(epsilon: float, why: str) -> Replacing:
    none = Undefined(why)
    return Replacing(epsilon, None, None, none, none, (), why)
