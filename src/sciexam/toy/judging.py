"""What a tiny judge learns from: two documents about one phenomenon, in both orders, and which of them is better.

It reads exactly what it will be asked: the template `suites/science/judge.j2`, in the letter form. Who is right is the
truth; pairs that it holds for about equal are ties. Its exam is whether it names the letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from random import Random
from typing import Any

from sciexam.documents import shipped
from sciexam.judges.rendering import JudgeTemplate
from sciexam.rubric import load_rubric
from sciexam.toy.documents import BEST, document
from sciexam.toy.scorer import Answer
from sciexam.toy.world import Phenomenon
from sciexam.types import Grade, Message, Presentation, Prompt, Submission, Verdict

TIE_WITHIN = 0.05  # of the truth's marks


def lessons(one: Phenomenon, asked: Iterator[str], pairs: int, draw: Random) -> Iterator[Mapping[str, Any]]:
    """Demonstrations of judging: each pair in both orders, with its letter."""
    for question, _ in zip(asked, range(pairs), strict=False):
        texts = _two(one, draw)
        seal = f"{draw.getrandbits(128):032x}"
        for first, second in (texts, (texts[1], texts[0])):
            yield {"prompt": _shown(question, first, second, seal), "completion": _letter(one, first, second)}


def questions_of_judging(
    one: Phenomenon, asked: Iterator[str], pairs: int, draw: Random
) -> Iterator[Mapping[str, Any]]:
    """Pairs as prompts of an exam, each in both orders; the two orders of a pair are one group, one unit of chance."""
    shown = list(lessons(one, asked, pairs, draw))
    for number, lesson in enumerate(shown):
        pair, order = divmod(number, 2)
        yield {
            "id": f"{one.id}.{pair + 1}.{('ab', 'ba')[order]}",
            "text": lesson["prompt"],
            "reference": lesson["completion"],
            "category": one.category,
            "group": f"{one.id}.{pair + 1}",
        }


class Letter:
    """The exam of a judge: an answer is right if it is the letter of the better document, and nothing else.

    judges: {letter: {backend: sciexam.toy.judging:Letter}}
    """

    name = "letter"
    digest = "letter: the reference, word for word"

    def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
        for one in submissions:
            yield one.grade(self.name, float(one.text.strip() == one.prompt.reference))

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for one in presentations:
            first, second = (text.strip() == one.prompt.reference for text in (one.first, one.second))
            yield one.verdict(self.name, "tie" if first == second else "first" if first else "second")


def _two(one: Phenomenon, draw: Random) -> tuple[str, str]:
    """Two documents that are not the same."""
    while True:
        first, second = (document(one, draw.uniform(0, BEST), draw) for _ in range(2))
        if first != second:
            return first, second


def _shown(question: str, first: str, second: str, seal: str) -> str:
    prompt = Prompt(id="lesson", messages=(Message(role="user", content=question),))
    return _template().render(Presentation(prompt, first, second, order="ab", seal=seal))


def _letter(one: Phenomenon, first: str, second: str) -> str:
    ahead = Answer(first).score(one) - Answer(second).score(one)
    return "=" if abs(ahead) <= TIE_WITHIN else "A" if ahead > 0 else "B"


@cache
def _template() -> JudgeTemplate:
    file = shipped() / "suites" / "science" / "judge.j2"
    return JudgeTemplate(str(file), "letter", load_rubric("science-explanation"))
