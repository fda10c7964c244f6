"""The report of pairs that were watched while their verdicts came in: where each sequence stopped and what it says.

No figure here has an interval for a fixed number of prompts: such an interval covers less than it says where the number
depends on the outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sciexam.report.build import LEVEL, bias_of, lineage_of, reasons_of
from sciexam.report.caveats import caveats_of
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.items import items_of
from sciexam.report.lengths import Words, measured, words_of
from sciexam.report.record import Figure, Length, Look, Pair, Pairs, Report, Shown, Stop
from sciexam.report.scores import Score, consistency_of, lost_samples, scores_of, used_of, values_of
from sciexam.report.sides import shown_of
from sciexam.stats import Conclusion, Estimate, Undefined
from sciexam.stats.sides import side_of

WHY = "the number of prompts followed the outcome, and its interval would need a fixed one"
LEFT_OUT = (
    "The prompts ended where the sequence was decided: what needs a fixed number of them is left out (slices, mean "
    "preference, how often the longer answer wins, the length-controlled win rate, bounds, power), and the intervals "
    "of order consistency and position bias are approximate."
)
APPROXIMATE = "approximate, since the number of prompts followed the outcome: "

MOST_LOOKS = 200  # of a sequence that a report keeps

Cell = tuple[str, str, str]  # a, b, the bench that judges them


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the sequence of one pair and bench stands: what it has read, and what it says of a's score.

    `rate` is b's win rate with its confidence sequence at the corrected level, `p` the anytime-valid p-value of "the
    win rate is one half", None before the first score. `prompts` of the order were read, those without a score too.
    `finished`: it is decided, or there are no more. `path`: b's win rate and its interval after every score.
    """

    conclusion: Conclusion
    rate: Figure
    p: float | None
    prompts: int
    finished: bool
    path: tuple[Look, ...] = ()


def build_stopped(evidence: Evidence, outcomes: Mapping[Cell, Outcome]) -> Report:
    """The report of a run until it is decided. `evidence.prompts` are in the order in which the sequences read them."""
    words = words_of(evidence)
    scores = {bench.name: scores_of(evidence, bench) for bench in evidence.benches}
    pairs = Pairs(
        _pair(evidence, bench, (a, b), scores[bench.name][a, b], outcomes, words)
        for a, b in evidence.pairs
        for bench in evidence.benches
    )
    inside = _cut(evidence, max(one.prompts for one in outcomes.values()))
    return Report(
        suite=evidence.suite,
        run=evidence.run,
        rubric=evidence.rubric,
        contestants=evidence.contestants,
        notes=evidence.notes,
        prompts=len(evidence.prompts),
        by=evidence.by,
        level=LEVEL,
        margin=evidence.margin,
        pairs=pairs,
        calls=evidence.calls,
        caveats=(*evidence.caveats, LEFT_OUT, *caveats_of(inside, pairs)),
        items=tuple(items_of(inside, {name: _first(by_pair, outcomes, name) for name, by_pair in scores.items()})),
        lineage=lineage_of(evidence, pairs),
    )


def _first(
    scores: Mapping[tuple[str, str], list[Score]], outcomes: Mapping[Cell, Outcome], bench: str
) -> dict[tuple[str, str], list[Score]]:
    """The scores that each sequence read."""
    return {(a, b): listed[: outcomes[a, b, bench].prompts] for (a, b), listed in scores.items()}


def _pair(
    evidence: Evidence,
    bench: Bench,
    contest: tuple[str, str],
    scores: list[Score],
    outcomes: Mapping[Cell, Outcome],
    words: Words,
) -> Pair:
    a, b = contest
    outcome = outcomes[a, b, bench.name]
    read = scores[: outcome.prompts]
    used = used_of(read)
    sides = Counter(map(side_of, values_of(used)))
    counts = Counter(s.status for s in read)
    return Pair(
        a=a,
        b=b,
        judge=bench.name,
        judge_is=bench.description,
        raters=bench.raters,
        policy=evidence.policy,
        conclusion=bench.concludes(outcome.conclusion),
        win_rate=outcome.rate,
        bounds=None,
        wins=sides[1],
        ties=sides[0],
        losses=sides[-1],
        p_value=outcome.p,
        p_holm=None if outcome.p is None else min(1.0, len(outcomes) * outcome.p),
        preference=Undefined(WHY),
        order_consistency=_approximate(consistency_of(bench, used, LEVEL)),
        position_bias=_approximate(bias_of(bench, used)),
        length=_length(words, a, b, known) if (known := measured(used, words, a, b)) else None,
        power=None,
        planned=len(scores),
        used=len(used),
        invalid=counts["invalid"],
        failed=counts["failed"],
        skipped=counts["skipped"],
        reasons=reasons_of(read),
        verdicts=_verdict_counts(evidence, bench, contest, outcome.prompts),
        categories=(),
        stop=Stop(outcome.prompts, outcome.finished, thinned(outcome.path)),
        shown=_shown(bench, used),
        recorded=bench.recorded,
        trust=bench.trust,
    )


def thinned(path: Sequence[Look]) -> tuple[Look, ...]:
    """At most MOST_LOOKS of a path, evenly spread, with the first and the last; intervals only narrow on the way."""
    if len(path) <= MOST_LOOKS:
        return tuple(path)
    return tuple(path[round(place * (len(path) - 1) / (MOST_LOOKS - 1))] for place in range(MOST_LOOKS))


def _shown(bench: Bench, used: list[Score]) -> Shown | None:
    shown = shown_of(bench, used, LEVEL)
    return shown and Shown(_approximate(shown.first), _approximate(shown.second))


def _cut(evidence: Evidence, prompts: int) -> Evidence:
    """What is known of the first `prompts` prompts of the order."""
    inside = {prompt.id for prompt in evidence.prompts[:prompts]}
    return replace(
        evidence,
        prompts=evidence.prompts[:prompts],
        responses={slot: response for slot, response in evidence.responses.items() if slot[1] in inside},
        benches=[
            replace(
                bench,
                battles=[battle for battle in bench.battles if battle.prompt in inside],
                verdicts=[(shown, verdict) for shown, verdict in bench.verdicts if verdict.prompt in inside],
            )
            for bench in evidence.benches
        ],
    )


def _verdict_counts(evidence: Evidence, bench: Bench, contest: tuple[str, str], prompts: int) -> dict[str, int]:
    """Verdicts that were read for a pair, by status; one that lacked its answers counts as the answers do."""
    read = evidence.prompts[:prompts]
    inside = {prompt.id for prompt in read}
    counts: Counter[str] = Counter(
        verdict.status
        for _, verdict in bench.asked
        if verdict.prompt in inside and {verdict.first, verdict.second} == set(contest)
    )
    for prompt in read:
        counts.update(lost_samples(evidence, prompt, *contest))
    return {status: counts[status] for status in ("ok", "invalid", "failed")}


def _approximate(figure: Figure) -> Figure:
    return replace(figure, method=APPROXIMATE + figure.method) if isinstance(figure, Estimate) else figure


def _length(words: Words, a: str, b: str, used: list[Score]) -> Length:
    own, other = (sum(words[name, s.prompt.id] for s in used) / len(used) for name in (b, a))
    return Length(other, own, own - other, longer_wins=Undefined(WHY), controlled=Undefined(WHY))
