"""How a queue stands, as tables for a terminal and as plain values."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from sciexam.annotate.blinding import naming
from sciexam.annotate.overview import Compared, Overview, Row
from sciexam.report.agreeing.agreement import Majority
from sciexam.report.record import plain
from sciexam.report.tables import Table, reasons
from sciexam.stats import Estimate, Undefined

READING = (
    "state: whether the link opens the page. seconds: median from shown to judged. left: how often the answer on the "
    "left was chosen, of the decisions; sides are drawn, so that it should be near half."
)
AGREEMENT = (
    "same side: how often two of them name the same answer, or both a tie. alpha (Krippendorff's): what of that is "
    "more than chance, 0 as by chance, 1 always; ordinal alpha: of how much better, too. kappa, AC1: `sciexam agree`."
)
CHECKS = {"gold": "gold: right of the checks.", "again": "again: the same side at the second showing."}


def tables_of(overview: Overview) -> Iterator[Table]:
    """Progress and people, agreement, majority, and what deserves a look."""
    queue = overview.queue
    checks = [name for name, is_there in (("gold", queue.gold), ("again", queue.repeats)) if is_there]
    each = f"{queue.overlap} annotator{'' if queue.overlap == 1 else 's'} for each"
    drawn = f"{queue.draw.taken} of {queue.draw.drawn_from} prompts, drawn with seed {queue.draw.seed}"
    yield Table(
        f"Queue {queue.id}: {overview.complete}/{len(queue.ordinary)} items complete, {stored(overview)}",
        ("annotator", "state", "judged", "cannot", "ties", "seconds", "left", *checks, "last"),
        [_row(row, checks) for row in overview.rows],
        (
            f"{', '.join(queue.contestants)}; {drawn}; {each}.",
            " ".join((READING, *(CHECKS[name] for name in checks))),
        ),
    )
    flags = [(row.annotator.label, flag) for row in overview.rows for flag in row.conduct.flags]
    if flags:
        notes = ("A flag is a reason to look, and changes no figure.",)
        yield Table("What deserves a look", ("annotator", "flag"), flags, notes)
    if (together := overview.together) is not None:
        listed = [together, *(overview.two_by_two if len(together.raters) > 2 else [])]
        named = {row.annotator.pseudonym: row.annotator.label for row in overview.rows}
        rows = [
            (
                " and ".join(named.get(rater, rater) for rater in one.raters) if len(one.raters) == 2 else "all",
                str(one.items),
                *map(_figure, _figures(one)),
            )
            for one in listed
        ]
        head = ("who", "items", "same side", "alpha", "ordinal alpha")
        missing = {name: [_figures(one)[i] for one in listed] for i, name in enumerate(head[2:])}
        yield Table("Agreement so far", head, rows, (AGREEMENT, *reasons(missing)))
    for one in overview.majorities:
        if one.items:
            yield _majority(one, overview)
    if told := tuple(_notes(overview)):
        yield Table("Worth knowing", (), (), told)


def stored(overview: Overview) -> str:
    """How much the ledger holds of a queue, in words; and how much that lies outside what the queue shows."""
    judged = f"{overview.judgements} judgement{'' if overview.judgements == 1 else 's'}"
    settled = f"{overview.adjudicated} adjudication{'' if overview.adjudicated == 1 else 's'}"
    held = f"{judged} and {settled}" if overview.adjudicated else judged
    return ", and ".join(filter(None, (held, left_outside(overview))))


def left_outside(overview: Overview) -> str:
    """How much was judged that the queue does not show any more, in words; empty where there is nothing."""
    if not overview.outside:
        return ""
    draw = overview.queue.draw
    shown = f"the {draw.taken} prompts drawn" if draw.taken < draw.drawn_from else "what the queue shows"
    return f"{overview.outside} judgement{'' if overview.outside == 1 else 's'} outside {shown}"


def _majority(one: Majority, overview: Overview) -> Table:
    row = (str(one.items), str(one.split), _figure(one.win_rate), _figure(one.preference))
    head = ("items", "no majority", "win rate", "mean preference")
    notes = [
        "no majority: pairs on which as many say one thing as another; each counts half. mean preference: from "
        f"-3 ({one.a} is much better) to 3 ({one.b} is).",
        *reasons({"win rate": [one.win_rate], "mean preference": [one.preference]}),
    ]
    if found := overview.compared.get((one.a, one.b)):
        notes.append(
            "`sciexam compare` averages the votes of each pair instead of taking the majority: "
            f"{rates_of(found)}{where(overview)}."
        )
    return Table(f"{one.b} against {one.a} by the majority", head, [row], tuple(notes))


def where(overview: Overview) -> str:
    """On which prompts the figures of a queue are, in words, where the ledger holds judgements of more."""
    taken = overview.queue.draw.taken
    return f", on these {taken} prompt{'' if taken == 1 else 's'}" if overview.outside else ""


def rates_of(found: Compared) -> str:
    """What `sciexam compare` says, in words."""
    if found.settled is None:
        return _figure(found.alone)
    return f"{_figure(found.alone)} by the annotators alone, {_figure(found.settled)} with what was adjudicated"


def _notes(overview: Overview) -> Iterator[str]:
    open_ones = sum(one.adjudicated is None for one in overview.disputed)
    if open_ones:
        disputed = f"{open_ones} pair is" if open_ones == 1 else f"{open_ones} pairs are"
        yield (
            f"{disputed} disputed and not adjudicated; the owner's page shows "
            f"{'it' if open_ones == 1 else 'them'} (its link: `sciexam annotate link --owner`)."
        )
    if outside := left_outside(overview):
        drawn = overview.queue.draw.taken < overview.queue.draw.drawn_from
        back = "; `sciexam annotate serve` without --draw shows them again" if drawn else ""
        yield f"{outside}: kept in the ledger, and in no figure and no export of this queue{back}."
    named, answers = naming(overview.queue)
    if named:
        yield f"{named} of {answers} answers ({named / answers:.0%}) name a model."


def _figures(one: Any) -> tuple[Estimate | Undefined, ...]:
    return one.percent, one.alpha, one.alpha_ordinal


def _figure(figure: Estimate | Undefined) -> str:
    return str(figure) if isinstance(figure, Estimate) else "n/a"


def _row(row: Row, checks: Sequence[str]) -> tuple[str, ...]:
    conduct = row.conduct
    of = {"gold": conduct.gold, "again": conduct.repeats}
    seconds = "" if conduct.median_seconds is None else f"{conduct.median_seconds:.0f}"
    return (
        row.annotator.label,
        state_of(row),
        str(row.done),
        str(conduct.cannot),
        str(conduct.ties),
        seconds,
        f"{conduct.left.value:.0%}" if isinstance(conduct.left, Estimate) else "",
        *(_share(of[name]) for name in checks),
        "" if row.last is None else ago(row.last),
    )


def _share(count: tuple[int, int]) -> str:
    return f"{count[0]}/{count[1]}" if count[1] else ""


def state_of(row: Row) -> str:
    """Whether an annotator's link still opens something."""
    if row.annotator.forgotten is not None:
        return f"forgotten, {row.annotator.forgotten} deleted" if row.annotator.forgotten else "forgotten"
    if row.annotator.state == "open" and row.annotator.until < time.time() * 1000:
        return "expired"
    return row.annotator.state


