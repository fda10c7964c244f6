"""How well scores order the responses to a prompt as humans ranked them: the five measures of Yuan et al. (2024).

The measures are those of "Self-Rewarding Language Models" (arXiv 2401.10020, section 3.1.2), which leaves open what a
tie is worth; each function says what it is here. All take three flat arrays with one entry for each response:

- `scores`, the higher the better;
- `ranks`, by humans, 1 for the best; only their order within a prompt counts. Two responses that humans left tied have
  no order to be found, so that no measure asks for it;
- `prompts`, a label: responses with one label answer the same prompt, and a prompt is the unit of the interval.

They raise ValueError for NaN, infinities, a missing label and lengths that differ.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, codes_of, finite_vector
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean

Codes = NDArray[np.intp]
Prompts = Iterable[Hashable]


def pairwise_accuracy(
    scores: ArrayLike, ranks: ArrayLike, prompts: Prompts, level: float = 0.95
) -> Estimate | Undefined:
    """The share of pairs of responses to one prompt that the scores order as humans did; equal scores count one half.

    Every pair counts the same, so that a prompt with four responses weighs six times one with two, as in the paper.
    """
    of_scores, of_ranks, prompt = _pairs(*_responses(scores, ranks, prompts))
    ranked = of_ranks != 0
    if not ranked.any():
        return Undefined("no prompt has two responses that humans ranked apart")
    agreed = (of_scores * of_ranks)[ranked] / 2 + 0.5
    return _over_prompts(agreed, prompt[ranked], level, 0.0)


def exact_match(scores: ArrayLike, ranks: ArrayLike, prompts: Prompts, level: float = 0.95) -> Estimate | Undefined:
    """The share of prompts whose scores give the whole order that humans gave; equal scores fail it."""
    of_scores, of_ranks, prompt = _pairs(*_responses(scores, ranks, prompts))
    ranked = of_ranks != 0
    if not ranked.any():
        return Undefined("no prompt has two responses that humans ranked apart")
    asked = np.bincount(prompt[ranked])
    right = np.bincount(prompt[ranked], of_scores[ranked] == of_ranks[ranked])
    asked_at_all = asked > 0
    return _over_prompts((right == asked)[asked_at_all], np.flatnonzero(asked_at_all), level, 0.0)


def mean_spearman(scores: ArrayLike, ranks: ArrayLike, prompts: Prompts, level: float = 0.95) -> Estimate | Undefined:
    """Spearman's correlation of scores and human order on each prompt, averaged over prompts.

    A prompt whose scores are all equal, or whose ranks are, has none: it is left out, and `method` tells how many.
    """
    scores, ranks, prompt = _responses(scores, ranks, prompts)
    u, v = _centred_ranks(scores, prompt), -_centred_ranks(ranks, prompt)
    together, alone_u, alone_v = (np.bincount(prompt, part) for part in (u * v, u * u, v * v))
    return _mean_ratio(together, alone_u, alone_v, prompt, level)


def mean_kendall(scores: ArrayLike, ranks: ArrayLike, prompts: Prompts, level: float = 0.95) -> Estimate | Undefined:
    """Kendall's tau-b, which corrects for ties, of scores and human order on each prompt, averaged over prompts.

    Prompts without one are left out as in `mean_spearman`.
    """
    scores, ranks, responses = _responses(scores, ranks, prompts)
    u, v, prompt = _pairs(scores, ranks, responses)
    count = int(responses.max()) + 1 if len(responses) else 0
    together, alone_u, alone_v = (np.bincount(prompt, part, count) for part in (u * v, u * u, v * v))
    return _mean_ratio(together, alone_u, alone_v, responses, level)


def five_best(
    scores: ArrayLike, ranks: ArrayLike, prompts: Prompts, level: float = 0.95, perfect: float = 5.0
) -> Estimate | Undefined:
    """Of the responses that score `perfect` or more, the share that humans rank top on their prompt (or tie for it).

    A prompt with a single response has no order and does not count. Every response counts the same.
    """
    scores, ranks, prompt = _responses(scores, ranks, prompts)
    best = np.full(int(prompt.max()) + 1 if len(prompt) else 0, np.inf)
    np.minimum.at(best, prompt, ranks)
    counted = (scores >= perfect) & (np.bincount(prompt, minlength=len(best)) > 1)[prompt]
    if not counted.any():
        return Undefined(f"no response to a prompt with several scores {perfect:g}")
    return _over_prompts((ranks == best[prompt])[counted], prompt[counted], level, 0.0)


def _responses(scores: ArrayLike, ranks: ArrayLike, prompts: Prompts) -> tuple[Floats, Floats, Codes]:
    scores, ranks = finite_vector(scores, "scores"), finite_vector(ranks, "ranks")
    if len(scores) != len(ranks):
        raise ValueError(f"{len(scores)} scores but {len(ranks)} ranks")
    return scores, ranks, codes_of(prompts, len(scores))


def _pairs(scores: Floats, ranks: Floats, prompt: Codes) -> tuple[Floats, Floats, Codes]:
    """For each pair of responses to one prompt the order by score, the order by humans (1, -1 or 0) and the prompt."""
    order = np.argsort(prompt, kind="stable")
    scores, ranks, prompt = scores[order], ranks[order], prompt[order]
    parts: list[tuple[Floats, Floats, Codes]] = []
    most = int(np.bincount(prompt).max()) if len(prompt) else 0
    for apart in range(1, most):
        first = np.flatnonzero(prompt[apart:] == prompt[:-apart])
        second = first + apart
        by_score, by_humans = np.sign(scores[first] - scores[second]), np.sign(ranks[second] - ranks[first])
        parts.append((by_score, by_humans, prompt[first]))
    if not parts:
        return np.empty(0), np.empty(0), np.empty(0, dtype=np.intp)
    of_scores, of_ranks, where = (np.concatenate(part) for part in zip(*parts, strict=True))
    return of_scores, of_ranks, where


def _centred_ranks(values: Floats, prompt: Codes) -> Floats:
    """The rank of each response among those to its prompt, tied ones averaged, minus the mean rank."""
    order = np.lexsort((values, prompt))
    values, by_prompt = values[order], prompt[order]
    starts = np.ones(len(values), dtype=bool)
    starts[1:] = (values[1:] != values[:-1]) | (by_prompt[1:] != by_prompt[:-1])
    tied = np.cumsum(starts) - 1
    sizes = np.bincount(tied)
    middle = np.cumsum(sizes) - (sizes + 1) / 2  # places before it over all prompts, counted from 0
    responses = np.bincount(prompt)
    centre = np.cumsum(responses) - (responses + 1) / 2
    ranks = np.empty(len(values))
    ranks[order] = middle[tied] - centre[by_prompt]
    return ranks


def _mean_ratio(c: NDArray[Any], a: NDArray[Any], b: NDArray[Any], prompt: Codes, level: float) -> Estimate | Undefined:
    """The mean over prompts of c / sqrt(a b), where it exists."""
    several = np.bincount(prompt, minlength=len(c)) > 1
    defined = several & (a > 0) & (b > 0)
    if not defined.any():
        return Undefined("no prompt has several responses with different scores and different ranks")
    ratios = np.clip(c[defined] / np.sqrt(a[defined] * b[defined]), -1, 1)
    found = _over_prompts(ratios, np.flatnonzero(defined), level, -1.0)
    left_out = int(several.sum() - defined.sum())
    if isinstance(found, Undefined) or left_out == 0:
        return found
    return replace(found, method=f"{found.method}; {left_out} without an order left out")


def _over_prompts(values: ArrayLike, prompt: Codes, level: float, low: float) -> Estimate | Undefined:
    """The mean of values between `low` and 1 that belong to prompts."""
    found = mean(values, prompt, level, low, 1.0)
    if isinstance(found, Undefined):
        return Undefined("only one prompt has an order to compare, and an interval needs two", found.n)
    return replace(found, method=found.method.replace("groups", "prompts"))
