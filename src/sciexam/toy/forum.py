"""`python -m sciexam.toy.forum FOLDER`: a forum of the toy world, as a dump that StackExchange publishes.

Questions with several answers each, and votes. The answers are documents of a quality from 0 to `best`. Readers who
look for words, as annotators do, vote for them, and how many read an answer is a matter of `luck`. Whoever asked has
accepted the answer with the most votes in half of the cases.

    sciexam data stackexchange FOLDER --site forum.example --out DATA       # demonstrations, preferences, prompts

The same arguments give the same bytes. No question of another file of the toy world, made with the same seed, is here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cache
from html import escape
from itertools import islice
from pathlib import Path
from random import Random

from sciexam.files import write_atomically
from sciexam.toy.annotator import Annotator
from sciexam.toy.data import files
from sciexam.toy.documents import BEST, document
from sciexam.toy.questions import questions
from sciexam.toy.world import Phenomenon, world
from sciexam.types import Message, Prompt

QUESTIONS, ANSWERS = 8, 4  # to each phenomenon; to each question
LEAST, WORTH = -1.0, 6.0  # log2(1 + votes) of a worthless answer, and what a perfect one has more
LUCK = 2.0  # its standard deviation
POSTED = "2024-01-01T00:00:00.000"


def write(folder: Path, best: float = BEST, luck: float = LUCK, seed: int = 1) -> Path:
    """Write the dump into a folder, and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "Posts.xml"
    head = '<?xml version="1.0" encoding="utf-8"?>\n<posts>\n'
    write_atomically(path, (head, *map(_row, posts(best, luck, seed)), "</posts>\n"))
    return path


def posts(best: float, luck: float, seed: int) -> Iterator[dict[str, object]]:
    """The rows of the dump: each question, and its answers behind it."""
    number = 0
    for one in world().values():
        draw = Random(f"{seed}\nforum\n{one.id}")  # noqa: S311
        for asked in islice(_new(one, draw, set(_elsewhere(seed))), QUESTIONS):
            answers = [document(one, draw.uniform(0, best), draw) for _ in range(ANSWERS)]
            votes = [_votes(one, text, luck, draw) for text in answers]
            liked = number + 2 + votes.index(max(votes))
            accepted = {"AcceptedAnswerId": liked} if draw.random() < 0.5 else {}
            number += 1
            question = number
            yield _post(question, 1, "", Title=asked, Score=0, Tags=f"<{one.category}>", **accepted)
            for text, score in zip(answers, votes, strict=True):
                number += 1
                yield _post(number, 2, f"<p>{escape(text)}</p>", ParentId=question, Score=score)


@cache
def _elsewhere(seed: int) -> frozenset[str]:
    """The questions of the toy world's other files."""
    return frozenset(line.get("prompt") or line["text"] for lines in files(seed=seed).values() for line in lines)


def _new(one: Phenomenon, draw: Random, taken: set[str]) -> Iterator[str]:
    for asked in questions(one, draw):
        if asked not in taken:
            taken.add(asked)
            yield asked


def _votes(one: Phenomenon, text: str, luck: float, draw: Random) -> int:
    """Up less down: on average none for a worthless answer and 31 for a perfect one, if one looks at the logarithm."""
    asked = Prompt(id=one.id, messages=(Message(role="user", content=one.question),))
    worth = Annotator(0, noise=0.0).worth(asked, text) or 0.0
    return round(2 ** draw.gauss(LEAST + WORTH * worth, luck)) - 1


def _post(number: int, kind: int, body: str, **more: object) -> dict[str, object]:
    return {
        "Id": number,
        "PostTypeId": kind,
        "CreationDate": POSTED,
        "Body": body,
        "OwnerDisplayName": "somebody",
        **more,
    }


def _row(post: dict[str, object]) -> str:
    return "  <row " + " ".join(f'{key}="{escape(str(value))}"' for key, value in post.items()) + " />\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sciexam.toy.forum", description="Make a forum of the toy world, as a dump of StackExchange."
    )
    parser.add_argument("folder", type=Path, help="where Posts.xml goes")
    parser.add_argument("--best", type=float, default=BEST, help=f"the highest quality of an answer (default {BEST})")
    parser.add_argument(
        "--luck", type=float, default=LUCK, help=f"of votes: the standard deviation of their logarithm (default {LUCK})"
    )
    parser.add_argument("--seed", type=int, default=1, help="fixes every draw (default 1)")
    given = parser.parse_args()
    print(write(given.folder, given.best, given.luck, given.seed))


if __name__ == "__main__":
    main()
