"""The formulas of PPO held against those of trl 1.12.0: its own lines, run on the tensors that ours are run on.

    python benchmarks/ppo_equations.py UNPACKED

UNPACKED is an unpacked wheel of trl 1.12.0. Prints the largest difference of each formula on random tensors, and the
golden numbers of tests/train/test_ppo_equations.py.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from sciexam.train.ppo import equations as ours

SETTINGS = SimpleNamespace(gamma=0.97, lam=0.9, cliprange=0.2, cliprange_value=0.2, temperature=0.7)


def main() -> None:
    source = (Path(sys.argv[1]) / "trl/experimental/ppo/ppo_trainer.py").read_text(encoding="utf-8")
    functions = named(source, "masked_mean", "masked_var", "masked_whiten")
    torch.manual_seed(0)
    worst: dict[str, float] = {}
    for _ in range(200):
        given = drawn(8, 12, 30)
        for name, (mine, theirs) in both(source, functions, given).items():
            worst[name] = max(worst.get(name, 0.0), float((mine - theirs).abs().max()))
    for name, difference in worst.items():
        print(f"{name:22} {difference:.1e}")
    print()
    for name, (_, theirs) in both(source, functions, fixed()).items():
        print(f"{name} = {[round(float(x), 6) for x in theirs.flatten()]}")


def drawn(answers: int, tokens: int, words: int) -> dict[str, Any]:
    lengths = torch.randint(1, tokens + 1, (answers, 1))
    given = {name: torch.randn(answers, tokens) for name in ("rewards", "values", "old", "advantage", "value")}
    given["mask"] = torch.arange(tokens) < lengths
    return given | {"logits": torch.randn(answers, tokens, words), "taken": torch.randint(words, (answers, tokens))}


def fixed() -> dict[str, Any]:
    """The tensors of the test: two answers, of four tokens and of two, in a vocabulary of three."""
    grid = torch.arange(8.0).reshape(2, 4)
    names = ("rewards", "values", "old", "advantage", "value")
    given: dict[str, Any] = {name: torch.sin(grid * (at + 1) + at) for at, name in enumerate(names)}
    given["logits"] = torch.cos(torch.arange(24.0)).reshape(2, 4, 3)
    given["taken"] = torch.arange(8).reshape(2, 4) % 3
    return given | {"mask": torch.tensor([[True] * 4, [True, True, False, False]])}


def both(source: str, functions: dict[str, Any], given: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Of each formula what ours and theirs make of the same tensors."""
    mask, outside = given["mask"], ~given["mask"]
    values, rewards = (torch.where(mask, given[name], 0.0) for name in ("values", "rewards"))
    logprobs, _ = ours.log_probabilities(given["logits"], given["taken"], SETTINGS.temperature)
    advantages, returns = ours.advantages_of(rewards, values, mask, SETTINGS.gamma, SETTINGS.lam)
    old = logprobs + 0.3 * given["old"]
    actor = ours.policy_loss(logprobs, old, given["advantage"], mask, SETTINGS.cliprange)
    critic = ours.value_loss(given["value"], values, returns, mask, SETTINGS.cliprange_value)
    count = mask.sum()

    scope = {**functions, "torch": torch, "args": SETTINGS, "values": values, "rewards": rewards}
    scope |= {"responses": given["taken"], "padding_mask": outside, "empty_cache": lambda: None}
    run(between(source, "lastgaelam = 0", "empty_cache()"), scope)
    taken = torch.log_softmax(given["logits"] / SETTINGS.temperature, -1).gather(-1, given["taken"][..., None])[..., 0]
    # Two places that their masks count and ours do not are one here: the place behind the end of an answer.
    scope |= {"micro_batch_inds": slice(None), "padding_mask_p1": outside, "mb_values": values}
    scope |= {"mb_return": scope["returns"], "vpred": given["value"], "mb_advantage": given["advantage"]}
    scope |= {"new_logprobs": taken, "mb_logprobs": old}
    run(between(source, "vpredclipped = torch.clamp(", "loss = pg_loss"), scope)
    run(between(source, "pg_clipfrac = masked_mean(", "prob_dist ="), scope)
    return {
        "logprobs": (logprobs, taken),
        "advantages": (ours.whitened(advantages, mask), scope["advantages"]),
        "returns": (returns[mask], scope["returns"][mask]),
        "whitened_rewards": (
            ours.whitened(rewards, mask, shift=False),
            functions["masked_whiten"](rewards, mask, shift_mean=False).masked_fill(outside, 0.0),
        ),
        "policy_loss": (actor.total / count, scope["pg_loss"]),
        "clip_fraction": (actor.clipped / count, scope["pg_clipfrac"]),
        "value_loss": (critic.total / count, scope["vf_loss"]),
        "value_clip_fraction": (critic.clipped / count, scope["vf_clipfrac"]),
    }


def named(source: str, *names: str) -> dict[str, Any]:
    """Functions of a module, by their own lines."""
    scope: dict[str, Any] = {"torch": torch}
    for name in names:
        found = re.search(rf"^def {name}\(.*?(?=^\S)", source, re.M | re.S)
        assert found, f"{name} is not in this wheel: is it trl 1.12.0?"
        exec("from __future__ import annotations\n" + found[0], scope)
    return {name: scope[name] for name in names}


def between(source: str, first: str, last: str) -> str:
    """The lines from one that begins with `first` up to one that begins with `last`."""
    lines = source.splitlines()
    begin = next(at for at, line in enumerate(lines) if line.strip().startswith(first))
    end = next(at for at, line in enumerate(lines[begin:], begin) if line.strip().startswith(last))
    return textwrap.dedent("\n".join(lines[begin:end]))


def run(lines: str, scope: dict[str, Any]) -> None:
    exec(lines, scope)


if __name__ == "__main__":
    main()
