"""A fixed model of the toy world that writes prompts: shown some questions, it asks one more of their kind.

It is no language model. It finds the phenomenon of one of them by its words, and asks for it in other words.

    models: {asker: {backend: "sciexam.toy.asker:Asker"}}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from random import Random

from sciexam.digests import digest
from sciexam.toy.questions import questions, recognised
from sciexam.toy.world import world, world_digest
from sciexam.types import Conversation, Reply

SHOWN = re.compile(r"^<<<PROMPT \d+ (\w+)\n(.*?)\nPROMPT \d+ \1>>>$", re.M | re.S)
LINE = re.compile(r"^(PROMPT \w+)$", re.M)
MODEL = "toy asker"


class Asker:
    """Answers the request for one more prompt (`sciexam data prompts`), and nothing else."""

    def __init__(self) -> None:
        self.digest = digest(["asker", world_digest()])

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        for one in conversations:
            yield _reply(one)


def _reply(conversation: Conversation) -> Reply:
    asked = conversation.messages[-1].content
    shown, line = [match[1] for match in SHOWN.findall(asked)], LINE.search(asked)
    if not shown or line is None:
        return Reply(conversation.key, status="failed", failure="it only writes prompts", model=MODEL)
    draw = Random(asked)  # noqa: S311
    about = recognised(draw.choice(shown))
    return Reply(conversation.key, f"{line[1]}\n{next(questions(world()[about], draw))}", model=MODEL)
