"""What one question teaches: its text, the best answer, pairs of a better and a worse one, and who wrote them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sciexam.exchange.html_to_markdown import to_markdown, words_of
from sciexam.exchange.post_index import PostIndex
from sciexam.exchange.posts import Post
from sciexam.exchange.votes import Voted, pairs_of, ranked

Line = dict[str, Any]

NO_TEXT = "without a text, or nested too deep to read"


@dataclass(frozen=True, slots=True)
class Text:
    """A post in Markdown, what votes say of it, and who is to be named for it."""

    text: str
    voted: Voted
    author: str | None
    author_link: str | None
    link: str | None
    licence: str

    def attribution(self, role: str) -> Line:
        named = {"author": self.author, "author_link": self.author_link, "link": self.link, "licence": self.licence}
        return {"role": role, **named}


@dataclass(frozen=True, slots=True)
class Lesson:
    """`best` is None where no answer has the score that is asked for."""

    question: Post
    prompt: Text
    best: Text | None
    pairs: tuple[tuple[Text, Text], ...]

    def texts(self) -> Iterator[str]:
        """Everything in it that a model would read."""
        yield self.question.title
        if self.question.html:  # without the addresses of links and other marks that stand between the words
            yield words_of(self.question.body)
        for one in self.posts():
            yield one.text

    def posts(self) -> Iterator[Text]:
        """Each post in it once."""
        found = [self.prompt, *([self.best] if self.best else []), *(text for pair in self.pairs for text in pair)]
        yield from {one.voted.key: one for one in found}.values()

    def prompt_line(self) -> Line:
        asked = {"id": self.question.key, "text": self.prompt.text}
        return asked | self._source(("question", self.prompt)) | {"tags": list(self.question.tags)}

    def demonstration(self, messages: bool) -> Line:
        assert self.best is not None
        asked, answer = self.prompt.text, self.best
        if messages:
            line: Line = {"messages": [*_said("user", asked), *_said("assistant", answer.text)]}
        else:
            line = {"prompt": asked, "completion": answer.text}
        voted = {"votes": answer.voted.votes, "accepted": answer.voted.accepted, "score": answer.voted.score}
        return line | {"id": self.question.key} | voted | self._source(("question", self.prompt), ("answer", answer))

    def preferences(self) -> Iterator[Line]:
        """In TRL's conversational format, with the difference of the scores as the margin."""
        for better, worse in self.pairs:
            line: Line = {"prompt": _said("user", self.prompt.text)}
            line |= {"chosen": _said("assistant", better.text), "rejected": _said("assistant", worse.text)}
            scores = {"score_chosen": better.voted.score, "score_rejected": worse.voted.score}
            line |= {"margin": float(better.voted.score - worse.voted.score), "id": self.question.key, **scores}
            yield line | self._source(("question", self.prompt), ("chosen", better), ("rejected", worse))

    def answer_line(self) -> Line:
        """The best answer as one that a contestant gave."""
        assert self.best is not None
        return {"prompt": self.question.key, "text": self.best.text, **self._source(("answer", self.best))}

    def _source(self, *parts: tuple[str, Text]) -> Line:
        return {"site": self.question.site, "attribution": [text.attribution(role) for role, text in parts]}


class Teacher:
    """Makes lessons of the questions of an index. `left_out` counts answers and pairs that are of no use."""

    def __init__(self, index: PostIndex, seed: int, min_score: int):
        self.left_out: Counter[str] = Counter()
        self._index, self._seed, self._min_score = index, seed, min_score

    def lesson(self, question: Post) -> Lesson | str:
        """A lesson, or why there is none."""
        asked = "\n\n".join(part for part in (question.title.strip(), _markdown(question) or "") if part)
        if not asked:
            return NO_TEXT
        answers = self._answers(question)
        texts: dict[str, Text | None] = {}
        best = self._best(answers, texts)
        pairs = tuple(self._pairs(answers, texts, question))
        if best is None and not pairs:
            return "without an answer good enough, and without two that differ"
        prompt = self._text(question, asked, Voted(question.key, question.votes, False, question.posted))
        return Lesson(question, prompt, best, pairs)

    def _answers(self, question: Post) -> list[Voted]:
        """Without their texts: a question may have thousands of answers."""
        query = "SELECT key, votes, accepted, posted FROM post WHERE question = ?"
        accepted = question.accepted_answer
        return [
            Voted(key, votes, bool(said) or key == accepted, posted)
            for key, votes, said, posted in self._index.database.execute(query, (question.key,))
        ]

    def _best(self, answers: list[Voted], texts: dict[str, Text | None]) -> Text | None:
        for answer in ranked(answers):
            if answer.votes is not None and answer.score < self._min_score:
                return None
            if found := self._answer(answer, texts):
                return found
        return None

    def _pairs(
        self, answers: list[Voted], texts: dict[str, Text | None], question: Post
    ) -> Iterator[tuple[Text, Text]]:
        for better, worse in pairs_of(answers, f"{self._seed}\npairs\n{question.key}"):
            chosen, rejected = self._answer(better, texts), self._answer(worse, texts)
            if chosen is None or rejected is None:
                continue
            if chosen.text == rejected.text:
                self.left_out["twice the same text in a pair"] += 1
            else:
                yield chosen, rejected

    def _answer(self, answer: Voted, texts: dict[str, Text | None]) -> Text | None:
        if answer.key not in texts:
            (post,) = self._index.posts("key = ?", answer.key)
            text = _markdown(post)
            texts[answer.key] = self._text(post, text, answer) if text else None
            self.left_out[NO_TEXT] += not text
        return texts[answer.key]

    def _text(self, post: Post, text: str, voted: Voted) -> Text:
        account = f"https://{post.site}/users/{post.user}" if post.user else None
        return Text(text, voted, self._index.author(post), account, post.link, post.licence)


def _markdown(post: Post) -> str | None:
    return to_markdown(post.body, f"https://{post.site}/") if post.html else post.body.strip()


def _said(role: str, text: str) -> list[Mapping[str, str]]:
    return [{"role": role, "content": text}]
