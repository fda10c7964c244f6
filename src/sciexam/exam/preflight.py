"""What a plan still has to ask models for, counted from the ledger before the first call, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from sciexam.battles import Slot, name_of
from sciexam.exam.asking import awaits, owes
from sciexam.exam.cost import RENDERED, AtHand, Party, parties_of
from sciexam.exam.markers import Marker
from sciexam.exam.plan import Plan, conversations_of, keys_of, submissions_of
from sciexam.exam.raters import UNCALLED, Rater, called_model
from sciexam.exam.recordings import is_recorded, recording_of
from sciexam.exam.references import judgeable, owed_of, referring, with_references
from sciexam.store import Fact, Store
from sciexam.types import Comparison, Prompt, Response

if TYPE_CHECKING:
    from sciexam.exam.until import Until

Contest = tuple[Slot, Slot]
Owing = Callable[[Fact | None], bool]  # whether a fact counts as owed
_Call = tuple[Any, ...]  # what tells one call of a judge from another, before its key is known


@dataclass(frozen=True, slots=True)
class Bill:
    """Tokens and USD of the calls that are owed, by the suite's prices; `usd` is None where `unpriced` names a model.

    `measured`: the mean of each party's replies in the ledger stands for those to come; what has none is estimated by
    the length of texts. `at_most`: what a party that has said nothing yet will say is taken at the limit of its tokens.
    `of_files`: of files of answers alone, which have no suite to write prices into.
    """

    input_tokens: float
    output_tokens: float
    usd: float | None
    unpriced: tuple[str, ...]
    measured: bool
    at_most: bool
    of_files: bool = False

    def __add__(self, other: Bill) -> Bill:
        """The bill of both."""
        return Bill(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            None if self.usd is None or other.usd is None else self.usd + other.usd,
            tuple(dict.fromkeys((*self.unpriced, *other.unpriced))),
            self.measured and other.measured,
            self.at_most or other.at_most,
            self.of_files or other.of_files,
        )

    def __str__(self) -> str:
        how = "as measured in replies of the ledger" if self.measured else "estimated from the length of texts"
        if self.at_most:
            tokens = f"about {self.input_tokens:,.0f} tokens in, {how}, and at most {self.output_tokens:,.0f} out"
        else:
            tokens = f"about {self.input_tokens:,.0f} tokens in and {self.output_tokens:,.0f} out, {how}"
        if self.usd is None:
            missing = ", ".join(f"{model}: {{input: .., output: ..}}" for model in self.unpriced)
            where = " to a suite, which `sciexam init DIR FILE FILE` writes around your files" if self.of_files else ""
            return f"{tokens}; not priced: add prices: {{{missing}}}{where}, in USD per million tokens"
        if not self.usd:
            return f"{tokens}; 0 USD"
        sum_of = f"{self.usd:.2f} USD" if self.usd >= 0.005 else "less than 0.01 USD"
        about = "" if sum_of.startswith("less") else "at most about " if self.at_most else "about "
        return f"{tokens}; {about}{sum_of}"


@dataclass(frozen=True, slots=True)
class Owed:
    """Calls of models that are not in the ledger yet: for answers, and for verdicts; and their `bill`, where it was
    made out.

    Verdicts on answers that are still owed count too; where an answer fails there will be fewer. What fails or is cut
    off is asked for again, which is not counted. A run until it is decided may end before.
    """

    answers: int
    verdicts: int
    bill: Bill | None = field(default=None, compare=False)
    marks: bool = False  # answers are marked one by one: its verdicts are marks
    rubric: str = field(default="", compare=False)  # by which verdicts are asked for; of rewards there is none

    @property
    def calls(self) -> int:
        return self.answers + self.verdicts

    def __add__(self, other: Owed) -> Owed:
        """What two parts of an exam owe together."""
        bills = [one.bill for one in (self, other) if one.bill is not None]
        bill = bills[0] + bills[1] if len(bills) == 2 else next(iter(bills), None)
        marks, rubric = self.marks or other.marks, self.rubric or other.rubric
        return Owed(self.answers + other.answers, self.verdicts + other.verdicts, bill, marks, rubric)

    def __str__(self) -> str:
        counted = f": {self.answers:,} for answers, {self.verdicts:,} for {'marks' if self.marks else 'verdicts'}"
        if self.marks and not self.verdicts:
            counted = " for answers"
        bill = f"; {self.bill}" if self.bill is not None else ""
        rubric = f"; rubric {self.rubric}" if self.rubric and self.verdicts else ""
        return f"at most {self.calls:,} call{'s' if self.calls > 1 else ''}{counted}, besides retries{bill}{rubric}"


@dataclass(frozen=True, slots=True)
class Experience:
    """Usable answers by slot, and the keys of verdicts that each rater, by name, has given."""

    answers: Mapping[Slot, Response]
    verdicts: Mapping[str, set[str]]


@dataclass(slots=True)
class _Answers:
    """Answers by slot: those that are there, in the ledger or in a file, and the keys of those to be asked for."""

    there: dict[Slot, Response] = field(default_factory=dict)
    asked: dict[Slot, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Count:
    """What is owed by each contestant and rater, by name, with what the ledger has of them."""

    answers: dict[str, int]
    verdicts: dict[str, int]
    there: Mapping[Slot, Response]
    asked: Sequence[Rater]
    ready: Sequence[Comparison]
    keys: Mapping[str, set[str]]  # of the verdicts, or marks, that each rater has given


def owed_by(plan: Plan, store: Store, retry_invalid: bool = False) -> Owed:
    """What `plan` has to ask models for; files, scripts and text measures are not asked.

    `retry_invalid`: whether unusable replies are asked for again, as in `compare`.
    """
    return _owed(plan, _counted(plan, store, retry_invalid, None))


def missing_of(plan: Plan, store: Store) -> Owed:
    """What is still to come of `plan` while it runs, from anyone; what failed is asked for by another run only."""
    return _owed(plan, _counted(plan, store, False, None, everyone=True))


def bill_of(
    plan: Plan,
    store: Store,
    retry_invalid: bool = False,
    only: Collection[tuple[str, str, str, int]] | None = None,
    experience: Experience | None = None,
) -> Owed:
    """The same as `owed_by`, with the tokens and USD that it takes.

    `only`: the comparisons that judges are asked for, as `battles.name_of` names them, where no contestant is asked.
    `experience`: what tells of the length of replies besides those that the ledger has of `plan`.
    """
    count = _counted(plan, store, retry_invalid, only)
    if experience is not None:
        count.there = {**experience.answers, **count.there}
        count.keys = {name: keys | experience.verdicts.get(name, set()) for name, keys in count.keys.items()}
    owed = _owed(plan, count)
    return replace(owed, bill=_bill(plan, store, count)) if owed.calls else owed


def tell(preflight: Callable[[Owed], None] | None, bill: Callable[[], Owed]) -> int:
    """Tell `preflight` of the bill, and return how many verdicts that announces; none where nobody is told."""
    if preflight is None:
        return 0
    preflight(owed := bill())
    return owed.verdicts


def bill_of_verdicts(plan: Plan, store: Store, rater: Rater, owed: int, comparisons: Sequence[Comparison]) -> Owed:
    """The bill of `owed` verdicts of one rater on texts of the length of these comparisons."""
    if not owed or rater.model in UNCALLED:
        return Owed(0, 0)
    keys = {key for one in comparisons for key in keys_of(plan, rater, one, store)}
    count = _Count({}, {rater.name: owed}, {}, [rater], comparisons, {rater.name: keys})
    return Owed(0, owed, _bill(plan, store, count))


def _owed(plan: Plan, count: _Count) -> Owed:
    rubric = "" if plan.purpose == "reward" else plan.suite.rubric.rubric
    return Owed(sum(count.answers.values()), sum(count.verdicts.values()), marks=plan.alone, rubric=rubric)


def _bill(plan: Plan, store: Store, count: _Count) -> Bill:
    read = written = 0.0
    usd: float | None = 0.0
    parties = [(party, calls) for party, calls in _calls_of(plan, store, count) if calls]
    for party, calls in parties:
        said = party.rate.output_tokens if party.limit is None else party.limit
        read += calls * party.rate.input_tokens
        written += calls * said
        price = plan.suite.costs.get(party.rate.model)
        cost = None if price is None else (party.rate.input_tokens * price.input + said * price.output) / 1e6
        usd = None if usd is None or cost is None else usd + calls * cost
    return Bill(
        input_tokens=read,
        output_tokens=written,
        usd=usd,
        unpriced=tuple(dict.fromkeys(party.rate.model for party, _ in parties if party.rate.usd is None)),
        measured=all(party.rate.basis.startswith("measured") for party, _ in parties),
        at_most=any(party.limit is not None for party, _ in parties),
        of_files=plan.suite.of_files,
    )


def _calls_of(plan: Plan, store: Store, count: _Count) -> Iterator[tuple[Party, int]]:
    """Each party that is called, with what a call takes and how many are owed."""
    markers = {rater.name: _marker(plan, rater) for rater in count.asked}
    at_hand = AtHand(
        responses=count.there,
        said={name: list(store.replies(keys).values()) for name, keys in count.keys.items()},
        comparisons={name_of(comparison): comparison for comparison in count.ready[:RENDERED]},
    )
    for party in parties_of(plan.suite, list(count.answers), list(markers.values()), at_hand):
        owed = count.answers if party.rate.what == "answers" else count.verdicts
        yield party, owed.get(party.rate.who, 0)


def _marker(plan: Plan, rater: Rater) -> Marker:
    """A rater as the costs know it; a judge that the command named by its model has its bench's name."""
    named = rater.name if rater.name in plan.suite.judges else rater.bench
    looks = rater.orders, rater.repeats, rater.sees_order
    return Marker(rater.name, *looks, model=rater.model, grades=rater.grades, named=named)


