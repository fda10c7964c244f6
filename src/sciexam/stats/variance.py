"""Variance components of a pilot: how much of a score's spread is the prompt's, the order's, the sample's, the judge's.

A score is mean + order effect + judge effect + prompt + prompt:sample + prompt:judge + order within these + residual.
The orders and the judges are fixed (those of the pilot are those of the exam), so their own effects average out or are
part of the question; what they do differently on each prompt is a component. Methods of moments in the manner of
Henderson (1953, Biometrics 9:226): half the mean squared difference of two scores that share all but one factor. It
takes missing and unequal cells; on a balanced table it gives the estimates of the analysis of variance.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, cluster_totals, codes_of
from sciexam.stats.estimate import Undefined
from sciexam.stats.win_rate import unit_scores

PSEUDO = 2  # clusters of wins, and as many of losses, that join a pilot for its variance between equal contestants

Variance = float | Undefined
Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """The components, each a variance of scores in [0, 1], or why the pilot does not identify it.

    A component that is not identified is not lost: it is part of one that is, of `prompt` in the last resort, so that
    no saving is promised from repeating what was never repeated. `position` is the fixed order effect, half the mean
    difference between the orders; it is no component, but where each prompt is seen in one drawn order its square joins
    the spread. `truncated` names the components whose estimate was negative and is given as 0.
    `orders`, `samples`, `judges`, `repeats`: what the pilot had a prompt, on (harmonic) average; `units`: its
    prompts, or clusters of `size` prompts on average.
    """

    prompt: float
    sample: Variance
    judge: Variance
    order: Variance
    residual: Variance
    position: Variance
    mean: float
    prompts: int
    units: int
    size: float
    orders: float
    samples: float
    judges: float
    repeats: float
    truncated: tuple[str, ...] = ()

    def of_score(
        self, orders: float = 2, samples: float = 1, judges: float = 1, repeats: float = 1, position: bool = True
    ) -> float:
        """The variance of a prompt's score that averages `orders` orders of `samples` samples by `judges` judges.

        `repeats`: how often each judge is asked about the same presentation. `position`: whether one order is drawn for
        each prompt, rather than the same one shown for all; it matters for `orders` = 1 alone.
        """
        if isinstance(self.sample, Undefined):
            samples = 1  # what was never repeated may be the prompt's own: no gain is promised from repeating it
        drawn = _known(self.position) ** 2 if orders == 1 and position else 0.0
        return (
            self.prompt
            + drawn
            + _known(self.sample) / samples
            + _known(self.judge) / judges
            + _known(self.order) / (samples * judges * orders)
            + _known(self.residual) / (samples * judges * orders * repeats)
        )

    def at_one_half(self) -> VarianceComponents:
        """The same between equal contestants: all in proportion to mean (1 - mean), which is 1/4 there.

        Two clusters of wins and two of losses join the data, so that a few prompts all alike do not promise certainty:
        `of_score` at the pilot's own design is then `power.variance_at_one_half` of its prompt scores (up to unequal
        clusters).
        """
        if self.units == 0:
            return self  # assumed, not measured: it is between equal contestants as it is
        padded = self.prompts + 2 * PSEUDO * self.size
        regular = (self.prompts * self.mean + PSEUDO * self.size) / padded
        pilot = self.of_score(self.orders, self.samples, self.judges, self.repeats, position=False)
        squares = self.prompts * (pilot * (1 - 1 / self.units) + self.size * (self.mean - regular) ** 2)
        squares += PSEUDO * self.size**2 * (regular**2 + (1 - regular) ** 2)
        factor = 1 / (4 * regular * (1 - regular))
        scaled = replace(
            self,
            prompt=0.0,
            sample=_times(self.sample, factor),
            judge=_times(self.judge, factor),
            order=_times(self.order, factor),
            residual=_times(self.residual, factor),
            position=_times(self.position, factor**0.5),
            mean=0.5,
        )
        noise = scaled.of_score(self.orders, self.samples, self.judges, self.repeats, position=False)
        return replace(scaled, prompt=max(squares / padded * factor - noise, 0.0))


def variance_components(
    scores: ArrayLike,
    prompt: Iterable[Hashable],
    order: Iterable[Hashable] | None = None,
    sample: Iterable[Hashable] | None = None,
    judge: Iterable[Hashable] | None = None,
    clusters: Iterable[Hashable] | None = None,
) -> VarianceComponents | Undefined:
    """The components of `scores`, shape (n,), in [0, 1]: one contestant's score in every single verdict.

    `prompt`, `order`, `sample`, `judge`: one label a score (a factor that is left out has one level). Scores with the
    same four labels are repeats. Samples and orders are nested in the prompt, orders also in the judge. `clusters`: one
    label a score, the same for all of a prompt; the prompts of one cluster are then one unit of the prompts' spread.
    Undefined for fewer than two prompts or clusters. Raises ValueError for scores outside [0, 1], NaN, lengths that
    differ, missing labels, and a prompt in two clusters.
    """
    scores = unit_scores(scores)
    n = len(scores)
    prompts, orders, samples, judges = (
        codes_of(labels, n) if labels is not None else np.zeros(n, dtype=np.intp)
        for labels in (prompt, order, sample, judge)
    )
    if n == 0 or prompts.max() == 0:
        return Undefined("variance components need two prompts", min(n, 1))
    groups = _cluster_of_prompts(prompts, codes_of(clusters, n)) if clusters is not None else None
    if groups is not None and groups.max() == 0:
        return Undefined(f"all {prompts.max() + 1} prompts are in one group, and variance components need two", 1)

    means = np.bincount(prompts, scores) / np.bincount(prompts)
    centred = scores - _cell_means(scores, _join(orders, judges))
    # Pairs of scores on one prompt, by what else they share.
    judged = _join(prompts, judges)
    sat = _join(judged, samples)
    cell = _join(sat, orders)
    drawn = _join(prompts, samples)
    repeated = _half_difference(centred, prompts, cell, None)
    swapped = _half_difference(centred, prompts, sat, cell, fixed=True)
    rejudged = _half_difference(centred, prompts, drawn, sat, fixed=True)
    resampled = _half_difference(centred, prompts, judged, sat)

    truncated: list[str] = []

    def above(name: str, whole: float | None, below: float | None, why: str) -> Variance:
        if whole is None:
            return Undefined(why, len(means))
        if whole < (below or 0.0) - 1e-12:
            truncated.append(name)
        return max(whole - (below or 0.0), 0.0)

    residual = above("residual", repeated, None, "no presentation was judged twice")
    by_order = above("order", swapped, repeated, "no prompt was judged in both orders")
    below = next((part for part in (swapped, repeated) if part is not None), None)
    by_judge = above("judge", rejudged, below, "one judge only")
    by_sample = above("sample", resampled, below, "no prompt has more than one sample")

    parts = [(residual, np.arange(n)), (by_order, cell), (by_judge, judged), (by_sample, drawn)]
    noise = sum(_known(part) * _mean_share(prompts, codes) for part, codes in parts)
    spread, size = _spread(means, groups)
    between = above("prompt", spread, noise, "")
    return VarianceComponents(
        prompt=_known(between),
        sample=by_sample,
        judge=by_judge,
        order=by_order,
        residual=residual,
        position=_position(scores, prompts, orders),
        mean=float(means.mean()),
        prompts=len(means),
        units=len(means) if groups is None else int(groups.max()) + 1,
        size=size,
        orders=_mean_share(prompts, sat) / _mean_share(prompts, cell),
        samples=1 / _mean_share(prompts, drawn),
        judges=_mean_share(prompts, drawn) / _mean_share(prompts, sat),
        repeats=_mean_share(prompts, cell) / _mean_share(prompts, np.arange(n)),
        truncated=tuple(truncated),
    )


def forced_choice_components(ties: float = 0.1, consistency: float = 0.8) -> VarianceComponents:
    """What to assume without a pilot: a judge that says tie in a share of `ties`, between equal contestants.

    `consistency`: the share of prompts on which both orders give the same verdict, the ties among them; on the others
    they name opposite winners. One order then has the variance (1 - ties) / 4, and since half the squared difference of
    the orders is 1/2 where they disagree, the order's component is (1 - consistency) / 2; the rest is the prompt's. The
    mean of both orders has (consistency - ties) / 4. A fixed position bias moves none of these.
    Raises ValueError for ties outside [0, 1), or consistency outside [(1 + ties) / 2, 1]: less is worse than chance.
    """
    if not 0 <= ties < 1:
        raise ValueError(f"ties must lie in [0, 1), not {ties!r}")
    if not (1 + ties) / 2 <= consistency <= 1:
        raise ValueError(f"consistency must lie in [(1 + ties) / 2, 1], not {consistency!r}")
    order = (1 - consistency) / 2
    assumed = Undefined("assumed without a pilot to be part of the prompt's")
    return VarianceComponents(
        prompt=(1 - ties) / 4 - order,
        sample=assumed,
        judge=assumed,
        order=order,
        residual=Undefined("assumed without a pilot to be part of the order's"),
        position=Undefined("assumed without a pilot; it does not change what one drawn order is worth"),
        mean=0.5,
        prompts=0,
        units=0,
        size=1.0,
        orders=1.0,
        samples=1.0,
        judges=1.0,
        repeats=1.0,
    )


def pooled(pilots: Sequence[VarianceComponents]) -> VarianceComponents:
    """The mean of each component over `pilots` (one or more), where they identify it; the counts are averages too."""

    def over(name: str) -> Variance:
        values: list[Variance] = [getattr(one, name) for one in pilots]
        known = [value for value in values if not isinstance(value, Undefined)]
        return sum(known) / len(known) if known else values[0]

    def mean_of(name: str) -> float:
        return float(sum(getattr(one, name) for one in pilots)) / len(pilots)

    return VarianceComponents(
        prompt=mean_of("prompt"),
        sample=over("sample"),
        judge=over("judge"),
        order=over("order"),
        residual=over("residual"),
        position=over("position"),
        mean=mean_of("mean"),
        prompts=round(mean_of("prompts")),
        units=round(mean_of("units")),
        size=mean_of("size"),
        orders=mean_of("orders"),
        samples=mean_of("samples"),
        judges=mean_of("judges"),
        repeats=mean_of("repeats"),
        truncated=tuple(dict.fromkeys(name for one in pilots for name in one.truncated)),
    )


def _half_difference(
    scores: Floats, prompts: Codes, within: Codes, apart: Codes | None, fixed: bool = False
) -> float | None:
    """Half the mean squared difference of two scores that agree in `within` and differ in `apart` (None: any two).

    Each prompt that has such a pair counts alike. `fixed`: the pair lies in two cells that were centred over the
    prompts, which takes one degree of freedom. None where no prompt has such a pair.
    """
    squares, pairs = _pairs(scores, prompts, within)
    if apart is not None:
        nearer, of_them = _pairs(scores, prompts, apart)
        squares, pairs = squares - nearer, pairs - of_them
    has = pairs > 0.5
    count = int(has.sum())
    if count < 2:
        return None
    found = float((squares[has] / pairs[has]).mean()) / 2
    return max(found, 0.0) * (count / (count - 1) if fixed else 1.0)


def _pairs(scores: Floats, prompts: Codes, groups: Codes) -> tuple[Floats, Floats]:
    """For each prompt the sum of squared differences over the pairs inside its groups, and the number of them."""
    size, total, square = np.bincount(groups), np.bincount(groups, scores), np.bincount(groups, scores**2)
    owner = np.zeros(len(size), dtype=np.intp)
    owner[groups] = prompts
    squares = np.bincount(owner, size * square - total**2).astype(np.float64)
    return squares, np.bincount(owner, size * (size - 1) / 2).astype(np.float64)


def _mean_share(prompts: Codes, groups: Codes) -> float:
    """The mean over prompts of sum (share of the prompt's scores in each group)^2: 1 / groups where they are equal."""
    share = np.bincount(groups).astype(np.float64)
    owner = np.zeros(len(share), dtype=np.intp)
    owner[groups] = prompts
    return float((np.bincount(owner, share**2) / np.bincount(prompts).astype(np.float64) ** 2).mean())


def _spread(means: Floats, groups: Codes | None) -> tuple[float, float]:
    """The variance of a prompt's score as its clusters let it count, and the prompts of an average prompt's cluster."""
    totals, sizes = cluster_totals(means - means.mean(), groups)
    units = len(totals)
    return float((totals**2).sum()) / len(means) * units / (units - 1), float((sizes**2).sum()) / len(means)


def _position(scores: Floats, prompts: Codes, orders: Codes) -> Variance:
    """Half the mean difference between the two orders, over the prompts that were seen in both."""
    if orders.max() != 1:
        return Undefined("every prompt was seen in the same order" if orders.max() == 0 else "more than two orders")
    every, known = prompts.max() + 1, [orders == one for one in (0, 1)]
    total = np.array([np.bincount(prompts[mine], scores[mine], every) for mine in known])
    count = np.array([np.bincount(prompts[mine], minlength=every) for mine in known])
    both = (count > 0).all(0)
    if not both.any():
        return Undefined("no prompt was judged in both orders")
    in_one, in_other = total[:, both] / count[:, both]
    return abs(float((in_one - in_other).mean())) / 2


def _cell_means(scores: Floats, cells: Codes) -> Floats:
    return (np.bincount(cells, scores) / np.bincount(cells))[cells]


def _join(left: Codes, right: Codes) -> Codes:
    """One code for each combination that occurs."""
    return np.unique(left * (right.max() + 1) + right, return_inverse=True)[1].astype(np.intp, copy=False)


def _cluster_of_prompts(prompts: Codes, clusters: Codes) -> Codes:
    owner = np.full(prompts.max() + 1, -1, dtype=np.intp)
    owner[prompts] = clusters
    if (owner[prompts] != clusters).any():
        raise ValueError("a prompt is in two clusters")
    return owner


def _known(value: Variance) -> float:
    return 0.0 if isinstance(value, Undefined) else value


def _times(value: Variance, factor: float) -> Variance:
    return value if isinstance(value, Undefined) else value * factor
