"""Without the penalty for divergence a policy pleases the reward model as much or more, and gives worse answers.

In the world of benchmarks/ppo_world.py it is known how good an answer is. docs/ppo.md has the table of more seeds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from ppo_runs import BETA, base_of, examined, gain_of, ours, reward_model
from ppo_world import prompts

from sciexam.prompts import read_prompts


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_without_the_penalty_the_reward_is_as_high_or_higher_and_the_answers_are_worse(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in prompts()), encoding="utf-8")
    asked, base = read_prompts(file), base_of(tmp_path / "base", 1)
    reward = reward_model(base, asked, tmp_path / "rm", 1)
    before = examined(base, reward, asked, 0.0, 0.0)
    held, free = (
        examined(weights, reward, asked, kl, seconds)
        for beta in (BETA, 0.0)
        for weights, kl, seconds in [ours(tmp_path / f"beta-{beta}", base, reward, file, beta, 1)]
    )
    assert before.reward + 1 < held.reward < free.reward + 0.1  # it has little more to give
    assert held.kl < free.kl
    assert gain_of(held, before).low > 0  # with the penalty the answers get better
    assert gain_of(held, free).low > 0  # without it they are worse than with it, prompt by prompt
