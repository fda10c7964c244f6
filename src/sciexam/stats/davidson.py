"""The model of Bradley and Terry (1952) with ties after Davidson (1970): its fit, and its covariance over clusters.

Contestant i has a strength p_i = exp(theta_i), and the board a tie parameter nu = exp(eta) >= 0:

    P(i wins) = p_i / D,    P(j wins) = p_j / D,    P(tie) = nu sqrt(p_i p_j) / D,    D = p_i + p_j + nu sqrt(p_i p_j)

(Davidson 1970, JASA 65:317). It is an exponential family: the points of each contestant (a win 1, a tie 1/2) and the
number of ties are sufficient, and the log likelihood is concave. nu = 0 is the model of Bradley and Terry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sciexam.stats.clusters import Floats
from sciexam.stats.tournament import TINY, Bools, Tournament

ITERATIONS = 40  # Newton needs 5 to 10 where the maximum is finite; a step that never shrinks says that it is not
STEP = 1e-9  # log strengths; Newton's error after a step of this size is below rounding
GAIN = 1e-9  # of the log likelihood, by the last step
STRIDE = 4.0  # the longest step, in log odds
FAR = 30.0  # log odds beyond it are on their way to infinity: probabilities round to 0 and 1
FLAT = 600.0  # log odds beyond it are as good as this, and their exponential might not be a number
LEVERAGE_STEPS = 5  # terms of the series for (I - H_c H^-1)^-1
CELLS = 2**20  # numbers held in one working array


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Maximum likelihood estimates for one data set, or for many along the leading axes.

    `strengths` (..., k): theta, with mean 0. `log_ties` (...): eta, -inf where there is no tie. `finite` (...): False
    where the likelihood has no maximum, and the other two mean nothing.
    """

    strengths: Floats
    log_ties: Floats
    finite: Bools


def fit(met: Floats, points: Floats, ties: Floats, start: Fit | None = None) -> Fit:
    """The fit to `met` (..., k, k), the number of battles of each pair, symmetric; `points` (..., k); `ties` (...).

    Newton's method, each step halved until the likelihood does not fall. Its length is that of the log odds between
    contestants who met: in a long chain the strengths themselves may lie far apart. Two or more contestants, who must
    be strongly connected by points. `start`: a fit of one data set to begin with.
    """
    tied, total = ties > TINY, met.sum((-2, -1)) / 2
    equal = np.where(tied, 2 * np.maximum(ties, TINY) / np.maximum(total - ties, 0.01 * total), 1.0)
    strengths = np.zeros(points.shape) if start is None else np.broadcast_to(start.strengths, points.shape)
    with np.errstate(divide="ignore"):
        log_ties = np.where(tied, np.log(equal), -np.inf)
    if start is not None and np.isfinite(start.log_ties):
        log_ties = np.where(tied, start.log_ties, -np.inf)

    excess = points - met.sum(-1) / 2
    ties = np.where(tied, ties, 0.0)
    likelihood = _likelihood(met, excess, ties, strengths, log_ties)
    for _ in range(ITERATIONS):
        model = Model(strengths, log_ties)
        gradient = model.gradient(met, points, ties)
        step = np.linalg.solve(model.information(met), gradient[..., None])[..., 0]
        gain = (gradient * step).sum(-1)
        size = _widest(met, step[..., :-1], step[..., -1])
        step *= np.minimum(1, STRIDE / np.maximum(size, TINY))[..., None]
        while True:
            new = strengths + step[..., :-1], log_ties + step[..., -1]
            reached = _likelihood(met, excess, ties, *new)
            worse = reached < likelihood - 1e-10 * (1 + np.abs(likelihood))
            if not worse.any():
                break
            step = np.where(worse[..., None], step / 2, step)
        (strengths, log_ties), likelihood = new, reached
        if (size < STEP).all():
            break
    strengths = strengths - strengths.mean(-1, keepdims=True)
    far = np.maximum(_widest(met, strengths, np.zeros_like(ties)), np.where(tied, log_ties, 0.0))
    # Where a win has odds of 1e10 rounding alone moves the strengths by more than STEP, but far less than their error.
    settled = (size < STEP) | (np.abs(gain) < GAIN)
    return Fit(strengths, log_ties, np.asarray(settled & (far < FAR)))


def _widest(met: Floats, strengths: NDArray[Any], log_ties: NDArray[Any]) -> Floats:
    """The largest of the log odds between contestants who met, and of the log tie parameter, without signs."""
    apart = np.where(met > 0, np.abs(strengths[..., :, None] - strengths[..., None, :]), 0.0)
    return np.asarray(np.maximum(apart.max((-2, -1)), np.abs(log_ties)))


