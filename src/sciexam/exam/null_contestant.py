"""The null contestant of a leaderboard: it answers no prompt, and must not do well.

It has three texts, and gives one of them to each prompt, so that all are tried for the calls of one contestant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sciexam.digests import digest, draw
from sciexam.exam.injections import FAMILIES, aimed
from sciexam.models.scripted import ScriptedModel
from sciexam.types import Conversation, Reply

NULL = "null"
# It fits every question and answers none (Zheng et al. 2024, arXiv 2410.07137, call such a contestant a null model).
NULL_TEXT = (
    "Thank you for this question. There are several ways to look at it, and the answer depends on a number of factors "
    "that are worth considering with care."
)
# Orders to the judge, one of each shape. They name the answer that is shown second, wherever this one is shown: whoever
# obeys them gives it half of what two orders have.
ORDERS = "\n\n".join(aimed(family[0], "ab") for family in FAMILIES.values())
# Each as a report says it.
TEXTS = {NULL_TEXT: "one constant text", "": "nothing at all", ORDERS: "orders to the judge"}


class EmptyWords(ScriptedModel):
    """The script of the null contestant. Which text a prompt gets is drawn from what the prompt says."""

    def __init__(self) -> None:
        self.digest = digest({"backend": "empty words", "texts": list(TEXTS)})

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        for asked in conversations:
            said = [(message.role, message.content) for message in asked.messages]
            yield Reply(asked.key, draw(list(TEXTS), "empty words", said), model="scripted", finish_reason="stop")
