"""Contestants in a sitting: each is asked for the answers that it owes, and the judges get what they complete."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sciexam.battles import Slot, name_of, pair
from sciexam.exam.asking import Asking, attempts, owes
from sciexam.exam.plan import Plan, conversations_of
from sciexam.exam.raters import called_model
from sciexam.exam.sitting.room import Room
from sciexam.models.recorded import RecordedModel
from sciexam.models.scripted import ScriptedModel
from sciexam.store import Writer
from sciexam.types import Conversation, Model, Prompt, Reply, Response

if TYPE_CHECKING:
    from sciexam.exam.sitting.references import References
    from sciexam.exam.until import Until


class Contestants:
    """All contestants of a sitting, by name; each responds in a thread of its own."""

    def __init__(self, room: Room, models: Mapping[str, Model]):
        self._room, self._models = room, models
        self._pairs_of = _by_contestant(room.plan)
        self._lock = threading.Lock()
        self._responses: dict[Slot, Response] = {}
        self._paired: set[tuple[str, str, str, int]] = set()

    def respond(self, contestant: str, references: References, writer: Writer) -> None:
        """Ask one of them for what it owes, and hand over what is there, and what comes."""
        room, model = self._room, self._models[contestant]
        conversations = dict(conversations_of(room.plan, contestant))
        slots: dict[str, list[Slot]] = {}
        for slot, conversation in conversations.items():
            slots.setdefault(conversation.key, []).append(slot)
        stored = room.store.replies(slots)
        paid = not isinstance(model, RecordedModel)
        called = called_model(room.plan.suite.models[contestant])
        held: dict[Slot, Response] = {}  # where the sequences watch, until its round is there

        def take(reply: Reply, new: bool) -> None:
            if paid and not isinstance(model, ScriptedModel):
                room.account(contestant, called, reply, new)
            given = [Response(contestant, *slot[1:], reply) for slot in slots[reply.key]]
            if room.until is None:
                self._answered(contestant, given)
            else:
                held.update({(r.contestant, r.prompt, r.sample): r for r in given})

        owed = self._owed(conversations, self._useful(contestant, model, conversations), stored)
        owed = [] if paid and (room.recorded_only or room.judges_only) else owed
        reused = stored.keys() - {conversation.key for conversation in owed}
        room.tally.expect(responses=len(owed) + len(reused), of_them_stored=len(reused))
        for key in reused:
            take(stored[key], new=False)
        ending = partial(room.is_done, lambda until: until.needs(contestant))
        errand: Asking[Conversation] = Asking(contestant, room.store, writer, stored, room.store.replies, take, ending)
        if room.until is None or not paid:
            errand.run(owed, model.generate)
        if room.until is not None:
            first = {key: listed[0][1] for key, listed in slots.items()}
            rounds = _by_prompt((first[one.key], one) for one in owed if paid)
            for prompts in room.until.turns(contestant, ending):
                errand.run([one for prompt in prompts for one in rounds.get(prompt.id, ())], model.generate)
                if not ending() and references.round(room.until, prompts, writer):
                    self._round_answered(room.until, contestant, prompts, held)
        room.skipped.update(errand.skipped)

    def _owed(
        self, conversations: Mapping[Slot, Conversation], slots: Iterable[Slot], stored: Mapping[str, Reply]
    ) -> list[Conversation]:
        """What is to be asked for of these slots, each call once, in the drawn order."""
        room = self._room
        in_turn = sorted(slots, key=lambda slot: (room.place[slot[1]], slot[2]))
        once = {conversations[slot].key: conversations[slot] for slot in in_turn}
        return [
            replace(one, attempt=attempts(stored.get(key)))
            for key, one in once.items()
            if owes(stored.get(key), room.retry_invalid)
        ]

    def _round_answered(
        self, until: Until, contestant: str, prompts: Sequence[Prompt], held: Mapping[Slot, Response]
    ) -> None:
        until.answered(contestant, prompts, held)
        inside = {prompt.id for prompt in prompts}
        self._answered(contestant, [response for slot, response in held.items() if slot[1] in inside])

    def _comparable(self, contestant: str, slots: Iterable[Slot]) -> Set[Slot]:
        """Those where anyone else may have an answer to compare with: nobody is asked, and paid, for nothing."""
        if self._room.plan.alone:
            return set(slots)
        others = {name for contest in self._pairs_of[contestant] for name in contest} - {contestant}
        models = [model for name, model in self._models.items() if name in others]

        def anyone_answers(prompt: Prompt, sample: int) -> bool:
            return any(not isinstance(other, RecordedModel) or other.answers(prompt, sample) for other in models)

        return {slot for slot in slots if anyone_answers(self._room.prompts[slot[1]], slot[2])}

    def _useful(self, contestant: str, model: Model, slots: Iterable[Slot]) -> Iterable[Slot]:
        """The slots that asking for is of use: a file is not asked for what it does not hold."""
        if not isinstance(model, RecordedModel):
            return self._comparable(contestant, slots)
        if self._room.until is not None:  # which waits to be told of every answer
            return slots
        return [slot for slot in slots if model.answers(self._room.prompts[slot[1]], slot[2])]

    def _answered(self, contestant: str, responses: Sequence[Response]) -> None:
        """Note responses of a contestant, and feed the judges every comparison that they complete."""
        room = self._room
        if not room.plan.raters:
            return
        if room.plan.alone:
            room.feed.add([response for response in responses if response.reply.status == "ok"])
            return
        with self._lock:
            self._responses.update({(r.contestant, r.prompt, r.sample): r for r in responses})
            asked = [room.prompts[r.prompt] for r in responses]
            ready = pair(asked, self._pairs_of[contestant], room.plan.samples, self._responses)
            wanted = (c for c in ready if room.plan.asks(c.a.contestant, c.b.contestant, c.prompt.id))
            new = [c for c in wanted if name_of(c) not in self._paired]
            self._paired.update(name_of(c) for c in new)
        room.feed.add(new)


def _by_contestant(plan: Plan) -> dict[str, list[tuple[str, str]]]:
    """The pairs that each contestant is in, in the plan's order and as they are written there."""
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in plan.contestants}
    for contest in plan.pairs:
        for name in contest:
            found[name].append(contest)
    return found


def _by_prompt(asked: Iterable[tuple[str, Conversation]]) -> dict[str, list[Conversation]]:
    found: dict[str, list[Conversation]] = {}
    for prompt, conversation in asked:
        found.setdefault(prompt, []).append(conversation)
    return found
