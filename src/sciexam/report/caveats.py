"""What a reader must be told before relying on a result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sciexam.report.by_chance import agreed_by_chance
from sciexam.report.equal_texts import equal_texts
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.heard import heard
from sciexam.report.record import BY_FORM, Pair
from sciexam.stats import Estimate, Undefined
from sciexam.stats.length_control import CONFOUNDED
from sciexam.types import ADJUDICATION, CANNOT_JUDGE, NO_ANSWER

if TYPE_CHECKING:
    from sciexam.report.judge_files import Corrected

FEW_PROMPTS = 30
STEADY = 0.8  # of the prompts on which a judge keeps its verdict when the order is swapped
MANY_ALIKE = 3  # pairs with one doubt that are told one by one
MANY_INVALID = 0.05
MANY_TRUNCATED = 0.05


def caveats_of(evidence: Evidence, pairs: Sequence[Pair]) -> Iterable[str]:
    for bench in evidence.benches:
        if bench.silent:
            yield f"{bench.name} has no verdict on these prompts."
    yield from _of_measures(evidence.benches)
    yield from _of_trust(evidence.benches)
    yield from _by_people_and_judge(evidence.benches, pairs)
    yield from heard(evidence.benches)
    yield from _of_one_person(evidence.benches)
    yield from agreed_by_chance(evidence)
    yield from _of_those_who_cannot(evidence.benches)
    yield from _of_opposites(pairs)
    for contestant in evidence.contestants:
        replies = (r.reply for (name, _, _), r in evidence.responses.items() if name == contestant)
        answers = [reply for reply in replies if reply.failure != NO_ANSWER]
        cut = sum(reply.finish_reason == "length" for reply in answers)
        if answers and cut > MANY_TRUNCATED * len(answers):
            yield f"{cut} of {len(answers)} answers of {contestant} hit the token limit; raise max_tokens."
        empty = sum(not reply.text.strip() for reply in answers if reply.status == "ok")
        if empty:
            said = "is empty, and judged as it is" if empty == 1 else "are empty, and judged as they are"
            yield f"{empty} of {len(answers)} answers of {contestant} {said}."
    if absent := sum(response.absent for response in evidence.responses.values()):
        yield (
            f"In no imported file: {absent:,} of {len(evidence.responses):,} answers. Imported verdicts on them count; "
            "whoever is asked to judge them reads a sentence in their place."
        )
    # A pair that was watched until decided says by itself how many prompts that took.
    if any(0 < pair.used < FEW_PROMPTS and pair.stop is None for pair in pairs):
        fewest = min(pair.used for pair in pairs if pair.used)
        yield f"{fewest} prompt{'s are' if fewest > 1 else ' is'} few; the intervals are wide, and slices say little."
    yield from _of_pairs(evidence, pairs)
    yield from equal_texts(evidence)


def _of_measures(benches: Sequence[Bench]) -> Iterable[str]:
    for bench in benches:
        if bench.by_form and not bench.silent:
            yield f"{bench.name} counts features of a text and knows nothing of its meaning; what is false may win."


def _of_trust(benches: Sequence[Bench]) -> Iterable[str]:
    """Whose verdicts are not known to be what people would say, and what a validation found of the others."""
    doubtful = [bench.name for bench in benches if bench.trust == "doubtful" and not bench.silent]
    if len(doubtful) == 1:
        yield f"{doubtful[0]} was not held against people: what it prefers need not be what they would."
    elif doubtful:
        names = f"{', '.join(doubtful[:-1])} and {doubtful[-1]}"
        yield f"{names} were not held against people: what they prefer need not be what people would."
    for bench in benches:
        if not bench.silent:
            yield from filter(None, (bench.held, bench.audited))


def _by_people_and_judge(benches: Sequence[Bench], pairs: Sequence[Pair]) -> Iterable[str]:
    """The win rates that people's verdicts make of a judge's, of the first pairs; of its verdicts as they are here."""
    used = {(pair.a, pair.b, pair.judge): pair.used for pair in pairs}
    found = [
        f"{one.b} against {one.a}, by people's verdicts on {one.both:,} prompts{_by_judge(one, bench.name)}: win rate "
        f"{one.powered}{'' if one.drawn else ', if people judged a random sample'} (`sciexam validate`)."
        for bench in benches
        for one in bench.corrected
        if one.unlabelled and isinstance(one.powered, Estimate) and one.judged == used.get((one.a, one.b, bench.name))
    ]
    yield from found[:MANY_ALIKE]
    if (more := len(found) - MANY_ALIKE) > 0:
        yield f"{more:,} more win rates by people and judge are in the validation."


def _by_judge(rate: Corrected, judge: str) -> str:
    return f" and {judge}'s on {rate.unlabelled:,} more (PPI++)" if rate.weight else f", to which {judge} adds nothing"


def _of_one_person(benches: Sequence[Bench]) -> Iterable[str]:
    """How many comparisons have nobody's word but one annotator's, which nobody has settled either."""
    for bench in benches:
        if bench.trust != "people" or bench.recorded:
            continue
        raters: dict[tuple[str, str, str, int], set[str]] = defaultdict(set)
        for battle in bench.settled:
            if battle.score is not None:
                raters[battle.a, battle.b, battle.prompt, battle.sample].add(battle.rater)
        settled = {(battle.a, battle.b, battle.prompt, battle.sample) for battle in bench.adjudicated}
        alone = sum(len(who) == 1 and name not in settled for name, who in raters.items())
        if alone:
            yield (
                f"Judged by one annotator alone: {alone} of {len(raters)} comparisons; what one person prefers need "
                "not be what most people would."
            )


def _of_those_who_cannot(benches: Sequence[Bench]) -> Iterable[str]:
    """How often annotators said that they cannot judge: no reply of a machine, so nobody is asked again."""
    for bench in benches:
        given = [verdict for _, verdict in bench.verdicts if verdict.status != "skipped"]
        heard = [verdict for verdict in given if verdict.rater != ADJUDICATION]
        raters = [verdict.rater for verdict in heard if verdict.failure == CANNOT_JUDGE]
        if bench.trust == "people" and raters:
            people, they = len(set(raters)), "it counts" if len(raters) == 1 else "they count"
            yield (
                f'{len(raters)} "cannot judge" by {people} annotator{"s" if people > 1 else ""}, of '
                f"{len(given)} verdicts{_of_both(len(heard), len(given) - len(heard))}: {they} for neither contestant."
            )


def _of_both(annotators: int, adjudications: int) -> str:
    """Whose the verdicts are, where some settle what annotators disagreed on."""
    several = "adjudication" if adjudications == 1 else "adjudications"
    return f" ({annotators} by annotators, {adjudications} {several})" if adjudications else ""


def _of_opposites(pairs: Sequence[Pair]) -> Iterable[str]:
    """The pairs that some decide in one direction and others in the opposite one, by name as far as they are few."""
    ahead: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for pair in pairs:
        ahead[pair.a, pair.b][pair.conclusion].append(pair.judge)
    opposed = {contest: by for contest, by in ahead.items() if by["better"] and by["worse"]}
    for a, b in list(opposed)[:MANY_ALIKE]:
        better, worse = (" and ".join(opposed[a, b][word]) for word in ("better", "worse"))
        yield f"{b} against {a} is decided in opposite directions: better by {better}, worse by {worse}."
    if (more := len(opposed) - MANY_ALIKE) > 0:
        yield f"{more} more pair{'s are' if more > 1 else ' is'} decided in opposite directions."


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What is amiss with one pair: its sentence, the same of any pair, the figure, and how grave it is."""

    pair: Pair
    said: str
    general: str
    figure: str
    weight: float


