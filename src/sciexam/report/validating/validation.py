"""Whether a judge can be trusted, by the verdicts of humans on the same comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sciexam.battles import in_drawn_order
from sciexam.report.agreeing.votes import ItemKey, Votes, votes_of
from sciexam.report.by_chance import agreed_by_chance
from sciexam.report.calls import Calls
from sciexam.report.equal_texts import equal_texts
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.heard import heard
from sciexam.report.record import Step, plain
from sciexam.report.validating.against_humans import LONGER, Against, against_humans
from sciexam.report.validating.calibrated import Calibrated, calibrated
from sciexam.report.validating.corrected_rates import Rates, rates_of
from sciexam.report.validating.faults import by_chance, told
from sciexam.report.validating.human_verdicts import HumanVerdicts
from sciexam.report.validating.judge_biases import Biases, biases_of
from sciexam.report.validating.replacing import Replacing, replacing
from sciexam.stats import Estimate, Undefined
from sciexam.types import Prompt

SCHEMA = "sciexam/validation/1"
LEVEL = 0.95
FEW_PROMPTS = 30
SIDES = {-1.0: "a", 0.0: "tie", 1.0: "b"}


@dataclass(frozen=True, slots=True)
class Validation:
    """A judge against humans.

    `labelled`: comparisons that a human judged, `split` of them without a majority, and `adjudicated` of them by
    somebody who had read what the annotators said; `missing`: those of them that the judge has no usable verdict on, by
    status, and `verdicts`: how many verdicts on them failed or are invalid, an order each. `confusion`: judge's side ->
    majority's side -> comparisons; a is the contestant of a pair that is named first.
    """

    suite: str
    run: str
    rubric: str
    judge: str
    judge_is: str
    contestants: tuple[str, ...]
    notes: Mapping[str, str]  # contestant -> what its suite says of it
    annotators: tuple[str, ...]
    policy: str
    level: float
    labelled: int
    split: int
    adjudicated: int
    missing: Mapping[str, int]
    verdicts: Mapping[str, int]
    against: tuple[Against, ...]
    replacing: Replacing
    calibration: Calibrated
    confusion: Mapping[str, Mapping[str, int]]
    rates: tuple[Rates, ...]
    biases: Biases
    calls: Calls
    caveats: tuple[str, ...]
    next_steps: tuple[Step, ...] = ()
    drawn: str = ""  # how the labelled prompts are known to be a random sample; empty where they are not
    schema: str = SCHEMA

    @property
    def sentence(self) -> str:
        """The result as one sentence."""
        judge = self.against[0]
        if isinstance(judge.accuracy_decided, Undefined):
            return f"Nothing can be said of {self.judge} against humans: {judge.accuracy_decided.why}."
        people = "the human majority" if len(self.annotators) > 1 else f"the one annotator, {self.annotators[0]},"
        said = f"{self.judge} agrees with {people} on {judge.accuracy_decided} of {judge.decided} decided comparisons"
        if chance := by_chance(judge.accuracy_decided):
            said += f", which is {chance}"
        for row in self.against:
            if row.kind == "adjudicated":
                said += f" (with {self.adjudicated} of {self.labelled} adjudicated: {_of_decided(row)})"
            if row.kind == "annotators" and isinstance(row.accuracy_decided, Estimate):
                said += f"; one annotator with the others: {row.accuracy_decided}"
                if isinstance(row.judge_decided, Estimate):
                    said += f", the judge in that place: {row.judge_decided}"
            if row.who == LONGER and isinstance(row.accuracy_decided, Estimate):
                said += f"; always taking the longer answer: {row.accuracy_decided.value:.2f}"
        return said + "."

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the judge is, where its name does not tell, and what the suite says of the contestants."""
        by_name = self.judge_is == f"the LLM {self.judge.removeprefix('openai:')}"
        own = () if by_name else (f"{self.judge}: {self.judge_is}",)
        return (*own, *(f"{name}: {note}" for name, note in self.notes.items()))

    @property
    def incomplete(self) -> bool:
        """Whether a call failed, or the judge has no usable verdict at all and some that are invalid."""
        return bool(self.calls.unasked) or bool(
            self.missing.get("failed") or (self.missing.get("invalid") and not self.against[0].items)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, no infinity."""
        return {**plain(self), "sentence": self.sentence}


def _of_decided(row: Against) -> str:
    figure = row.accuracy_decided
    return f"{figure} of {row.decided}" if isinstance(figure, Estimate) else figure.why


def build_validation(
    evidence: Evidence, judge: str, judge_is: str, measures: str | None, own: Sequence[str], why_no_own: str
) -> Validation:
    """The judge on the bench `judge` against the humans on all benches.

    `measures`: the bench of the text measures, which is a baseline, if there is one. `own`: the contestants that are
    the judge's own model; `why_no_own` says why there are none. `evidence.margin` is the epsilon of the alt-test.
    """
    benches = {bench.name: bench for bench in evidence.benches}
    voted = votes_of(list(benches.values()))
    by_judge = {one.rater: one for one in voted if one.kind == "judge"}
    humans = HumanVerdicts(evidence, [one for one in voted if one.kind == "human"])
    nobody = Votes(judge, "judge", {}, {})
    found = by_judge.get(judge, nobody)
    sides = found.sides
    baselines = {measures: by_judge.get(measures, nobody).sides} if measures else {}
    missing = _missing(benches[judge], humans)
    against = tuple(against_humans(humans, judge, sides, baselines, LEVEL))
    tested = replacing(humans, sides, evidence.margin or 0.0, LEVEL)
    biases = biases_of(evidence, benches[judge], humans, found, own, why_no_own, LEVEL)
    return Validation(
        suite=evidence.suite,
        run=evidence.run,
        rubric=evidence.rubric,
        judge=judge,
        judge_is=judge_is,
        contestants=evidence.contestants,
        notes=evidence.notes,
        annotators=tuple(human.rater for human in humans.votes),
        policy=evidence.policy,
        level=LEVEL,
        labelled=len(humans.majority),
        split=_split(humans),
        adjudicated=len(humans.settled),
        missing=missing,
        verdicts=_verdicts(benches[judge], humans),
        against=against,
        replacing=tested,
        calibration=calibrated(humans, benches[judge], found.scores, LEVEL),
        confusion=_confusion(sides, humans),
        rates=tuple(rates_of(evidence, benches[judge], humans, LEVEL)),
        biases=biases,
        calls=evidence.calls,
        drawn=_drawn(evidence, humans),
        caveats=(
            *evidence.caveats,
            *told(judge, against, biases, tested),
            *heard(evidence.benches),
            *agreed_by_chance(evidence),
            *_caveats(judge, missing, humans, list(benches.values())),
            *equal_texts(evidence),
        ),
    )


def _drawn(evidence: Evidence, humans: HumanVerdicts) -> str:
    """`sciexam annotate` shows prompts in the order that the suite's seed draws; a label beside it is nobody's draw."""
    ordered = in_drawn_order(evidence.prompts, evidence.seed)
    found = [_drawn_pair(evidence, a, b, ordered, humans) for a, b in evidence.pairs]
    if not all(found):
        return ""
    counts = " and ".join(f"{labelled} of {there}" for labelled, there in dict.fromkeys(one for one in found if one))
    return (
        f"The labelled prompts are the first {counts} in the order that seed {evidence.seed} draws: a random sample, "
        "as PPI++ asks for."
    )


def _drawn_pair(
    evidence: Evidence, a: str, b: str, ordered: Sequence[Prompt], humans: HumanVerdicts
) -> tuple[int, int] | None:
    """How many prompts of a pair are labelled, of how many, where they are the first of the drawn order, and not all.

    A pair of one and the same text is not shown to people: where there is one, the labels are of a part of the prompts.
    """
    texts = {
        prompt.id: [
            found.text
            for name in (a, b)
            if (found := evidence.responses.get((name, prompt.id, 0))) is not None and found.reply.status == "ok"
        ]
        for prompt in ordered
    }
    there = [prompt.id for prompt in ordered if len(texts[prompt.id]) == 2]
    labelled = {prompt for one, other, prompt, _ in humans.majority if (one, other) == (a, b)}
    if not 0 < len(labelled) < len(there) or set(there[: len(labelled)]) != labelled:
        return None
    return None if any(len(set(texts[prompt])) == 1 for prompt in there) else (len(labelled), len(there))


def _missing(bench: Bench, humans: HumanVerdicts) -> dict[str, int]:
    """The labelled comparisons that the judge has no usable verdict on, by status."""
    void = (x for x in bench.battles if x.score is None and (x.a, x.b, x.prompt, x.sample) in humans.majority)
    return dict(sorted(Counter(battle.status for battle in void).items()))


def _verdicts(bench: Bench, humans: HumanVerdicts) -> dict[str, int]:
    """The verdicts of the judge on these that failed or are invalid, by status."""
    labelled = {(frozenset((a, b)), prompt, sample) for a, b, prompt, sample in humans.majority}
    counts = Counter(
        verdict.status
        for shown, verdict in bench.asked
        if (frozenset((verdict.first, verdict.second)), verdict.prompt, shown.sample) in labelled
    )
    return {status: counts[status] for status in ("failed", "invalid")}


def _split(humans: HumanVerdicts) -> int:
    """Comparisons on which several sides have equally many of the annotators."""
    said = {item: [sides[item] for sides in humans.sides if item in sides] for item in humans.majority}
    return sum(
        len(most) > 1 and most[0][1] == most[1][1]
        for most in (Counter(sides).most_common(2) for sides in said.values())
    )


def _confusion(sides: Mapping[ItemKey, float], humans: HumanVerdicts) -> dict[str, dict[str, int]]:
    counts = Counter((sides[item], theirs) for item, theirs in humans.majority.items() if item in sides)
    return {mine: {theirs: counts[one, other] for other, theirs in SIDES.items()} for one, mine in SIDES.items()}


def _caveats(judge: str, missing: Mapping[str, int], humans: HumanVerdicts, benches: Sequence[Bench]) -> Iterator[str]:
    labelled = len(humans.majority)
    if missing:
        why = ", ".join(f"{count} {status}" for status, count in missing.items())
        yield (
            f"{judge} has no usable verdict on {sum(missing.values())} of the {labelled} comparisons that humans "
            f"judged ({why}); its figures are of the others, which may be easier."
        )
    prompts = {item[2] for item, side in humans.majority.items() if side}
    if len(prompts) < FEW_PROMPTS:
        many = f"{len(prompts)} prompt{'' if len(prompts) == 1 else 's'}"
        yield f"Humans decided {many}, for a or for b; the intervals on decided comparisons are wide."
    if len(humans.votes) == 1:
        yield f"{humans.votes[0].rater} is the only annotator: how far humans agree among themselves is not known."
    if (split := _split(humans)) > 0:
        yield f"{split} of {labelled} comparisons have no majority among the annotators; they count as ties."
    for bench in benches:
        if bench.changed:
            yield f"The ledger holds {bench.changed} verdicts of {bench.name} in two ways; the last to come in counts."
    for human in humans.votes:
        if human.changed:
            yield (
                f"{human.rater} said more than one thing of the same two texts, in {human.changed} of the comparisons; "
                "the last named counts."
            )