# ---------------------------------------------------------------- counting


def _counted(
    plan: Plan,
    store: Store,
    retry_invalid: bool,
    only: Collection[tuple[str, str, str, int]] | None,
    everyone: bool = False,
) -> _Count:
    owed: Owing = awaits if everyone else partial(owes, retry_invalid=retry_invalid)
    plan = with_references(plan, store, owed)
    answers = _answers(plan, store, owed)
    if only is not None:
        answers.asked.clear()
    until = _watched(plan, store, retry_invalid) if plan.until_decided else None
    alive = [
        one
        for one in _contests(plan, until)
        if all(slot in answers.asked or slot in answers.there for slot in one) and (only is None or _name(one) in only)
    ]
    asked = [rater for rater in plan.raters if not rater.by_name and (everyone or rater.model not in UNCALLED)]
    calls_for_answers = _calls_for_answers(plan, store, answers, until, retry_invalid, everyone)
    count = _Count(calls_for_answers, {}, answers.there, asked, [], {})
    prompts = {prompt.id: prompt for prompt in plan.prompts}
    count.ready = [c for contest in alive if (c := _comparison(prompts, contest, answers)) is not None]
    counted: set[_Call] = set()  # a judge beside the panel that it is a member of is asked once
    for rater in asked:
        mine = [one for one in alive if until is None or until.is_open(one[0][0], one[1][0], rater.bench)]
        if rater.part_of == "cascade" and len(count.ready) == len(alive):
            from sciexam.exam.benches import spared_by  # with the statistics, which other judges are asked without

            spared = spared_by(plan, rater, store, count.ready, retry_invalid)
            mine = [one for one in mine if _name(one) not in spared]
        keys, coming = (_marks if rater.grades else _verdicts)(plan, rater, store, answers, mine)
        stored: Mapping[str, Any] = (store.grades if rater.grades else store.verdicts)(keys)
        count.keys = {**count.keys, rater.name: set(stored)}
        calls: set[_Call] = {(key,) for key in keys if owed(stored.get(key))} | coming
        if calls:
            some = min(rater.anchors, len(keys | coming) + len(store.anchors(rater.digest)))
            calls |= {("anchor", rater.digest, number) for number in range(some)}
        count.verdicts[rater.name] = count.verdicts.get(rater.name, 0) + len(calls - counted)
        counted |= calls
    return count