def _of_pairs(evidence: Evidence, pairs: Sequence[Pair]) -> Iterable[str]:
    """Each pair's own sentence; where many pairs of a judge share a doubt, one sentence that names the worst."""
    shared: dict[tuple[str, str], list[_Doubt]] = defaultdict(list)
    doubts = [doubt for pair in pairs for doubt in _doubts(pair, evidence.earlier.get((pair.a, pair.b, pair.judge), 0))]
    for doubt in doubts:
        shared[doubt.pair.judge, doubt.general].append(doubt)
    for doubt in doubts:
        alike = shared[doubt.pair.judge, doubt.general]
        if len(alike) <= MANY_ALIKE:
            yield f"{_contest(doubt.pair)} by {doubt.pair.judge}: {doubt.said}."
        elif doubt is alike[0]:
            worst = max(alike, key=lambda one: one.weight)
            of_judge = sum(pair.judge == doubt.pair.judge for pair in pairs)
            yield (
                f"{doubt.pair.judge}, in {len(alike)} of {of_judge} comparisons: {doubt.general}; "
                f"the most in {_contest(worst.pair)} ({worst.figure})."
            )


def _contest(pair: Pair) -> str:
    return f"{pair.b} against {pair.a}"


def _doubts(pair: Pair, earlier: int) -> Iterable[_Doubt]:
    """`earlier`: the runs that looked at this pair before."""
    missing = pair.verdicts["invalid"] + pair.verdicts["failed"]
    asked = missing + pair.verdicts["ok"]
    told = pair.trust == "people" and not pair.recorded  # as those who cannot judge
    if missing > MANY_INVALID * asked and not told:
        hint = "; the bounds say what that can do" if pair.bounds and pair.invalid + pair.failed else ""
        said = f"{missing} of {asked} verdicts {'is' if missing == 1 else 'are'} invalid or failed{hint}"
        general = f"more than {MANY_INVALID:.0%} of the verdicts are invalid or failed"
        yield _Doubt(pair, said, general, f"{missing} of {asked}", missing / asked)
    yield from _of_undone(pair)
    kept, bias = pair.order_consistency, pair.position_bias
    if not isinstance(kept, Undefined) and kept.value < STEADY:
        swapped = "when the order was swapped, the judge kept its verdict in"
        said, general = (
            f"{swapped} {kept.value:.0%} of the prompts only"
            + (f" ({kept.n} prompt{'' if kept.n == 1 else 's'})" if kept.n < FEW_PROMPTS else ""),
            f"{swapped} less than {STEADY:.0%} of the prompts",
        )
        yield _Doubt(pair, said, general, f"{kept.value:.0%}", -kept.value)
    if not isinstance(bias, Undefined) and bias.low * bias.high > 0:
        favours = f"the judge favours the answer shown {'first' if bias.value > 0 else 'second'}"
        yield _Doubt(pair, f"{favours} (position bias {bias})", favours, f"position bias {bias}", abs(bias.value))
    yield from _of_length(pair)
    if pair.to_come:
        stopping = (
            "not asked yet: whoever stops here for what this shows makes its p and its interval untrue; let the same "
            "command finish, or take --until-decided, which may be stopped at any time"
        )
        figure = f"{pair.to_come:,} of {pair.planned:,} prompts"
        said = f"{figure} {'is' if pair.to_come == 1 else 'are'} {stopping}"
        yield _Doubt(pair, said, f"prompts are {stopping}", figure, pair.to_come / pair.planned)
    if earlier:
        looked = (
            "of this ledger compared the two with other prompts, answers or settings, or beside more contestants; "
            "neither p nor the interval accounts for what"
        )
        figure = f"{earlier} earlier run{'s' if earlier > 1 else ''}"
        said = f"{figure} {looked} {'they' if earlier > 1 else 'it'} showed"
        yield _Doubt(pair, said, f"earlier runs {looked} they showed", figure, earlier)


