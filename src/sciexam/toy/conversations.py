"""Conversations of two turns: two questions about different things, each with an answer that somebody has chosen.

They go on from a first question and its answer, as conversations with people do; only the last answer is learnt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from sciexam.toy.data import FULL, Line, Size, demonstrations, more_files
from sciexam.toy.world import Phenomenon

NAME = "conversations.jsonl"
TURNS = 12  # questions about each phenomenon, of which two make a conversation


def conversations(size: Size = FULL, seed: int = 1) -> list[Line]:
    """The lines of `conversations.jsonl`: `{"messages": [...]}`, the user's first and the assistant's last."""
    turns = more_files(_turns, size, seed)[NAME]
    return [
        {"messages": [*_said(first), *_said(second)]} for first, second in zip(turns[::2], turns[1::2], strict=True)
    ]


def _turns(one: Phenomenon, asked: Iterator[str], draw: Random) -> Mapping[str, Sequence[Line]]:
    return {NAME: demonstrations(one, TURNS, asked, draw)}


def _said(shown: Line) -> list[Line]:
    return [{"role": "user", "content": shown["prompt"]}, {"role": "assistant", "content": shown["completion"]}]
