"""Preferences: of two answers to one prompt the one that is liked better, from JSON Lines or from candidates.

A line of a file is `{"prompt": ..., "chosen": ..., "rejected": ..., "margin": 1.0}`, each a text or a list of messages
as in TRL, `margin` where there is one; or a ranking, `{"prompt": ..., "responses": [...], "ranking": [2, 0, 1, 3]}`,
which names the responses by their places, best first, and holds every pair of them. `judged` makes preferences on the
way: candidates are drawn, and a judge or people say which they like.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sciexam.documents import parse_lines, read_jsonl
from sciexam.errors import DocumentError, UsageError
from sciexam.judges import compares_by_grades
from sciexam.lineage.sources import Judged, Preferences, sources_of
from sciexam.train.data.candidates import Asked, answers, ended, marker_of, marks
from sciexam.train.data.opinions import Ahead, by_people, by_verdicts
from sciexam.train.workshop import Workshop
from sciexam.types import HUMANS, Message

Turns = tuple[Message, ...]
ROUNDING = 1e-9  # means of equal marks may differ by this


@dataclass(frozen=True, slots=True)
class Preference:
    """What was asked, and the answer that was `chosen` over the one that was `rejected`.

    `margin`: how much better it was marked; None where it was only preferred. Pairs of one `group` are of one ranking,
    and together count as much as one pair of no group. `*_ended`: whether the answer ended by itself.
    """

    messages: Turns
    chosen: str
    rejected: str
    margin: float | None = None
    group: str | None = None
    chosen_ended: bool = True
    rejected_ended: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"messages": [message.model_dump() for message in self.messages]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(**value | {"messages": tuple(Message(**message) for message in value["messages"])})


def preferences_of(workshop: Workshop, data: Preferences) -> list[Preference]:
    """The preferences of a stage's `data`, source by source: of a file, or made on the way."""
    found = [
        judged(workshop, source) if isinstance(source, Judged) else read_preferences(Path(source))
        for source in sources_of(data)
    ]
    if len(found) == 1:
        return found[0]
    return [_of_source(number, one) for number, several in enumerate(found, 1) for one in several]


def _of_source(number: int, one: Preference) -> Preference:
    """A preference whose group is that of no other source: prompts of two files may have one id."""
    return one if one.group is None else replace(one, group=f"{number}: {one.group}")


# ---------------------------------------------------------------- files


class PreferenceLine(BaseModel):
    """One line of a file; what it does not know is somebody's metadata."""

    model_config = ConfigDict(frozen=True, extra="allow")

    prompt: str | Turns | None = None
    chosen: str | Turns | None = None
    rejected: str | Turns | None = None
    margin: float | None = Field(None, ge=0, strict=True)
    responses: tuple[str, ...] | None = Field(None, min_length=2)
    ranking: tuple[int, ...] | None = None

    @field_validator("ranking")
    @classmethod
    def _names_each_once(cls, ranking: tuple[int, ...] | None, info: Any) -> tuple[int, ...] | None:
        responses = info.data.get("responses")
        if ranking is not None and responses and sorted(ranking) != list(range(len(responses))):
            raise ValueError(
                f"names each of the {len(responses)} responses once by its place, 0 to {len(responses) - 1}, best "
                f"first, not {list(ranking)}"
            )
        return ranking

    @model_validator(mode="after")
    def _prefers_something(self) -> Self:
        pair, ranked = (self.chosen, self.rejected), (self.responses, self.ranking)
        if (None in pair) == (None in ranked) or any(one is not None for one in (pair if None in pair else ranked)):
            raise ValueError("a preference has `chosen` and `rejected`, or else `responses` and their `ranking`")
        turns = self.asked()
        if not turns or turns[-1].role != "user":
            raise ValueError("prompt: the last message must be the user's")
        for better, worse in self.pairs():
            if not better.strip():
                raise ValueError("the answer that is preferred is empty")
            if better == worse:
                raise ValueError("both answers are the same text")
        return self

    def asked(self) -> Turns:
        """The conversation up to the answers; without a `prompt` what both begin with."""
        if self.prompt is not None:
            return (Message(role="user", content=self.prompt),) if isinstance(self.prompt, str) else self.prompt
        if isinstance(self.chosen, tuple) and isinstance(self.rejected, tuple):
            shared = min(len(self.chosen), len(self.rejected)) - 1
            return self.chosen[:shared] if self.chosen[:shared] == self.rejected[:shared] else ()
        raise ValueError("prompt: this key is missing")

    def pairs(self) -> list[tuple[str, str]]:
        """Every pair of answers, the better one first."""
        if self.responses is not None and self.ranking is not None:
            return list(combinations([self.responses[place] for place in self.ranking], 2))
        return [(self._answer("chosen"), self._answer("rejected"))]

    def _answer(self, key: str) -> str:
        said, asked = getattr(self, key), self.asked()
        if isinstance(said, str):
            return said
        own = said[len(asked) :] if said[: len(asked)] == asked else said
        if len(own) != 1 or own[0].role != "assistant":
            raise ValueError(f"{key}: after the prompt there must be one message, the assistant's")
        return str(own[0].content)