def _of_undone(pair: Pair) -> Iterable[_Doubt]:
    """That what faults have lost could undo the conclusion."""
    if pair.undone is not None:
        against = "lost" if pair.conclusion in ("better", BY_FORM["better"]) else "won"
        said = (
            f"had {pair.b} {against} all that is invalid or failed, its win rate would be {pair.undone}, which is not "
            f'"{pair.conclusion}": the conclusion rests on what is missing'
        )
        general = "what is invalid or failed could undo the conclusion"
        yield _Doubt(pair, said, general, str(pair.undone), -abs(pair.undone.value - 0.5))


def _of_length(pair: Pair) -> Iterable[_Doubt]:
    """That the longer answer, or the shorter one, wins more often, and b's win rate at equal length.

    Where one of the two is the longer one nearly everywhere, nobody can tell whether it does.
    """
    effect = pair.length.longer_wins if pair.length else None
    if pair.length is None or not isinstance(effect, Estimate):
        return
    if effect.low <= 0.5 <= effect.high:
        yield from _of_confounded(pair)
        return
    which = "longer" if effect.low > 0.5 else "shorter"
    if which == "shorter":
        effect = replace(effect, value=1 - effect.value, low=1 - effect.high, high=1 - effect.low)
    equal = pair.length.controlled
    left = f"is {equal}" if isinstance(equal, Estimate) else f"cannot be told: {equal.why}"
    share = "all" if isinstance(equal, Undefined) and equal.why.endswith(CONFOUNDED) else "part"
    said = (
        f"the {which} answer won {effect} of the {effect.n:,} decided prompts; {share} of the result may be length: "
        f"{pair.b}'s win rate at equal length {left}"
    )
    general = f"the {which} answer won more often, so that part of the result may be length"
    yield _Doubt(pair, said, general, str(effect), effect.value)


def _of_confounded(pair: Pair) -> Iterable[_Doubt]:
    """That a decided result may be length and nothing else."""
    equal = pair.length.controlled if pair.length else None
    if pair.conclusion in ("better", "worse") and isinstance(equal, Undefined) and equal.why.endswith(CONFOUNDED):
        said = f"all of the result may be length: {pair.b}'s {equal.why.removeprefix('its ')}"
        general = "all of the result may be length: one contestant writes more nearly everywhere"
        yield _Doubt(pair, said, general, f"{pair.used} prompts", pair.used)
