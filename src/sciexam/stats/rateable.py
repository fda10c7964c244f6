"""Who among the contestants of some battles can be rated by one fit, and why the others cannot."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.davidson import Fit, fit, unbounded_ties
from sciexam.stats.estimate import Undefined
from sciexam.stats.tournament import TINY, Bools, Codes, Labels, Name, Tournament, fold, reaches

Ties = Literal["davidson", "half"]
TIES = ("davidson", "half")
SIDES = ("above", "among", "below", "apart")


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """All battles, and those of the contestants who can be rated.

    `core` has the places of the latter in `everything`, `inner` their battles with each other, and `anchor` is the
    baseline's place in `inner`, None where it is not there. `reach` (k, k): who scored against whom, directly or
    through others; `above` (k, k) [i, j]: j is above i, having scored against it so, and never the other way round.
    `fitted`: the strengths of `inner`, or why nobody can be rated.
    """

    everything: Tournament
    reach: Bools
    above: Bools
    core: Codes
    inner: Tournament
    anchor: int | None
    fitted: Fit | Undefined

    def battles(self, i: int) -> int:
        return round(float(self.everything.met[i].sum()))

    def linked(self) -> list[Codes]:
        """The sets of contestants whom battles link, directly or through others, ascending."""
        links = reaches(self.everything.met)
        return [np.flatnonzero(row) for i, row in enumerate(links) if row.argmax() == i]

    def seen(self, i: int) -> tuple[int, int]:
        """The best and the worst rank of contestant i if all that the battles say were certain."""
        return 1 + int(self.above[i].sum()), len(self.above) - int(self.above[:, i].sum())

    def side(self, i: int) -> str:
        """Where contestant i stands to the rated ones: one of SIDES."""
        if i in self.core:
            return "among"
        if len(self.core) == 0:
            return "apart"
        first = self.core[0]
        if self.reach[i, first]:
            return "above"
        return "below" if self.reach[first, i] else "apart"

    def why_not(self, i: int) -> str:
        """Why contestant i has no finite rating, if it has none."""
        battles, points = self.battles(i), float(self.everything.scored[i].sum())
        if isinstance(self.fitted, Undefined) and i in self.core:
            return self.fitted.why
        if points > battles - TINY:
            return f"won all its battles ({battles}): its rating has no upper limit"
        if points < TINY:
            return f"lost all its battles ({battles}): its rating has no lower limit"
        if isinstance(self.fitted, Undefined):
            return self.fitted.why
        how = "the rated contestants, directly or through others: its rating has no"
        match self.side(i):
            case "above":
                return f"never lost to {how} upper limit"
            case "below":
                return f"never scored against {how} lower limit"
        return "no chain of battles orders it against the rated contestants"


def field_of(
    a: Labels,
    b: Labels,
    scores: ArrayLike,
    clusters: Iterable[Hashable] | None,
    baseline: Name | None,
    ties: Ties,
) -> Field:
    """Arguments and errors as in `sciexam.stats.ratings.bradley_terry`."""
    if ties not in TIES:
        raise ValueError(f"ties must be 'davidson' or 'half', not {ties!r}")
    everything = fold(a, b, scores, clusters)
    if baseline is not None and baseline not in everything.names:
        raise ValueError(f"baseline {baseline!r} has no battle; contestants: {', '.join(map(str, everything.names))}")
    if ties == "half":
        everything = everything.without_ties()
    reach = reaches(everything.scored)
    core = _core(everything, reach, baseline)
    inner = everything.among(core)
    anchor = inner.names.index(baseline) if baseline is not None and baseline in inner.names else None
    return Field(everything, reach, reach.T & ~reach, core, inner, anchor, _fitted(inner, everything))


def _core(everything: Tournament, reach: Bools, baseline: Name | None) -> Codes:
    """The places of the contestants to rate: the largest set of those who all reach each other, two at least.

    Of sets as large, the one with most battles, then the first by name.
    """
    mutual = reach & reach.T
    if baseline is not None:
        with_baseline = np.flatnonzero(mutual[everything.names.index(baseline)])
        if len(with_baseline) > 1:
            return with_baseline
    battles = everything.met.sum(1)
    sets = [np.flatnonzero(row) for i, row in enumerate(mutual) if row.argmax() == i and row.sum() > 1]
    return max(sets, key=lambda members: (len(members), battles[members].sum()), default=np.empty(0, dtype=np.intp))


def _one_way(everything: Tournament) -> str:
    """Why nobody has a finite strength where nobody got back a point, directly or through others."""
    match len(everything.names):
        case 0:
            return "there are no battles"
        case 2:
            return "one of the two won every battle, so no rating has a limit"
    return "all results run one way: nobody scored against who scored against them, directly or through others"


def _fitted(inner: Tournament, everything: Tournament) -> Fit | Undefined:
    if len(inner.names) < 2:
        return Undefined(_one_way(everything))
    if unbounded_ties(inner.scored, inner.tied):
        if (inner.tied > inner.met - TINY).all():
            return Undefined("every battle is a tie: nothing tells how strong the contestants are")
        never = "where contestants tie, at most one of them ever wins"
        return Undefined(f"{never}: Davidson's tie parameter has no finite estimate")
    fitted = fit(inner.met, inner.scored.sum(1), inner.tied.sum() / 2)
    if not fitted.finite:
        return Undefined("one contestant hardly ever scores against another: their odds are too large for a fit")
    return fitted
