"""A visitor's vote: a human verdict on two answers that nobody else was given, kept with both conversations.

The subject of such a verdict is of its own kind: even where a visitor types a prompt of the suite and gets an answer of
the suite, no comparison of the suite finds the vote, so that no win rate, agreement or validation counts it. What
people chose to ask is no sample of the suite's prompts, and who votes is whoever came.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sciexam.battles import present
from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.exam.plan import verdict_key
from sciexam.files import write_atomically
from sciexam.serve.refusal import Refusal
from sciexam.serve.talks import Hand, Talk
from sciexam.store import Store
from sciexam.types import Comparison, Message, Prompt, Reply, Response, Side, Verdict

Choice = Literal["left", "tie", "right"]
CHOICES: dict[Choice, Side] = {"left": "first", "tie": "tie", "right": "second"}


@dataclass(frozen=True, slots=True)
class Vote:
    """A verdict, and what it is about: `said` are both conversations, as they stood on the left and on the right."""

    verdict: Verdict
    said: dict[Hand, list[Message]]
    at: int = 0

    def body(self) -> str:
        said = {hand: [[one.role, one.content] for one in messages] for hand, messages in self.said.items()}
        return json.dumps(said)


def new_visitor() -> str:
    """A pseudonym that says nothing of anybody, for as long as a page is open."""
    return f"visitor-{secrets.token_hex(4)}"


def is_visitor(name: str) -> bool:
    return re.fullmatch(r"visitor-[0-9a-f]{8}", name) is not None


def vote_of(talk: Talk, choice: str, visitor: str) -> Vote:
    """What a vote on a conversation means: its questions are the prompt, and its answers the two responses."""
    if choice not in CHOICES:
        raise Refusal(400, "A vote is left, tie or right.", "choice")
    left, right = (talk.said[hand] for hand in ("left", "right"))
    questions = tuple(message for message in left if message.role == "user")
    prompt = Prompt(id=f"visit-{digest([visitor, talk.id])[:16]}", messages=questions)
    comparison = Comparison(
        prompt, _response(talk.names["left"], prompt, left), _response(talk.names["right"], prompt, right)
    )
    shown = present(comparison, "ab")
    seen = ("visit", prompt.id, *shown.seen)
    by = digest({"visitor": visitor})
    shown = replace(shown, seen=seen, subject=digest(seen))
    shown = replace(shown, key=verdict_key(by, shown, ["visit", prompt.id]))
    verdict = shown.verdict(visitor, CHOICES[choice], kind="human")
    return Vote(verdict, {hand: list(talk.said[hand]) for hand in ("left", "right")})


def _response(name: str, prompt: Prompt, said: Sequence[Message]) -> Response:
    return Response(name, prompt.id, 0, Reply(key="", text=text_of(said)))


def text_of(said: Sequence[Message]) -> str:
    """All that a model answered in a conversation; to several questions, each answer under its number."""
    answers = [message.content for message in said if message.role == "assistant"]
    if len(answers) == 1:
        return answers[0]
    return "\n\n".join(f"[{number}]\n{text}" for number, text in enumerate(answers, 1))


# ---------------------------------------------------------------- read again


def votes_in(store: Store) -> Iterator[Vote]:
    """All votes of a ledger, in order of arrival."""
    kept = store.votes.all()
    verdicts = store.verdicts([key for key, _, _ in kept])
    for key, body, at in kept:
        said = {
            hand: [Message(role=role, content=text) for role, text in one] for hand, one in json.loads(body).items()
        }
        yield Vote(verdicts[key], said, at)


def export(store: Store, name: str, folder: Path) -> int:
    """Write the votes that `name` is part of to `folder`, as an exam of their own; how many there are.

    prompts.jsonl, votes.jsonl, and of each model its answers: what `sciexam compare` reads. Raises UsageError for none.
    """
    votes = [vote for vote in votes_in(store) if name in (vote.verdict.first, vote.verdict.second)]
    if not votes:
        raise UsageError(f"{store.location}: holds no vote on {name}; they are kept where a visitor agrees to it")
    names = sorted({one for vote in votes for one in (vote.verdict.first, vote.verdict.second)})
    files = {"prompts": list(map(_prompt, votes)), "votes": list(map(_vote, votes))}
    files |= {f"answers-{_plain(one)}": list(_answers(one, votes)) for one in names}
    for stem, rows in files.items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomically(folder / f"{stem}.jsonl", lines, mode=0o600)
    return len(votes)


def _prompt(vote: Vote) -> dict[str, Any]:
    questions = [one.content for one in vote.said["left"] if one.role == "user"]
    row: dict[str, Any] = {"id": vote.verdict.prompt, "text": questions[0]}
    if len(questions) > 1:
        row["text"] = "\n\n".join(f"[{number}]\n{text}" for number, text in enumerate(questions, 1))
    return row


def _vote(vote: Vote) -> dict[str, Any]:
    verdict = vote.verdict
    named = {name: f"answers-{_plain(getattr(verdict, name))}" for name in ("first", "second")}
    return {
        "prompt": verdict.prompt,
        **named,
        "preferred": verdict.preferred,
        "rater": verdict.rater,
        "kind": "human",
        "at": datetime.fromtimestamp(vote.at / 1000, UTC).isoformat(timespec="seconds"),
        "left": [one.model_dump() for one in vote.said["left"]],
        "right": [one.model_dump() for one in vote.said["right"]],
    }


def _answers(name: str, votes: Sequence[Vote]) -> Iterator[dict[str, Any]]:
    for vote in votes:
        for hand, by in (("left", vote.verdict.first), ("right", vote.verdict.second)):
            if by == name:
                yield {"prompt": vote.verdict.prompt, "text": text_of(vote.said[hand])}  # type: ignore[index]


def _plain(name: str) -> str:
    """A model's name as a part of a file's."""
    if re.fullmatch(r"\w[\w.-]*", name):
        return name
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')}-{digest(name)[:6]}"
