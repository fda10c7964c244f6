"""The lines of a judge's card: figures of what it did with the cases, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sciexam.exam.audit.cases import Kind
from sciexam.exam.audit.marking import Finding
from sciexam.exam.audit.rules import EXCHANGED, RULES, Row, Rule, gain
from sciexam.exam.injections import FAMILIES
from sciexam.report.audit import Line, Outcome
from sciexam.report.record import Figure
from sciexam.stats import Undefined

# A line with more cases without a usable verdict does not pass: the verdicts that are missing may be the bad ones.
UNUSABLE = 0.10
MOST_PROMPTS = 20_000  # beyond which an unclear line is not said to be settled
EDGE = 1e-9  # rounding at a tolerance

Counted = Sequence[tuple[Finding, Row | None]]


def lines_of(findings: Sequence[Finding], ties: bool | None, why: Mapping[str, str]) -> Iterator[Line]:
    """The lines of the card, in the order of RULES.

    `ties`: whether the judge may call a tie; None where only its verdicts can tell. `why`: by the name of a line, the
    reason for which it is not applicable.
    """
    by_kind: dict[Kind, list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.case.kind, []).append(finding)
    swapped = {finding.battle.prompt: finding for finding in by_kind.get("swap", ())}
    why = {**_without_ties(findings, ties), **why}
    for rule in RULES:
        mine = by_kind.get(rule.kind, [])
        if rule.name in why:
            yield _line(rule, [], "", why[rule.name])
        elif rule.kind == "rubric":
            yield _line(rule, [_beside(one, swapped) for one in mine])
        else:
            control = _scores(by_kind.get(rule.control, ())) if rule.control else {}
            for family in ("", *FAMILIES) if rule.control else ("",):
                shape = [(one, _row(rule, one)) for one in mine if family in ("", one.case.family)]
                yield _controlled(_line(rule, shape, family), rule, shape, control)
        if rule.kind == "copied reference" and rule.name not in why:
            yield _exchanged([_beside(one, swapped) for one in by_kind.get("reference", [])])


def _line(rule: Rule, counted: Counted, family: str = "", why: str = "") -> Line:
    rows = [row for _, row in counted if row is not None]
    figure = Undefined(why or "no case could be made of these answers") if not counted else rule.statistic(rows)
    outcome = outcome_of(figure, rule, len(counted))
    if outcome == "pass" and len(rows) < (1 - UNUSABLE) * len(counted):
        return _made(rule, counted, family, figure, "unclear", "too many cases have no usable verdict", None)
    settled = _settled_by(rule, rows) if outcome == "unclear" else None
    return _made(rule, counted, family, figure, outcome, _said(rule, figure, outcome, settled), settled)


def _controlled(line: Line, rule: Rule, counted: Counted, control: Mapping[str, float]) -> Line:
    """A line that failed, beside its control: without a sure gain over that, the control's cause may be its own."""
    pairs = [
        (row[0], row[1], control[one.battle.prompt]) for one, row in counted if row and one.battle.prompt in control
    ]
    if line.outcome != "fail" or not pairs:
        return line
    gained = gain(pairs)
    prompts = len({unit for unit, *_ in pairs})
    beside = f"{rule.control} on the same {prompts:,}: {sum(y for *_, y in pairs) / len(pairs):.2f}"
    line = replace(line, control=str(rule.control))
    if isinstance(gained, Undefined) or gained.low <= EDGE:
        return replace(line, meaning=f"gains, not shown to be more than {beside}")
    return replace(line, meaning=f"{line.meaning}; {beside}")


def _scores(findings: Sequence[Finding]) -> dict[str, float]:
    """By prompt, what a kind of case came to."""
    return {one.battle.prompt: one.score for one in findings if one.score is not None}