def _likelihood(met: Floats, excess: Floats, ties: Floats, strengths: Floats, log_ties: Floats) -> Floats:
    """The log likelihood; `excess` = points - battles / 2, so that D can be divided by sqrt(p_i p_j)."""
    apart = np.abs(strengths[..., :, None] - strengths[..., None, :]) / 2
    # log(exp(apart) + exp(-apart) + nu), where exp(apart) may be too large for a number
    over = apart + np.log1p(np.exp(-2 * apart) + np.exp(log_ties)[..., None, None] * np.exp(-apart))
    # -inf * 0 where there is no tie
    of_ties = np.where(ties > 0, ties * np.where(ties > 0, log_ties, 0.0), 0.0)
    value: Floats = (excess * strengths).sum(-1) + of_ties - (met * over).sum((-2, -1)) / 2
    return value


class Model:
    """What one battle gives in expectation, for every pair [i, j]; shapes (..., k, k).

    `score` and `tie` are the expectations of i's score and of the tie indicator, `score_variance`, `tie_variance` and
    `covariance` their second moments.
    """

    __slots__ = ("covariance", "score", "score_variance", "tie", "tie_variance")

    def __init__(self, strengths: Floats, log_ties: Floats):
        half = np.exp(np.clip(strengths[..., :, None] - strengths[..., None, :], -FLAT, FLAT) / 2)
        nu = np.exp(log_ties)[..., None, None]
        over = 1 / (half + 1 / half + nu)
        win, loss, tie = half * over, over / half, nu * over
        self.score: Floats = win + tie / 2
        self.tie: Floats = tie
        # As products, not as differences such as win - win^2, which lose their digits where a win is nearly certain.
        self.score_variance: Floats = win * loss + tie * (win + loss) / 4
        self.tie_variance: Floats = tie * (win + loss)
        self.covariance: Floats = tie * (loss - win) / 2

    def gradient(self, met: Floats, points: Floats, ties: Floats) -> Floats:
        """Of the log likelihood by (theta, eta), shape (..., k + 1): what was seen minus what was to be expected."""
        of_ties = ties - (met * self.tie).sum((-2, -1)) / 2
        gradient: Floats = np.concatenate([points - (met * self.score).sum(-1), of_ties[..., None]], -1)
        return gradient

    def information(self, met: Floats) -> Floats:
        """Minus the Hessian by (theta, eta), made regular, shape (..., k + 1, k + 1).

        The likelihood does not depend on the mean of theta, nor on eta where nu = 0: these directions, in which the
        gradient is 0, get a curvature of the size of the others.
        """
        k = met.shape[-1]
        weights = met * self.score_variance
        own = weights.sum(-1)
        typical = np.maximum(own.mean(-1), 1e-9 * met.mean((-2, -1)))  # the floor is for a likelihood without maximum
        hessian = np.empty((*met.shape[:-2], k + 1, k + 1))
        hessian[..., :k, :k] = typical[..., None, None] / k - weights
        places = np.arange(k)
        hessian[..., places, places] += own + 1e-12 * typical[..., None]
        hessian[..., k, :k] = hessian[..., :k, k] = (met * self.covariance).sum(-1)
        of_ties = (met * self.tie_variance).sum((-2, -1)) / 2
        hessian[..., k, k] = np.where(of_ties > 0, of_ties, typical)
        return hessian


def unbounded_ties(scored: Floats, tied: Floats) -> bool:
    """Whether nu grows without limit in a tournament (k, k) that is strongly connected by points.

    It does where places on a line exist such that every winner stands at least 1 above whom it beat, and no tie joins
    two who are more than 1 apart: moved apart in step with nu, these places explain all outcomes ever better. So if
    all battles are ties, or if two contestants tie, and one wins, but never the other. A circle of wins excludes it.
    """
    if tied.max() <= TINY:
        return False
    # place[i] <= place[j] + bound[i, j]; feasible unless a circle has a negative sum (Bellman and Ford).
    wins = scored - tied / 2
    bound = np.where(tied > TINY, 1.0, np.inf)
    bound = np.where(wins.T > TINY, -1.0, bound)
    both = (wins.T > TINY) & (wins > TINY)
    if both.any():
        return False
    place = np.zeros(len(scored))
    for _ in range(len(scored) + 1):
        nearer = np.minimum(place, (place + bound).min(-1))
        if (nearer == place).all():
            return True
        place = nearer
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Sandwich:
    """The covariance (k + 1, k + 1) of (theta with mean 0, eta) over clusters, and what it rests on.

    `clusters`, shape (k + 1,): in how many clusters each contestant has a battle; the last is all of them. `effective`,
    (k + 1,): how many clusters of equal size would weigh as much (Kish 1965), at most `clusters`.
    """

    covariance: Floats
    clusters: Floats
    effective: Floats


