"""A validation as tables: what the console and Markdown print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sciexam.report.record import Figure
from sciexam.report.tables import Table, methods_table, reasons
from sciexam.report.validating.against_humans import COIN, EVERY, Against
from sciexam.report.validating.corrected_rates import Rates
from sciexam.report.validating.replacing import Replaced
from sciexam.report.validating.validation import SIDES, Validation
from sciexam.stats import Estimate, Undefined

RANDOM_SAMPLE = (
    "Prediction-powered (PPI++) is valid only if the labelled prompts are a random sample of all: if the humans took "
    "the easy ones, or those that looked odd, it is wrong."
)


def tables_of(found: Validation) -> Iterator[Table]:
    """What the console and Markdown print."""
    yield _against(found)
    yield _beyond_chance(found)
    yield _replacing(found)
    yield _confusion(found)
    yield _rates(found)
    yield _biases(found)
    yield _calibration(found)
    yield from methods_table(_figures(found), found.level)


def _shown(found: Validation) -> list[Against]:
    """All rows but those of people whom nobody can be held against."""
    return [row for row in found.against if row.items or row.kind not in ("annotator", "annotators")]


def _not_shown(found: Validation) -> Iterator[str]:
    why: dict[str, list[str]] = {}
    for row in found.against:
        if row.kind == "annotator" and not row.items and isinstance(row.accuracy, Undefined):
            why.setdefault(row.accuracy.why, []).append(row.who)
    for reason, names in why.items():
        yield f"No row for {', '.join(names)}: {reason}."


def _against(found: Validation) -> Table:
    shown = _shown(found)
    named = {
        "accuracy": [row.accuracy for row in shown],
        "on decided": [row.accuracy_decided for row in shown],
        "the judge there": [row.judge_decided for row in shown if row.judge_decided is not None],
        "its lead": [row.lead for row in shown if row.lead is not None],
    }
    rows = [
        (
            row.who,
            str(row.items),
            _short(row.accuracy),
            str(row.decided),
            _short(row.accuracy_decided),
            "" if row.both is None else str(row.both),
            "" if row.judge_decided is None else _short(row.judge_decided),
            "" if row.lead is None else _short(row.lead),
        )
        for row in shown
    ]
    return Table(
        "Against the human majority",
        ("who", "items", "accuracy", "decided", "on decided", "both", "the judge there", "its lead"),
        rows,
        (
            "Accuracy: the share with the same side (a, tie or b), which is the percent agreement. On decided: where "
            "the majority names a winner; a tie there is half right.",
            "An annotator is held against the majority of the others. 'Both': the decided comparisons of a row that "
            "the judge has judged, too. 'The judge there': what the judge has on these, by the same majority; 'its "
            "lead': how much more that is than what the row has there, comparison by comparison.",
            *_adjudicated(found),
            *_not_shown(found),
            *reasons(named),
        ),
    )


def _adjudicated(found: Validation) -> Iterator[str]:
    """Whose word the comparisons are that were adjudicated, and in which figures it is."""
    if found.adjudicated:
        yield (
            f"{found.adjudicated} of {found.labelled} comparisons were adjudicated, by somebody who could read what "
            "the annotators said. Their word is in the row 'as adjudicated' and in the table of win rates; every other "
            "figure is of the annotators alone."
        )


def _beyond_chance(found: Validation) -> Table:
    shown = _shown(found)
    named = {
        "kappa": [row.kappa for row in shown],
        "alpha": [row.alpha for row in shown],
        "AC1": [row.ac1 for row in shown],
    }
    rows = [(row.who, *map(_short, (row.kappa, row.alpha, row.ac1))) for row in shown]
    how = (
        "Cohen's kappa, Krippendorff's alpha (nominal) and Gwet's AC1 of the side, with the same majority as above: 0 "
        "as by chance, 1 always. Kappa is low when one contestant wins nearly all; AC1 heeds less who wins."
    )
    return Table("The same, beyond chance", ("who", *named), rows, (how, *reasons(named)))


def _replacing(found: Validation) -> Table:
    tested = found.replacing
    title = "In the place of an annotator (alt-test)"
    if tested.omega is None:
        return Table(title, (), (), (f"n/a: {tested.why_not}.",))
    rows = [
        (row.annotator, str(row.items), _plain(row.advantage), _plain(row.p, 3), _plain(row.p_corrected, 3), _word(row))
        for row in tested.annotators
    ]
    passed = "passes" if tested.passed else "does not pass"
    return Table(
        title,
        ("annotator", "items", "advantage", "p", "corrected p", "replaceable"),
        rows,
        (
            f"Winning rate omega {tested.omega:.2f} at epsilon {tested.epsilon:g}: {found.judge} {passed} (1/2 is "
            f"asked for). rho {_short(tested.rho)}; with ties split {_short(tested.rho_split)}.",
            "rho gives ties to the judge, so that one that guesses can read far above one half; the other splits them.",
        ),
    )


def _word(row: Replaced) -> str:
    if row.why_not:
        return f"not tested: {row.why_not}"
    return "yes" if row.replaced else "no"


def _confusion(found: Validation) -> Table:
    rows = [
        (f"judge: {side}", *(str(found.confusion[side][other]) for other in SIDES.values())) for side in SIDES.values()
    ]
    one = found.rates[0] if len(found.rates) == 1 else None
    names = f"a is {one.a}, b is {one.b}" if one else "a is the first named of two contestants, b the second"
    notes = [f"{names}."]
    if found.adjudicated:
        notes.append("Humans: the annotators' majority, without what was adjudicated.")
    return Table("Judge and human majority", ("", *(f"humans: {side}" for side in SIDES.values())), rows, tuple(notes))


def _rates(found: Validation) -> Table:
    rows = [row for rate in found.rates for row in _rate_rows(rate)]
    named = {
        "humans": [rate.humans for rate in found.rates],
        "judge": [rate.judge for rate in found.rates],
        "both (PPI++)": [rate.powered for rate in found.rates],
        "corrected (Rogan-Gladen)": [rate.corrected for rate in found.rates],
    }
    return Table(
        "Win rates",
        ("contestants", "by", "prompts", "win rate"),
        rows,
        (
            "With the judge: labelled prompts + prompts without a label.",
            found.drawn or RANDOM_SAMPLE,
            *_bought(found.rates),
            "Rogan-Gladen is of the prompts without a label, and of forced choices; it takes the judge to err there as "
            "on the labelled ones, alike for both contestants.",
            *(_errors(rate, found) for rate in found.rates),
            *reasons(named),
        ),
    )


def _bought(rates: Sequence[Rates]) -> Iterator[str]:
    """Each note on what the judge was worth once, with the pairs that it is of; all of them are not named."""
    told: dict[str, list[str]] = {}
    for rate in rates:
        if rate.bought:
            told.setdefault(rate.bought, []).append(f"{rate.b} against {rate.a}")
    for note, pairs in told.items():
        yield f"{f'All {len(rates)} pairs' if len(pairs) == len(rates) > 1 else ', '.join(pairs)}: {note}."


def _rate_rows(rate: Rates) -> Iterator[tuple[str, ...]]:
    yield f"{rate.b} against {rate.a}", "humans", str(rate.labelled), _short(rate.humans)
    yield "", "judge", str(rate.judged), _short(rate.judge)
    yield "", "both (PPI++)", f"{rate.both} + {rate.unlabelled}", _short(rate.powered)
    yield "", "corrected (Rogan-Gladen)", f"{rate.forced} + {rate.choices}", _short(rate.corrected)


def _errors(rate: Rates, found: Validation) -> str:
    said = f"sensitivity {_short(rate.sensitivity)}, specificity {_short(rate.specificity)}"
    by = ", by the humans' mean vote and not by the majority above" if len(found.annotators) > 1 else ""
    by = ", by the humans' choice with what was adjudicated" if found.adjudicated else by
    return f"{rate.b} against {rate.a}: the judge's {said}, on {rate.forced} labelled prompts with two choices{by}."


def _biases(found: Validation) -> Table:
    biases = found.biases
    named = {
        "order consistency": biases.order_consistency,
        "position bias": biases.position_bias,
        "longer wins, by the judge": biases.judge_longer,
        "longer wins, by humans": biases.humans_longer,
        "longer wins, judge - humans": biases.longer_difference,
        "self-preference": biases.self_preference,
    }
    notes = ["Position bias: P(first wins) - P(second wins). The three lines on length are of the same comparisons."]
    if biases.own:
        notes.append(f"Self-preference: the judge's score of {', '.join(biases.own)} minus the humans'.")
    return Table(
        "What its verdicts owe to order, length and author",
        ("", "value"),
        [(name, _short(figure)) for name, figure in named.items()],
        (*notes, *reasons({name: [figure] for name, figure in named.items()})),
    )


def _calibration(found: Validation) -> Table:
    made = found.calibration
    if isinstance(made.brier, Undefined):
        return Table("Calibration", (), (), (f"n/a: {made.brier.why}.",))
    rows = [
        (f"{one.low:.2f} to {one.high:.2f}", str(one.items), f"{one.predicted:.2f}", _short(one.observed))
        for one in made.bins
    ]
    chance = f" (chance alone: {made.if_calibrated:.2f})" if made.if_calibrated is not None else ""
    return Table(
        "Calibration",
        ("said that b is better", "items", "mean", "humans: b"),
        rows,
        (
            f"Expected calibration error {_short(made.error)}{chance}; Brier score {_short(made.brier)}, of "
            f"{made.items} decided comparisons. Bins are of equal mass.",
            *reasons({"calibration error": [made.error], "humans": [one.observed for one in made.bins]}),
        ),
    )


def _figures(found: Validation) -> Mapping[str, Iterable[Figure]]:
    """Every figure that has an interval, by where it stands."""
    apart = {row.who: row for row in found.against if row.who in (COIN, EVERY)}
    rows = [row for row in found.against if row.who not in apart]
    leads = [row for row in found.against if row.who != EVERY]
    rates, biases = found.rates, found.biases
    return {
        "accuracy": [row.accuracy for row in rows],
        "on decided": [row.accuracy_decided for row in rows],
        "the judge there": [row.judge_decided for row in rows if row.judge_decided is not None],
        "its lead": [row.lead for row in leads if row.lead is not None],
        "kappa": [row.kappa for row in rows],
        "alpha": [row.alpha for row in rows],
        "AC1": [row.ac1 for row in rows],
        **{f"the shares in the row '{who}'": list(_shares(row)) for who, row in apart.items()},
        **{f"kappa, alpha and AC1 in the row '{who}'": [row.kappa, row.alpha, row.ac1] for who, row in apart.items()},
        "rho": [found.replacing.rho, found.replacing.rho_split],
        "win rate by humans": [rate.humans for rate in rates],
        "by the judge": [rate.judge for rate in rates],
        "by both": [rate.powered for rate in rates],
        "corrected": [rate.corrected for rate in rates],
        "sensitivity and specificity": [figure for rate in rates for figure in (rate.sensitivity, rate.specificity)],
        "order consistency": [biases.order_consistency],
        "position bias": [biases.position_bias],
        "longer wins": [biases.judge_longer, biases.humans_longer, biases.longer_difference],
        "self-preference": [biases.self_preference],
        "calibration": [found.calibration.error, found.calibration.brier],
    }


def _shares(row: Against) -> Iterator[Figure]:
    """The shares of a row whose intervals are made in a way of their own; the lead of a coin is as any other."""
    yield from (row.accuracy, row.accuracy_decided)
    if row.who == EVERY:
        yield from (figure for figure in (row.judge_decided, row.lead) if figure is not None)


def _short(figure: Figure) -> str:
    return str(figure) if isinstance(figure, Estimate) else "n/a"


def _plain(value: float | None, digits: int = 2) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"
