"""What the raters of a set of items say together, and how far each can be relied upon."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.alpha import Measurement, krippendorff_alpha
from sciexam.stats.clusters import Floats
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.rating_table import MISSING, Table, check_number, read_ratings, tabulate


@dataclass(frozen=True, slots=True)
class MajorityVote:
    """`labels`: the category that most raters gave to each item; None for a tie of the most frequent, or no rating.

    `ties` and `unrated` count these two apart; `unanimous` counts the items with two ratings or more, all the same.
    """

    labels: tuple[Hashable | None, ...]
    ties: int
    unrated: int
    unanimous: int


@dataclass(frozen=True, slots=True)
class DawidSkene:
    """The fit of `dawid_skene`.

    `classes`: the categories in the order of every axis below. `posteriors`, shape (items, classes): the probability
    of each true class; an item without a rating has the prior. `confusion`, shape (raters, classes, classes):
    P(rater says column | true class is row). `prior`, shape (classes,). `accuracy`, shape (raters,): the probability
    that a rater says the true class of an item drawn from the prior. `converged` is False where it stopped at the
    largest number of iterations.
    """

    classes: tuple[Hashable, ...]
    posteriors: Floats
    confusion: Floats
    prior: Floats
    accuracy: Floats
    log_likelihood: float
    iterations: int
    converged: bool


def majority_vote(ratings: ArrayLike) -> MajorityVote:
    """The most frequent category of each item, by plurality: more raters gave it than any other.

    `ratings`, shape (raters, items): numbers with NaN, or labels with None, where one is missing. Two against two is a
    tie, not a label. Raises ValueError for another shape.
    """
    read = read_ratings(ratings)
    table, pattern = tabulate(read.codes, len(read.categories))
    # A last row of missing ratings, so that there is one without raters too.
    slots = np.pad(table.slots, ((0, 1), (0, 0)), constant_values=MISSING)
    votes = np.array([np.count_nonzero(slots == slot, axis=0) for slot in slots]) * (slots != MISSING)
    most, first = votes.max(0), np.take_along_axis(slots, votes.argmax(0)[None], axis=0)[0]
    nobody = most == 0
    tied = ~nobody & ((votes == most) & (slots != first)).any(0)
    chosen = np.where(tied | nobody, MISSING, first)
    labels = (*read.categories, None)  # None is the last, where the code of a missing rating points
    return MajorityVote(
        labels=tuple(labels[code] for code in chosen[pattern].tolist()),
        ties=int(table.counts[tied].sum()),
        unrated=int(table.counts[nobody].sum()),
        unanimous=int(table.counts[(most >= 2) & (most == table.rated)].sum()),
    )


def dawid_skene(
    ratings: ArrayLike, smoothing: float = 0.0, tolerance: float = 1e-9, iterations: int = 1_000
) -> DawidSkene | Undefined:
    """The true classes and the raters' confusion matrices by maximum likelihood (Dawid and Skene 1979, Applied
    Statistics 28:20), assuming that given the true class the raters err independently of each other.

    `ratings`, shape (raters, items), as in `majority_vote`. EM starts from the shares of the votes on each item, the
    paper's own start, and stops when the log likelihood rises by less than `tolerance` an item, or after `iterations`.
    `smoothing`, 0 or more: added to every cell of every confusion matrix's counts, and to the prior's, in each M-step;
    0 is the paper's estimate. With it the likelihood is penalised, and may itself fall by a little.
    Undefined for one rater, one class, and where no item has two ratings. Raises ValueError for another shape, and for
    more than 1,000 categories.
    """
    if not 0 <= smoothing < np.inf:
        raise ValueError(f"smoothing must not be negative or infinite, not {smoothing!r}")
    if iterations < 1 or not tolerance > 0:
        raise ValueError("iterations must be at least 1 and tolerance above 0")
    read = read_ratings(ratings)
    check_number(len(read.categories))
    table, pattern = tabulate(read.codes, len(read.categories), ordered=True)
    rated = table.rated
    items = int(table.counts[rated > 0].sum())
    if not (np.count_nonzero((read.codes >= 0).any(1)) > 1 and (rated > 1).any()):
        return Undefined("no item has ratings by two raters, who could confirm or contradict each other", items)
    if table.size < 2:
        return Undefined("every rating is the same category: there is nothing to confuse", items)
    posteriors = np.array([np.count_nonzero(table.slots == code, axis=0) for code in range(table.size)], np.float64).T
    posteriors /= np.maximum(rated, 1)[:, None]
    previous, converged = -np.inf, False
    steps = 0
    while steps < iterations and not converged:
        steps += 1
        prior, confusion = _estimates(table, posteriors, smoothing)
        posteriors, likelihood = _expectations(table, prior, confusion)
        converged = abs(likelihood - previous) < tolerance * items
        previous = likelihood
    return DawidSkene(
        classes=read.categories,
        posteriors=posteriors[pattern],
        confusion=confusion,
        prior=prior,
        accuracy=np.einsum("c,rcc->r", prior, confusion),
        log_likelihood=likelihood,
        iterations=steps,
        converged=converged,
    )


def _estimates(table: Table, posteriors: Floats, smoothing: float) -> tuple[Floats, Floats]:
    """The M-step (equations 2.3 and 2.4): the class prior and every rater's confusion matrix."""
    held = np.where(table.rated > 0, table.counts, 0.0)[:, None] * posteriors
    prior = held.sum(0) + smoothing
    said = [[held[row == code].sum(0) for code in range(table.size)] for row in table.slots]
    confusion = np.array(said).transpose(0, 2, 1) + smoothing
    seen = confusion.sum(2, keepdims=True)
    # A class that a rater never met tells nothing about the rater: every answer is as likely.
    confusion = np.where(seen > 0, confusion / np.where(seen > 0, seen, 1.0), 1 / table.size)
    return prior / prior.sum(), confusion


def _expectations(table: Table, prior: Floats, confusion: Floats) -> tuple[Floats, float]:
    """The E-step (equation 2.5): the posterior of each pattern, shape (patterns, classes), and the log likelihood."""
    with np.errstate(divide="ignore"):
        chance = np.log(confusion)
        joint = np.tile(np.log(prior), (len(table.counts), 1))
    for rater, row in enumerate(table.slots):
        given = row >= 0
        joint[given] += chance[rater][:, row[given]].T
    highest = joint.max(1, keepdims=True)
    share = np.exp(joint - highest)
    each: NDArray[np.float64] = np.log(share.sum(1)) + highest[:, 0]
    return share / share.sum(1, keepdims=True), float(table.counts @ each)


def alpha_if_removed(
    ratings: ArrayLike,
    measurement: Measurement = "nominal",
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
) -> tuple[Estimate | Undefined, ...]:
    """Krippendorff's alpha of all raters but one, for each rater in turn; arguments as in `krippendorff_alpha`.

    A rater without whom alpha is higher agrees less with the others than they do among themselves. The alphas share
    their items: whether one is higher than another is not a question for their intervals.
    """
    read = read_ratings(ratings)
    if read.numbers is None and measurement != "nominal":
        raise ValueError(f"a measurement of {measurement!r} needs numbers as ratings; words are 'nominal'")
    values = np.arange(len(read.categories), dtype=np.float64) if read.numbers is None else read.numbers
    table = np.where(read.codes >= 0, np.append(values, np.nan)[read.codes], np.nan)
    labels = None if clusters is None else list(clusters)
    others = (np.delete(table, rater, axis=0) for rater in range(len(table)))
    return tuple(krippendorff_alpha(rest, measurement, labels, level) for rest in others)
