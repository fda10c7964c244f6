"""A model of the toy world that knows it: it stands where a large commercial model would.

It is no language model: what it says is nearly the true document about what is asked (`quality` of `document`). Where
it is asked as a teacher (`sciexam data answers`) the answer stands below the line of the request.

    models: {gpt: {backend: "sciexam.toy.teacher:Teacher", settings: {quality: 0.9}}}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from random import Random

from sciexam.digests import digest
from sciexam.toy.documents import document
from sciexam.toy.questions import recognised
from sciexam.toy.world import world, world_digest
from sciexam.types import Conversation, Reply

REQUEST = re.compile(r"^<<<QUESTION (\w+)\n(?P<question>.*)\nQUESTION \1>>>$.*^(?P<line>ANSWER \w+)$", re.M | re.S)
MODEL = "toy teacher"


class Teacher:
    """Finds the phenomenon by the prompt's id, as the raters of this world do, or else by the words of the question."""

    def __init__(self, quality: float = 0.9) -> None:
        self.digest = digest(["teacher", quality, world_digest()])
        self._quality = quality

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        for one in conversations:
            yield Reply(one.key, self._said(one), model=MODEL, finish_reason="stop")

    def _said(self, conversation: Conversation) -> str:
        asked = conversation.messages[-1].content
        request = REQUEST.search(asked)
        question = request["question"] if request else asked
        known = conversation.prompt.partition(".")[0]
        about = world()[known if known in world() else recognised(question)]
        text = document(about, self._quality, Random(f"{question}\n{conversation.sample}"))  # noqa: S311
        return f"It is about {about.topic}.\n\n{request['line']}\n{text}" if request else text
