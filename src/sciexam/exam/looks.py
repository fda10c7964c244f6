"""All that one judge is shown of a plan, as arrays: `plan.presentations_of` for every comparison at once.

The keys are those of `presentations_of`, byte for byte, but no record is made of each, nor a seal, and a text is hashed
once for all that it is shown before. A million of them take a second or two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    sample; `told` is False where the judge waits for a reference answer, and has no look.
    Arrays of shape (looks,): `comparison` is a place in the ones above, `order` 0 for "ab" and 1 for "ba"; the repeats
    of a look follow each other. `keys` (looks, 32) are the bytes of the keys of the verdicts.
    """

    pair: Codes
    prompt: Codes
    sample: Codes
    told: NDArray[np.bool_]
    comparison: Codes
    order: Codes
    keys: NDArray[np.uint8]


def looks_of(plan: Plan, rater: Rater, responses: Mapping[Slot, Response]) -> Looks:
    """The looks of a judge that compares (and does not mark answers) at all comparisons with two usable answers."""
    place = {name: i for i, name in enumerate(plan.contestants)}
    first, second = (np.array([place[pair[side]] for pair in plan.pairs], dtype=np.intp) for side in (0, 1))
    compared: list[Codes] = [np.empty((0, 4), dtype=np.intp)]
    looks: list[Codes] = [np.empty((0, 2), dtype=np.intp)]
    keys: list[bytes] = []
    before, samples = 0, range(plan.samples)
    for at, prompt in enumerate(plan.prompts):
        told = plan.told(rater, prompt)
        for sample in samples:
            given = _given(plan, prompt, sample, responses)
            there = np.array([name in given for name in plan.contestants])
            met = np.flatnonzero(there[first] & there[second])
            compared.append(np.stack(np.broadcast_arrays(met, at, sample, told is not None), axis=1))
            if told is not None:
                which, order = _orders(plan, rater, told, given, met)
                pairs = zip(met[which].tolist(), order.tolist(), strict=True)
                shown = [plan.pairs[i] if o == 0 else plan.pairs[i][::-1] for i, o in pairs]
                keys.append(b"".join(_keys(rater, told, sample, given, shown)))
                looks.append(np.repeat(np.stack([before + which, order], axis=1), rater.repeats, axis=0))
            before += len(met)
    pair, asked, of_sample, known = np.concatenate(compared).T
    comparison, order = np.concatenate(looks).T
    return Looks(
        pair=pair,
        prompt=asked,
        sample=of_sample,
        told=known.astype(np.bool_),
        comparison=comparison,
        order=order,
        keys=np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 32),
    )


def _given(plan: Plan, prompt: Prompt, sample: int, responses: Mapping[Slot, Response]) -> Given:
    found = {name: responses.get((name, prompt.id, sample)) for name in plan.contestants}
    return {name: one for name, one in found.items() if one is not None and one.reply.status == "ok"}


def _orders(plan: Plan, rater: Rater, prompt: Prompt, given: Given, met: Codes) -> tuple[Codes, Codes]:
    """The place in `met` of each look at these pairs, and its order."""
    n = np.arange(len(met))
    if not rater.sees_order:
        return n, np.zeros_like(n)
    if rater.orders == "both":
        return np.repeat(n, 2), np.tile([0, 1], len(met))
    pairs = (Comparison(prompt, *(given[name] for name in plan.pairs[i])) for i in met)
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
