"""Reference answers that a model writes, once, for the prompts that bring none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from sciexam.exam.asking import Asking, attempts, owes
from sciexam.exam.plan import Plan, conversation_of
from sciexam.exam.raters import Rater
from sciexam.exam.recordings import recording_of
from sciexam.store import Fact, Store, Writer
from sciexam.types import Conversation, Prompt, Reply

Written = Mapping[tuple[str, str], str | None]  # model, prompt's id -> its answer, or None where it failed


def referring(raters: Iterable[Rater]) -> Iterator[Rater]:
    """One rater for each model that writes references."""
    yield from {rater.reference: rater for rater in raters if rater.reference}.values()


def wanted_of(plan: Plan, rater: Rater, prompts: Iterable[Prompt]) -> dict[str, Conversation]:
    """What the model behind `rater.reference` is asked for, by the prompt's id: the prompts without a reference.

    As a contestant it is asked for the same, and its first answer is then its reference, too.
    """
    assert rater.reference is not None
    assert rater.reference_digest is not None
    recorded = bool(getattr(plan.suite.models[rater.reference], "responses", None))
    bare = [prompt for prompt in prompts if prompt.reference is None]
    return {prompt.id: conversation_of(rater.reference_digest, prompt, 0, recorded) for prompt in bare}


def judgeable(plan: Plan) -> tuple[Prompt, ...]:
    """The prompts on which there may be something to judge: a reference to any other would be paid for in vain."""
    files = {name: recording_of(plan.suite, name) for name in plan.contestants}

    def may_answer(name: str, prompt: Prompt, sample: int) -> bool:
        file = files[name]
        return file is None or file.answers(prompt, sample)

    def is_judged(prompt: Prompt, sample: int) -> bool:
        able = {name for name in plan.contestants if may_answer(name, prompt, sample)}
        return bool(able) if plan.alone else any({a, b} <= able for a, b in plan.pairs)

    return tuple(p for p in plan.prompts if any(is_judged(p, sample) for sample in range(plan.samples)))


def owed_of(
    plan: Plan, rater: Rater, prompts: Iterable[Prompt], store: Store, retry_invalid: bool
) -> list[Conversation]:
    """Of what is wanted for these prompts that which the ledger lacks, each text once."""
    wanted = {c.key: c for c in wanted_of(plan, rater, prompts).values()}
    stored = store.replies(wanted)
    return [
        replace(conversation, attempt=attempts(stored.get(key)))
        for key, conversation in wanted.items()
        if owes(stored.get(key), retry_invalid)
    ]


def write_references(
    plan: Plan,
    raters: Iterable[Rater],
    prompts: Iterable[Prompt],
    store: Store,
    writer: Writer,
    retry_invalid: bool,
    take: Callable[[str, Reply, bool], None],
    ending: Callable[[], bool],
) -> Written:
    """Ask each model that `raters` name as their reference for what it owes. `take` is told of each reply.

    What is not among the result was not asked for, because it was time to end.
    """
    written: dict[tuple[str, str], str | None] = {}
    prompts = tuple(prompts)
    for rater in referring(raters):
        name = rater.reference or ""
        wanted = wanted_of(plan, rater, prompts)
        stored = store.replies({conversation.key for conversation in wanted.values()})
        owed = owed_of(plan, rater, prompts, store, retry_invalid)
        given = {key: stored[key] for key in stored.keys() - {conversation.key for conversation in owed}}

        def settle(reply: Reply, new: bool, name: str = name, given: dict[str, Reply] = given) -> None:
            given[reply.key] = reply
            take(name, reply, new)

        errand: Asking[Conversation] = Asking(name, store, writer, stored, store.replies, settle, ending)
        errand.run(owed, rater.reference_model.generate)
        written |= {(name, p): _text_of(given[c.key]) for p, c in wanted.items() if c.key in given}
    return written


def with_references(plan: Plan, store: Store, owed: Callable[[Fact | None], bool] | None = None) -> Plan:
    """The plan with the reference answers that are in the ledger; what is `owed` is still to come."""
    written: dict[tuple[str, str], str | None] = {}
    for rater in referring(plan.raters):
        wanted = wanted_of(plan, rater, plan.prompts)
        stored = store.replies({conversation.key for conversation in wanted.values()})
        for prompt, conversation in wanted.items():
            reply = stored.get(conversation.key)
            if reply is not None and not (owed and owed(reply)):
                written[rater.reference or "", prompt] = _text_of(reply)
    return replace(plan, references=written)


def _text_of(reply: Reply) -> str | None:
    return reply.text if reply.status == "ok" else None
