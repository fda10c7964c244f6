"""The shipped fake: a model whose replies are written in the suite. Tests, tutorials and dry runs use it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.models.settings import Rule, Scripted
from sciexam.types import Conversation, Reply


class ScriptedModel:
    """Answers by the first rule whose pattern is found in the last message; without one the call fails."""

    def __init__(self, settings: Scripted):
        self.digest = digest({"backend": "scripted", "settings": settings.model_dump(exclude={"note"})})
        self._rules = [(_compile(rule), rule) for rule in settings.rules]

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        for conversation in conversations:
            yield self._reply(conversation)

    def _reply(self, conversation: Conversation) -> Reply:
        asked = conversation.messages[-1].content
        for pattern, rule in self._rules:
            if match := pattern.search(asked):
                if rule.failure:
                    return Reply(conversation.key, status="invalid", failure=rule.failure, model="scripted")
                return Reply(conversation.key, match.expand(rule.say), model="scripted", finish_reason="stop")
        return Reply(conversation.key, status="failed", failure="no rule matches", model="scripted")


def _compile(rule: Rule) -> re.Pattern[str]:
    try:
        pattern = re.compile(rule.when)
    except re.error as error:
        raise UsageError(f"scripted rule {rule.when!r}: not a regular expression: {error}") from None
    try:
        pattern.sub(rule.say, "")  # reads `say` whether or not anything matches
    except (re.error, IndexError) as error:
        raise UsageError(f"scripted rule {rule.when!r}: say: {error}") from None
    return pattern
