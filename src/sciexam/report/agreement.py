"""How far raters agree: every two of them and all together, on which answer is better and by how much."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sciexam.battles import ROUNDING, Battle
from sciexam.report.build import field_of
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.record import Calls, Figure, plain
from sciexam.report.scores import clusters_of
from sciexam.report.tables import Table, methods_table
from sciexam.stats import (
    Estimate,
    Undefined,
    alpha_if_removed,
    cohen_kappa,
    dawid_skene,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    majority_vote,
    mean,
    percent_agreement,
    win_rate,
)
from sciexam.types import Kind, Prompt

SCHEMA = "sciexam/agreement/1"
LEVEL = 0.95
HUMANS, JUDGES, EVERYONE = "annotators", "judges", "everyone"
SCORES: Mapping[Hashable, float] = {-1.0: 0.0, 0.0: 0.5, 1.0: 1.0, None: 0.5}  # of a majority's side, or of none
ItemKey = tuple[str, str, str, int]  # a, b, prompt, sample


@dataclass(frozen=True, slots=True)
class Votes:
    """What one rater said of each comparison, towards b: `sides` is -1, 0 or 1, `preferences` lie on -3 .. 3."""

    rater: str
    kind: Kind
    sides: Mapping[ItemKey, int]
    preferences: Mapping[ItemKey, float]


@dataclass(frozen=True, slots=True)
class Agreed:
    """Agreement among `raters` on `items` comparisons that two or more of them judged.

    `percent`, `kappa` (Cohen's for two raters, Fleiss' for more), `ac1` (Gwet) and `alpha` (Krippendorff, nominal) are
    of the side: a, tie or b. `alpha_ordinal` is of the preference on its scale where all of them gave a strength, and
    of the sides in their order (a, tie, b) otherwise; `scale` says which.
    """

    raters: tuple[str, ...]
    group: str
    category: str | None
    items: int
    percent: Figure
    kappa: Figure
    ac1: Figure
    alpha: Figure
    alpha_ordinal: Figure
    scale: str


@dataclass(frozen=True, slots=True)
class Majority:
    """What the majority of a group says of b against a: ties half; an item without a majority is a tie, counted apart.

    `preference` is the mean over the group's raters, on -3 (a strongly) .. 3 (b strongly). `rate` is the share of
    agreeing pairs of raters.
    """

    a: str
    b: str
    group: str
    raters: int
    items: int
    split: int
    win_rate: Figure
    preference: Figure
    rate: Figure


@dataclass(frozen=True, slots=True)
class RaterRow:
    """One rater: how many comparisons, the alpha of its group without it, and how reliable Dawid and Skene find it."""

    rater: str
    kind: Kind
    items: int
    alpha_if_removed: Figure
    reliability: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of all raters of a suite on some contestants."""

    suite: str
    run: str
    rubric: str
    contestants: tuple[str, ...]
    by: str
    level: float
    raters: tuple[RaterRow, ...]
    pairs: tuple[Agreed, ...]
    groups: tuple[Agreed, ...]
    majority: tuple[Majority, ...]
    calls: Calls
    caveats: tuple[str, ...]
    schema: str = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, no infinity."""
        made: dict[str, Any] = plain(self)
        return made

    def tables(self) -> list[Table]:
        """What the console and Markdown print."""
        return [*_tables(self)]


def build_agreement(evidence: Evidence) -> Agreement:
    """The agreement of everyone who judged: of the benches that are in `evidence`."""
    prompts = {prompt.id: prompt for prompt in evidence.prompts}
    votes = list(_votes(evidence.benches))
    groups = _groups(votes)
    rows = tuple(row for name, members in groups.items() if name != EVERYONE for row in _raters(members, prompts))
    return Agreement(
        suite=evidence.suite,
        run=evidence.run,
        rubric=evidence.rubric,
        contestants=evidence.contestants,
        by=evidence.by,
        level=LEVEL,
        raters=rows,
        pairs=tuple(
            agreed
            for two in combinations(votes, 2)
            for agreed in _by_category(two, _group_of(two), prompts, evidence.by)
        ),
        groups=tuple(
            agreed
            for name, members in groups.items()
            if len(members) > 1
            for agreed in _by_category(members, name, prompts, evidence.by)
        ),
        majority=tuple(
            _majority(a, b, name, members, prompts)
            for a, b in evidence.pairs
            for name, members in groups.items()
            if name != EVERYONE
        ),
        calls=evidence.calls,
        caveats=(*evidence.caveats, *_caveats(votes)),
    )


def _votes(benches: Sequence[Bench]) -> Iterator[Votes]:
    """One rater after the other, annotators first. An annotator who sits on two benches counts once."""
    seen: set[tuple[Kind, str]] = set()
    found: list[Votes] = []
    for bench in benches:
        kinds: dict[str, Kind] = {verdict.rater: verdict.kind for _, verdict in bench.verdicts}
        battles: dict[str, list[Battle]] = {}
        for battle in bench.battles:
            if battle.score is not None:
                battles.setdefault(battle.rater, []).append(battle)
        for rater, mine in battles.items():
            kind = kinds[rater]
            if (kind, rater) not in seen:
                seen.add((kind, rater))
                found.append(Votes(rater, kind, _sides(mine), _preferences(mine)))
    yield from sorted(found, key=lambda one: one.kind != "human")


def _sides(battles: Iterable[Battle]) -> dict[ItemKey, int]:
    sides = {}
    for battle in battles:
        lead = 0.5 - (battle.score if battle.score is not None else 0.5)
        sides[_item(battle)] = 0 if abs(lead) < ROUNDING else int(math.copysign(1, lead))
    return sides


def _preferences(battles: Iterable[Battle]) -> dict[ItemKey, float]:
    """The strengths, for a rater that gave one to every winner; a bare tie says nothing of a scale."""
    listed = list(battles)
    decided = [b for b in listed if b.score is not None and abs(b.score - 0.5) >= ROUNDING]
    if not decided or any(battle.preference is None for battle in decided):
        return {}
    return {_item(battle): battle.preference for battle in listed if battle.preference is not None}


def _item(battle: Battle) -> ItemKey:
    return battle.a, battle.b, battle.prompt, battle.sample


def _groups(votes: Sequence[Votes]) -> dict[str, list[Votes]]:
    """Annotators, judges, and everyone where both are there."""
    humans = [one for one in votes if one.kind == "human"]
    judges = [one for one in votes if one.kind != "human"]
    named = {HUMANS: humans, JUDGES: judges, EVERYONE: list(votes) if humans and judges else []}
    return {name: members for name, members in named.items() if members}


def _group_of(two: Sequence[Votes]) -> str:
    kinds = {one.kind for one in two}
    return EVERYONE if len(kinds) > 1 else HUMANS if kinds == {"human"} else JUDGES


# ---------------------------------------------------------------- agreement


def _by_category(raters: Sequence[Votes], group: str, prompts: Mapping[str, Prompt], by: str) -> Iterator[Agreed]:
    """The agreement of some raters on all they judged, and in each category that has such an item."""
    items = _shared(raters)
    yield _agreed(raters, group, None, items, prompts)
    categories = {item: field_of(prompts[item[2]], by) for item in items}
    names = sorted({name for name in categories.values() if name is not None})
    for name in names if len(names) > 1 else ():
        yield _agreed(raters, group, name, [item for item in items if categories[item] == name], prompts)


def _shared(raters: Sequence[Votes]) -> list[ItemKey]:
    """The items that two or more of the raters judged, in a fixed order."""
    counts: dict[ItemKey, int] = {}
    for rater in raters:
        for item in rater.sides:
            counts[item] = counts.get(item, 0) + 1
    return sorted(item for item, count in counts.items() if count > 1)


def _agreed(
    raters: Sequence[Votes],
    group: str,
    category: str | None,
    items: Sequence[ItemKey],
    prompts: Mapping[str, Prompt],
) -> Agreed:
    sides = _matrix([rater.sides for rater in raters], items)
    with_scale = all(rater.preferences for rater in raters)
    scaled = _matrix([rater.preferences if with_scale else rater.sides for rater in raters], items)
    clusters = clusters_of(prompts[item[2]] for item in items)
    why = Undefined("no comparison was judged by two of them")
    return Agreed(
        raters=tuple(rater.rater for rater in raters),
        group=group,
        category=category,
        items=len(items),
        percent=percent_agreement(sides, clusters, LEVEL) if items else why,
        kappa=_kappa(sides, clusters) if items else why,
        ac1=gwet_ac1(sides, clusters, LEVEL) if items else why,
        alpha=krippendorff_alpha(sides, "nominal", clusters, LEVEL) if items else why,
        alpha_ordinal=krippendorff_alpha(scaled, "ordinal", clusters, LEVEL) if items else why,
        scale="preference" if with_scale else "side",
    )


def _kappa(sides: Sequence[Sequence[float]], clusters: Sequence[str] | None) -> Figure:
    if len(sides) == 2:
        return cohen_kappa(sides[0], sides[1], clusters=clusters, level=LEVEL)
    return fleiss_kappa(sides, clusters, LEVEL)


def _matrix(votes: Sequence[Mapping[ItemKey, float]], items: Sequence[ItemKey]) -> list[list[float]]:
    """One row a rater, one column an item; NaN where the rater did not judge it."""
    return [[float(mine.get(item, math.nan)) for item in items] for mine in votes]


# ---------------------------------------------------------------- raters and the majority


def _raters(members: Sequence[Votes], prompts: Mapping[str, Prompt]) -> Iterator[RaterRow]:
    items = _shared(members)
    sides = _matrix([member.sides for member in members], items)
    clusters = clusters_of(prompts[item[2]] for item in items)
    removed: Sequence[Figure] = [Undefined("it takes three raters, so that two are left")] * len(members)
    reliability: list[float | None] = [None] * len(members)
    if len(members) > 2 and items:
        removed = alpha_if_removed(sides, "nominal", clusters, LEVEL)
        found = dawid_skene(sides)
        if not isinstance(found, Undefined):
            reliability = [float(share) for share in found.accuracy]
    for member, without, share in zip(members, removed, reliability, strict=True):
        yield RaterRow(member.rater, member.kind, len(member.sides), without, share)


def _majority(a: str, b: str, group: str, members: Sequence[Votes], prompts: Mapping[str, Prompt]) -> Majority:
    items = sorted({item for member in members for item in member.sides if item[:2] == (a, b)})
    clusters = clusters_of(prompts[item[2]] for item in items)
    none = Undefined("nobody in this group judged this pair")
    if not items:
        return Majority(a, b, group, 0, 0, 0, none, none, none)
    sides = _matrix([member.sides for member in members], items)
    vote = majority_vote(sides)
    scores = [SCORES[label] for label in vote.labels]
    judging = [member for member in members if any(item[:2] == (a, b) for item in member.sides)]
    return Majority(
        a=a,
        b=b,
        group=group,
        raters=len(judging),
        items=len(items),
        split=vote.ties,
        win_rate=win_rate(scores, clusters, LEVEL),
        preference=_preference(members, items, prompts),
        rate=percent_agreement(sides, clusters, LEVEL),
    )


def _preference(members: Sequence[Votes], items: Sequence[ItemKey], prompts: Mapping[str, Prompt]) -> Figure:
    given = {item: [m.preferences[item] for m in members if item in m.preferences] for item in items}
    kept = {item: strengths for item, strengths in given.items() if strengths}
    if not kept:
        return Undefined("the verdicts carry no strength")
    values = [sum(strengths) / len(strengths) for strengths in kept.values()]
    return mean(values, clusters_of(prompts[item[2]] for item in kept), LEVEL, low=-3.0, high=3.0)


def _caveats(votes: Sequence[Votes]) -> Iterator[str]:
    if len(votes) == 1:
        yield f"{votes[0].rater} is the only rater; agreement needs two."
    if not any(one.kind == "human" for one in votes):
        yield "No annotator is among the raters: that judges agree does not show that they are right."


# ---------------------------------------------------------------- in words


def _tables(found: Agreement) -> Iterator[Table]:
    head = ("raters", "items", "percent", "kappa", "AC1", "alpha", "alpha (ordinal)")
    whole = [agreed for agreed in found.groups if agreed.category is None]
    if whole:
        yield Table("All together", head, [(_who(one), *_row(one)) for one in whole], tuple(_why(whole)))
    pairs = [agreed for agreed in found.pairs if agreed.category is None]
    if pairs:
        yield Table("Every two raters", head, [(_who(one), *_row(one)) for one in pairs], tuple(_why(pairs)))
    sliced = [one for one in found.groups if one.category is not None]
    if sliced:
        rows = [(one.category or "", one.group, *_row(one)) for one in sliced]
        yield Table(f"By {found.by}", (found.by, *head), rows, tuple(_why(sliced)))
    majority = [
        (
            f"{one.b} against {one.a}",
            f"{one.group} ({one.raters})",
            str(one.items),
            str(one.split),
            _short(one.win_rate),
            _short(one.preference),
            _short(one.rate),
        )
        for one in found.majority
        if one.items
    ]
    yield Table(
        "Majority vote",
        ("contestants", "by", "items", "no majority", "win rate", "mean preference", "agreement rate"),
        majority,
        ("No majority counts half. The mean preference lies between -3 and 3, towards the first named.",),
    )
    yield _raters_table(found)
    yield methods_table(_figures(found), found.level)


def _raters_table(found: Agreement) -> Table:
    raters = [
        (row.rater, row.kind, str(row.items), _short(row.alpha_if_removed), _share(row.reliability))
        for row in found.raters
    ]
    notes = sorted({row.alpha_if_removed.why for row in found.raters if isinstance(row.alpha_if_removed, Undefined)})
    return Table(
        "Raters",
        ("rater", "kind", "items", "alpha of the others", "reliability"),
        raters,
        (
            "Reliability: the share of items on which the rater would name the true side, by Dawid and Skene's model.",
            *(f"n/a: {why}." for why in notes),
        ),
    )


def _figures(found: Agreement) -> Iterator[Figure]:
    for one in (*found.groups, *found.pairs):
        yield from (one.percent, one.kappa, one.ac1, one.alpha, one.alpha_ordinal)
    for majority in found.majority:
        yield from (majority.win_rate, majority.preference, majority.rate)
    yield from (row.alpha_if_removed for row in found.raters)


def _who(agreed: Agreed) -> str:
    return " and ".join(agreed.raters) if len(agreed.raters) == 2 else f"{agreed.group} ({len(agreed.raters)})"


def _row(agreed: Agreed) -> tuple[str, ...]:
    figures = (agreed.percent, agreed.kappa, agreed.ac1, agreed.alpha, agreed.alpha_ordinal)
    return (str(agreed.items), *map(_short, figures))


def _short(figure: Figure) -> str:
    return str(figure) if isinstance(figure, Estimate) else "n/a"


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"


def _why(rows: Sequence[Agreed]) -> Iterator[str]:
    """What the figures are of, and each reason for a missing one once."""
    scales = sorted({agreed.scale for agreed in rows})
    words = {"preference": "the preference with its strength", "side": "the sides in their order (a, tie, b)"}
    yield f"Ordinal: {' or '.join(words[scale] for scale in scales)}. The others are of the side: a, tie or b."
    reasons = {
        figure.why
        for one in rows
        for figure in (one.percent, one.kappa, one.ac1, one.alpha, one.alpha_ordinal)
        if isinstance(figure, Undefined)
    }
    yield from (f"n/a: {why}." for why in sorted(reasons))
