"""The desk of a queue: everything that an annotator can do, each kept in the ledger before it is answered."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sciexam.annotate.assignment import are_held, next_item, remaining
from sciexam.annotate.queue import Item, Queue
from sciexam.annotate.said import Said, read_body, read_draft, read_form, read_turn, verdicts_of
from sciexam.errors import UsageError
from sciexam.store.annotations import WITHDRAWN, Assignment, Judgement, Load, Slots, standing
from sciexam.store.annotators import Annotator
from sciexam.store.tables import now

if TYPE_CHECKING:
    from sciexam.store import Store


class NotYours(UsageError):
    """An item that there is not, or that was not given to this annotator."""


@dataclass(frozen=True, slots=True)
class Showing:
    """An item as one annotator sees it: the texts lie in the order of `place.shown`.

    `said` is the draft, or what was said last; its choice is empty where none stands.
    """

    item: Item
    place: Assignment
    said: Said

    @property
    def is_judged(self) -> bool:
        return self.place.choice is not None


@dataclass(frozen=True, slots=True)
class Progress:
    done: int
    total: int


class Desk:
    """What annotators of `queue` do, in `store`. Any number of threads and processes may work at desks of one queue."""

    def __init__(self, store: Store, queue: Queue):
        self.queue = queue
        self._kept = store.annotations
        # When each item was put before each annotator, on a clock that does not jump. Gone with the process: a
        # judgement that ends another process's wait has no duration.
        self._since: dict[tuple[int, str], float] = {}
        self._timing = threading.Lock()

    # ------------------------------------------------------------ looking

    def next(self, person: Annotator) -> str | None:
        """The id of the item that comes next, which the annotator now has; None where nothing is left for now."""

        def choose(mine: Sequence[Assignment], loads: Mapping[str, Load]) -> tuple[str, Slots] | None:
            return next_item(self.queue, person.id, mine, loads, now())

        found = self._kept.assign(self.queue.id, person.id, self.queue.lease_minutes, choose)
        return None if found is None else found.item

    def show(self, person: Annotator, id: str) -> Showing:
        """An item that the annotator was given, from now on before their eyes. Raises NotYours."""
        showing = self._given(person, id)
        if not showing.is_judged:
            with self._timing:
                self._since.setdefault((person.id, id), time.monotonic())
        return showing

    def _given(self, person: Annotator, id: str) -> Showing:
        place = self._kept.assignment(self.queue.id, person.id, id)
        item = self.queue.by_id.get(id)
        if place is None or item is None:
            raise NotYours("There is no such item for you here.")
        if place.draft:
            return Showing(item, place, read_body(place.choice or "", place.draft))
        return Showing(item, place, self._last(person, place) if place.turns else Said())

    def progress(self, person: Annotator) -> Progress:
        mine = [one for one in self._kept.assignments(self.queue.id, person.id) if one.item in self.queue.by_id]
        done = sum(one.choice is not None for one in mine)
        return Progress(done, done + remaining(self.queue, mine, self._kept.loads(self.queue.id, person.id), now()))

    def is_waiting(self, person: Annotator) -> bool:
        """Whether others hold what may come back to the queue."""
        mine = self._kept.assignments(self.queue.id, person.id)
        return are_held(self.queue, mine, self._kept.loads(self.queue.id, person.id))

    def history(self, person: Annotator) -> list[Judgement]:
        """Everything that the annotator did with what the queue holds, in order."""
        return [one for one in self._kept.judgements(self.queue.id, person.id) if one.item in self.queue.by_id]

    # ------------------------------------------------------------ doing

    def judge(self, person: Annotator, id: str, turn: int, form: Mapping[str, str]) -> bool:
        """Keep what the form says of an item; False where another judgement stands already, and nothing was changed.

        `turn` is the number of judgements that the annotator had seen. The same form sent twice is one judgement.
        """
        showing = self._given(person, id)
        said = read_form(self.queue, showing.item, showing.place.shown, form)
        return self._keep(person, showing, turn, said)

    def last(self, person: Annotator) -> str:
        """The last judgement that stands, as a word to take it back by; empty where there is none."""
        last = max(standing(self.history(person)), key=lambda one: one.seq, default=None)
        return f"{last.item}.{last.turn}" if last else ""

    def undo(self, person: Annotator, last: str) -> str | None:
        """Take the judgement back that `last` names, if it is the last one; the id of its item, which then is next.

        None where it was taken back already: who presses twice takes one judgement back.
        """
        if not last or last != self.last(person):
            return None
        item, _, turn = last.partition(".")
        self._keep(person, self._given(person, item), int(turn) + 1, Said(WITHDRAWN))
        return item

    def draft(self, person: Annotator, id: str, form: Mapping[str, str]) -> None:
        """Keep what stands in the form of an item, unless a judgement has come since that the form does not know of."""
        showing = self._given(person, id)
        turn = read_turn(form) if "turn" in form else showing.place.turns
        body = read_draft(self.queue, showing.item, showing.place.shown, form).body()
        self._kept.keep_draft(self.queue.id, person.id, id, turn, body, self.queue.lease_minutes)

    def pause(self, person: Annotator) -> None:
        """Give back what the annotator has before them: somebody else may want it meanwhile."""
        self._kept.give_back(self.queue.id, person.id)
        with self._timing:
            self._since = {key: since for key, since in self._since.items() if key[0] != person.id}

    def _keep(self, person: Annotator, showing: Showing, turn: int, said: Said) -> bool:
        judgement = Judgement(
            queue=self.queue.id,
            item=showing.place.item,
            annotator=person.id,
            turn=turn,
            choice=said.choice,
            body=said.body(),
            shown=showing.place.shown,
            seconds=self._taken(person.id, showing.place.item) if said.choice != WITHDRAWN else None,
        )
        facts = list(verdicts_of(self.queue, showing.item, person.pseudonym, judgement))
        kept = self._kept.judge(judgement, facts)
        if kept:
            with self._timing:
                self._since.pop((person.id, showing.place.item), None)
        return kept

    def _taken(self, annotator: int, item: str) -> float | None:
        with self._timing:
            since = self._since.get((annotator, item))
        return None if since is None else round(time.monotonic() - since, 3)

    def _last(self, person: Annotator, place: Assignment) -> Said:
        """What was said last; of what was taken back all but the choice, to begin from."""
        before = [one for one in self.history(person) if one.item == place.item and one.choice != WITHDRAWN]
        return read_body(place.choice or "", before[-1].body)


def keep_queue(store: Store, queue: Queue) -> None:
    """Put what a queue holds into the ledger."""
    body = json.dumps(queue.model_dump(mode="json") | {"items": [item.id for item in queue.items]})
    store.annotations.add_queue(queue.id, body, {item.id: item.model_dump_json() for item in queue.items})


def kept_queue(store: Store, body: str) -> Queue:
    """A queue as the ledger describes it."""
    given = json.loads(body)
    shown = store.annotations.items(given["items"])
    return Queue.model_validate(given | {"items": [json.loads(shown[id]) for id in given["items"]]})


def served_before(store: Store, id: str) -> Queue | None:
    """The queue of an id as it was served last; None where it never was."""
    body = store.annotations.queues().get(id)
    return kept_queue(store, body) if body else None
