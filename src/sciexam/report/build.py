"""Facts to report: the battles of evidence as estimates. No model is called here, and nothing is written."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sciexam.prompts import field_of
from sciexam.report.caveats import caveats_of
from sciexam.report.evidence import NOT_ASKED, Bench, Evidence
from sciexam.report.gains import Gain, gains_of
from sciexam.report.items import items_of
from sciexam.report.lengths import Words, bins_of, control_lengths, measured, words_of
from sciexam.report.panel import panels_of
from sciexam.report.planning.prospects import curve_of, outlook_sentence, takes_of
from sciexam.report.record import Category, Figure, Length, Pair, Pairs, Power, Report
from sciexam.report.scores import (
    NO_ORDER,
    NOT_RECORDED,
    Score,
    consistency_of,
    distinct,
    lost_samples,
    scores_of,
    used_of,
    values_of,
)
from sciexam.report.sides import shown_of
from sciexam.report.strengths import Said, said_of, strengths_of
from sciexam.stats import (
    Conclusion,
    Estimate,
    Undefined,
    bounds,
    conclude,
    equivalent,
    holm,
    longer_wins,
    mean,
    position_bias,
    position_bias_between,
    sign_flip,
    win_rate,
)
from sciexam.stats.sides import side_of

LEVEL = 0.95
MOST_OUTLOOKS = 6  # comparisons for which the power of the next exam is computed


def build(evidence: Evidence) -> Report:
    """The report of evidence: every pair of contestants by every bench, Holm-corrected over all of them."""
    by_bench = {bench.name: scores_of(evidence, bench) for bench in evidence.benches}
    lengths = _lengths(evidence, by_bench)
    tallies = {bench.name: _tally(bench) for bench in evidence.benches}
    scored = {
        (a, b, bench.name): (by_bench[bench.name][a, b], bench) for a, b in evidence.pairs for bench in evidence.benches
    }
    p_values = [_p_value(scores, evidence.seed) for scores, _ in scored.values()]
    corrected = holm(p_values)
    pairs = Pairs(
        _pair(evidence, bench, tallies[bench.name], a, b, scores, p, p_holm, lengths[a, b, bench.name])
        for ((a, b, _), (scores, bench)), p, p_holm in zip(scored.items(), p_values, corrected, strict=True)
    )
    pairs = _with_outlook(by_bench, _with_members(evidence, by_bench, pairs))
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
        caveats=(*evidence.caveats, *caveats_of(evidence, pairs)),
        items=tuple(items_of(evidence, by_bench)),
        lineage=lineage_of(evidence, pairs),
    )


def lineage_of(evidence: Evidence, pairs: Sequence[Pair]) -> tuple[Gain, ...]:
    """What each stage gained, by each bench."""
    rates = {(pair.a, pair.b, pair.judge): pair.win_rate for pair in pairs}
    return tuple(gains_of(evidence.lineage, [bench.name for bench in evidence.benches], rates))


def _with_members(
    evidence: Evidence, by_bench: Mapping[str, Mapping[tuple[str, str], Sequence[Score]]], pairs: Pairs
) -> Pairs:
    """The pairs with what the members of a panel or a cascade did to each."""
    inside = {b.name: b.escalations or panels_of(evidence, b, by_bench[b.name], LEVEL) for b in evidence.benches}
    return Pairs(replace(pair, by_members=inside[pair.judge].get((pair.a, pair.b))) for pair in pairs)


def _with_outlook(by_bench: Mapping[str, Mapping[tuple[str, str], Sequence[Score]]], pairs: Pairs) -> Pairs:
    """Of more than MOST_OUTLOOKS comparisons the first undecided one says what it takes; none has a curve."""
    first = next((pair for pair in pairs if pair.conclusion == "undecided" and pair.used), None)
    if first is None or len(pairs) <= MOST_OUTLOOKS:
        return pairs
    power = _power(used_of(by_bench[first.judge][first.a, first.b]), len(pairs), curve=False)
    return Pairs(replace(pair, power=power) if pair is first else pair for pair in pairs)


# ---------------------------------------------------------------- one pair


@dataclass(frozen=True, slots=True)
class _Tally:
    """What a bench said, counted in one pass: its verdicts by pair and status, and by pair how strong (if at all)."""

    said: Mapping[frozenset[str], Sequence[Said]]
    counts: Mapping[frozenset[str], Counter[str]]


def _tally(bench: Bench) -> _Tally:
    counts: dict[frozenset[str], Counter[str]] = defaultdict(Counter)
    for _, verdict in bench.asked:
        counts[frozenset((verdict.first, verdict.second))][verdict.status] += 1
    return _Tally(said_of(bench), counts)


def _verdict_counts(evidence: Evidence, tally: _Tally, a: str, b: str) -> dict[str, int]:
    """Verdicts that were asked for on a pair, by status; one that lacked its answers counts as the answers do."""
    counts = Counter(tally.counts.get(frozenset((a, b)), {}))
    for prompt in evidence.prompts:
        counts.update(lost_samples(evidence, prompt, a, b))
    return {status: counts[status] for status in ("ok", "invalid", "failed")}


def _pair(
    evidence: Evidence,
    bench: Bench,
    tally: _Tally,
    a: str,
    b: str,
    scores: Sequence[Score],
    p: float | None,
    p_holm: float | None,
    length: Length | None,
) -> Pair:
    used, comparisons = used_of(scores), len(evidence.pairs) * len(evidence.benches)
    values, clusters = values_of(used), distinct(s.cluster for s in used)
    rate, sides = rate_of(used, "no prompt has a usable verdict"), Counter(map(side_of, values))
    counts = {status: sum(s.status == status for s in scores) for status in ("invalid", "failed", "skipped")}
    within = equivalent(values, evidence.margin, clusters, 1 - LEVEL) if evidence.margin is not None and used else None
    return Pair(
        a=a,
        b=b,
        judge=bench.name,
        judge_is=bench.description,
        raters=bench.raters,
        policy=evidence.policy,
        conclusion=bench.concludes(found := conclude(rate, p_holm, within)),
        win_rate=rate,
        bounds=_bounds(used, counts["invalid"] + counts["failed"]) if used else None,
        undone=_undone(scores, found, comparisons, evidence.seed),
        wins=sides[1],
        ties=sides[0],
        losses=sides[-1],
        p_value=p,
        p_holm=p_holm,
        preference=_preference(tally, used),
        order_consistency=consistency_of(bench, used, LEVEL),
        position_bias=bias_of(bench, used),
        length=length,
        power=_power(used, comparisons) if comparisons <= MOST_OUTLOOKS else None,
        planned=len(scores),
        used=len(used),
        invalid=counts["invalid"],
        failed=counts["failed"],
        skipped=counts["skipped"],
        reasons=reasons_of(scores),
        verdicts=_verdict_counts(evidence, tally, a, b),
        categories=tuple(_categories(evidence.by, scores)),
        criteria=tuple(_criteria(evidence, bench, a, b)),
        strengths=strengths_of(tally.said.get(frozenset((a, b)), ()), b, used, LEVEL),
        shown=shown_of(bench, used, LEVEL),
        recorded=bench.recorded,
        trust=bench.trust,
    )


def rate_of(used: Sequence[Score], else_why: str) -> Figure:
    """The win rate of these scores."""
    return win_rate(values_of(used), distinct(s.cluster for s in used), LEVEL) if used else Undefined(else_why)


def _bounds(used: Sequence[Score], missing: int) -> tuple[float, float]:
    planned = len(used) + missing
    return bounds([s.low for s in used], planned)[0], bounds([s.high for s in used], planned)[1]


def _undone(scores: Sequence[Score], found: Conclusion, comparisons: int, seed: int) -> Estimate | None:
    """The win rate were all that faults have lost against what was found, where another conclusion would follow.

    p is then corrected for all comparisons by Bonferroni, as that of the least sure one is by Holm.
    """
    kept, faulty = used_of(scores), [s for s in scores if s.status in ("invalid", "failed")]
    worst = [s.low if found == "better" else s.high for s in kept] + [0.0 if found == "better" else 1.0] * len(faulty)
    if found not in ("better", "worse") or worst == list(values_of(kept)):
        return None
    clusters = distinct(s.cluster for s in (*kept, *faulty))
    rate, p = win_rate(worst, clusters, LEVEL), sign_flip(worst, clusters, seed)
    then = conclude(rate, None if p is None else min(1.0, comparisons * p), None)
    return rate if isinstance(rate, Estimate) and then != found else None


def _p_value(scores: Sequence[Score], seed: int) -> float | None:
    used = used_of(scores)
    return sign_flip(values_of(used), distinct(s.cluster for s in used), seed) if used else None


def _preference(tally: _Tally, used: Sequence[Score]) -> Figure:
    """The mean preference for b on -3 (a strongly) .. 3 (b strongly)."""
    if not tally.said:
        return Undefined("the verdicts carry no strength")
    kept = [(s, [x.preference for x in s.battles if x.preference is not None]) for s in used]
    kept = [(s, strengths) for s, strengths in kept if strengths]
    if not kept:
        return Undefined("no usable verdict carries a strength")
    values = [sum(strengths) / len(strengths) for _, strengths in kept]
    return mean(values, distinct(s.cluster for s, _ in kept), LEVEL, low=-3.0, high=3.0)


def bias_of(bench: Bench, used: Sequence[Score]) -> Figure:
    """From prompts seen in both orders; or, where each was seen in one, from those that were shown each way."""
    if not bench.sees_order:
        return Undefined(NO_ORDER)
    if not bench.order_known:
        return Undefined(NOT_RECORDED)
    if not used:
        return Undefined("no prompt has a usable verdict")
    apart = [(s.cluster, told) for s in used if (told := [x for x in s.battles if not x.of_one_text])]
    if not apart:
        return Undefined("every comparison is of two equal texts")
    if balanced := [(label, told) for label, told in apart if all(len(x.by_order) == 2 for x in told)]:
        firsts = [_mean_of(x.first for x in told if x.first is not None) for _, told in balanced]
        return position_bias(firsts, distinct(label for label, _ in balanced), LEVEL)
    seen = [(order, label, score) for label, told in apart for x in told for order, score in x.by_order.items()]
    a_first = [(label, score) for order, label, score in seen if order == "ab"]
    a_second = [(label, score) for order, label, score in seen if order == "ba"]
    if not a_first or not a_second:
        return Undefined("every prompt was shown in the same order, so a bias cannot be told from a preference")
    return position_bias_between(
        [score for _, score in a_first],
        [score for _, score in a_second],
        distinct(label for label, _ in a_first),
        distinct(label for label, _ in a_second),
        LEVEL,
    )


def _lengths(
    evidence: Evidence, by_bench: Mapping[str, Mapping[tuple[str, str], Sequence[Score]]]
) -> dict[tuple[str, str, str], Length | None]:
    """What length does, for each pair and bench; all pairs of a bench share one fit."""
    words = words_of(evidence)
    found: dict[tuple[str, str, str], Length | None] = {}
    for bench, scores in by_bench.items():
        used = {pair: used_of(listed) for pair, listed in scores.items()}
        controlled = control_lengths(used, words, LEVEL).win_rates
        for (a, b), listed in used.items():
            kept = measured(listed, words, a, b)
            found[a, b, bench] = _length(words, a, b, kept, controlled[a, b]) if kept else None
    return found


def _length(words: Words, a: str, b: str, used: Sequence[Score], controlled: Figure) -> Length:
    own, other = [words[b, s.prompt.id] for s in used], [words[a, s.prompt.id] for s in used]
    difference = [right - left for left, right in zip(other, own, strict=True)]
    return Length(
        a=_mean_of(other),
        b=_mean_of(own),
        difference=_mean_of(difference),
        longer_wins=longer_wins(values_of(used), difference, distinct(s.cluster for s in used), LEVEL),
        controlled=controlled,
        bins=bins_of(used, difference, LEVEL),
    )


def _power(used: Sequence[Score], comparisons: int, curve: bool = True) -> Power | None:
    """What prompts like these find, where so many comparisons are made; None where that cannot be told."""
    values, clusters = values_of(used), distinct(s.cluster for s in used)
    sentence = outlook_sentence(values, clusters, comparisons=comparisons, level=LEVEL)
    if not sentence:
        return None
    points = curve_of(values, clusters, comparisons=comparisons, level=LEVEL) if curve else ()
    return Power(sentence, points, takes_of(values, clusters, comparisons=comparisons, level=LEVEL))


def _categories(by: str, scores: Sequence[Score]) -> Iterable[Category]:
    inside: dict[str, list[Score]] = defaultdict(list)
    for s in scores:
        if (value := field_of(s.prompt, by)) is not None:
            inside[value].append(s)
    for name, listed in sorted(inside.items()):
        used = used_of(listed)
        yield Category(name, rate_of(used, "no prompt was used"), len(listed), len(used))


def _criteria(evidence: Evidence, bench: Bench, a: str, b: str) -> Iterable[Category]:
    """b's win rate on each criterion, counted as the overall one is."""
    for name, battles in bench.by_criterion.items():
        # Whoever adjudicates says nothing of a criterion.
        only = replace(bench, battles=battles, weights=None, adjudicated=())
        scores = scores_of(replace(evidence, pairs=((a, b),)), only)[a, b]
        used = used_of(scores)
        yield Category(name, rate_of(used, "no verdict on this criterion is usable"), len(scores), len(used))


def reasons_of(scores: Sequence[Score]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for s in scores:
        if s.score is None:
            reason = f"{s.status}: {s.failure}" if s.failure else s.status
            if s.status == "skipped" and s.failure.endswith(NOT_ASKED):
                reason = NOT_ASKED  # whoever it is that was not asked
            counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _mean_of(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