def ago(at: int) -> str:
    """How long ago a time in UTC milliseconds is, in words."""
    minutes = max(0, int(time.time() * 1000) - at) // 60_000
    if minutes < 60:
        return "just now" if minutes < 2 else f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"


def _preferences(overview: Overview) -> Iterator[dict[str, Any]]:
    """`winner`: a contestant, "" for a tie, and None where somebody could not judge."""
    for (a, b), counts in overview.preferences.items():
        for (winner, strength), count in counts.items():
            yield {"a": a, "b": b, "winner": winner, "strength": strength, "count": count}


def to_json(overview: Overview) -> dict[str, Any]:
    """Plain values for strict JSON. Annotators are pseudonyms here, as in every file that is passed on."""
    queue = overview.queue
    people = [
        {"annotator": row.annotator.pseudonym, "state": row.annotator.state, "done": row.done, **plain(row.conduct)}
        for row in overview.rows
    ]
    made: dict[str, Any] = {
        "schema": "sciexam/annotation/1",
        "queue": queue.model_dump(mode="json", exclude={"rubric", "guide", "lot"}),
        "items": len(queue.ordinary),
        "complete": overview.complete,
        "judgements": overview.judgements,
        "adjudicated": overview.adjudicated,
        "outside": overview.outside,
        "annotators": people,
        "preferences": list(_preferences(overview)),
        "agreement": None if overview.agreement is None else overview.agreement.to_json(),
    }
    return made
