"""What every contestant of a plan answered, as the ledger has it."""

from __future__ import annotations

from sciexam.battles import Slot
from sciexam.exam.plan import Plan, conversations_of
from sciexam.exam.recordings import is_recorded
from sciexam.report.evidence import NOT_ASKED
from sciexam.store import Store
from sciexam.types import NO_ANSWER, Reply, Response


def responses_of(plan: Plan, store: Store) -> dict[Slot, Response]:
    """What every contestant answered, as the ledger has it, or why there is nothing."""
    conversations = {name: dict(conversations_of(plan, name)) for name in plan.contestants}
    found = {name: store.replies({c.key: None for c in asked.values()}) for name, asked in conversations.items()}
    responses = {}
    for contestant, asked in conversations.items():
        others = [name for name in plan.contestants if name != contestant]
        recorded = is_recorded(plan.suite, contestant)
        asks = plan.alone or any(not is_recorded(plan.suite, name) for name in others)
        for slot, conversation in asked.items():
            reply = found[contestant].get(conversation.key)
            if reply is None:
                why = NOT_ASKED
                if recorded:
                    why = NO_ANSWER
                elif not (asks or any(conversations[name][name, *slot[1:]].key in found[name] for name in others)):
                    why = "not asked, for nobody else has an answer"
                reply = Reply(conversation.key, status="skipped", failure=why)
            responses[slot] = Response(contestant, slot[1], slot[2], reply)
    return responses
