"""Judges in a sitting: each is asked for the verdicts or grades that it owes on what the contestants hand over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sciexam.exam.asking import Asking, attempts, owes
from sciexam.exam.drift import Candidates
from sciexam.exam.plan import keys_of, shown_of, submissions_of
from sciexam.exam.raters import UNCALLED, Rater
from sciexam.exam.sitting.feed import Look, showing
from sciexam.exam.sitting.room import Room
from sciexam.store import Writer
from sciexam.types import Comparison, Grade, Presentation, Response, Submission, Verdict

# With the statistics, which a sitting begins without: imported where there is a cascade.
if TYPE_CHECKING:
    from sciexam.exam.cascade import Cascade


class Judging:
    """The verdicts and grades of a sitting, and who is asked for them when."""

    def __init__(self, room: Room):
        self._room = room
        self._candidates = Candidates(room.plan.suite.seed)

    def tasks(self, writer: Writer) -> list[Callable[[], None]]:
        """What the judges have to do, each task in a thread of its own."""
        able = [rater for rater in self._room.plan.raters if rater.judge is not None and rater.part_of != "cascade"]
        recorded = [rater for rater in able if rater.by_name]
        tasks: list[Callable[[], None]] = [partial(self._mark, rater, writer) for rater in able if not rater.by_name]
        tasks += [partial(self._escalate, cascade) for cascade in self._cascades()]
        return [*tasks, partial(self._in_turn, recorded, writer)] if recorded else tasks

    def second_looks(self, writer: Writer) -> list[Callable[[], None]]:
        """What is asked once more of judges who were asked for anything, when all else is done."""
        due = [rater for rater in self._room.plan.raters if self._candidates.is_due(rater)]
        return [partial(self._look_again, rater, writer) for rater in due]

    def _in_turn(self, raters: Sequence[Rater], writer: Writer) -> None:
        """Files of verdicts one after the other: which of two words of one annotator is the last must not be chance."""
        if self._room.until is None:
            for rater in raters:
                self._mark(rater, writer)
            return
        for batch in self._room.feed.batches():  # the next round waits for all of them
            for rater in raters:
                self._mark_batch(rater, batch, writer)

    def _mark(self, rater: Rater, writer: Writer) -> None:
        for batch in self._room.feed.batches():
            if self._room.is_over:
                return
            self._mark_batch(rater, batch, writer)

    def _cascades(self) -> Iterator[Cascade]:
        if any(rater.part_of == "cascade" for rater in self._room.plan.raters):
            from sciexam.exam.cascade import cascades_of

            yield from cascades_of(self._room.plan)

    def _escalate(self, cascade: Cascade) -> None:
        """Ask the cheap judge for everything, then the dear one for the calibration, then for what escalates.

        Each step has a writer of its own, at whose end its verdicts are durable: the next one is a function of them.
        """
        from sciexam.exam.benches import judged_by
        from sciexam.exam.cascade import calibration_asks, escalation_asks, rule

        room = self._room
        with room.store.writer(room.tally.durable) as writer:
            self._mark(cascade.cheap, writer)
        comparisons = [item for item in room.feed.items if isinstance(item, Comparison)]
        read = partial(judged_by, room.plan, store=room.store, comparisons=comparisons, skipped=room.skipped)
        cheap = read(cascade.cheap)
        with room.store.writer(room.tally.durable) as writer:
            self._mark_batch(cascade.dear, calibration_asks(room.plan, cascade, cheap), writer)
        if room.is_over:
            return
        rulings = rule(room.plan, cascade, cheap, read(cascade.dear))
        with room.store.writer(room.tally.durable) as writer:
            self._mark_batch(cascade.dear, escalation_asks(rulings, cheap), writer)

    def _mark_batch(self, rater: Rater, batch: Sequence[Comparison | Response], writer: Writer) -> None:
        room = self._room
        batch = sorted(batch, key=lambda item: room.place[_prompt_of(item)])
        looks = {key: item for item in batch if room.is_open(rater, item) for key in self._keys(rater, item)}
        stored = self._read(rater)(looks)
        owed = [
            Look(key, item, attempts(stored.get(key)))
            for key, item in looks.items()
            if owes(stored.get(key), room.retry_invalid) and (rater.by_name or not room.recorded_only)
        ]
        paid = len(owed) if rater.model not in UNCALLED else 0
        room.tally.expect(verdicts=len(looks), of_them_stored=len(looks) - len(owed), of_them_announced=paid)
        for key in (looks.keys() & stored.keys()) - {look.key for look in owed}:
            self._take(rater, stored[key], new=False)
        show = partial(showing, partial(self._shown, rater))
        self._candidates.note(rater, map(show(), (Look(key, item) for key, item in looks.items())), bool(owed))
        del looks  # while the rater is asked, what is owed is enough
        ending = partial(room.is_done, lambda until: until.needs_bench(rater.bench))
        self._ask(rater, owed, stored, writer, ending, show())

    def _look_again(self, rater: Rater, writer: Writer) -> None:
        """Show a judge its anchors once more: on every day on which it was asked for anything."""
        room = self._room
        if room.is_over:
            return
        shown = {one.key: one for one in self._candidates.today(rater, room.store)}
        stored = self._read(rater)(shown)
        owed = [
            replace(one, attempt=attempts(stored.get(key)))
            for key, one in shown.items()
            if owes(stored.get(key), room.retry_invalid)
        ]
        room.tally.expect(verdicts=len(owed))
        self._ask(rater, owed, stored, writer, lambda: room.is_over)

    def _ask(
        self,
        rater: Rater,
        owed: Sequence[Any],
        stored: Mapping[str, Any],
        writer: Writer,
        ending: Callable[[], bool],
        show: Callable[[Any], Any] = lambda one: one,
    ) -> None:
        take, store = partial(self._take, rater), self._room.store
        errand: Asking[Any] = Asking(rater.name, store, writer, stored, self._read(rater), take, ending, show)
        errand.run(owed, rater.judge.grade if rater.grades else rater.judge.judge)
        self._room.skipped.update(errand.skipped)

    def _take(self, rater: Rater, verdict: Verdict | Grade, new: bool) -> None:
        if rater.model != "scripted" and (verdict.reply is not None or (rater.model and not new)):
            self._room.account(rater.name, rater.model, verdict.reply, new)
        if self._room.until is not None:
            self._room.until.settled(rater, verdict)

    def _read(self, rater: Rater) -> Callable[..., Mapping[str, Any]]:
        return self._room.store.grades if rater.grades else self._room.store.verdicts

    def _shown(self, rater: Rater, item: Comparison | Response) -> Iterator[Presentation] | Iterator[Submission]:
        """What `rater` is shown of a comparison, or of a response that is marked by itself."""
        room = self._room
        if isinstance(item, Comparison):
            return shown_of(room.plan, rater, item, room.store)
        return submissions_of(room.plan, rater, room.prompts[item.prompt], item, room.store)

    def _keys(self, rater: Rater, item: Comparison | Response) -> Iterator[str]:
        """The keys of what `_shown` shows."""
        if isinstance(item, Comparison):
            return keys_of(self._room.plan, rater, item, self._room.store)
        return (shown.key for shown in self._shown(rater, item))


def _prompt_of(item: Comparison | Response) -> str:
    return item.prompt.id if isinstance(item, Comparison) else item.prompt
