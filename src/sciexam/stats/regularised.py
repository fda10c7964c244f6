"""Ranks possible for contestants whom battles link, by a fit that is finite for those who won or lost everything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sciexam.stats.clusters import Floats
from sciexam.stats.davidson import Model, fit, sandwich
from sciexam.stats.ranks import Ranks, rank_ranges
from sciexam.stats.tournament import Bools, Codes, Tournament, reaches, summed

PSEUDO = 1.0  # clusters in which a contestant wins all its battles, and as many in which it loses all


@dataclass(frozen=True, slots=True, eq=False)
class PseudoClusters:
    """For each contestant a cluster in which it wins all its battles, and one in which it loses all.

    `share` (k, k) [i, j]: i's battles against j in a pseudo cluster of i.
    """

    share: Floats

    @property
    def met(self) -> Floats:
        return 2 * PSEUDO * (self.share + self.share.T)

    def meat(self, model: Model) -> Floats:
        """The sum of g_c g_c' over these clusters, shape (k + 1, k + 1)."""
        meat = np.zeros((len(self.share) + 1, len(self.share) + 1))
        for score in (1.0, 0.0):
            of_points = self.share * (score - model.score)
            moved = np.column_stack([np.diag(of_points.sum(1)) - of_points, -(self.share * model.tie).sum(1)])
            meat += PSEUDO * moved.T @ moved
        return meat


def linked_ranks(tournament: Tournament, level: float, seed: int, draws: int) -> Ranks | None:
    """The rank ranges of all in a `tournament` whom battles link, whether their strengths have finite estimates or not.

    Pseudo clusters join the data (after Agresti and Coull 1998, American Statistician 52:119), which keep strengths
    finite, and those who won or lost everything from seeming certain of what they have not seen. Each contestant has
    one of wins and one of losses against those of its own strongly connected set, and as many against those of each
    other set it met: so a link of three wins does not drown in a hundred battles elsewhere. Two contestants get two of
    either, as many as `sciexam.stats.mean.bounded_interval` takes for a test.

    They are no evidence. Nobody is certainly above another without having scored against it, directly or through
    others: who lost everything may be as weak as can be. And the degrees of freedom of a difference are the effective
    number of clusters of the contestant, and of the battles that link the two sets, that has fewest.

    None where the odds are too large for a fit.
    """
    reach = reaches(tournament.scored)
    of_set = np.unique((reach & reach.T).argmax(1), return_inverse=True)[1]
    pseudo = PseudoClusters(_shares(tournament, of_set))
    points = tournament.scored.sum(1) + pseudo.met.sum(1) / 2
    fitted = fit(tournament.met + pseudo.met, points, tournament.tied.sum() / 2)
    if not fitted.finite:
        return None
    robust = sandwich(tournament, fitted.strengths, fitted.log_ties, pseudo)
    own = robust.effective[:-1]
    freedom = np.minimum(np.minimum.outer(own, own), _links(tournament, of_set)[np.ix_(of_set, of_set)])
    return rank_ranges(fitted.strengths, robust.covariance[:-1, :-1], freedom, level, seed, draws, reach)


def _shares(tournament: Tournament, of_set: Codes) -> Floats:
    """[i, j]: i's battles against j in a pseudo cluster of i, spread over the opponents of one set as its battles are.

    They are as many as in the clusters in which the variance lies: sum(size^3) / sum(size^2) over i's against the set.
    """
    k, n_sets = len(of_set), int(of_set.max()) + 1
    first, second = tournament.first, tournament.second
    against = np.concatenate([first * n_sets + of_set[second], second * n_sets + of_set[first]])
    at, size = _sizes(np.tile(tournament.cluster, 2), against, np.tile(tournament.battles, 2), k * n_sets)
    squares, cubes = (np.bincount(at, size**power, k * n_sets).reshape(k, n_sets) for power in (2, 3))
    battles = tournament.met @ (of_set[:, None] == np.arange(n_sets))
    met: Bools = battles > 0
    share: Floats = np.where(met, cubes / np.where(met, squares * battles, 1), 0.0)[:, of_set] * tournament.met
    return share


def _links(tournament: Tournament, of_set: Codes) -> Floats:
    """The effective number of clusters (Kish 1965) of the battles between each two sets, shape (sets, sets).

    For sets that did not meet, that of the weakest link on the best way through others; without limit within a set.
    """
    n_sets = int(of_set.max()) + 1
    one, other = of_set[tournament.first], of_set[tournament.second]
    across = one != other
    pair = (np.minimum(one, other) * n_sets + np.maximum(one, other))[across]
    at, size = _sizes(tournament.cluster[across], pair, tournament.battles[across], n_sets**2)
    sums, squares = (np.bincount(at, size**power, n_sets**2) for power in (1, 2))
    links = np.divide(sums**2, squares, out=np.zeros(n_sets**2), where=squares > 0).reshape(n_sets, n_sets)
    links = links + links.T
    links[np.diag_indices(n_sets)] = np.inf
    for through in range(n_sets):
        links = np.maximum(links, np.minimum.outer(links[:, through], links[through]))
    return links


def _sizes(cluster: Codes, group: Codes, battles: Floats, groups: int) -> tuple[Codes, Floats]:
    """The group, and the battles, of each group's part of each cluster."""
    cell, _, (size,) = summed(cluster * groups + group, groups * (int(cluster.max(initial=-1)) + 1), battles)
    return cell % groups, size
