"""How far raters agree: every two of them and all together, on which answer is better and by how much."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sciexam.battles import cluster
from sciexam.prompts import field_of
from sciexam.report.agreeing.votes import ItemKey, Votes, matrix, shared, votes_of
from sciexam.report.build import rate_of
from sciexam.report.calls import Calls
from sciexam.report.equal_texts import equal_texts
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.record import Figure, Step, plain
from sciexam.report.scores import distinct, scores_of, used_of
from sciexam.stats import (
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
from sciexam.types import Kind

SCHEMA = "sciexam/agreement/1"
LEVEL = 0.95
FEW_ITEMS = 10
HUMANS, JUDGES, EVERYONE = "annotators", "judges", "everyone"
SCORES: Mapping[Hashable, float] = {-1.0: 0.0, 0.0: 0.5, 1.0: 1.0, None: 0.5}  # of a majority's side, or of none


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

    A group of one has that rater's own scores, as in a comparison. `preference` is the mean over the `scaled` raters
    who gave strengths, on -3 (a strongly) .. 3 (b strongly). `rate` is the share of agreeing pairs of raters.
    `averaged`: of several annotators, the win rate that a comparison gives, by the mean of their votes.
    """

    a: str
    b: str
    group: str
    raters: int
    items: int
    split: int
    win_rate: Figure
    scaled: int
    preference: Figure
    rate: Figure
    averaged: Figure | None = None


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
    notes: Mapping[str, str]  # contestant -> what its suite says of it
    by: str
    level: float
    raters: tuple[RaterRow, ...]
    pairs: tuple[Agreed, ...]
    groups: tuple[Agreed, ...]
    majority: tuple[Majority, ...]
    calls: Calls
    caveats: tuple[str, ...]
    next_steps: tuple[Step, ...] = ()
    schema: str = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, no infinity."""
        made: dict[str, Any] = plain(self)
        return made


def build_agreement(evidence: Evidence, second: str = "") -> Agreement:
    """The agreement of everyone who judged: of the benches that are in `evidence`. `second`: who might be a second
    rater, where there is one alone.
    """
    votes = votes_of(evidence.benches)
    groups = _groups(votes)
    study = _Study(evidence)
    return Agreement(
        suite=evidence.suite,
        run=evidence.run,
        rubric=evidence.rubric,
        contestants=evidence.contestants,
        notes=evidence.notes,
        by=evidence.by,
        level=LEVEL,
        raters=tuple(row for name, members in groups.items() if name != EVERYONE for row in study.raters(members)),
        pairs=tuple(row for two in combinations(votes, 2) for row in study.agreed(two, _group_of(two))),
        groups=tuple(row for name, mine in groups.items() if len(mine) > 1 for row in study.agreed(mine, name)),
        majority=tuple(
            row for name, mine in groups.items() if name != EVERYONE for row in study.majorities(mine, name)
        ),
        calls=evidence.calls,
        caveats=(*evidence.caveats, *_caveats(evidence.benches, votes, second), *equal_texts(evidence)),
    )


def _groups(votes: Sequence[Votes]) -> dict[str, list[Votes]]:
    """Annotators, judges, and everyone where both are there."""
    humans = [one for one in votes if one.kind == "human"]
    judges = [one for one in votes if one.kind != "human"]
    named = {HUMANS: humans, JUDGES: judges, EVERYONE: list(votes) if humans and judges else []}
    return {name: members for name, members in named.items() if members}


def _group_of(two: Sequence[Votes]) -> str:
    kinds = {one.kind for one in two}
    return EVERYONE if len(kinds) > 1 else HUMANS if kinds == {"human"} else JUDGES


# ---------------------------------------------------------------- figures


class _Study:
    """What every figure needs to know of the prompts, looked up once: their clusters and categories."""

    def __init__(self, evidence: Evidence):
        self._pairs = evidence.pairs
        self._cluster = {prompt.id: cluster(prompt) for prompt in evidence.prompts}
        self._category = {prompt.id: field_of(prompt, evidence.by) for prompt in evidence.prompts}
        people = [bench for bench in evidence.benches if bench.trust == "people" and not bench.silent]
        named = {rater for bench in people for rater in bench.raters}
        whole = [bench for bench in people if named <= {*bench.raters}]  # a file, and the ledger that was told of it
        seated = max(whole, key=lambda bench: len(bench.verdicts), default=None)
        self._of_people = scores_of(evidence, seated) if seated else {}

    def agreed(self, raters: Sequence[Votes], group: str) -> Iterator[Agreed]:
        """The agreement of some raters on all that two of them judged, and in each category that has such an item."""
        items = shared(raters)
        yield self._agreed(raters, group, None, items)
        inside: dict[str, list[ItemKey]] = defaultdict(list)
        for item in items:
            if (name := self._category[item[2]]) is not None:
                inside[name].append(item)
        for name, listed in sorted(inside.items()) if len(inside) > 1 else ():
            yield self._agreed(raters, group, name, listed)

    def _agreed(self, raters: Sequence[Votes], group: str, category: str | None, items: Sequence[ItemKey]) -> Agreed:
        sides = matrix([rater.sides for rater in raters], items)
        with_scale = all(rater.preferences for rater in raters)
        scaled = matrix([rater.preferences for rater in raters], items) if with_scale else sides
        clusters = self._clusters(items)
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

    def raters(self, members: Sequence[Votes]) -> Iterator[RaterRow]:
        """Each of a group, with the alpha of the others and its reliability."""
        items = shared(members)
        sides = matrix([member.sides for member in members], items)
        removed: Sequence[Figure] = [Undefined("it takes three raters, so that two are left")] * len(members)
        reliability: list[float | None] = [None] * len(members)
        if len(members) > 2 and items:
            removed = alpha_if_removed(sides, "nominal", self._clusters(items), LEVEL)
            found = dawid_skene(sides)
            if not isinstance(found, Undefined):
                reliability = [float(share) for share in found.accuracy]
        for member, without, share in zip(members, removed, reliability, strict=True):
            yield RaterRow(member.rater, member.kind, len(member.scores), without, share)

    def majorities(self, members: Sequence[Votes], group: str) -> Iterator[Majority]:
        """What a group says of each pair of contestants."""
        items: dict[tuple[str, str], set[ItemKey]] = defaultdict(set)
        for member in members:
            for item in member.scores:
                items[item[0], item[1]].add(item)
        for a, b in self._pairs:
            yield self._majority(a, b, group, members, sorted(items[a, b]))

    def _majority(self, a: str, b: str, group: str, members: Sequence[Votes], items: Sequence[ItemKey]) -> Majority:
        if not items:
            none = Undefined("nobody in this group judged this pair")
            return Majority(a, b, group, 0, 0, 0, none, 0, none, none)
        judging = [member for member in members if any(item in member.scores for item in items)]
        sides = matrix([member.sides for member in judging], items)
        vote = majority_vote(sides)
        scores = [SCORES[label] for label in vote.labels]
        if len(judging) == 1:
            scores = [judging[0].scores[item] for item in items]
        clusters = self._clusters(items)
        return Majority(
            a=a,
            b=b,
            group=group,
            raters=len(judging),
            items=len(items),
            split=vote.ties,
            win_rate=win_rate(self._by_prompt(items, scores), self._clusters_of_prompts(items), LEVEL),
            scaled=sum(bool(member.preferences) for member in judging),
            preference=self._preference(judging, items),
            rate=percent_agreement(sides, clusters, LEVEL),
            averaged=self._averaged(a, b) if group == HUMANS and len(judging) > 1 else None,
        )

    def _averaged(self, a: str, b: str) -> Figure | None:
        """The win rate as a comparison counts it, where all annotators sit on one bench."""
        used = used_of(self._of_people.get((a, b), ()))
        return rate_of(used, "nobody judged this pair") if used else None

    def _preference(self, members: Sequence[Votes], items: Sequence[ItemKey]) -> Figure:
        given = {item: [m.preferences[item] for m in members if item in m.preferences] for item in items}
        kept = {item: sum(strengths) / len(strengths) for item, strengths in given.items() if strengths}
        if not kept:
            return Undefined("the verdicts carry no strength")
        values = self._by_prompt(list(kept), list(kept.values()))
        return mean(values, self._clusters_of_prompts(list(kept)), LEVEL, low=-3.0, high=3.0)

    def _by_prompt(self, items: Sequence[ItemKey], values: Sequence[float]) -> list[float]:
        """The mean over the samples of each prompt, as in a comparison."""
        listed: dict[str, list[float]] = defaultdict(list)
        for item, value in zip(items, values, strict=True):
            listed[item[2]].append(value)
        return [sum(mine) / len(mine) for mine in listed.values()]

    def _clusters_of_prompts(self, items: Sequence[ItemKey]) -> list[str] | None:
        return distinct(self._cluster[prompt] for prompt in dict.fromkeys(item[2] for item in items))

    def _clusters(self, items: Sequence[ItemKey]) -> list[str] | None:
        return distinct(self._cluster[item[2]] for item in items)


def _kappa(sides: Sequence[Sequence[float]], clusters: Sequence[str] | None) -> Figure:
    if len(sides) == 2:
        return cohen_kappa(sides[0], sides[1], clusters=clusters, level=LEVEL)
    return fleiss_kappa(sides, clusters, LEVEL)


# ---------------------------------------------------------------- caveats


def _caveats(benches: Sequence[Bench], votes: Sequence[Votes], second: str) -> Iterator[str]:
    for bench in benches:
        if bench.silent:
            yield f"{bench.name} has no verdict on these prompts."
        if bench.changed:
            yield f"The ledger holds {bench.changed} verdicts of {bench.name} in two ways; the last to come in counts."
    if len(votes) == 1:
        yield f"{votes[0].rater} is the only rater; agreement needs two. {second}".rstrip()
    if not any(one.kind == "human" for one in votes):
        yield "No annotator is among the raters: that judges agree does not show that they are right."
    most = max((len(one.scores) for one in votes), default=0)
    for one in votes:
        if len(one.scores) < min(FEW_ITEMS, most):
            yield f"{one.rater} judged {len(one.scores)} comparisons, another rater {most}; its own figures say little."
        if one.changed:
            yield (
                f"{one.rater} said more than one thing of the same two texts, in {one.changed} of the comparisons; the "
                "last named counts."
            )
        if one.bare:
            yield (
                f"{one.rater} gave some winners a strength, and {one.bare} none; its strengths are left out, and where "
                "it takes part the ordinal alpha is of the sides."
            )
    names: dict[str, list[str]] = defaultdict(list)
    for one in votes:
        names[one.rater.strip().casefold()].append(one.rater)
    for alike in names.values():
        if len(alike) > 1:
            yield f"{' and '.join(map(repr, alike))} count as different raters; are they one?"
