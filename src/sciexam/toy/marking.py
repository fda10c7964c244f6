"""What a model learns to mark with: documents, and which of five statements hold of each.

The statements are those of the rubric `suites/self-rewarding/points.yaml`: each of the four true sentences stands
there, and all is said in order, once, with nothing besides and with an end. The marks are the world's own knowledge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from sciexam.toy.documents import document
from sciexam.toy.scorer import Answer
from sciexam.toy.world import Phenomenon


def examples(one: Phenomenon, asked: Iterator[str], many: int, draw: Random) -> Iterator[Mapping[str, Any]]:
    """Documents of every quality about a phenomenon, each with why it has which mark."""
    for question, _ in zip(asked, range(many), strict=False):
        text = document(one, draw.random(), draw)
        justification, score = marked(one, text)
        yield {"prompt": question, "response": text, "justification": justification, "score": score}


def marked(one: Phenomenon, text: str) -> tuple[str, int]:
    """Statement by statement whether it holds, such as `1 right 2 wrong 3 right 4 right 5 right`; and how many do."""
    answer = Answer(text)
    holds = [*answer.truths(one), answer.order() == 1 and answer.cleanliness() == 1]
    return " ".join(f"{number} {'right' if right else 'wrong'}" for number, right in enumerate(holds, 1)), sum(holds)
