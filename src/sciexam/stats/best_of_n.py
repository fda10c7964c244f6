"""What choosing the best of n samples by reward brings, as a curve in n, from N >= n samples for each prompt."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import Floats, codes_of
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean


@dataclass(frozen=True, slots=True)
class BestOfN:
    """One point of the curve: choosing among `n` samples gives `value`, at no more than `kl` nats from the policy."""

    n: int
    kl: float
    value: Estimate | Undefined


def best_of_n(
    rewards: ArrayLike,
    outcomes: ArrayLike | None = None,
    ns: Sequence[int] | None = None,
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
    low: float | None = None,
    high: float | None = None,
) -> list[BestOfN]:
    """The mean over prompts of the outcome of the sample that has the highest reward among n, for each n of `ns`.

    `rewards`, shape (prompts, N): of N samples of one policy on each prompt. `outcomes`, of the same shape: what the
    choice is judged by, such as a second reward model or 1 for a right answer; default: the rewards themselves.
    `ns`: default 1, 2, 4 ... up to N. `clusters`: one label for each prompt. `low`, `high`: bounds of the outcomes, if
    they have any, for the interval of `sciexam.stats.mean.mean`; without them it is a t interval.

    For one prompt the value is the mean over all C(N, n) subsets of n samples, without drawing any: with the samples
    in order of reward, sum over i of C(i-1, n-1) / C(N, n) * outcome_(i) (Nakano et al. 2021, arXiv 2112.09332). That
    is unbiased for best-of-n of the policy. Samples of equal reward are taken to be chosen equally often.
    `kl` = log n - (n-1)/n bounds the divergence of best-of-n from the policy from above, and is not the divergence
    itself: Beirami et al. 2024, arXiv 2401.01879.
    Raises ValueError for shapes that differ, NaN and infinities, and an n that is not one of 1 .. N.
    """
    rewards = _samples(rewards, "rewards")
    outcomes = rewards if outcomes is None else _samples(outcomes, "outcomes")
    if outcomes.shape != rewards.shape:
        raise ValueError(f"rewards have the shape {rewards.shape} but outcomes {outcomes.shape}")
    most = rewards.shape[1]
    ns = [2**k for k in range(most.bit_length())] if ns is None else ns
    if wrong := [n for n in ns if n != int(n) or not 1 <= n <= most]:
        raise ValueError(f"n must be a whole number between 1 and the {most} samples of a prompt, not {wrong[0]}")
    groups = None if clusters is None else codes_of(clusters, len(rewards))
    ordered = _in_order(rewards, outcomes)
    return [
        BestOfN(n, log(n) - (n - 1) / n, _bounded_or_t(ordered @ _weights(n, most), groups, level, low, high))
        for n in map(int, ns)
    ]


def _weights(n: int, most: int) -> Floats:
    """C(i-1, n-1) / C(N, n) for i = 1 .. N: the chance that the i-th lowest is the best of n."""
    i = np.arange(most, n, -1)
    weights = np.zeros(most)
    # From the top down each is the one above times (i-n)/(i-1), so that no binomial coefficient overflows.
    weights[n - 1 :] = (n / most * np.cumprod(np.concatenate([[1.0], (i - n) / (i - 1)])))[::-1]
    return weights


def _in_order(rewards: Floats, outcomes: Floats) -> Floats:
    """The outcomes of each prompt from the lowest reward to the highest; samples of equal reward share their mean."""
    order = np.argsort(rewards, axis=1, kind="stable")
    rewards, outcomes = np.take_along_axis(rewards, order, 1), np.take_along_axis(outcomes, order, 1)
    starts = np.ones(rewards.shape, dtype=bool)
    starts[:, 1:] = rewards[:, 1:] != rewards[:, :-1]
    tied = np.cumsum(starts.ravel()) - 1
    if len(tied) == 0:
        return outcomes
    means = np.bincount(tied, outcomes.ravel()) / np.bincount(tied)
    shared: Floats = means[tied].reshape(rewards.shape)
    return shared


def _bounded_or_t(
    values: Floats, groups: Iterable[Hashable] | None, level: float, low: float | None, high: float | None
) -> Estimate | Undefined:
    # A weighted mean of values on a bound can pass it by rounding.
    return mean(values if low is None or high is None else np.clip(values, low, high), groups, level, low, high)


def _samples(values: ArrayLike, name: str) -> Floats:
    samples = np.asarray(values, dtype=np.float64)
    if samples.ndim != 2 or samples.shape[1] == 0:
        raise ValueError(f"{name} must have the shape (prompts, samples), with a sample or more, not {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError(f"{name} must be finite numbers; leave out the prompts with one that is not")
    return samples