def _watched(plan: Plan, store: Store, retry_invalid: bool) -> Until:
    from sciexam.exam.until import opened

    return opened(plan, store, retry_invalid)


def _name(contest: Contest) -> tuple[str, str, str, int]:
    """As `battles.name_of` names the comparison."""
    (a, prompt, sample), (b, _, _) = contest
    return a, b, prompt, sample


def _answers(plan: Plan, store: Store, owing: Owing) -> _Answers:
    found = _Answers()
    for contestant in plan.contestants:
        conversations = dict(conversations_of(plan, contestant))
        replies = store.replies({c.key for c in conversations.values()})
        owed = {c.key: c for c in conversations.values() if owing(replies.get(c.key))}
        if recording := recording_of(plan.suite, contestant):
            replies |= {reply.key: reply for reply in recording.generate(owed.values())}
            owed = {}
        for slot, conversation in conversations.items():
            if conversation.key in owed:
                found.asked[slot] = conversation.key
            elif replies[conversation.key].status == "ok":
                found.there[slot] = Response(*slot, replies[conversation.key])
    return found


def _contests(plan: Plan, until: Until | None) -> Iterator[Contest]:
    """Both slots of all comparisons that anyone is still to judge; an answer by itself is one with itself."""
    if plan.alone:
        for slot in product(plan.contestants, [prompt.id for prompt in plan.prompts], range(plan.samples)):
            yield slot, slot
    for a, b in plan.pairs:
        if until is not None and not any(until.is_open(a, b, bench) for bench in plan.benches):
            continue
        for prompt in plan.prompts:
            for sample in range(plan.samples) if plan.asks(a, b, prompt.id) else ():
                yield (a, prompt.id, sample), (b, prompt.id, sample)


