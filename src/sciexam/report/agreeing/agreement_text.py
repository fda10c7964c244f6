"""Agreement as a sentence and tables: what the console and Markdown print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sciexam.report.agreeing.agreement import EVERYONE, Agreed, Agreement, Majority
from sciexam.report.record import Figure
from sciexam.report.tables import Table, methods_table, reasons
from sciexam.stats import Estimate

FEW_JUDGES = 3  # who are named in a sentence
SCALES = {"preference": "the preference with its strength", "side": "the sides in their order (a, tie, b)"}

READING = (
    "Percent: how often two of them name the same side. Kappa, AC1 and alpha: what of that is more than chance, 0 as "
    "by chance, 1 always.",
    "Kappa (Cohen's, Fleiss' for more than two) is low when one contestant wins nearly all, however much they agree; "
    "AC1 (Gwet's) heeds less who wins; alpha (Krippendorff's) bears that not everybody judged everything.",
)


def sentence_of(found: Agreement) -> str:
    """How often any two raters name the same side, and what of that is more than chance."""
    whole = [agreed for agreed in found.groups if agreed.category is None and agreed.items]
    whole = whole or [agreed for agreed in found.pairs if agreed.category is None and agreed.items]
    if not whole:
        return "How far raters agree cannot be said: no comparison was judged by two of them."
    return " ".join(
        _agreement(agreed, _of_both_kinds(found) if agreed.group == EVERYONE else agreed.group) for agreed in whole
    )


def _of_both_kinds(found: Agreement) -> str:
    """Who everyone is: how many annotators, and the judges by name as far as they are few."""
    judges = [row.rater for row in found.raters if row.kind != "human"]
    people = len(found.raters) - len(judges)
    named = [f"{len(judges)} judges"] if len(judges) > FEW_JUDGES else judges
    listed = [f"{people} annotator{'' if people == 1 else 's'}", *named]
    return f"{', '.join(listed[:-1])} and {listed[-1]}"


def _agreement(agreed: Agreed, whom: str) -> str:
    who = _who(agreed) if len(agreed.raters) == 2 else f"Any two of the {len(agreed.raters)} raters ({whom})"
    if not isinstance(agreed.percent, Estimate):
        return f"How far {_who(agreed)} agree cannot be said: {agreed.percent.why}."
    beyond = f" Beyond chance, alpha is {agreed.alpha}." if isinstance(agreed.alpha, Estimate) else ""
    rate = f"at a rate of {agreed.percent}, on {agreed.items} comparison{'s' if agreed.items != 1 else ''}"
    return f"{who} name the same side, or both a tie, {rate}.{beyond}"


def tables_of(found: Agreement) -> Iterator[Table]:
    """What the console and Markdown print."""
    head = ("raters", "items", "percent", "kappa", "AC1", "alpha", "alpha (ordinal)")
    whole = [agreed for agreed in found.groups if agreed.category is None]
    if whole:
        notes = (*READING, *_why(whole))
        yield Table("All together", head, [(_who(one), *_row(one)) for one in whole], notes)
    pairs = [agreed for agreed in found.pairs if agreed.category is None]
    if [one.raters for one in pairs] != [one.raters for one in whole]:  # two raters are all there are
        yield _pairs_table(pairs, found.level, () if whole else READING)
    sliced = [one for one in found.groups if one.category is not None]
    if sliced:
        rows = [(one.category or "", one.group, *_row(one)) for one in sliced]
        yield Table(f"By {found.by}", (found.by, *head), rows, tuple(_why(sliced)))
    yield _majority_table([one for one in found.majority if one.items])
    yield _raters_table(found)
    yield from methods_table(_figures(found), found.level)


def _pairs_table(pairs: Sequence[Agreed], level: float, reading: Sequence[str]) -> Table:
    """A line for each two raters, short enough for a terminal of 80 columns: one interval, that of the percentage."""
    head = ("rater", "and", "items", "percent", f"{100 * level:g} % interval", "kappa", "AC1", "alpha", "ordinal")
    rows = [(*one.raters, str(one.items), *_apart(one.percent), *map(_value, _beyond_chance(one))) for one in pairs]
    note = "The intervals of kappa, AC1 and alpha of every two are in agreement.json."
    return Table("Every two raters", head, rows, (*reading, *_why(pairs), note))


def _apart(figure: Figure) -> tuple[str, str]:
    """A value and its interval as two cells."""
    return (f"{figure.value:z.2f}", str(figure).partition(" ")[2]) if isinstance(figure, Estimate) else ("n/a", "n/a")


def _value(figure: Figure) -> str:
    return f"{figure.value:z.2f}" if isinstance(figure, Estimate) else "n/a"


def _majority_table(shown: Sequence[Majority]) -> Table:
    rows = [
        (
            f"{one.b} against {one.a}",
            f"{one.group} ({one.raters})",
            str(one.items),
            str(one.split),
            _short(one.win_rate),
            _short(one.preference),
            _short(one.rate),
        )
        for one in shown
    ]
    notes = ["No majority counts half. The mean preference lies between -3 and 3, towards the first named."]
    for one in shown:
        if 0 < one.scaled < one.raters:
            who = f"{one.scaled} of {one.raters} {one.group}"
            notes.append(f"The mean preference of {one.b} against {one.a} is that of {who}, who gave strengths.")
    averaged = [
        f"{one.b} against {one.a} {one.averaged}"
        for one in shown
        if isinstance(one.averaged, Estimate) and str(one.averaged) != str(one.win_rate)
    ]
    if averaged:
        said = "`sciexam compare` averages the annotators' votes of each comparison instead of taking the majority"
        notes.append(f"{said}: {'; '.join(averaged)}.")
    named = {
        "win rate": [one.win_rate for one in shown],
        "mean preference": [one.preference for one in shown],
        "agreement rate": [one.rate for one in shown],
    }
    head = ("contestants", "by", "items", "no majority", *named)
    return Table("Majority vote", head, rows, (*notes, *reasons(named)))


def _raters_table(found: Agreement) -> Table:
    raters = [
        (row.rater, row.kind, str(row.items), _short(row.alpha_if_removed), _share(row.reliability))
        for row in found.raters
    ]
    return Table(
        "Raters",
        ("rater", "kind", "items", "alpha of the others", "reliability"),
        raters,
        (
            "Alpha of the others: that of the group without this rater; where it is higher, this one agrees less.",
            "Reliability: the share of items on which the rater would name the true side, by Dawid and Skene's model.",
            *reasons({"alpha of the others": [row.alpha_if_removed for row in found.raters]}),
        ),
    )


def _figures(found: Agreement) -> Mapping[str, Iterable[Figure]]:
    """Every figure that has an interval, by the column in which it stands."""
    agreed = (*found.groups, *found.pairs)
    return {
        "percent": [one.percent for one in agreed],
        "kappa": [one.kappa for one in agreed],
        "AC1": [one.ac1 for one in agreed],
        "alpha": [one.alpha for one in agreed],
        "alpha (ordinal)": [one.alpha_ordinal for one in agreed],
        "win rate": [one.win_rate for one in found.majority],
        "mean preference": [one.preference for one in found.majority],
        "agreement rate": [one.rate for one in found.majority],
        "alpha of the others": [row.alpha_if_removed for row in found.raters],
    }


def _who(agreed: Agreed) -> str:
    return " and ".join(agreed.raters) if len(agreed.raters) == 2 else f"{agreed.group} ({len(agreed.raters)})"


def _row(agreed: Agreed) -> tuple[str, ...]:
    return (str(agreed.items), *map(_short, (agreed.percent, *_beyond_chance(agreed))))


def _beyond_chance(agreed: Agreed) -> tuple[Figure, ...]:
    return agreed.kappa, agreed.ac1, agreed.alpha, agreed.alpha_ordinal


def _short(figure: Figure) -> str:
    return str(figure) if isinstance(figure, Estimate) else "n/a"


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:z.2f}"


def _why(rows: Sequence[Agreed]) -> Iterator[str]:
    """What the figures are of, and each reason for a missing one once."""
    by_scale: dict[str, list[str]] = {}
    for one in rows:
        listed = by_scale.setdefault(SCALES[one.scale], [])
        if _who(one) not in listed:
            listed.append(_who(one))
    usual, *fewer = sorted(by_scale.items(), key=lambda one: -len(one[1]))
    of = [f"of {usual[0]}", *(f"for {', '.join(names)} of {scale}" for scale, names in fewer)]
    yield f"Ordinal: {'; '.join(of)}. The others are of the side: a, tie or b."
    yield from reasons(
        {
            "percent": [one.percent for one in rows],
            "kappa": [one.kappa for one in rows],
            "AC1": [one.ac1 for one in rows],
            "alpha": [one.alpha for one in rows],
            "ordinal alpha": [one.alpha_ordinal for one in rows],
        }
    )
