"""All that one judge is shown of a plan, as arrays: `plan.presentations_of` for every comparison at once.

The keys are those of `presentations_of`, byte for byte, but no record is made of each, nor a seal, and a text is hashed
once for all that it is shown before. A million of them take a second or two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexam.battles import Slot, asked_digest, orders_of
from sciexam.digests import canonical, digest
from sciexam.exam.plan import FACT_SCHEMA, Plan
from sciexam.exam.raters import Rater
from sciexam.types import Comparison, Prompt, Response

Codes = NDArray[np.intp]
Given = Mapping[str, Response]  # usable responses to one prompt, by contestant


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """The comparisons of a plan, and every look of one judge at them.

    Arrays of shape (comparisons,): `pair` and `prompt` are places in the plan's pairs and prompts, `sample` is the
    sample; `told` is False where the judge waits for a reference answer, and has no look; `of_one_text` is True where
    both answers are equal (`Comparison.of_one_text`).
    Arrays of shape (looks,): `comparison` is a place in the ones above, `order` 0 for "ab" and 1 for "ba"; the repeats
    of a look follow each other. `keys` (looks, 32) are the bytes of the keys of the verdicts.
    """

    pair: Codes
    prompt: Codes
    sample: Codes
    told: NDArray[np.bool_]
    of_one_text: NDArray[np.bool_]
    comparison: Codes
    order: Codes
    keys: NDArray[np.uint8]


def looks_of(plan: Plan, rater: Rater, responses: Mapping[Slot, Response]) -> Looks:
    """The looks of a judge that compares (and does not mark answers) at all comparisons with two usable answers."""
    place = {name: i for i, name in enumerate(plan.contestants)}
    first, second = (np.array([place[pair[side]] for pair in plan.pairs], dtype=np.intp) for side in (0, 1))
    rows = [(plan.told(rater, prompt), prompt.id, sample) for prompt in plan.prompts for sample in range(plan.samples)]
    given = [_given(plan, prompt, sample, responses) for _, prompt, sample in rows]
    there = np.array([[name in one for name in plan.contestants] for one in given], dtype=np.bool_)
    there = there.reshape(len(rows), len(plan.contestants))
    row, pair = np.nonzero(there[:, first] & there[:, second])  # by prompt, sample and pair
    met = list(zip(row.tolist(), pair.tolist(), strict=True))
    told = np.array([prompt is not None for prompt, *_ in rows], dtype=np.bool_)[row]
    seen = np.flatnonzero(told)
    asked = ((rows[r][0], given[r], plan.pairs[p]) for r, p in (met[one] for one in seen))
    which, order = _orders(plan, rater, asked, len(seen))
    ways = zip(pair[seen][which].tolist(), order.tolist(), strict=True)
    shown = [plan.pairs[p][::-1] if swapped else plan.pairs[p] for p, swapped in ways]
    ends = np.searchsorted(row[seen][which], np.arange(len(rows) + 1)).tolist()
    keys = [
        key
        for (prompt, _, sample), one, start, end in zip(rows, given, ends, ends[1:], strict=False)
        if prompt is not None and start < end
        for key in _keys(rater, prompt, sample, one, shown[start:end])
    ]
    return Looks(
        pair=pair,
        prompt=row // plan.samples,
        sample=row % plan.samples,
        told=told,
        of_one_text=np.array([_say_the_same(given[r], *plan.pairs[p]) for r, p in met], dtype=np.bool_),
        comparison=np.repeat(seen[which], rater.repeats),
        order=np.repeat(order, rater.repeats),
        keys=np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 32),
    )


def _given(plan: Plan, prompt: str, sample: int, responses: Mapping[Slot, Response]) -> Given:
    found = {name: responses.get((name, prompt, sample)) for name in plan.contestants}
    return {name: one for name, one in found.items() if one is not None and one.reply.status == "ok"}


def _say_the_same(given: Given, a: str, b: str) -> bool:
    return given[a].says_the_same(given[b])


def _orders(
    plan: Plan, rater: Rater, compared: Iterable[tuple[Prompt | None, Given, tuple[str, str]]], count: int
) -> tuple[Codes, Codes]:
    """The place of each look among these comparisons, of which there are `count`, and its order."""
    n = np.arange(count)
    if not rater.sees_order:
        return n, np.zeros_like(n)
    if rater.orders == "both":
        return np.repeat(n, 2), np.tile([0, 1], count)
    pairs = (Comparison(prompt, given[a], given[b]) for prompt, given, (a, b) in compared if prompt is not None)
    return n, np.array([orders_of(one, "one", plan.suite.seed) == ("ba",) for one in pairs], dtype=np.intp)


def _keys(rater: Rater, prompt: Prompt, sample: int, given: Given, shown: Sequence[tuple[str, str]]) -> Iterator[bytes]:
    """The keys of the verdicts on these pairs, of which the first is shown first (`plan.verdict_key`).

    The JSON of a key ends with the digests of what is seen. Up to the second text it is one for all whom a text is
    shown before.
    """
    asked = f'["{asked_digest(prompt)}","'.encode()
    texts = {name: digest(response.text).encode() for name, response in given.items()}
    ends = {name: b'","' + text + b'"]}' for name, text in texts.items()}
    if rater.by_name:
        for first, second in shown:
            for head in _heads(rater, [prompt.id, first, second, sample]):
                yield sha256(head + asked + texts[first] + ends[second]).digest()
        return
    begun = {name: [sha256(head + asked + text) for head in _heads(rater, None)] for name, text in texts.items()}
    for first, second in shown:
        for beginning in begun[first]:
            key = beginning.copy()
            key.update(ends[second])
            yield key.digest()


def _heads(rater: Rater, named: Any) -> list[bytes]:
    """For each repeat, what the key of a verdict is the digest of, up to what is seen, which is the last by the
    alphabet."""
    fact = {"fact": ["verdict", FACT_SCHEMA], "judge": rater.digest, "named": named, "seen": ""}
    return [canonical(fact | {"repeat": repeat}).removesuffix(b'""}') for repeat in range(rater.repeats)]