def _calls_for_answers(
    plan: Plan, store: Store, answers: _Answers, until: Until | None, retry_invalid: bool, everyone: bool
) -> dict[str, int]:
    """How many answers each model is asked for, as a contestant or for references; what is both is asked for once.

    With `everyone` each contestant counts. One is asked where another may have an answer to hold against its own.
    """
    endpoints = {n for n in plan.contestants if everyone or called_model(plan.suite.models[n]) not in UNCALLED}
    alive = {name for name in plan.contestants if not is_recorded(plan.suite, name)}
    keys: dict[str, str] = {}
    for contest in _contests(plan, until):
        for mine, other in (contest, contest[::-1]):
            if mine[0] in endpoints and mine in answers.asked and (other[0] in alive or other in answers.there):
                keys.setdefault(answers.asked[mine], mine[0])
    names = list(plan.contestants)
    for rater in referring(plan.raters):
        name = rater.reference or ""
        if called_model(plan.suite.models[name]) not in UNCALLED:
            names.append(name)
            for conversation in owed_of(plan, rater, judgeable(plan), store, retry_invalid):
                keys.setdefault(conversation.key, name)
    return {name: sum(owner == name for owner in keys.values()) for name in names}


def _comparison(prompts: Mapping[str, Prompt], contest: Contest, answers: _Answers) -> Comparison | None:
    left, right = (answers.there.get(slot) for slot in contest)
    if left is None or right is None:
        return None
    return Comparison(prompts[left.prompt], left, right)


def _verdicts(
    plan: Plan, rater: Rater, store: Store, answers: _Answers, contests: Sequence[Contest]
) -> tuple[set[str], set[_Call]]:
    """The keys of all verdicts on answers that are there, and the calls for those on answers that are owed."""
    prompts = {prompt.id: prompt for prompt in plan.prompts}
    keys: set[str] = set()
    coming: set[_Call] = set()
    for contest in contests:
        one = _comparison(prompts, contest, answers)
        if one is None or plan.told(rater, one.prompt) is None:
            how = rater.digest, rater.reference, rater.orders
            coming |= {(*how, contest, look) for look in range(rater.looks)}
        else:
            keys.update(keys_of(plan, rater, one, store))
    return keys, coming


def _marks(
    plan: Plan, rater: Rater, store: Store, answers: _Answers, contests: Sequence[Contest]
) -> tuple[set[str], set[_Call]]:
    """The same for a rater that marks answers one by one: each is marked once, however many it is compared with."""
    prompts = {prompt.id: prompt for prompt in plan.prompts}
    slots = dict.fromkeys(slot for contest in contests for slot in contest)
    there = [answers.there[slot] for slot in slots if slot in answers.there]
    keys = {s.key for one in there for s in submissions_of(plan, rater, prompts[one.prompt], one, store)}
    marked: set[Any] = {answers.asked[slot] for slot in slots if slot in answers.asked}
    marked |= {slot for slot in slots if slot in answers.there and plan.told(rater, prompts[slot[1]]) is None}
    how = rater.digest, rater.reference
    return keys, {(*how, one, repeat) for one in marked for repeat in range(rater.repeats)}
