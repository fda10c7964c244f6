"""Logistic regression of scores in [0, 1] on covariates, with an intercept for each group of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciexam.stats.clusters import Floats

STEPS = 100
TOLERANCE = 1e-9  # of the linear predictor, in log-odds


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """The fitted log-odds `intercepts[group] + x @ slopes`, and what `jackknife` needs of the fit.

    `intercepts`, shape (G,), and `slopes`, shape (F,), are the estimates. The rest describes the fit at them, for n
    rows: `groups` (n,), `weights` (n,) times p (1 - p), weighted `residuals` (n,), the covariates `centred` (n, F) on
    their weighted mean `centre` (G, F) in the group, and the `information` (F, F) on the slopes.
    """

    intercepts: Floats
    slopes: Floats
    groups: NDArray[np.intp]
    weights: Floats
    residuals: Floats
    centred: Floats
    centre: Floats
    information: Floats
    anchored: NDArray[np.bool_]


def logistic_fit(
    scores: Floats,
    x: Floats,
    groups: NDArray[np.intp],
    weights: Floats,
    anchored: tuple[int, ...] = (),
    start: LogisticFit | None = None,
) -> LogisticFit | None:
    """The maximum of the weighted quasi-likelihood sum w (s log p + (1 - s) log(1 - p)), or None where it has none.

    `scores` s (n,) in [0, 1], which need not be 0 or 1 (Papke and Wooldridge 1996); `x` (n, F); `groups` (n,), codes
    0..G-1 that all occur; `weights` w (n,) above 0. A group named in `anchored` has its intercept fixed at 0.
    `start`: a fit of the same groups and columns that the maximum lies near.
    None under perfect separation (Albert and Anderson 1984), where the log-odds run away; also where a column of `x`
    follows from the others and the groups.

    Newton's method with the step log(1 + r) / r, where r is the largest change of a row's log-odds by the full step:
    every step then gains, from any start (self-concordance, Bach 2010), and near the solution the step is the full one.
    Under separation r stays near 1 for ever. The intercepts are absorbed, so many groups cost no more than few.
    """
    fixed = np.isin(np.arange(groups.max() + 1), anchored)
    intercepts, slopes = np.zeros(len(fixed)), np.zeros(x.shape[1])
    if start is not None:
        intercepts, slopes = start.intercepts, start.slopes
    for _ in range(STEPS):
        state = _state(intercepts, slopes, scores, x, groups, weights, fixed)
        try:
            turn = np.linalg.solve(state.information, state.centred.T @ state.residuals)
        except np.linalg.LinAlgError:
            return None
        shift = np.bincount(groups, state.residuals) / np.bincount(groups, state.weights) - state.centre @ turn
        shift[fixed] = 0.0
        longest = float(np.abs(shift[groups] + x @ turn).max())
        if longest < TOLERANCE:
            return state
        step = np.log1p(longest) / longest
        intercepts, slopes = intercepts + step * shift, slopes + step * turn
    return None


def _state(
    intercepts: Floats,
    slopes: Floats,
    scores: Floats,
    x: Floats,
    groups: NDArray[np.intp],
    weights: Floats,
    fixed: NDArray[np.bool_],
) -> LogisticFit:
    """The score and the information at these coefficients."""
    from scipy.special import expit

    log_odds = intercepts[groups] + x @ slopes
    win, loss = expit(log_odds), expit(-log_odds)
    residuals = weights * (scores * loss - (1 - scores) * win)  # s - p, exact where p is near 0 or 1
    weights = weights * win * loss
    sums = np.stack([np.bincount(groups, weights * column) for column in x.T], axis=1)
    centre = np.where(fixed[:, None], 0.0, sums / np.bincount(groups, weights)[:, None])
    centred = x - centre[groups]
    information = centred.T @ (weights[:, None] * centred)
    return LogisticFit(intercepts, slopes, groups, weights, residuals, centred, centre, information, fixed)


@dataclass(frozen=True, slots=True)
class Jackknife:
    """How far the estimates move when a cluster of rows joins the others; sums of squares over clusters are variances.

    `slopes`, shape (C, F): the move of the slopes for each cluster. `centre` (G, F) as in the fit. The intercept of
    group `group[b]` moves by `block[b]` when cluster `cluster[b]` joins, apart from what the slopes do to it.
    """

    slopes: Floats
    centre: Floats
    group: NDArray[np.intp]
    cluster: NDArray[np.intp]
    block: Floats

    def intercept(self, group: int) -> Floats:
        """The move of one group's intercept for each cluster, shape (C,)."""
        moves: Floats = -(self.slopes @ self.centre[group])
        here = self.group == group
        moves[self.cluster[here]] += self.block[here]
        return moves

    def squares(self) -> Floats:
        """The sum over all clusters of the squared moves of each intercept, shape (G,)."""
        through = -(self.slopes[self.cluster] * self.centre[self.group]).sum(1)  # the slopes, in each group's clusters
        everywhere = ((self.centre @ (self.slopes.T @ self.slopes)) * self.centre).sum(1)
        elsewhere = everywhere - np.bincount(self.group, through**2)
        squares: Floats = np.maximum(elsewhere, 0.0) + np.bincount(self.group, (through + self.block) ** 2)
        return squares


def jackknife(fit: LogisticFit, clusters: NDArray[np.intp]) -> Jackknife:
    """The estimates minus those of one Newton step away from `fit` without each cluster: the CR3 sandwich.

    `clusters` (n,): codes 0..C-1, all present; a cluster may lie in several groups. The sum of squares over clusters
    is the cluster-robust covariance with CR3 residuals (Bell and McCaffrey 2002, MacKinnon, Nielsen and Webb 2023),
    without the factor (C - 1) / C. No group may consist of a single cluster, unless it is anchored.
    Raises numpy.linalg.LinAlgError where the other clusters do not determine the slopes.
    """
    count, features = int(clusters.max()) + 1, fit.centred.shape[1]
    pairs, rows = np.unique(fit.groups * count + clusters, return_inverse=True)
    group, cluster = pairs // count, pairs % count
    score = np.bincount(rows, fit.residuals)
    weight = np.bincount(rows, fit.weights)
    weighted = fit.weights[:, None] * fit.centred
    moment = np.stack([np.bincount(rows, column) for column in weighted.T], axis=1)
    others = np.bincount(fit.groups, fit.weights)[group] - weight
    share = np.where(fit.anchored[group], 0.0, 1 / np.where(fit.anchored[group], 1.0, others))

    lost = np.empty((count, features, features))  # the information that leaves with a cluster
    gradient = np.empty((count, features))
    for i in range(features):
        gradient[:, i] = np.bincount(clusters, fit.residuals * fit.centred[:, i], count)
        gradient[:, i] += np.bincount(cluster, share * moment[:, i] * score, count)
        for j in range(i + 1):
            lost[:, i, j] = np.bincount(clusters, weighted[:, i] * fit.centred[:, j], count)
            lost[:, i, j] += np.bincount(cluster, share * moment[:, i] * moment[:, j], count)
            lost[:, j, i] = lost[:, i, j]
    slopes = np.linalg.solve(fit.information - lost, gradient[..., None])[..., 0].astype(np.float64, copy=False)
    block = share * (score + (moment * slopes[cluster]).sum(1))
    return Jackknife(slopes, fit.centre, group, cluster, block)
