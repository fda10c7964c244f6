"""Replies from the ledger, and those that it lacks from whoever is asked: what a killed task asked for is not lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from sciexam.errors import Incomplete
from sciexam.exam.asking import Asking, attempts, owes
from sciexam.store import Store
from sciexam.types import Conversation, Reply


def replies_to(
    name: str,
    store: Store,
    asked: Mapping[str, Conversation],
    generate: Callable[[Iterator[Conversation]], Iterable[Reply]],
    take: Callable[[Reply, bool], None],
    is_over: Callable[[], bool],
) -> dict[str, Reply]:
    """The replies to `asked`, by key, each durable as soon as it is there; failed ones are asked for again.

    `take` hears of each reply, and whether it was made for this. `is_over`: whether it is time to end; what was not
    asked for by then is missing.
    """
    found = store.replies(asked)
    owed = [one for one in asked.values() if owes(found.get(one.key), retry_invalid=False)]
    for key in asked.keys() - {one.key for one in owed}:
        take(found[key], False)

    def keep(reply: Reply, new: bool) -> None:
        found[reply.key] = reply
        take(reply, new)

    with store.writer() as writer:
        retried = [replace(one, attempt=attempts(found.get(one.key))) for one in owed]
        errand: Asking[Conversation] = Asking(name, store, writer, dict(found), store.replies, keep, is_over)
        errand.run(retried, generate)
    return found


def check_all(asked: Iterable[str], found: Mapping[str, Reply], purpose: str = "") -> None:
    """Raise Incomplete where a call failed, or was not made; `purpose` is what for, such as "to score a text"."""
    failed = [found[key].failure for key in asked if key in found and found[key].status in ("failed", "skipped")]
    unasked = sum(key not in found for key in asked)
    if failed:
        told = f"{_calls(len(failed), purpose)} failed, such as: {failed[0]}"
    elif unasked:
        told = f"{_calls(unasked, purpose)} {'was' if unasked == 1 else 'were'} not made"
    else:
        return
    raise Incomplete(f"{told}; the same command makes these calls again, and no others")


def _calls(count: int, purpose: str) -> str:
    return " ".join(filter(None, (str(count), "call" if count == 1 else "calls", purpose)))
