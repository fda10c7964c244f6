"""What an annotator says of an item: read from a form, kept as JSON, and turned into the verdicts that it means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

from sciexam.annotate.queue import Item, Queue
from sciexam.annotate.scale import CANNOT, Hand, option_of, options_of, preferred
from sciexam.battles import present
from sciexam.errors import UsageError
from sciexam.exam.plan import verdict_key
from sciexam.exam.raters import annotator_digest
from sciexam.store.annotations import WITHDRAWN, Judgement, Slots
from sciexam.types import CANNOT_JUDGE, Presentation, Strength, Verdict

LONGEST_COMMENT = 4_000  # characters
LONGEST_TEXT = 100_000

RANKING = "ranking"
DECISIONS = {  # of a proposed answer, or of an answer to write
    "accept": "Accepted as it is",
    "edit": "Accepted with changes",
    "write": "Written",
    "reject": "Rejected",
}


@dataclass(frozen=True, slots=True)
class Said:
    """The `choice`, and what was added. `criteria`: by the name of a criterion, which answer is better on it.

    `ranking`: the places of the item's texts, best first. `text`: an answer that was written or edited.
    """

    choice: str = ""
    comment: str = ""
    criteria: Mapping[str, Hand] = field(default_factory=dict)
    ranking: Slots = ()
    text: str = ""

    def body(self) -> str:
        """All but the choice as JSON; what is empty is left out."""
        given = {"comment": self.comment, "criteria": dict(self.criteria), "ranking": self.ranking, "text": self.text}
        return json.dumps({key: value for key, value in given.items() if value}, sort_keys=True)


def read_body(choice: str, body: str) -> Said:
    """What `Said.body` wrote."""
    given = json.loads(body or "{}")
    return Said(
        choice,
        given.get("comment", ""),
        given.get("criteria", {}),
        tuple(given.get("ranking", ())),
        given.get("text", ""),
    )


def read_form(queue: Queue, item: Item, shown: Slots, form: Mapping[str, str]) -> Said:
    """What a form says of an item whose texts were laid out as `shown`: a form knows them by their places alone.

    Raises UsageError, in words for an annotator, for what is not an answer to it.
    """
    draft = read_draft(queue, item, shown, form)
    choice = form.get("choice", "")
    if choice not in choices_of(queue, item):
        raise UsageError("No answer was chosen. Press one of the buttons.")
    said = replace(draft, choice=choice)
    if item.kind == "ranking" and choice == RANKING and sorted(said.ranking) != list(range(len(item.texts))):
        raise UsageError("Give every answer a rank of its own, from 1 for the best.")
    if choice == "accept" and said.text and said.text.strip() != item.texts[0].replace("\r\n", "\n").strip():
        raise UsageError("You changed the answer: save your version, or undo the changes to accept it as it was.")
    if choice in ("edit", "write") and not said.text.strip():
        raise UsageError("The answer is empty. Write one, or reject the item.")
    return said if choice in ("edit", "write") or item.kind != "demonstration" else replace(said, text="")


def read_turn(form: Mapping[str, str]) -> int:
    """How many judgements of the item had been seen by whoever sent the form; -1 for what is no such number."""
    turn = form.get("turn", "")
    return int(turn) if turn.isdecimal() and len(turn) < 6 else -1


def read_draft(queue: Queue, item: Item, shown: Slots, form: Mapping[str, str]) -> Said:
    """What stands in a form that was not sent yet."""
    comment, text = _text(form.get("comment", ""), LONGEST_COMMENT), _text(form.get("text", ""), LONGEST_TEXT)
    criteria: dict[str, Hand] = {}
    for number, criterion in enumerate(queue.rubric.criteria):
        hand = form.get(f"criterion-{number}", "")
        if hand in ("left", "right", "tie"):
            criteria[criterion.name] = hand  # type: ignore[assignment]
    ranks = {slot: form.get(f"rank-{place}", "") for place, slot in enumerate(shown)}
    ranking = tuple(sorted(ranks, key=lambda slot: int(ranks[slot]))) if _are_ranks(ranks.values()) else ()
    return Said("", comment, criteria if item.kind in ("pair", "gold") else {}, ranking, text)


def _are_ranks(given: Iterable[str]) -> bool:
    listed = list(given)
    return bool(listed) and all(one.isdecimal() and len(one) < 3 for one in listed) and len(set(listed)) == len(listed)


def _text(text: str, longest: int) -> str:
    """A browser sends CR LF, and counts a line end as one character."""
    text = text.replace("\r\n", "\n")
    if len(text) > longest:
        raise UsageError(f"This text is longer than {longest:,} characters. Shorten it.")
    return text if text.strip() else ""


def choices_of(queue: Queue, item: Item) -> Mapping[str, str]:
    """The choices that an item has, and what each is called."""
    if item.kind == "ranking":
        own = {RANKING: "Ranked"}
    elif item.kind == "demonstration":
        able = ("accept", "edit", "reject") if item.texts else ("write",)
        own = {choice: DECISIONS[choice] for choice in able}
    else:
        own = {option.value: option.label for option in options_of(queue.scale)}
    return own | {CANNOT.value: CANNOT.label}


# ---------------------------------------------------------------- verdicts


def verdicts_of(queue: Queue, item: Item, rater: str, judgement: Judgement) -> Iterator[Verdict]:
    """The verdicts that a judgement means; none for gold, for a second showing, and for a demonstration.

    One that was taken back leaves a verdict that was skipped under the same key, which then counts.
    """
    if judgement.item != item.id or item.kind not in ("pair", "ranking"):
        return
    said = read_body(judgement.choice, judgement.body)
    for left, right in combinations(judgement.shown, 2):
        shown = _presentation(queue, item, left, right, rater)
        if said.choice == WITHDRAWN:
            yield shown.verdict(rater, kind="human", status="skipped", failure=WITHDRAWN)
        elif said.choice == CANNOT.value:
            yield shown.verdict(rater, kind="human", failure=CANNOT_JUDGE, reason=said.comment)
        elif said.choice == RANKING:
            won = said.ranking.index(left) < said.ranking.index(right)
            yield shown.verdict(rater, "first" if won else "second", kind="human", reason=said.comment)
        else:
            yield _of_pair(queue, shown, said, rater)


def _of_pair(queue: Queue, shown: Presentation, said: Said, rater: str) -> Verdict:
    option = option_of(queue.scale, said.choice)
    assert option is not None, "a form is read before it is kept"
    strength: Strength | None = option.strength
    criteria = {name: preferred(hand) for name, hand in said.criteria.items()}
    return shown.verdict(
        rater, option.preferred, kind="human", strength=strength, criteria=criteria, reason=said.comment
    )


def _presentation(queue: Queue, item: Item, left: int, right: int, rater: str) -> Presentation:
    """What the annotator saw of two texts, under the key of the fact that a verdict on it is."""
    shown = present(item.comparison(min(left, right), max(left, right)), "ab" if left < right else "ba")
    by = annotator_digest(rater, queue.rubric.digest, queue.scale, item.id)
    return replace(shown, key=verdict_key(by, shown))
