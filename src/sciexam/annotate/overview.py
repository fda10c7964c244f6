"""How a queue stands: who has done what, how far annotators agree, and what deserves a look."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sciexam.annotate.desk import kept_queue
from sciexam.annotate.flags import Conduct, Look, conduct_of
from sciexam.annotate.queue import Item, Queue
from sciexam.annotate.said import read_body, verdicts_of
from sciexam.annotate.scale import CANNOT, Hand, option_of
from sciexam.battles import STRENGTH, Slot, cluster
from sciexam.exam.benches import bench_of_humans
from sciexam.report.agreeing.agreement import LEVEL, Agreed, Agreement, Majority, build_agreement
from sciexam.report.agreeing.votes import Votes, votes_of
from sciexam.report.build import rate_of
from sciexam.report.calls import Calls
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.record import Figure
from sciexam.report.scores import distinct, scores_of, used_of
from sciexam.report.validating.human_verdicts import majority_of
from sciexam.stats import Estimate, Undefined, cohen_kappa
from sciexam.store import Store
from sciexam.store.annotations import Judgement, standing
from sciexam.store.annotators import IMPORTED, Annotator
from sciexam.types import Response

NO_COMMON = Undefined("nobody else has judged the same")


@dataclass(frozen=True, slots=True)
class Row:
    """One annotator in this queue: `done` judgements stand, the `last` of them since then (UTC milliseconds).

    `conduct` is of pairs alone.
    """

    annotator: Annotator
    done: int
    conduct: Conduct
    last: int | None


@dataclass(frozen=True, slots=True)
class Vote:
    """What one annotator said of a pair: the winner by name ("" for a tie, None where it was not judged)."""

    annotator: str
    winner: str | None
    strength: str
    comment: str
    points: float | None  # on -3 (the first contestant strongly) .. 3


@dataclass(frozen=True, slots=True)
class Disputed:
    """A pair on which annotators do not agree, and the word of who adjudicated it, if there is one."""

    item: Item
    votes: tuple[Vote, ...]
    spread: float  # the variance of the points
    adjudicated: Vote | None

    @property
    def counts(self) -> list[int]:
        """How many annotators named the same, the most first: of a side or a tie, and not which."""
        return [count for _, count in Counter(v.winner for v in self.votes if v.winner is not None).most_common()]

    @property
    def is_split(self) -> bool:
        """Whether there is no majority."""
        return len(self.counts) > 1 and self.counts[0] == self.counts[1]


@dataclass(frozen=True, slots=True)
class Compared:
    """A win rate by the mean of the votes on each pair: by the annotators alone, and with what was adjudicated, if
    anything was.
    """

    alone: Figure
    settled: Figure | None


def _differ(one: Figure, other: Figure) -> bool:
    """Whether the two are printed otherwise."""
    return isinstance(one, Estimate) and str(one) != str(other)


class Overview:
    """How a queue stands. Everything is counted from the judgements that are in the ledger when it is made."""

    def __init__(self, store: Store, queue: Queue):
        self.queue = queue
        everyone = {one.id: one for one in store.annotators.all()}
        self._owners = [one for one in everyone.values() if one.is_owner]
        self.owner = next((one.id for one in self._owners), None)
        self.people = [one for one in everyone.values() if not one.is_owner]
        # Who adjudicates and cannot judge either has settled nothing.
        every = [
            one
            for one in standing(store.annotations.judgements(queue.id))
            if not (one.annotator == self.owner and one.choice == CANNOT.value)
        ]
        self._done = [one for one in every if one.item in queue.by_id]
        # What annotators judged when the queue held more: it stays in the ledger, and is in no figure of this queue.
        self.outside = sum(one.item not in queue.by_id and one.annotator != self.owner for one in every)
        self._name = {id: one.label for id, one in everyone.items()}
        self.adjudicated = sum(one.annotator == self.owner for one in self._done)
        self.judgements = len(self._done) - self.adjudicated

    @cached_property
    def complete(self) -> int:
        """Items that as many annotators have judged as the queue asks for."""
        counts = Counter(one.item for one in self._done if one.annotator != self.owner)
        return sum(counts[item.id] >= self.queue.overlap for item in self.queue.ordinary)

    # ------------------------------------------------------------ agreement

    @cached_property
    def bench(self) -> Bench:
        """What annotators said in this queue, as the bench of a comparison."""
        rater = {one.id: one.pseudonym for one in (*self.people, *self._owners)}
        said = [
            verdict
            for one in self._done
            for verdict in verdicts_of(self.queue, self.queue.by_id[one.item], rater[one.annotator], one)
        ]
        return bench_of_humans(said, list(self.queue.comparisons()), "mean", rater.values())

    @cached_property
    def votes(self) -> list[Votes]:
        """The same, one annotator after the other."""
        return votes_of([self.bench])

    @cached_property
    def agreement(self) -> Agreement | None:
        """As `sciexam agree` counts it; None before anything was compared."""
        return build_agreement(self._evidence) if self.votes else None

    @cached_property
    def compared(self) -> Mapping[tuple[str, str], Compared]:
        """The win rates as `sciexam compare` counts them, of pairs where they differ from those of the majority."""
        evidence, settled = self._evidence, {(battle.a, battle.b) for battle in self.bench.adjudicated}
        alone, everything = (
            {pair: rate_of(used_of(scores), "no pair has a usable verdict") for pair, scores in found.items()}
            for found in (scores_of(evidence, replace(self.bench, adjudicated=())), scores_of(evidence, self.bench))
        )
        return {
            (one.a, one.b): Compared(alone[one.a, one.b], everything[one.a, one.b] if is_settled else None)
            for one in self.majorities
            if (is_settled := (one.a, one.b) in settled) or _differ(alone[one.a, one.b], one.win_rate)
        }

    @property
    def _evidence(self) -> Evidence:
        responses: dict[Slot, Response] = {}
        for one in self.queue.comparisons():
            responses |= {(x.contestant, x.prompt, x.sample): x for x in (one.a, one.b)}
        pairs = dict.fromkeys((one.a.contestant, one.b.contestant) for one in self.queue.comparisons())
        return Evidence(
            suite=self.queue.suite,
            run=self.queue.id,
            rubric=self.queue.rubric.rubric,
            seed=self.queue.seed,
            contestants=self.queue.contestants,
            pairs=tuple(pairs),
            notes={},
            prompts=tuple({item.prompt.id: item.prompt for item in self.queue.ordinary}.values()),
            samples=1 + max(item.sample for item in self.queue.ordinary),
            responses=responses,
            benches=[self.bench],
            policy="mean",
            by="category",
            margin=None,
            calls=Calls(),
        )

    @property
    def together(self) -> Agreed | None:
        """The agreement of all annotators on everything; None before two have judged the same."""
        if self.agreement is None:
            return None
        return next((one for one in self.agreement.groups if one.category is None), None)

    @property
    def two_by_two(self) -> list[Agreed]:
        return [] if self.agreement is None else [one for one in self.agreement.pairs if one.category is None]

    @property
    def majorities(self) -> Sequence[Majority]:
        return () if self.agreement is None else self.agreement.majority

    # ------------------------------------------------------------ people

    @cached_property
    def rows(self) -> list[Row]:
        """Every annotator of the ledger, but those who were imported and did nothing here."""
        by_person: dict[int, list[Judgement]] = defaultdict(list)
        for one in self._done:
            by_person[one.annotator].append(one)
        return [
            Row(
                one,
                len(by_person[one.id]),
                self._conduct(one, by_person[one.id]),
                max((j.at for j in by_person[one.id]), default=None),
            )
            for one in self.people
            if one.state != IMPORTED or by_person[one.id]
        ]

    def _conduct(self, person: Annotator, mine: Sequence[Judgement]) -> Conduct:
        looks = [
            Look(self._label(one), self._hand(one), one.seconds, self.queue.by_id[one.item].words)
            for one in mine
            if self.queue.by_id[one.item].kind in ("pair", "gold")
        ]
        removed: Mapping[str, Figure] = (
            {row.rater: row.alpha_if_removed for row in self.agreement.raters} if self.agreement else {}
        )
        return conduct_of(
            looks,
            self._gold(mine),
            self._repeats(mine),
            self._with_others(person.pseudonym),
            removed.get(person.pseudonym, NO_COMMON),
        )

    def _label(self, one: Judgement) -> str:
        option = option_of(self.queue.scale, one.choice)
        return option.label if option else one.choice

    def _hand(self, one: Judgement) -> Hand | None:
        option = option_of(self.queue.scale, one.choice)
        return option.side if option else None

    def _winner(self, one: Judgement) -> int | None:
        """The place of the text that won; -1 for a tie, None where nothing was judged."""
        hand = self._hand(one)
        return None if hand is None else -1 if hand == "tie" else one.shown[0 if hand == "left" else 1]

    def _gold(self, mine: Sequence[Judgement]) -> tuple[int, int]:
        told = [(self._winner(one), item.better) for one in mine if (item := self.queue.by_id[one.item]).kind == "gold"]
        told = [(said, better) for said, better in told if said is not None]
        return sum(said == better for said, better in told), len(told)

    def _repeats(self, mine: Sequence[Judgement]) -> tuple[int, int]:
        first = {one.item: self._winner(one) for one in mine}
        twice = [
            (first.get(self.queue.by_id[one.item].id), self._winner(one))
            for one in mine
            if one.item in self.queue.repeated
        ]
        told = [(before, after) for before, after in twice if before in (0, 1) and after in (0, 1)]
        return sum(before == after for before, after in told), len(told)

    def _with_others(self, rater: str) -> Figure:
        own = next((one.sides for one in self.votes if one.rater == rater), {})
        others = majority_of([one.sides for one in self.votes if one.rater != rater])
        common = sorted(own.keys() & others.keys())
        if not common:
            return NO_COMMON
        clusters = {item.prompt.id: cluster(item.prompt) for item in self.queue.ordinary}
        units = distinct(clusters[prompt] for _, _, prompt, _ in common)
        return cohen_kappa([own[i] for i in common], [others[i] for i in common], clusters=units, level=LEVEL)

    # ------------------------------------------------------------ what was said

    def _vote(self, item: Item, one: Judgement) -> Vote:
        option = option_of(self.queue.scale, one.choice)
        winner, comment = self._winner(one), read_body(one.choice, one.body).comment
        name = None if winner is None else "" if winner < 0 else item.by[winner]
        strength = (option.strength or "") if option else ""
        points = STRENGTH[strength] if strength else 1.0
        signed = None if winner is None else 0.0 if winner < 0 else points if winner == 1 else -points
        return Vote(self._name[one.annotator], name, strength, comment, signed)

    @cached_property
    def disputed(self) -> list[Disputed]:
        """The pairs that annotators disagree on, those without a majority first; then those that are adjudicated."""
        by_item: dict[str, list[Judgement]] = defaultdict(list)
        for one in self._done:
            by_item[one.item].append(one)
        found = [self._disputed(item, by_item[item.id]) for item in self.queue.ordinary if item.kind == "pair"]
        kept = [one for one in found if one.spread > 0 or one.adjudicated]
        return sorted(kept, key=lambda one: (one.adjudicated is not None, not one.is_split, -one.spread))

    def _disputed(self, item: Item, done: Sequence[Judgement]) -> Disputed:
        votes = tuple(self._vote(item, one) for one in done if one.annotator != self.owner)
        last = next((self._vote(item, one) for one in done if one.annotator == self.owner), None)
        points = [vote.points for vote in votes if vote.points is not None]
        centre = sum(points) / len(points) if points else 0.0
        sides = {(point > 0) - (point < 0) for point in points}
        spread = sum((point - centre) ** 2 for point in points) / len(points) if len(sides) > 1 else 0.0
        return Disputed(item, votes, spread, last)

    @cached_property
    def preferences(self) -> dict[tuple[str, str], Counter[tuple[str | None, str]]]:
        """For each two contestants how often who was preferred (see `Vote.winner`), and how clearly."""
        found: dict[tuple[str, str], Counter[tuple[str | None, str]]] = {}
        for one in self._done:
            item = self.queue.by_id[one.item]
            if item.kind == "pair" and one.item == item.id and one.annotator != self.owner:
                vote = self._vote(item, one)
                found.setdefault((item.by[0], item.by[1]), Counter())[vote.winner, vote.strength] += 1
        return found

    @cached_property
    def decisions(self) -> Counter[str]:
        """How often each choice was made that is not on a scale: of rankings and demonstrations."""
        kinds = {item.id: item.kind for item in self.queue.ordinary}
        others = [one for one in self._done if kinds.get(one.item) in ("ranking", "demonstration")]
        return Counter(one.choice for one in others)


def complete_items(store: Store) -> int:
    """Items of all queues of a ledger that as many annotators have judged as their queue asks for."""
    return sum(Overview(store, kept_queue(store, body)).complete for body in store.annotations.queues().values())