class Pseudo(Protocol):
    """Clusters that joined the data of a fit: the battles `met` (k, k) in them, and their sum of g_c g_c'."""

    @property
    def met(self) -> Floats: ...

    def meat(self, model: Model) -> Floats: ...


def _chunks(tournament: Tournament, total: int) -> Iterator[tuple[slice, int, int]]:
    """Cells of neighbouring clusters, the number of clusters before, and how many they are."""
    rows = max(1, CELLS // (len(tournament.names) + 1))
    starts = np.searchsorted(tournament.cluster, np.arange(0, total + rows, rows))
    for number, (start, end) in enumerate(pairwise(starts)):
        yield slice(start, end), number * rows, min(rows, total - number * rows)


def sandwich(tournament: Tournament, strengths: Floats, log_ties: Floats, pseudo: Pseudo | None = None) -> Sandwich:
    """The jackknife covariance of the fit over clusters, in one step from the full fit (CR3).

    With H the information, H_c the part of cluster c, and g_c its part of the gradient, leaving c out moves the fit by
    -H^-1 u_c where u_c = (I - H_c H^-1)^-1 g_c, and the covariance is (C - 1)/C H^-1 (sum_c u_c u_c') H^-1 (Bell and
    McCaffrey 2002, Survey Methodology 28:169; in the model itself, u_c would be g_c). The inverse is a series, which
    needs no matrix for each cluster; where a cluster alone decides a strength it is cut short.
    With `pseudo` clusters in the fit nothing is lost to it, and (C - 1)/C falls away.
    """
    k = len(tournament.names)
    total = int(tournament.cluster[-1]) + 1
    model = Model(strengths, log_ties)
    if pseudo is None:
        met, meat, correction = tournament.met, np.zeros((k + 1, k + 1)), (total - 1) / total
    else:
        met, meat, correction = tournament.met + pseudo.met, pseudo.meat(model), 1.0
    bread = np.linalg.inv(model.information(met)).astype(np.float64, copy=False)
    clusters, sizes, squares = np.zeros(k + 1), np.zeros(k + 1), np.zeros(k + 1)
    for cells, before, rows in _chunks(tournament, total):
        chunk = _Chunk(tournament, model, cells, before, rows)
        moved = chunk.left_out(bread)
        meat += moved.T @ moved
        size = chunk.sizes()
        clusters += (size > 0).sum(0)
        sizes += size.sum(0)
        squares += (size**2).sum(0)
    covariance = bread @ meat @ bread * correction
    return Sandwich(covariance, clusters, sizes**2 / squares)


class _Chunk:
    """Some neighbouring clusters of a tournament; matrices here have shape (rows, k + 1), one row a cluster."""

    def __init__(self, tournament: Tournament, model: Model, cells: slice, before: int, rows: int):
        k = len(tournament.names)
        first, second = tournament.first[cells], tournament.second[cells]
        row = (tournament.cluster[cells] - before) * (k + 1)
        pair = first * k + second
        self.shape = rows, k + 1
        self.first, self.second, self.last = row + first, row + second, row + k
        self.battles = tournament.battles[cells]
        self.points = tournament.points[cells] - self.battles * model.score.ravel()[pair]
        self.ties = tournament.ties[cells] - self.battles * model.tie.ravel()[pair]
        self.score_variance = self.battles * model.score_variance.ravel()[pair]
        self.covariance = self.battles * model.covariance.ravel()[pair]
        self.tie_variance = self.battles * model.tie_variance.ravel()[pair]

    def sizes(self) -> Floats:
        """How many battles each contestant has in each cluster; last, all battles of the cluster."""
        return self._spread(self.battles, self.battles, self.battles)

    def left_out(self, bread: Floats) -> Floats:
        """u_c = g_c + H_c H^-1 g_c + (H_c H^-1)^2 g_c + ..."""
        own = term = self._spread(self.points, -self.points, self.ties)
        moved = own.copy()
        for _ in range(LEVERAGE_STEPS):
            term = self._informed(term @ bread)
            moved += term
            if np.abs(term).max() < 1e-3 * np.abs(own).max():
                break
        return moved

    def _informed(self, by: Floats) -> Floats:
        """H_c times the row of cluster c in `by`."""
        flat = by.ravel()
        apart, of_ties = flat[self.first] - flat[self.second], flat[self.last]
        points = self.score_variance * apart + self.covariance * of_ties
        return self._spread(points, -points, self.covariance * apart + self.tie_variance * of_ties)

    def _spread(self, of_first: Floats, of_second: Floats, of_ties: Floats) -> Floats:
        size = self.shape[0] * self.shape[1]
        total: Floats = np.bincount(self.first, of_first, size).astype(np.float64, copy=False)
        total += np.bincount(self.second, of_second, size)
        total += np.bincount(self.last, of_ties, size)
        return total.reshape(self.shape)
