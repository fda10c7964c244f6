"""Which questions are taken, into which part, and in which order: drawn by a seed and by what they say.

Neither the order of rows nor an id of theirs is in the draw of a question: two dumps that hold the same text give it
the same place. Where two questions say the same, their keys order them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from sciexam.contamination import normalise
from sciexam.exchange.html_to_markdown import words_of
from sciexam.exchange.post_index import PostIndex
from sciexam.exchange.posts import Post
from sciexam.near_duplicates import NearDuplicates

_TABLES = (
    "CREATE TABLE drawn (question INTEGER PRIMARY KEY, key TEXT, draw TEXT, test INTEGER)",
    "CREATE TABLE settled (key TEXT PRIMARY KEY) WITHOUT ROWID",  # kept questions, and what they are duplicates of
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is wanted. Dates are of questions, both included; a question has one of the `tags`, if any are named."""

    site: str | None = None
    since: str | None = None  # YYYY-MM-DD
    until: str | None = None
    tags: tuple[str, ...] = ()
    min_score: int = 1  # of an answer that is to be imitated, by votes.score_of
    max_questions: int | None = None
    test_share: float = 0.05
    seed: int = 0
    messages: bool = False  # demonstrations as lists of messages

    def refuses(self, question: Post) -> str:
        """Why a question is not wanted; "" where it is."""
        day = question.posted[:10]
        if self.site is not None and question.site != self.site:
            return "of another site"
        if (self.since or self.until) and not day:
            return "without a date"
        if self.since and day < self.since:
            return f"asked before {self.since}"
        if self.until and day > self.until:
            return f"asked after {self.until}"
        if self.tags and not set(self.tags) & set(question.tags):
            return "without a tag that was named"
        return ""


class QuestionDraw:
    """The questions of an index that are wanted. `left_out` counts the others by reason.

    `exam`: the prompts that no question for training may nearly repeat.
    """

    def __init__(self, index: PostIndex, choice: Choice, exam: Sequence[str], tick: Callable[[str, int], None]):
        self.left_out: Counter[str] = Counter()
        self._index, self._choice, self._tick = index, choice, tick
        self._exam = {-1 - place: prompt for place, prompt in enumerate(exam)}  # questions have numbers from 1
        self._database = index.database
        for table in _TABLES:
            self._database.execute(table)
        self._near = NearDuplicates(index.database)

    def run(self) -> None:
        """Draw a place for every question, and find out which ones say nearly the same."""
        for number, question, has_answers in self._index.questions():
            why = self._choice.refuses(question) or ("" if has_answers else "without an answer")
            if why:
                self.left_out[why] += 1
            else:
                self._place(number, question)
        self._cut()
        taken = "SELECT number FROM post JOIN drawn ON drawn.question = post.number"
        for done, (number,) in enumerate(self._database.execute(taken), 1):
            (question,) = self._index.posts("number = ?", number)
            self._near.add(number, _words(question))
            self._tick("compared", done)
        for number, prompt in self._exam.items():
            self._near.add(number, prompt)
        self._near.finish()

    def _place(self, number: int, question: Post) -> None:
        said = normalise(_words(question))
        test = self._drawn("part", said) < int(self._choice.test_share * 2**64)
        values = (number, question.key, f"{self._drawn('order', said):016x}", test)
        self._database.execute("INSERT INTO drawn VALUES (?, ?, ?, ?)", values)

    def _drawn(self, what: str, said: str) -> int:
        """64 bits that the seed and a text determine."""
        text = f"{self._choice.seed}\n{what}\n{said}"
        return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")

    def _cut(self) -> None:
        if self._choice.max_questions is not None:
            first = "SELECT question FROM drawn ORDER BY draw, key LIMIT ?"
            cut = self._database.execute(
                f"DELETE FROM drawn WHERE question NOT IN ({first})",  # noqa: S608
                (self._choice.max_questions,),
            )
            self.left_out["beyond --max-questions"] += cut.rowcount

    def questions(self) -> Iterator[tuple[Post, bool, Callable[[], None]]]:
        """Each question that is no duplicate of a kept one: itself, whether it is for the test, and what keeps it.

        Those for the test come first: of a question that stands in both parts, the one for training is left out.
        """
        yield from self._part(test=True)
        for number in self._exam:
            self._near.keep(number)
        yield from self._part(test=False)

    def _part(self, test: bool) -> Iterator[tuple[Post, bool, Callable[[], None]]]:
        order = "SELECT question, key FROM drawn WHERE test = ? ORDER BY draw, key"
        for number, key in self._database.execute(order, (test,)):
            if self._is_settled(key):
                self.left_out["closed as a duplicate of a kept one"] += 1
            elif (other := self._near.duplicate_of(number)) is not None:
                self.left_out[f"near-duplicate of {self._named(other, test)}"] += 1
            else:
                (question,) = self._index.posts("number = ?", number)
                yield question, test, partial(self._keep, number, key)

    def _named(self, other: int, test: bool) -> str:
        """What a question of this part nearly repeats."""
        if other in self._exam:
            return "a prompt of the suite"
        return "a test question" if not test and self._is_test(other) else "a kept one"

    def _is_test(self, number: int) -> bool:
        return bool(self._database.execute("SELECT test FROM drawn WHERE question = ?", (number,)).fetchone()[0])

    def _is_settled(self, key: str) -> bool:
        mine = "SELECT ? UNION ALL SELECT original FROM linked WHERE post = ?"
        query = f"SELECT 1 FROM settled WHERE key IN ({mine}) LIMIT 1"  # noqa: S608
        return self._database.execute(query, (key, key)).fetchone() is not None

    def _keep(self, number: int, key: str) -> None:
        self._near.keep(number)
        mine = "SELECT ? UNION SELECT original FROM linked WHERE post = ?"
        self._database.execute(f"INSERT OR IGNORE INTO settled {mine}", (key, key))


def _words(question: Post) -> str:
    return f"{question.title}\n{words_of(question.body) if question.html else question.body}"
