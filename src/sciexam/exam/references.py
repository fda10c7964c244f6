"""Reference answers that a model writes, once, for the prompts that bring none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from sciexam.exam.asking import Asking, attempts, owes
from sciexam.exam.plan import Plan, conversation_of
from sciexam.exam.raters import Rater
from sciexam.store import Store, Writer
from sciexam.types import Conversation, Reply


def referring(plan: Plan) -> Iterator[Rater]:
    """One rater for each model that writes references."""
    yield from {rater.reference: rater for rater in plan.raters if rater.reference}.values()


def wanted_of(plan: Plan, rater: Rater) -> dict[str, Conversation]:
    """What the model behind `rater.reference` is asked for, by the prompt's id: the prompts without a reference.

    As a contestant it is asked for the same, and its first answer is then its reference, too.
    """
    assert rater.reference is not None
    assert rater.reference_digest is not None
    recorded = bool(getattr(plan.suite.models[rater.reference], "responses", None))
    bare = [prompt for prompt in plan.prompts if prompt.reference is None]
    return {prompt.id: conversation_of(rater.reference_digest, prompt, 0, recorded) for prompt in bare}


def owed_of(plan: Plan, rater: Rater, store: Store, retry_invalid: bool) -> list[Conversation]:
    """Of what is wanted that which the ledger lacks, each text once."""
    wanted = {c.key: c for c in wanted_of(plan, rater).values()}
    stored = store.replies(wanted)
    return [
        replace(conversation, attempt=attempts(stored.get(key)))
        for key, conversation in wanted.items()
        if owes(stored.get(key), retry_invalid)
    ]


def write_references(
    plan: Plan,
    store: Store,
    writer: Writer,
    retry_invalid: bool,
    take: Callable[[str, Reply, bool], None],
    ending: Callable[[], bool],
) -> None:
    """Ask each model that judges name as their reference for what it owes. `take` is told of each reply."""
    for rater in referring(plan):
        name = rater.reference or ""
        owed = owed_of(plan, rater, store, retry_invalid)
        stored = store.replies({conversation.key for conversation in owed})

        def settle(reply: Reply, new: bool, name: str = name) -> None:
            take(name, reply, new)

        errand: Asking[Conversation] = Asking(name, store, writer, stored, store.replies, settle, ending)
        errand.run(owed, rater.reference_model.generate)


def with_references(plan: Plan, store: Store) -> Plan:
    """The plan with the reference answers that are in the ledger."""
    written: dict[tuple[str, str], str] = {}
    for rater in referring(plan):
        wanted = wanted_of(plan, rater)
        stored = store.replies({conversation.key for conversation in wanted.values()})
        for prompt, conversation in wanted.items():
            reply = stored.get(conversation.key)
            if reply is not None and reply.status == "ok":
                written[rater.reference or "", prompt] = reply.text
    return replace(plan, references=written)
