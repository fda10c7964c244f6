"""Records of every kind as their builders make them from verdicts and marks that a seed draws."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from sciexam.battles import pair, present, resolve
from sciexam.lineage import Descent
from sciexam.report.agreeing.agreement import Agreement, build_agreement
from sciexam.report.build import build
from sciexam.report.calls import Calls
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.marking.grades import Grades, build_grades
from sciexam.report.marking.marks import Marking, Marks, Scale
from sciexam.report.marking.rewards import Rewards, build_rewards
from sciexam.report.record import Look, Report
from sciexam.report.standings.board import Besides, build_leaderboard
from sciexam.report.standings.leaderboard import Leaderboard
from sciexam.report.standings.outcomes import outcomes_of
from sciexam.report.stopping import Outcome, build_stopped
from sciexam.report.validating.validation import Validation, build_validation
from sciexam.stats import BettingSequence, Estimate
from sciexam.types import Grade, Kind, Message, Presentation, Prompt, Reply, Response, Verdict

CATEGORIES = ("physics", "biology", "chemistry", "earth")
STAGES = (
    "base",
    "sft",
    "dpo",
    "ppo",
    "best of 8",
    "gpt-4.1-mini",
    "sft-v2",
    "dpo-v2",
    "rm-tuned",
    "merged",
    "null",
    "ref",
)


def names_of(count: int) -> tuple[str, ...]:
    return STAGES[:count]


def evidence(
    names: Sequence[str],
    prompts: int = 60,
    judges: Sequence[str] = ("gpt-4.1",),
    seed: int = 1,
    bias: float = 0.06,
    kinds: Sequence[Kind] = (),
    **more: Any,
) -> Evidence:
    """A later name is better; a judge leans to the first answer by `bias` and to the longer one a little."""
    draw = random.Random(seed)
    asked = tuple(
        Prompt(id=f"p{i}", messages=(Message(role="user", content=f"Why {i}?"),), category=CATEGORIES[i % 4])
        for i in range(prompts)
    )
    skill = {name: 0.16 * place for place, name in enumerate(names)}
    responses = {
        (name, one.id, 0): Response(name, one.id, 0, Reply("k", f"{name} " * draw.randint(20 + 4 * place, 90)))
        for place, name in enumerate(names)
        for one in asked
    }
    compared = list(pair(asked, tuple(combinations(names, 2)), 1, responses))
    luck = {(c.prompt.id, c.a.contestant, c.b.contestant): draw.gauss(0, 0.5) for c in compared}

    def verdict(shown: Presentation, rater: str, kind: Kind) -> Verdict:
        first, second = shown.first_by, shown.second_by
        key = (shown.prompt.id, *sorted((first, second), key=list(names).index))
        ahead = skill[second] - skill[first] + (luck[key] if second == key[2] else -luck[key])
        ahead += 0.002 * (len(shown.second.split()) - len(shown.first.split())) + draw.gauss(0, 0.35) - bias
        strength = ("slight", "clear", "strong")[min(2, int(abs(ahead) * 2.2))]
        if abs(ahead) < 0.08:
            return shown.verdict(rater, "tie", kind=kind)
        return shown.verdict(rater, "second" if ahead > 0 else "first", strength=strength, kind=kind)

    benches = []
    for judge, kind in zip(judges, [*kinds, *["judge"] * len(judges)], strict=False):
        battles, said = [], []
        for one in compared:
            shown = [(p, verdict(p, judge, kind)) for p in (present(one, "ab"), present(one, "ba"))]
            battles.append(resolve(one, shown, judge, "mean"))
            said += shown
        benches.append(Bench(judge, "an LLM judge, not validated", (judge,), True, battles, said))
    descents = tuple(
        Descent(name, names[place - 1] if place else None, (name,) if place else ()) for place, name in enumerate(names)
    )
    made = Evidence(
        suite="science",
        run="3f9a2c71",
        rubric="explanation",
        seed=seed,
        contestants=tuple(names),
        pairs=tuple(combinations(names, 2)),
        notes={},
        prompts=asked,
        samples=1,
        responses=responses,
        benches=benches,
        policy="mean",
        by="category",
        margin=None,
        calls=Calls(),
        lineage=descents,
    )
    return replace(made, **more)


def report(names: Sequence[str] = STAGES[:2], **more: Any) -> Report:
    return build(evidence(names, **more))


def stopped(names: Sequence[str] = STAGES[:2], margin: float | None = 0.05, **more: Any) -> Report:
    """A report of pairs that were watched until they were decided."""
    known = evidence(names, margin=margin, **more)
    outcomes = {}
    for bench in known.benches:
        for a, b in known.pairs:
            watched, path = BettingSequence(1 - 0.05 / len(known.pairs), margin), []
            scores = {battle.prompt: battle.score for battle in bench.battles if (battle.a, battle.b) == (a, b)}
            for number, one in enumerate(known.prompts, 1):
                watched.update(1 - (scores[one.id] or 0.0))
                seen = watched.estimate()
                assert isinstance(seen, Estimate)
                path.append(Look(number, seen.value, seen.low, seen.high))
                if watched.conclusion != "undecided":
                    break
            outcomes[a, b, bench.name] = Outcome(
                watched.conclusion, watched.estimate(), watched.p, len(path), True, tuple(path)
            )
    return build_stopped(known, outcomes)


def board(names: Sequence[str] = STAGES[:4], rewarded: bool = True, **more: Any) -> Leaderboard:
    """A leaderboard, with the rewards of its contestants."""
    known = evidence(names, **more)
    besides = Besides(marking(names, len(known.prompts))) if rewarded else None
    return build_leaderboard(known, outcomes_of(known, known.benches[0]), names[0], "null", besides)


def agreement(raters: int = 4, **more: Any) -> Agreement:
    people = raters // 2
    judges = [f"annotator {i + 1}" for i in range(people)] + [f"judge-{i + 1}" for i in range(raters - people)]
    kinds: list[Kind] = ["human"] * people + ["judge"] * (raters - people)
    return build_agreement(evidence(STAGES[:2], judges=judges, kinds=kinds, **more))


def validation(**more: Any) -> Validation:
    """A judge that gives probabilities, and three annotators."""
    made = evidence(STAGES[:2], 80, ("gpt-4.1", "ann", "bob", "cy"), kinds=("judge", "human", "human", "human"), **more)
    judge, *people = made.benches
    draw = random.Random(2)
    said = [
        (shown, replace(verdict, probability_second=_sure(verdict, draw), strength=None))
        for shown, verdict in judge.verdicts
    ]
    battles = [
        resolve(one, said[2 * place : 2 * place + 2], judge.name, "mean")
        for place, one in enumerate(pair(made.prompts, made.pairs, 1, made.responses))
    ]
    benches = [replace(judge, verdicts=said, battles=battles), *people]
    return build_validation(replace(made, benches=benches), judge.name, "an LLM judge", None, (), "it wrote none")


def _sure(verdict: Verdict, draw: random.Random) -> float:
    sure = draw.uniform(0.5, 0.99)
    return {"first": 1 - sure, "second": sure, "tie": 0.5}[verdict.preferred or "tie"]


def marking(names: Sequence[str], prompts: int = 120, samples: int = 1, rubric: bool = False, seed: int = 3) -> Marking:
    draw = random.Random(seed)
    asked = tuple(Prompt(id=f"p{i}", messages=(Message(role="user", content=f"Why {i}?"),)) for i in range(prompts))
    grades: dict[Any, list[Grade]] = {}
    for place, name in enumerate(names):
        for one in asked:
            for sample in range(samples):
                score = draw.gauss(0.5 * place, 1.0) + (draw.expovariate(0.8) if place % 2 else 0)
                criteria: dict[str, float] = {}
                if rubric:
                    criteria = {
                        c: float(min(4, max(0, round(1.5 + score / 2)))) for c in ("structure", "causes", "style")
                    }
                    score = sum(criteria.values()) / 12
                grades[name, one.id, sample] = [Grade("k", one.id, name, "rm", score=score, criteria=criteria)]
    words = {str(points): points for points in range(5)}
    scales = tuple(Scale(c, 0, 4, words) for c in ("structure", "causes", "style")) if rubric else ()
    marks = Marks("rm", "a reward model", scales, (0.0, 1.0) if rubric else None, 0.0, grades, {})
    return Marking("science", "77aa", "explanation", seed, tuple(names), {}, asked, samples, (marks,), Calls())


def rewards(names: Sequence[str] = STAGES[:2], **more: Any) -> Rewards:
    return build_rewards(marking(names, **more))


def grades(names: Sequence[str] = STAGES[:2], **more: Any) -> Grades:
    return build_grades(marking(names, rubric=True, **more))
