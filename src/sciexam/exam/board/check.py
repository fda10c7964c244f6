"""Whether every row of a leaderboard is complete, and like the others: nobody is asked, and nothing is written."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sciexam.errors import GateNotMet, Incomplete, UsageError
from sciexam.exam.board.facts import read_board
from sciexam.exam.board.gaps import AGAIN, Fault, asked_of, gaps
from sciexam.exam.drift import drift_of
from sciexam.exam.echoes import is_another, strange
from sciexam.exam.plan import Plan, conversations_of, keys_of
from sciexam.exam.raters import Rater
from sciexam.exam.references import with_references
from sciexam.exam.sat import Sat
from sciexam.exam.stored import Heard, Stored, stored_of
from sciexam.models.settings import Endpoint
from sciexam.report.evidence import Evidence
from sciexam.store import Store
from sciexam.types import HUMANS

PIN = "write a dated name as its `model:` in the suite; what is asked under that name is a fact of its own"
THEIRS = "serve a queue under the suite's rubric, or make the board with theirs: --rubric"
NAMED = 4  # rows or pairs that have one and the same fault


@dataclass(frozen=True, slots=True)
class _Board:
    """What is checked. `plan` has the references; `stored` is None where it takes records to know what was said."""

    plan: Plan
    evidence: Evidence
    stored: Stored | None
    store: Store


def _alike(board: _Board) -> Iterator[Fault]:
    """What makes rows differ: other models, a judge that changed, another rubric."""
    plan, store = board.plan, board.store
    yield from _other_models(plan, store)
    for rater in plan.raters:
        if rater.model:
            yield from _other_judges(rater, _echoed(board, rater))
        found = drift_of(rater, store) if rater.anchors else None
        if found is not None and found.drifted:
            yield Fault("every row", found.sentence.rstrip("."), PIN)
    if list(plan.benches) == [HUMANS] and not plan.raters:
        yield from _other_rubrics(board)


def _other_models(plan: Plan, store: Store) -> Iterator[Fault]:
    """Contestants behind which several models answered, or another than was asked for."""
    for name in plan.contestants:
        spec = plan.suite.models[name]
        if isinstance(spec, Endpoint):
            for told in strange(name, spec.model, store.echoed(c.key for _, c in conversations_of(plan, name))):
                yield Fault(name, told.removeprefix(f"{name}: ").rstrip("."), PIN)


def _other_judges(rater: Rater, said: Mapping[str, Mapping[str, int]]) -> Iterator[Fault]:
    """Rows whose verdicts came from another model than was asked for, or than those of most rows.

    `said`: for each row, how many of its verdicts came from the model of each name.
    """
    counts: Counter[str] = Counter()
    for one in said.values():
        counts.update(one)
    ours = [other for other, _ in counts.most_common() if not is_another(rater.model or "", other)]
    for name, one in said.items():
        for other, count in one.items():
            what = f"{count} of its verdicts by {rater.name} came from {other!r}"
            if other not in ours:
                yield Fault(name, f"{what}, not from {rater.model!r}", PIN)
            elif other != ours[0]:
                yield Fault(name, f"{what}, others of the board's from {ours[0]!r}, which may be another model", PIN)


def _echoed(board: _Board, rater: Rater) -> dict[str, dict[str, int]]:
    """For each row, how many of the verdicts of all its pairs the model of each name gave."""
    plan, store, stored = board.plan, board.store, board.stored
    if stored is not None:
        return _echoed_by_arrays(plan, next(one for one in stored.heard if one.rater == rater), store)
    keys: dict[str, set[str]] = defaultdict(set)
    for contest, comparisons in asked_of(plan, rater, board.evidence, store).items():
        shown = {key for one in comparisons for key in keys_of(plan, rater, one, store)}
        for name in contest:
            keys[name] |= shown
    return {name: store.echoed(keys[name]) for name in plan.contestants}


def _echoed_by_arrays(plan: Plan, heard: Heard, store: Store) -> dict[str, dict[str, int]]:
    """`_echoed` by one pass over the ledger, and the keys that are there already."""
    looks, keys = heard.looks, heard.keys
    place = {name: i for i, name in enumerate(plan.contestants)}
    rows = np.array([[place[name] for name in contest] for contest in plan.pairs], dtype=np.intp).reshape(-1, 2)
    # Each key once for each row that it stands in: two pairs may show the same texts.
    row = rows[looks.pair[looks.comparison]].ravel()
    places = np.unique(row * keys.count + np.repeat(keys.of_key, 2))
    row, key = np.divmod(places, keys.count) if keys.count else (places, places)
    found: dict[str, dict[str, int]] = {name: {} for name in plan.contestants}
    for model, counts in store.columns.models_by_key(keys).items():
        for i, count in enumerate(np.bincount(row, counts[key], len(place)).astype(int).tolist()):
            if count:
                found[plan.contestants[i]][model] = count
    return found


def _other_rubrics(board: _Board) -> Iterator[Fault]:
    """Pairs on which annotators were asked under another rubric than the suite's."""
    for (a, b), counts in board.evidence.other_rubrics.items():
        for rubric, count in counts.items():
            what = f"{count} human verdicts were given under another rubric ({rubric})"
            yield Fault(f"{b} against {a}", what, THEIRS)


# ---------------------------------------------------------------- the command


def check_board(plan: Plan, store: Store) -> str:
    """One sentence that says that every row is complete and alike. Raises GateNotMet with all faults where not."""
    stored = stored_of(plan, store)
    try:
        evidence, outcomes = read_board(Sat(plan, stored), store)
    except (UsageError, Incomplete) as error:
        raise GateNotMet(f"--check: {error}; {AGAIN}") from None
    board = _Board(with_references(plan, store), evidence, stored, store)
    if told := _told([*gaps(board.plan, evidence, outcomes, stored, store), *_alike(board)]):
        raise GateNotMet("\n".join([f"--check: {len(told)} fault{'s' if len(told) > 1 else ''}", *told]))
    return (
        f"The leaderboard of {plan.suite.name} by {outcomes.name} is complete and alike: {len(plan.contestants)} rows, "
        f"{len(plan.prompts)} prompts each."
    )


def _told(faults: Iterable[Fault]) -> list[str]:
    """Each fault in a line. Where many pairs have the same one, it is told once."""
    places: dict[tuple[str, str], list[str]] = {}
    for fault in faults:
        places.setdefault((fault.what, fault.remedy), []).append(fault.where)
    told = []
    for (what, remedy), where in places.items():
        if len(where) <= NAMED:
            told += [f"{one}: {what}; {remedy}." for one in where]
        else:
            named = f"{', '.join(where[: NAMED - 1])} and {len(where) - NAMED + 1:,} more"
            told.append(f"{named}, each: {what}; {remedy}.")
    return told
