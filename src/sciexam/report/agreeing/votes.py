"""What each rater said of each comparison, in the contestants' order: what agreement is counted from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sciexam.battles import Battle
from sciexam.report.evidence import Bench
from sciexam.stats.sides import side_of
from sciexam.types import Kind

ItemKey = tuple[str, str, str, int]  # a, b, prompt, sample


@dataclass(frozen=True, slots=True)
class Votes:
    """What one rater said of each comparison: b's `scores` in [0, 1], and `preferences` towards b on -3 .. 3.

    `preferences` is empty where a winner is without a strength; `bare` counts such winners of a rater who gave others
    one. `changed` counts the comparisons of which the rater said two things; the last one is here. Comparisons of two
    equal texts are in neither: those that the rater judged are `of_one_text`.
    """

    rater: str
    kind: Kind
    scores: Mapping[ItemKey, float]
    preferences: Mapping[ItemKey, float]
    bare: int = 0
    changed: int = 0
    of_one_text: Collection[ItemKey] = ()

    @property
    def sides(self) -> dict[ItemKey, float]:
        """-1 for a, 0 for a tie, 1 for b."""
        return {item: side_of_score(score) for item, score in self.scores.items()}


def votes_of(benches: Sequence[Bench]) -> list[Votes]:
    """One rater after the other, annotators first.

    An annotator of one name is one person, on however many benches, whose last word on a comparison counts; a judge is
    told apart by its bench.
    """
    humans: dict[str, dict[ItemKey, Battle]] = {}
    changed: Counter[str] = Counter()
    scaled = {verdict.rater for bench in benches for _, verdict in bench.verdicts if verdict.strength}
    judges: dict[str, dict[ItemKey, Battle]] = {}
    for bench in benches:
        kinds: dict[str, Kind] = {verdict.rater: verdict.kind for _, verdict in bench.verdicts}
        alone = len(bench.raters) == 1
        for battle in bench.battles:
            if battle.score is None:
                continue
            if kinds[battle.rater] == "human":
                mine = humans.setdefault(battle.rater, {})
            else:
                mine = judges.setdefault(bench.name if alone else f"{bench.name}: {battle.rater}", {})
            item = (battle.a, battle.b, battle.prompt, battle.sample)
            before = mine.get(item)
            if (
                before is not None
                and not battle.of_one_text
                and before.score is not None
                and side_of_score(before.score) != side_of_score(battle.score)
            ):
                changed[battle.rater] += 1
            mine[item] = battle
    found = [_vote(rater, "human", mine, rater in scaled, changed[rater]) for rater, mine in humans.items()]
    return found + [_vote(name, "judge", mine, _scaled(mine, scaled)) for name, mine in judges.items()]


def _scaled(battles: Mapping[ItemKey, Battle], scaled: Collection[str]) -> bool:
    return any(battle.rater in scaled for battle in battles.values())


def _vote(rater: str, kind: Kind, battles: Mapping[ItemKey, Battle], scaled: bool, changed: int = 0) -> Votes:
    equal = frozenset(item for item, battle in battles.items() if battle.of_one_text)
    battles = {item: battle for item, battle in battles.items() if not battle.of_one_text}
    scores = {item: 1 - battle.score for item, battle in battles.items() if battle.score is not None}
    given = {item: battle.preference for item, battle in battles.items() if battle.preference is not None}
    decided = [item for item, score in scores.items() if side_of_score(score)]
    bare = [item for item in decided if item not in given]
    if not scaled or bare or not decided:  # a tie is a 0 on any scale, and says nothing of there being one
        return Votes(rater, kind, scores, {}, len(bare) if scaled else 0, changed, equal)
    return Votes(rater, kind, scores, given, changed=changed, of_one_text=equal)


def side_of_score(score: float) -> float:
    """-1 below one half, 0 at it, 1 above it."""
    return float(side_of(score))


def matrix(votes: Sequence[Mapping[ItemKey, float]], items: Sequence[ItemKey]) -> list[list[float]]:
    """One row a rater, one column an item; NaN where the rater did not judge it."""
    return [[mine.get(item, math.nan) for item in items] for mine in votes]


def shared(raters: Sequence[Votes]) -> list[ItemKey]:
    """The items that two or more of the raters judged, in a fixed order."""
    counts = Counter(item for rater in raters for item in rater.scores)
    return sorted(item for item, count in counts.items() if count > 1)
