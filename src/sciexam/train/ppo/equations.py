"""The equations of proximal policy optimisation for language models, on tensors of shape (answers, tokens).

A row is an answer, its place t the token that was taken there. `mask` is true where there is one, the token that ends
the answer among them; what stands behind it counts nowhere. Sources: Schulman et al. 2017 (PPO, arXiv 1707.06347),
Schulman et al. 2016 (generalised advantage estimation, arXiv 1506.02438), Ziegler et al. 2019 (language models, arXiv
1909.08593).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ADAPTATION = 0.1  # K_beta of Ziegler et al. 2019, section 2.2
LARGEST_ERROR = 0.2  # there, too: by how much of it one step may find beta wrong
EPSILON = 1e-8  # added to a variance


@dataclass(frozen=True, slots=True)
class Loss:
    """Sums over tokens: of the loss, and of those tokens at which the clipped side was the larger."""

    total: Tensor
    clipped: Tensor


def log_probabilities(logits: Tensor, taken: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Of the tokens `taken`, under the distribution that they are drawn from; and the entropy of that, in nats.

    `logits` have the shape (answers, tokens, vocabulary).
    """
    logprobs = (logits.float() / temperature).log_softmax(-1)
    entropy = -(logprobs.exp() * logprobs).sum(-1)
    return logprobs.gather(-1, taken.unsqueeze(-1)).squeeze(-1), entropy


def token_rewards(scores: Tensor, kl: Tensor, beta: float, mask: Tensor) -> Tensor:
    """r_t = -beta (log pi(y_t) - log ref(y_t)), and the score of the answer at its last token (Ziegler, equation 2).

    `scores` (answers,); `kl` is the difference of the logs.
    """
    last = mask.sum(-1, keepdim=True) - 1
    return torch.where(mask, -beta * kl, 0.0).scatter_add(-1, last, scores.unsqueeze(-1).to(kl.dtype))


def advantages_of(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Advantages and returns by generalised advantage estimation (Schulman 2016, equation 16).

        delta_t = r_t + gamma V(s_t+1) - V(s_t)
        A_t     = delta_t + gamma lam A_t+1

    V(s_t) is the value before the token t is taken. Behind the last token of an answer, V and A are nought. The return
    that a value is held against is A_t + V(s_t).
    """
    values = torch.where(mask, values, 0.0)
    advantages = torch.zeros_like(values)
    following = next_value = values.new_zeros(len(values))
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        following = torch.where(mask[:, t], delta + gamma * lam * following, 0.0)
        advantages[:, t], next_value = following, values[:, t]
    return advantages, advantages + values


def whitened(values: Tensor, mask: Tensor, shift: bool = True) -> Tensor:
    """With a variance of one over all tokens, and a mean of nought; without `shift` the mean stays."""
    mean, variance = mean_and_variance(values, mask)
    white = (values - mean) * torch.rsqrt(variance + EPSILON) + (0.0 if shift else mean)
    return torch.where(mask, white, 0.0)


def mean_and_variance(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Over the tokens of `mask`; the variance is the unbiased one, and nought of a single token."""
    kept = values[mask]
    return kept.mean(), kept.var() if len(kept) > 1 else torch.zeros_like(kept.mean())


def policy_loss(logprobs: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, clip: float) -> Loss:
    """-min(rho A, clip(rho, 1 - clip, 1 + clip) A), with rho = pi(y_t) / pi_old(y_t) (Schulman 2017, equation 7)."""
    ratio = (logprobs - old).exp()
    free, held = -advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)
    return _summed(free, held, mask)


def value_loss(values: Tensor, old: Tensor, returns: Tensor, mask: Tensor, clip: float) -> Loss:
    """1/2 max((V - R)^2, (V' - R)^2), where V' is V within `clip` of what it was when the answers were drawn.

    The value function's own clipping, as in the code of Schulman 2017 and of Ziegler 2019.
    """
    held = values.clamp(old - clip, old + clip)
    return _summed(0.5 * (values - returns) ** 2, 0.5 * (held - returns) ** 2, mask)


def _summed(free: Tensor, held: Tensor, mask: Tensor) -> Loss:
    return Loss(torch.maximum(free, held)[mask].sum(), (held > free)[mask].sum())


def adapted(beta: float, kl: float, target: float) -> float:
    """The beta of the next step: higher where `kl`, in nats an answer, is above its target (Ziegler, section 2.2).

    e = clip(kl / target - 1, -0.2, 0.2); beta' = beta (1 + 0.1 e)
    """
    error = max(-LARGEST_ERROR, min(LARGEST_ERROR, kl / target - 1))
    return beta * (1 + ADAPTATION * error)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """1 - Var(R - V) / Var(R): one where the values foresee all, nought where they foresee no more than a constant."""
    left, whole = (mean_and_variance(one, mask)[1] for one in (returns - values, returns))
    return float(1 - left / (whole + EPSILON))
