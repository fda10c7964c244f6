"""LMArena-style battle tables: CSV, JSON or Parquet with `model_a`, `model_b`, `winner`, and conversations or none.

Each row is one battle. Its prompt is called by `question_id` (or `id`; else by its row, and its file where there are
several), with the turn behind it where the table has one, and asks what the conversation asks; without a conversation
the id stands for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexam.digests import digest
from sciexam.exchange.conversation import Turns, transcript, turns_of
from sciexam.exchange.landing import Landing, Place, shown
from sciexam.exchange.rows import found, missing, near_key, rows
from sciexam.types import Kind, Side

CROWD = "crowd"
MOST_VOTERS = 50  # that are a rater each; more are one rater, as a board of the crowd counts them
WINNERS: Mapping[str, Side] = {
    "model_a": "first",
    "model_b": "second",
    "tie": "tie",
    "tie (bothbad)": "tie",
    "tie (inconsistent)": "tie",  # of a judge whose two orders name different sides
    "bothbad": "tie",
    "both_bad": "tie",
}
JUDGES = ("gpt4_pair",)  # in the column of voters, and none of them
_ONE_HOT = {"winner_model_a": "model_a", "winner_model_b": "model_b", "winner_tie": "tie"}
_TALKS = ("conversation_a", "conversation_b", "prompt", "response_a", "response_b", "full_conversation")
_USED = (*_TALKS, *_ONE_HOT, "model_a", "model_b", "question_id", "id")


def read(paths: Sequence[Path]) -> Landing:
    landing = Landing("lmarena")
    files = found(paths, *(f"*.{end}" for end in ("csv", "tsv", "json", "jsonl", "parquet", "csv.gz", "jsonl.gz")))
    each = _few_voters(files)
    for file in files:
        for at, row in rows(file, landing):
            _battle(at, row, landing, each)
    if not each:
        landing.note(
            f"More than {MOST_VOTERS} people voted: they are one rater, {CROWD!r}. Who voted stays in each line, as "
            "'judge'; `sciexam import table` can make a rater of each."
        )
    return landing


def _few_voters(files: Sequence[Path]) -> bool:
    voters: set[str] = set()
    for file in files:
        for _, row in rows(file, Landing("a look")):
            voters.add(str(row.get("judge")))
            if len(voters) > MOST_VOTERS:
                return False
    return True


def _battle(at: Place, row: dict[str, Any], landing: Landing, each: bool) -> None:
    a: Any = row.get("model_a")
    b: Any = row.get("model_b")
    said = _winner(row)
    lacking = [key for key in ("model_a", "model_b") if not row.get(key)]
    for key in lacking:
        landing.fault(at, f"{key}: this key is missing{near_key(key, row)}")
    side = WINNERS.get(said) if isinstance(said, str) else None
    if not {"winner", *_ONE_HOT} & {*row}:
        landing.fault(at, f"winner: this key is missing{near_key('winner', row)}")
    elif side is None:
        landing.fault(at, f"winner: {shown(said)} is none of {', '.join(WINNERS)}")
    if lacking or side is None:
        return
    if a == b:
        landing.left_out(at, "a model against itself")
        return
    talks = _talks(at, row, landing)
    if talks is None:
        return
    id = _id(at, row, landing)
    _answers(at, row, id, talks, landing)
    rater, kind = _rater(row, each)
    kept = {key: value for key, value in row.items() if key not in _USED and value not in (None, "")}
    landing.verdict(at, id, a, b, rater=rater, kind=kind, preferred=side, repeat=None, kept=kept)


def _winner(row: Mapping[str, Any]) -> Any:
    if "winner" in row:
        return row["winner"]
    said = [word for column, word in _ONE_HOT.items() if row.get(column) in (1, "1", True)]
    return said[0] if len(said) == 1 else None


def _id(at: Place, row: Mapping[str, Any], landing: Landing) -> str:
    given = (row.get(key) for key in ("question_id", "id"))
    id = next((one for one in given if one not in (None, "")), None)
    id = landing.row_id(at) if id is None else id
    return f"{id}-{row['turn']}" if row.get("turn") not in (None, "") else str(id)


def _question(row: Mapping[str, Any]) -> str | None:
    """The question of which a row is one turn or one battle; `prompt` names it where no answers stand beside it."""
    given = (row.get(key) for key in ("question_id", "prompt"))
    return next((str(one) for one in given if one not in (None, "")), None)


def _rater(row: Mapping[str, Any], each: bool) -> tuple[str, Kind]:
    """The voter. A judge of FastChat is written as [model, template]."""
    judge = row.get("judge")
    if isinstance(judge, list) and judge and judge[0] not in ("human", ""):
        return str(judge[0]), "judge"
    if isinstance(judge, str) and judge in JUDGES:
        return judge, "judge"
    name = str(judge[-1] if isinstance(judge, list) and judge else judge or "")
    return (name, "human") if each and name else (CROWD, "human")


def _answers(at: Place, row: Mapping[str, Any], id: str, talks: Sequence[Turns], landing: Landing) -> None:
    """The prompt, and both answers: what was voted on is all that a model said."""
    asked = [[text for role, text in talk if role == "user"] for talk in talks]
    if not talks or not asked[0]:
        landing.prompt(at, id, None, group=_question(row))
        return
    if asked[0] != asked[1]:
        landing.fault(at, "conversation_b: asks otherwise than conversation_a")
        return
    told = [{"role": "system", "content": text} for role, text in talks[0] if role == "system"]
    messages = [*told, *({"role": "user", "content": text} for text in asked[0])]
    first = asked[0][0]
    # Turns of one question, and the same question of two people, are one unit of an interval.
    landing.prompt(at, id, first if len(messages) == 1 else messages, group=digest(first)[:16])
    for name, talk in zip(("model_a", "model_b"), talks, strict=True):
        answers = [text for role, text in talk if role not in ("user", "system")]
        if answers:
            kept = {"turns": answers} if len(answers) > 1 else {}
            landing.response(at, row[name], id, transcript(answers), kept=kept)


def _talks(at: Place, row: Mapping[str, Any], landing: Landing) -> list[Turns] | None:
    """Both conversations up to the turn that was voted on; [] where the table has none, None where one is faulty."""
    if "response_a" in row or "response_b" in row:
        if missing(at, row, ("prompt", "response_a", "response_b"), landing):
            return None
        lists = _texts([row[key] for key in ("prompt", "response_a", "response_b")])
        if any(one is None or len(one) != len(lists[0] or []) for one in lists):
            landing.fault(at, "prompt, response_a, response_b: texts, or lists of texts of one length, as JSON")
            return None
        prompt, *answers = [one or [] for one in lists]
        if any(not isinstance(text, str) for one in (prompt, *answers) for text in one):
            landing.left_out(at, "a battle without both answers")
            return None
        return [[turn for q, a in zip(prompt, one, strict=True) for turn in (("user", q), ("x", a))] for one in answers]
    if not row.get("conversation_a") and not row.get("conversation_b"):
        return []
    talks = [turns_of(_list(row.get(key))) for key in ("conversation_a", "conversation_b")]
    if talks[0] is None or talks[1] is None:
        landing.fault(at, "conversation_a, conversation_b: lists of messages with a role and a text, as JSON")
        return None
    turn = row.get("turn")
    last = 2 * int(turn) if isinstance(turn, (int, str)) and str(turn).isdecimal() else None
    first = [sum(role == "system" for role, _ in talk) for talk in talks if talk is not None]  # these are no turns
    return [talk[: last and last + n] for talk, n in zip(talks, first, strict=True) if talk is not None]


def _texts(cells: Sequence[Any]) -> list[list[Any] | None]:
    """The prompt and both answers by turn. Texts are lists of turns as JSON only where all three are: a text may begin
    with `[`, and an answer may be a list."""
    if not all(isinstance(cell, str) for cell in cells):
        return [_list(cell) for cell in cells]
    found = [_turns(cell) for cell in cells]
    cut_off = found[0] is None and None not in found[1:] and cells[0].startswith('["')
    return found if cut_off or None not in found else [[cell] for cell in cells]


def _turns(cell: str) -> list[Any] | None:
    """The texts of a list of JSON; None where it is no list of texts."""
    found = _list(cell) if cell[:1] == "[" else None
    return found if found is not None and all(isinstance(one, (str, type(None))) for one in found) else None


def _list(value: Any) -> list[Any] | None:
    """A list, or the JSON of one; a text that is neither is a list of itself."""
    if isinstance(value, str) and value[:1] == "[":
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, str):
        return [value]
    return value if isinstance(value, list) else None