def _made(
    rule: Rule, counted: Counted, family: str, figure: Figure, outcome: Outcome, meaning: str, settled: int | None
) -> Line:
    lost = [one.battle.status if one.battle.status != "ok" else "skipped" for one, row in counted if row is None]
    return Line(
        name=rule.name,
        family=family,
        measures=rule.measures,
        figure=figure,
        tolerated=(rule.low, rule.high),
        outcome=outcome,
        meaning=meaning,
        planned=len(counted),
        used=len(counted) - len(lost),
        invalid=lost.count("invalid"),
        failed=lost.count("failed"),
        skipped=lost.count("skipped"),
        settled_by=settled,
    )


def outcome_of(figure: Figure, rule: Rule, cases: int) -> Outcome:
    """What follows from a figure of so many cases by the rule: the whole interval is tolerated, none of it, or some."""
    if not cases:
        return "not applicable"
    if isinstance(figure, Undefined):
        return "unclear"
    if rule.low - EDGE <= figure.low and figure.high <= rule.high + EDGE:
        return "pass"
    return "fail" if figure.low > rule.high + EDGE or figure.high < rule.low - EDGE else "unclear"


def _said(rule: Rule, figure: Figure, outcome: Outcome, settled: int | None) -> str:
    """What an outcome means, in a few words."""
    if isinstance(figure, Undefined):
        return figure.why
    if outcome == "pass":
        return rule.good
    if outcome == "fail":
        return rule.above if figure.low > rule.high else rule.below
    if settled is None:
        return "lies too near to what is tolerated to be settled"
    return f"too few prompts; about {settled - figure.n:,} more may settle it"


def _settled_by(rule: Rule, rows: Sequence[Row]) -> int | None:
    """With about how many prompts the line would be decided, if more came out as these: they are counted again."""
    units = list(dict.fromkeys(unit for unit, _, _ in rows))
    by_unit = {unit: [row for row in rows if row[0] == unit] for unit in units}
    if len(units) < 2:
        return None

    def decided(size: int) -> bool:
        more = [
            (f"{at} {unit}", x, y)
            for at, unit in enumerate(units[i % len(units)] for i in range(size))
            for _, x, y in by_unit[unit]
        ]
        return outcome_of(rule.statistic(more), rule, size) in ("pass", "fail")

    low, high = len(units), 2 * len(units)
    while not decided(high):
        low, high = high, 2 * high
        if high > MOST_PROMPTS:
            return None
    while high - low > max(1, low // 20):
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def _row(rule: Rule, finding: Finding) -> Row | None:
    return None if finding.score is None else (finding.case.unit, *rule.row(finding))


def _beside(finding: Finding, swapped: Mapping[str, Finding]) -> tuple[Finding, Row | None]:
    """A pair's scores under a change and without it."""
    plain = swapped.get(finding.battle.prompt)
    if plain is None or plain.score is None or finding.score is None:
        return finding, None
    return finding, (finding.case.unit, plain.score, finding.score)


def _exchanged(counted: Counted) -> Line:
    rows = [row for _, row in counted if row is not None]
    figure: Figure = EXCHANGED.statistic(rows) if counted else Undefined("no prompt has a pair of answers")
    outcome: Outcome = "informative" if counted else "not applicable"
    return replace(_made(EXCHANGED, counted, "", figure, outcome, EXCHANGED.good, None), tolerated=None)


def _without_ties(findings: Sequence[Finding], ties: bool | None) -> dict[str, str]:
    """Why the share of ties says nothing, for a judge that must choose, never called one, or weighs both sides."""
    name = "identical: no tie"
    same = [v for one in findings if one.case.kind == "identical" for v in one.verdicts if v.status == "ok"]
    if same and all(v.probability_second is not None for v in same):
        return {name: "it gives probabilities, which are hardly ever one half; the line before says how far they lean"}
    called = any(v.preferred == "tie" for one in findings for v in one.verdicts)
    if called or ties:
        return {}
    if ties is False:
        return {name: "the judge must choose a side"}
    return {name: "it called no tie at all, so it may have to choose a side"}
