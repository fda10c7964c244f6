"""What annotation tools export: items of a prompt and some answers, and what people said of them.

Neither Label Studio nor Argilla writes down which field is the prompt, which are the answers, and in which order they
were shown. Names like `prompt`, `response_1` and `response_2`, or `answer a` and `answer b`, tell; other names are told
in a YAML file (`--mapping`):

    prompt: instruction
    answers: [base, sft]                 # in the order in which they were shown
    models: {base: base_model}           # the field, or the metadata, that names who wrote an answer; else its field
    question: preference                 # where several questions compare the answers
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from sciexam.documents import read_yaml
from sciexam.exchange.landing import Landing, Place, shown
from sciexam.types import Record, Side, Strength

PROMPTS = ("prompt", "instruction", "question", "query", "input", "context")
_ANSWER = re.compile(
    r"(?:answer|response|reply|completion|output|generation|candidate|summary|text|model)"
    r"[-_ ]?(?P<which>[1-9a-d]|left|right|first|second)?",
    re.IGNORECASE,
)
_PLACE = {"left": "1", "right": "2", "first": "1", "second": "2", **dict(zip("abcd", "1234", strict=True))}
_TIES = ("tie", "equal", "same", "both", "neither", "draw", "bothgood", "bothbad", "aboutthesame", "nopreference")
_LABEL = re.compile(r"(?P<side>.+?)(?:is)?(?P<how>slightly|much|far|clearly)?(?:better|preferred|best)?")
_STRENGTH: dict[str, Strength] = {"slightly": "slight", "clearly": "clear", "much": "strong", "far": "strong"}


class Layout(Record):
    """The mapping file."""

    prompt: str | None = None
    answers: tuple[str, ...] = Field((), max_length=26)
    models: dict[str, str] = Field(default_factory=dict)
    question: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What one person said to one question. `side` is "left" or "right"; a `ranking` has names of answers, each with
    its rank, 1 for the best; a `rating` is a number, of the answer that `of` names, where it does."""

    person: str
    question: str
    kind: Literal["side", "label", "ranking", "rating"]
    value: Any
    of: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt with its answers, by field. `about` is what else is known of it: metadata that may name models."""

    at: Place
    id: str
    fields: Mapping[str, Any]
    about: Mapping[str, Any]
    said: Sequence[Said]


@dataclass(frozen=True, slots=True)
class _Answer:
    field: str
    model: str
    text: str


def read_layout(mapping: Path | None) -> Layout:
    """The mapping of a file, or an empty one. Raises DocumentError."""
    return Layout() if mapping is None else read_yaml(mapping, Layout).value


def land(landing: Landing, items: Callable[[Landing], Iterable[Item]], layout: Layout) -> Landing:
    """Tell the landing all items: prompts, answers, verdicts of people, and their ratings as rewards.

    `items` reads them, and tells the landing that it is given what is wrong. It is called twice, for which question
    compares the answers is known only after the last item; so no more than one is held.
    """
    comparing: dict[str, Place] = {}
    scales: set[str] = set()
    first: Place | None = None
    aside = Landing("a look")
    for item in items(aside):
        if (answers := _answers(aside, item, layout)) is not None:
            first = first or item.at
            _note_questions(item, answers, comparing, scales)
    question = _question(landing, comparing, first, layout)
    for item in items(landing):
        if (answers := _answers(landing, item, layout)) is None:
            continue
        prompt = layout.prompt or _prompt(item)
        landing.prompt(item.at, item.id, item.fields[prompt], kept={"about": dict(item.about)} if item.about else None)
        for answer in answers:
            landing.response(item.at, answer.model, item.id, answer.text)
        for said in item.said:
            if said.kind == "rating":
                _rate(landing, item, said, answers, several=len(scales) > 1)
            elif said.question == question:
                _compare(landing, item, said, answers)
            else:
                landing.left_out(item.at, f"question {said.question!r} does not compare the answers")
    return landing


def _prompt(item: Item) -> str:
    return next((name for name in PROMPTS if name in item.fields), "")


def _answers(landing: Landing, item: Item, layout: Layout) -> list[_Answer] | None:
    """The answers in the order in which they were shown; None where they cannot be told, and that is a fault."""
    prompt = layout.prompt or _prompt(item)
    names = layout.answers or _named(item.fields, prompt)
    listed = ", ".join(map(repr, item.fields))
    if not prompt or not names:
        what = "are the answers" if prompt else "is the prompt"
        known = prompt or "FIELD"
        how = f"--mapping FILE, with `prompt: {known}` and `answers: [FIELD, FIELD]`"
        landing.fault(item.at, f"which of {listed} {what}? Say so in a file: {how}")
        return None
    faulty = [name for name in (prompt, *names) if not isinstance(item.fields.get(name), str)]
    for name in faulty:
        landing.fault(item.at, f"{name}: a text, this is {shown(item.fields.get(name))}")
    if faulty:
        return None
    answers = [_Answer(name, _model(item, name, layout), item.fields[name]) for name in names]
    if len({answer.model for answer in answers}) < len(answers):
        landing.fault(item.at, f"two answers are of one model: {', '.join(answer.model for answer in answers)}")
        return None
    return answers


def _named(fields: Mapping[str, Any], prompt: str) -> tuple[str, ...]:
    """The fields that are called like answers, by their number or letter."""
    found: dict[str, str] = {}
    for name in fields:
        match = _ANSWER.fullmatch(name)
        if match and name != prompt:
            which = (match["which"] or "").lower()
            found[name] = _PLACE.get(which, which)
    return tuple(sorted(found, key=lambda name: found[name])) if len(set(found.values())) == len(found) else ()


def _model(item: Item, field: str, layout: Layout) -> str:
    key = layout.models.get(field, f"{field}_model")
    name = item.about.get(key, item.fields.get(key))
    return name if isinstance(name, str) and name.strip() else field


# ---------------------------------------------------------------- what was said


def _note_questions(item: Item, answers: Sequence[_Answer], comparing: dict[str, Place], scales: set[str]) -> None:
    """The questions of an item of which a value compares its answers, with the first place, and those of ratings."""
    for said in item.said:
        if said.kind in ("side", "ranking") or (said.kind == "label" and _side(said.value, answers) is not None):
            comparing.setdefault(said.question, item.at)
        elif said.kind == "rating":
            scales.add(said.question)


def _question(landing: Landing, found: Mapping[str, Place], first: Place | None, layout: Layout) -> str | None:
    """The question that compares the answers: the one that is named, or the only one of those `found`. `first`: where
    the first item stands."""
    if layout.question is not None:
        if layout.question not in found and first is not None:
            landing.fault(first, f"no question {layout.question!r} compares the answers; {_listed(found)}")
        return layout.question
    if len(found) > 1:
        landing.fault(next(iter(found.values())), f"{_listed(found)}; name one with `question:` in a file: --mapping")
    return next(iter(found), None)


def _listed(found: Mapping[str, Place]) -> str:
    return f"those that do are {', '.join(map(repr, found))}" if found else "none does"


def _compare(landing: Landing, item: Item, said: Said, answers: Sequence[_Answer]) -> None:
    if said.kind == "ranking":
        _rank(landing, item, said, answers)
        return
    if len(answers) != 2:
        landing.fault(item.at, f"{said.question}: compares two answers, and there are {len(answers)}")
        return
    side = {"left": "first", "right": "second"}.get(said.value) if said.kind == "side" else None
    told = (side, None) if side else _side(said.value, answers)
    if told is None:
        words = ", ".join(repr(answer.field) for answer in answers)
        landing.fault(item.at, f"{said.question}: {shown(said.value)} names none of {words}, and no tie")
        return
    _verdict(landing, item, said, answers[0], answers[1], *told)


def _side(label: Any, answers: Sequence[_Answer]) -> tuple[Side, Strength | None] | None:
    """What a label says of two answers; None where it is no word for one of them, nor for a tie."""
    word = _plain(label) if isinstance(label, str) else ""
    if word in _TIES:
        return "tie", None
    match = _LABEL.fullmatch(word)
    for place, answer in enumerate(answers[:2]):
        number, letter = str(place + 1), "ab"[place]
        names = {_plain(answer.field), _plain(answer.model), number, letter, ("left", "right")[place]}
        names |= {
            ("first", "second")[place],
            *(f"{noun}{one}" for noun in ("answer", "response") for one in number + letter),
        }
        if word in names:
            return ("first", "second")[place], None
        if match and match["side"] in names:
            return ("first", "second")[place], _STRENGTH.get(match["how"] or "")
    return None


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())


def _rank(landing: Landing, item: Item, said: Said, answers: Sequence[_Answer]) -> None:
    """A ranking is a verdict on every two answers: who stands before whom, and a tie at one rank."""
    ranks: dict[str, Any] = {_plain(str(name)): rank for name, rank in said.value}
    found = [(answer, ranks.get(_plain(answer.field), ranks.get(_plain(answer.model)))) for answer in answers]
    for answer, rank in found:
        if isinstance(rank, bool) or not isinstance(rank, int):
            landing.fault(item.at, f"{said.question}: {answer.field!r} has no rank among {shown(said.value)}")
            return
    for (one, a), (other, b) in combinations(found, 2):
        side: Side = "tie" if a == b else "first" if a < b else "second"  # type: ignore[operator]
        _verdict(landing, item, said, one, other, side, None)


def _verdict(
    landing: Landing, item: Item, said: Said, one: _Answer, other: _Answer, side: Any, strength: Strength | None
) -> None:
    landing.verdict(
        item.at,
        item.id,
        one.model,
        other.model,
        rater=said.person,
        kind="human",
        preferred=side,
        strength=None if side == "tie" else strength,
        repeat=None,
        kept={"question": said.question},
    )


def _rate(landing: Landing, item: Item, said: Said, answers: Sequence[_Answer], several: bool) -> None:
    """A rating of the only answer, or of the one that the question names, is a reward by that person."""
    named = [one for one in answers if _plain(one.field) in (_plain(said.of), _plain(said.question))] or [
        one for one in answers if _plain(one.field) in _plain(said.question)
    ]
    rated = named if len(named) == 1 else list(answers) if len(answers) == 1 else []
    if not rated:
        landing.left_out(item.at, f"question {said.question!r} rates no one answer")
        return
    scale = said.question if several and len(named) != 1 else ""
    rater = f"{said.person}: {scale}" if scale else said.person
    landing.reward(item.at, item.id, rated[0].model, said.value, rater=rater, kept={"question": said.question})