def read_preferences(*paths: Path) -> list[Preference]:
    """The preferences of several files, one after the other. Raises DocumentError with all faults at once."""
    faults: list[str] = []
    found = [
        Preference(line.asked(), better, worse, line.margin, f"{place}:{number}" if line.responses else None)
        for place, path in enumerate(paths, 1)  # where a file lies is no part of what is learnt, or in which order
        for number, line in parse_lines(PreferenceLine, read_jsonl(path), path, faults)
        for better, worse in line.pairs()
    ]
    if faults:
        raise DocumentError(faults)
    if not found:
        raise DocumentError([f"{paths[0]}: holds no preferences"])
    return found


# ---------------------------------------------------------------- candidates


def judged(workshop: Workshop, how: Judged) -> list[Preference]:
    """Preferences among candidates that are drawn, and judged, as `how` says.

    A judge that compares is shown every pair in both orders; where these disagree it is a tie. A judge that marks
    answers one by one gives a margin: by how much the mark of the chosen one is higher. People are not asked: what they
    have said by now counts. Ties are left out. Raises UsageError where no pair is left.
    """
    asked = candidates_of(workshop, how)
    if how.by == HUMANS and HUMANS not in workshop.suite.judges:
        return _chosen(workshop, how, asked, by_people(workshop, how, asked), 0.0, False)
    spec = marker_of(workshop.suite, how.by)
    if compares_by_grades(spec):
        apart = getattr(spec, "tie_within", 0.0) + ROUNDING
        return _chosen(workshop, how, asked, [_by_marks(one) for one in marks(workshop, asked, how.by)], apart, True)
    return _chosen(workshop, how, asked, by_verdicts(workshop, asked, how.by, spec), 0.0, False)


def candidates_of(workshop: Workshop, how: Judged) -> list[Asked]:
    """The prompts that have two different answers or more; of one text that was given twice the first.

    Raises UsageError where no prompt has.
    """
    drawn = answers(workshop, how.of, Path(how.prompts), how.n, how.temperature, how.top_p)
    different = [
        Asked(one.prompt, tuple({answer.text: answer for answer in one.answers[::-1]}.values())[::-1]) for one in drawn
    ]
    if not (several := [one for one in different if len(one.answers) > 1]):
        raise UsageError(f"{how.prompts}: no prompt has two different answers; raise `n` or `temperature`")
    return several


def _by_marks(given: Sequence[float | None]) -> Ahead:
    def ahead(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else a - b

    return {(i, j): ahead(given[i], given[j]) for i, j in combinations(range(len(given)), 2)}


def _chosen(
    workshop: Workshop, how: Judged, asked: Sequence[Asked], found: Sequence[Ahead], apart: float, margins: bool
) -> list[Preference]:
    """The pairs that count of what was found of each prompt. Differences up to `apart` are ties."""
    left_out: Counter[str] = Counter()
    pick: Callable[[Ahead], Ahead] = _best_and_worst if how.pairs == "best_worst" else lambda ahead: ahead
    kept = [
        preference
        for one, ahead in zip(asked, found, strict=True)
        for preference in _of_one_prompt(one, pick(ahead), apart, margins, left_out)
    ]
    said = [f"{len(kept):,} pairs of {len({one.group for one in kept}):,} prompts by {how.by}"]
    said += [f"{count:,} {what}" for what, count in left_out.items()]
    workshop.tell("; ".join(said))
    if not kept:
        raise UsageError(f"{how.prompts}: no pair of answers is left to learn from: {'; '.join(said)}")
    return kept


def _of_one_prompt(
    one: Asked, ahead: Ahead, apart: float, margins: bool, left_out: Counter[str]
) -> Iterator[Preference]:
    for (i, j), by in ahead.items():
        if by is None:
            left_out["without a usable verdict"] += 1
        elif abs(by) <= apart:
            left_out["ties left out"] += 1
        else:
            better, worse = (one.answers[place] for place in ((i, j) if by > 0 else (j, i)))
            margin = abs(by) if margins else None
            whole = (ended(better), ended(worse))
            yield Preference(one.prompt.messages, better.text, worse.text, margin, one.prompt.id, *whole)


def standings(ahead: Ahead) -> dict[int, float]:
    """By its place, how far each answer is ahead of the others on average; none of which nobody said anything."""
    by_answer: dict[int, list[float]] = {}
    for (i, j), by in ahead.items():
        if by is not None:
            by_answer.setdefault(i, []).append(by)
            by_answer.setdefault(j, []).append(-by)
    return {answer: sum(given) / len(given) for answer, given in sorted(by_answer.items())}


def _best_and_worst(ahead: Ahead) -> Ahead:
    """The pair of the answers that are furthest ahead of the others and furthest behind them, on average."""
    if not (standing := standings(ahead)):
        return dict(list(ahead.items())[:1])
    best, worst = max(standing, key=standing.__getitem__), min(standing, key=standing.__getitem__)
    lead = standing[best] - standing[worst]
    i, j = sorted((best, worst))
    direct = (ahead.get((i, j)) or 0.0) * (1 if i == best else -1)
    return {(best, worst): direct if direct > 0 else lead}  # a difference of marks, where there are any
