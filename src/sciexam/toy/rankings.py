"""Rankings: a question, four to nine documents of every quality about it, and how an annotator ranks them.

So many answers a labeler of InstructGPT was shown (arXiv 2203.02155, section 3.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from sciexam.toy.annotator import Annotator
from sciexam.toy.data import FULL, Line, Size, more_files
from sciexam.toy.documents import BEST, document
from sciexam.toy.world import Phenomenon
from sciexam.types import Message, Prompt

NAME = "rankings.jsonl"
EACH = 3  # rankings about a phenomenon
FEWEST, MOST = 4, 9  # answers that are ranked
ANNOTATOR, NOISE = 1, 0.05


def rankings(size: Size = FULL, seed: int = 1) -> list[Line]:
    """The lines of `rankings.jsonl`: `{"prompt", "responses", "ranking"}`, the best response first in `ranking`."""
    return more_files(_about, size, seed)[NAME]


def _about(one: Phenomenon, asked: Iterator[str], draw: Random) -> Mapping[str, Sequence[Line]]:
    return {NAME: [_ranked(one, next(asked), draw) for _ in range(EACH)]}


def _ranked(one: Phenomenon, question: str, draw: Random) -> Line:
    texts: dict[str, None] = {}
    for_so_many = draw.randint(FEWEST, MOST)
    while len(texts) < for_so_many:
        texts[document(one, draw.uniform(0, BEST), draw)] = None
    responses = list(texts)
    worth = [_worth(one, question, text) for text in responses]
    best_first = sorted(range(len(responses)), key=lambda place: -worth[place])
    return {"prompt": question, "responses": responses, "ranking": best_first}


def _worth(one: Phenomenon, question: str, text: str) -> float:
    """What a document is worth to the annotator, who finds its phenomenon by the prompt's id."""
    asked = Prompt(id=one.id, messages=(Message(role="user", content=question),))
    found = Annotator(ANNOTATOR, NOISE).worth(asked, text)
    assert found is not None, one.id
    return found
