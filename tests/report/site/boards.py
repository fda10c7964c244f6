"""Leaderboards of any size, made by a seed: their figures are drawn, and hang together as those of real boards do."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from sciexam.report.calls import Calls
from sciexam.report.gains import Gain
from sciexam.report.record import Figure
from sciexam.report.standings.leaderboard import IS_BASELINE, NO_REWARD, Leaderboard, Meeting, Row, Standings
from sciexam.stats import Estimate, Undefined

N = 400
METHOD = "beta interval on the effective number of prompts"
NONE = Undefined("no prompt has a usable verdict against the baseline")


def estimate(value: float, half: float, low: float = 0.0, high: float = 1.0, method: str = METHOD) -> Estimate:
    return Estimate(value, max(low, value - half), min(high, value + half), 0.95, N, method)


def made(
    names: Sequence[str], categories: Sequence[str] = (), seed: int = 1, mark: str = "", rewards: bool = True
) -> Leaderboard:
    """A board of `names`, the first the baseline; every text that somebody else could have written begins with `mark`.

    The best comes last in `names`. The third descends from the second, and this from the first.
    """
    rng = random.Random(seed)
    strengths = {name: 600.0 * place / len(names) + rng.uniform(0, 30) for place, name in enumerate(names)}
    meetings = tuple(_meeting(rng, strengths, a, b, mark) for a, b in combinations(names, 2))
    own = {(one.a, one.b): one for one in meetings}
    standings = tuple(_standings(rng, names, strengths, own, one, mark, rewards) for one in (None, *categories))
    lineage = [
        Gain(child, parent, (f"{mark}{stage}",), f"{mark}gpt", own[parent, child].win_rate)
        for parent, child, stage in zip(names, names[1:3], ("sft", "dpo"), strict=False)
    ]
    return Leaderboard(
        suite=f"{mark}exam",
        run="0123456789abcdef",
        rubric=f"{mark}helpfulness",
        judge=f"{mark}gpt",
        judge_is=f"{mark}the LLM judge-1, not validated",
        contestants=tuple(names),
        baseline=names[0],
        notes={names[-1]: f"{mark}what its suite says of it"},
        policy="mean",
        by=f"{mark}category",
        level=0.95,
        standings=standings,
        invalid=3,
        failed=0,
        calls=Calls(reused=12),
        caveats=(f"{mark}3 of 1,200 verdicts are invalid or failed; their prompts have no score.",),
        meetings=meetings,
        lineage=tuple(lineage),
        reward_model=f"{mark}rm" if rewards else None,
    )


def _meeting(rng: random.Random, strengths: dict[str, float], a: str, b: str, mark: str) -> Meeting:
    rate = 1 / (1 + 10 ** ((strengths[a] - strengths[b]) / 400))
    used = N - rng.randrange(12)
    ties = int(used * rng.uniform(0.05, 0.2))
    wins = min(used - ties, max(0, round(rate * used - ties / 2)))
    value = (wins + ties / 2) / used
    controlled: Figure = estimate(min(1.0, max(0.0, value + rng.uniform(-0.05, 0.05))), 0.06)
    if rng.random() < 0.1:
        controlled = Undefined(f"{mark}one of the two is nearly always the longer")
    agree = estimate(rng.uniform(0.7, 0.95), 0.03)
    return Meeting(a, b, estimate(value, 0.045), controlled, agree, wins, ties, used - ties - wins, N, used)


def _standings(
    rng: random.Random,
    names: Sequence[str],
    strengths: dict[str, float],
    met: dict[tuple[str, str], Meeting],
    category: str | None,
    mark: str,
    rewards: bool,
) -> Standings:
    shift = {name: strengths[name] + (rng.uniform(-40, 40) if category is not None else 0) for name in names}
    best = sorted(names, key=lambda name: -shift[name])
    rows = [_row(rng, names, best, place, shift, met, mark, rewards) for place, name in enumerate(best)]
    cycles = (f"{mark}x beats y beats x",) if category is None else ()
    return Standings(f"{mark}{category}" if category is not None else None, tuple(rows), cycles, estimate(0.4, 0.2))


def _row(
    rng: random.Random,
    names: Sequence[str],
    best: Sequence[str],
    place: int,
    strengths: dict[str, float],
    met: dict[tuple[str, str], Meeting],
    mark: str,
    rewards: bool,
) -> Row:
    name = best[place]
    base = names[0]
    own = met.get((base, name))
    points = 1000 + strengths[name] - strengths[base]
    half = 0.0 if name == base else rng.uniform(15, 35)
    last = place == len(best) - 2 and len(best) > 3 and name != base
    return Row(
        contestant=name,
        rank=place + 1,
        rank_low=max(1, place),
        rank_high=min(len(best), place + 2),
        tie_group=place // 2 + 1,
        rating=Undefined(f"{mark}it lost every battle") if last else estimate(points, half, -1e9, 1e9, "sandwich"),
        win_rate=IS_BASELINE if own is None else own.win_rate,
        length_controlled=IS_BASELINE if own is None else own.length_controlled,
        order_consistency=estimate(rng.uniform(0.7, 0.95), 0.03),
        words=rng.uniform(80, 400),
        prompts=N,
        battles=N * (len(names) - 1),
        reward=estimate(rng.uniform(-2, 3), 0.2, -9, 9, "t interval") if rewards else NO_REWARD,
        reward_sd=rng.uniform(0.5, 2) if rewards else None,
        usd=rng.uniform(0.02, 9) if place % 3 else None,
    )


MANIFEST: dict[str, Any] = {
    "started": "2026-03-01T10:20:30+00:00",
    "argv": ["/opt/bin/sciexam", "leaderboard", "--suite", "exam"],
    "python": "3.12.1",
    "packages": {"sciexam": "0.1.0", "numpy": "2.1.0", "scipy": "1.15.0"},
    "commit": "0" * 40,
    "plan": {
        "prompts": [f"q{i}" for i in range(N)],
        "suite": {
            "version": 2,
            "judges": {
                "gpt": {
                    "backend": "openai",
                    "model": "judge-1",
                    "base_url": "https://user:hunter2@internal.example",
                    "api_key_env": "EXAM_KEY",
                    "system": "a secret system prompt",
                    "template": "/home/someone/private/mine.j2",
                    "samples": 1,
                }
            },
        },
        "digests": {"rubric": "ab" * 32},
        "raters": [
            {
                "name": "gpt",
                "bench": "gpt",
                "kind": "judge",
                "digest": "cd" * 32,
                "sees_order": True,
                "orders": "both",
                "repeats": 1,
                "model": "judge-1",
            }
        ],
    },
}
