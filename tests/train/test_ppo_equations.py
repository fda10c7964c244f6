"""The formulas of PPO are those of the papers, and give the numbers that trl 1.12.0's own lines give.

The golden numbers come from `python benchmarks/ppo_equations.py UNPACKED`, which runs these lines on the tensors below.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from sciexam.train.ppo.equations import (
    adapted,
    advantages_of,
    explained_variance,
    log_probabilities,
    policy_loss,
    token_rewards,
    value_loss,
    whitened,
)

GRID = torch.arange(8.0).reshape(2, 4)
REWARDS, VALUES, OLD, ADVANTAGE, VALUE = (torch.sin(GRID * (at + 1) + at) for at in range(5))
LOGITS, TAKEN = torch.cos(torch.arange(24.0)).reshape(2, 4, 3), torch.arange(8).reshape(2, 4) % 3
MASK = torch.tensor([[True] * 4, [True, True, False, False]])
LOGPROBS = [-0.501262, -1.692626, -2.247794, -1.759058, -0.809013, -0.630037, -1.192721, -1.58042]
RETURNS = [1.502553, 1.705458, 1.096223, 0.14112, -1.690943, -0.958924]


def near(found: Any, golden: list[float]) -> None:
    assert found.flatten().tolist() == pytest.approx(golden, abs=2e-6)


def of_answers() -> tuple[Any, Any]:
    return torch.where(MASK, REWARDS, 0.0), torch.where(MASK, VALUES, 0.0)


def test_log_probabilities_are_those_at_the_temperature_of_the_draw() -> None:
    logprobs, entropy = log_probabilities(LOGITS, TAKEN, 0.7)
    near(logprobs, LOGPROBS)
    whole = torch.log_softmax(LOGITS / 0.7, -1)
    near(entropy, (-(whole.exp() * whole).sum(-1)).flatten().tolist())


def test_advantages_and_returns_are_those_of_the_oracle() -> None:
    advantages, returns = advantages_of(*of_answers(), MASK, 0.97, 0.9)
    near(returns[MASK], RETURNS)
    near(whitened(advantages, MASK), [0.250805, 0.851236, 1.177497, -0.531561, -1.586633, -0.161345, 0.0, 0.0])


def test_whitened_rewards_keep_their_mean() -> None:
    white = whitened(REWARDS, MASK, shift=False)
    near(white, [-0.008282, 1.070541, 1.157499, 0.172644, -0.978553, -1.237687, 0.0, 0.0])
    assert float(white[MASK].mean()) == pytest.approx(float(REWARDS[MASK].mean()), abs=1e-6)


def test_the_clipped_losses_are_those_of_the_oracle() -> None:
    logprobs = torch.tensor(LOGPROBS).reshape(2, 4)
    actor = policy_loss(logprobs, logprobs + 0.3 * OLD, ADVANTAGE, MASK, 0.2)
    assert float(actor.total / 6) == pytest.approx(0.023603, abs=2e-6)
    assert int(actor.clipped) == 3
    _, values = of_answers()
    _, returns = advantages_of(*of_answers(), MASK, 0.97, 0.9)
    critic = value_loss(VALUE, values, returns, MASK, 0.2)
    assert float(critic.total / 6) == pytest.approx(1.184691, abs=2e-6)
    assert int(critic.clipped) == 4


def test_what_stands_behind_the_end_of_an_answer_counts_nowhere() -> None:
    other = torch.where(MASK, 0.0, 1e6)
    rewards, values = of_answers()
    before, after = (advantages_of(rewards, values + more, MASK, 1.0, 0.95) for more in (0.0, other))
    for one, two in zip(before, after, strict=True):
        assert torch.equal(one, two)
    white = whitened(before[0] + other, MASK)
    assert torch.equal(white, whitened(before[0], MASK))
    assert not white[~MASK].any()
    found = [policy_loss(OLD + more, OLD, ADVANTAGE + more, MASK, 0.2).total for more in (0.0, other)]
    assert found[0] == found[1]
    found = [value_loss(VALUE + more, values, rewards + more, MASK, 0.2).total for more in (0.0, other)]
    assert found[0] == found[1]


def test_an_undiscounted_return_is_what_is_still_to_come() -> None:
    rewards, values = of_answers()
    _, returns = advantages_of(rewards, values, MASK, 1.0, 1.0)
    to_come = rewards.flip(-1).cumsum(-1).flip(-1)
    near(returns[MASK], to_come[MASK].tolist())


def test_the_score_stands_at_the_token_that_ends_the_answer_and_each_token_pays_for_its_divergence() -> None:
    kl = torch.full((2, 4), 0.5)
    found = token_rewards(torch.tensor([2.0, -3.0]), kl, 0.1, MASK)
    near(found, [-0.05, -0.05, -0.05, 1.95, -0.05, -3.05, 0.0, 0.0])
    near(token_rewards(torch.tensor([2.0, -3.0]), kl, 0.0, MASK), [0.0, 0.0, 0.0, 2.0, 0.0, -3.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("kl", "beta"), [(6.0, 0.1), (6.6, 0.101), (12.0, 0.102), (600.0, 0.102), (5.4, 0.099), (0.0, 0.098)]
)
def test_beta_follows_the_divergence_by_a_fiftieth_at_most(kl: float, beta: float) -> None:
    assert adapted(0.1, kl, 6.0) == pytest.approx(beta)  # Ziegler et al. 2019, section 2.2


def test_explained_variance_is_one_of_a_value_that_foresees_all_and_nought_of_a_constant() -> None:
    assert explained_variance(REWARDS, REWARDS, MASK) == pytest.approx(1.0)
    assert explained_variance(torch.full((2, 4), 0.3), REWARDS, MASK) == pytest.approx(0.0, abs=1e-5)
    assert explained_variance(-REWARDS, REWARDS, MASK) == pytest.approx(-3.0, abs=1e-4)


def test_a_single_token_is_whitened_to_a_number() -> None:
    alone = torch.tensor([[True, False, False, False], [False] * 4])
    assert math.isfinite(float(whitened(REWARDS, alone).sum()))
