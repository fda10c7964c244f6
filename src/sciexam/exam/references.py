"""Reference answers that a model writes, once, for the prompts that bring none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sciexam.exam.plan import Plan, conversations_of
from sciexam.exam.raters import Rater
from sciexam.store import Store
from sciexam.types import Conversation, Prompt, Reply


@dataclass(frozen=True, slots=True)
class References:
    """What the models that judges name as their references wrote, by model and prompt."""

    written: Mapping[tuple[str, str], Reply]

    def tell(self, rater: Rater, prompt: Prompt) -> Prompt | None:
        """The prompt as `rater` sees it, with its own reference answer or the written one; None where it is missing."""
        if rater.reference is None or prompt.reference is not None:
            return prompt
        reply = self.written.get((rater.reference, prompt.id))
        if reply is None or reply.status != "ok":
            return None
        return prompt.model_copy(update={"reference": reply.text})

    def failure(self, rater: Rater, prompt: Prompt) -> str:
        """Why `rater` has no reference answer to a prompt."""
        reply = self.written.get((rater.reference or "", prompt.id))
        return f"no reference answer of {rater.reference}: {reply.failure if reply else 'not asked'}"


def wanted_of(plan: Plan, model: str) -> dict[str, Conversation]:
    """What `model` is asked for as a reference: every prompt without one, by the prompt's id."""
    without = {prompt.id for prompt in plan.prompts if prompt.reference is None}
    slots = conversations_of(plan, model)
    return {slot[1]: conversation for slot, conversation in slots if slot[1] in without and slot[2] == 0}


def read_references(plan: Plan, store: Store) -> References:
    """The reference answers in the ledger."""
    written: dict[tuple[str, str], Reply] = {}
    for model in plan.references:
        wanted = wanted_of(plan, model)
        stored = store.replies({conversation.key for conversation in wanted.values()})
        written |= {(model, prompt): stored[c.key] for prompt, c in wanted.items() if c.key in stored}
    return References(written)
