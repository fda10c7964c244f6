"""What one bench said of every pair on every prompt, as arrays: what the figures of a leaderboard are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from sciexam.battles import Policy
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.scores import Score, scores_of
from sciexam.stats.sides import sides_of
from sciexam.types import Status

STATUSES: tuple[Status, ...] = get_args(Status)  # ok, then what is missing
OK, INVALID, FAILED, SKIPPED = (STATUSES.index(word) for word in ("ok", "invalid", "failed", "skipped"))
GRAVITY = np.array([0, 2, 3, 1], dtype=np.int8)  # of each status: failed before invalid before skipped
BY_GRAVITY = np.argsort(GRAVITY).astype(np.int8)

Codes = NDArray[np.intp]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """All that one bench said. `pair` and `prompt` are places in the evidence's pairs and prompts.

    `scores` (pairs, prompts): b's score as `report.scores.Score` has it, NaN where there is none; `status` (pairs,
    prompts): a place in STATUSES, for a prompt without a score the gravest of what stood in its way.
    `swapped` (n, 2) and `swapped_at` (n, 2): a's score in either order, and the pair and prompt, of each battle behind
    the scores that was seen both ways round. `verdicts`: how many there are of each status. `weighed`: whether any of
    them is a probability, and not a side.
    """

    name: str
    description: str
    sees_order: bool
    scores: Floats
    status: NDArray[np.int8]
    swapped: Floats
    swapped_at: Codes
    verdicts: Mapping[Status, int]
    weighed: bool = False

    @property
    def silent(self) -> bool:
        """Whether it was never asked, or has no verdict on file."""
        return not any(count for status, count in self.verdicts.items() if status != "skipped")


def outcomes_of(evidence: Evidence, bench: Bench) -> Outcomes:
    """The outcomes of a bench, whatever it is: of its scores, one a prompt and pair."""
    found = scores_of(evidence, bench)
    pairs = [found[pair] for pair in evidence.pairs]
    shape = len(evidence.pairs), len(evidence.prompts)
    both = [
        (i, q, battle.by_order["ab"], battle.by_order["ba"])
        for i, listed in enumerate(pairs)
        for q, score in enumerate(listed)
        for battle in score.battles
        if score.score is not None and len(battle.by_order) == 2 and not battle.of_one_text
    ]
    swapped = np.array(both, dtype=np.float64).reshape(-1, 4)
    return Outcomes(
        name=bench.name,
        description=bench.description,
        sees_order=bench.sees_order,
        scores=np.array([s.score for listed in pairs for s in listed], dtype=np.float64).reshape(shape),
        status=np.array([_code(s) for listed in pairs for s in listed], dtype=np.int8).reshape(shape),
        swapped=swapped[:, 2:],
        swapped_at=swapped[:, :2].astype(np.intp),
        verdicts=Counter(verdict.status for _, verdict in bench.asked),
        weighed=any(v.probability_second not in (None, 0.0, 0.5, 1.0) for _, v in bench.verdicts),
    )


def _code(score: Score) -> int:
    return STATUSES.index(score.status)


# ---------------------------------------------------------------- of one judge, without records


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What one judge said at every look at a board's comparisons.

    Shape (comparisons,): `pair`, `prompt` are places as in Outcomes, `told` is False where nobody could be asked for
    want of a reference, `of_one_text` is True where both texts are equal. Shape (looks,): the place of the
    `comparison`, `order` 0 for "ab" and 1 for "ba", `asked` False for the second order of two equal texts, which is the
    same question, `status` a place in STATUSES or -1 for no verdict, and `second`, how far a usable verdict leans to
    the text shown second. `by_people`: it is a file of human verdicts.
    """

    pair: Codes
    prompt: Codes
    told: NDArray[np.bool_]
    comparison: Codes
    order: Codes
    asked: NDArray[np.bool_]
    status: NDArray[np.int8]
    second: Floats
    of_one_text: NDArray[np.bool_]
    by_people: bool


def resolved(said: Said, policy: Policy) -> tuple[Floats, NDArray[np.int8], Floats]:
    """`battles.resolve` for all comparisons at once: a's score (NaN where it is void), the status of each battle, and
    a's score by order, shape (comparisons, 2), NaN where an order has none."""
    count = len(said.pair)
    usable = said.status == OK
    cell = 2 * said.comparison + said.order
    of_a = np.where(said.order == 0, 1 - said.second, said.second)
    n = np.bincount(cell[usable], minlength=2 * count)
    total = np.bincount(cell[usable], of_a[usable], 2 * count)
    by_order = np.divide(total, n, out=np.full(2 * count, np.nan), where=n > 0)
    # An order without a usable verdict spoils the battle, unless it was skipped.
    spoils = ((said.status == INVALID) | (said.status == FAILED)) & (n[cell] == 0)
    grave = np.zeros(count, dtype=np.int8)
    np.maximum.at(grave, said.comparison[spoils], GRAVITY[said.status[spoils]])
    grave[~said.told] = GRAVITY[FAILED]
    by_order = by_order.reshape(-1, 2)
    seen = ~np.isnan(by_order)
    grave = np.where((grave == 0) & ~seen.any(1), GRAVITY[SKIPPED], grave)
    score = np.where(grave == 0, _combined(by_order, seen, policy), np.nan)
    if said.by_people:  # of two equal texts what they say is a tie, in no order
        score[said.of_one_text & (grave == 0)] = 0.5
        by_order[said.of_one_text] = np.nan
    return score, BY_GRAVITY[grave], by_order


def _combined(by_order: Floats, seen: NDArray[np.bool_], policy: Policy) -> Floats:
    if policy == "mean":
        mean: Floats = np.where(seen, by_order, 0.0).sum(1) / np.maximum(seen.sum(1), 1)
        return mean
    sides = sides_of(by_order)
    won = (seen & (sides > 0)) | ~seen
    lost = (seen & (sides < 0)) | ~seen
    return np.where(won.all(1), 1.0, np.where(lost.all(1), 0.0, 0.5))


def outcomes_of_judge(evidence: Evidence, name: str, description: str, sees_order: bool, said: Said) -> Outcomes:
    """The outcomes of a bench that is one judge, as `outcomes_of` has them of its records."""
    shape = len(evidence.pairs), len(evidence.prompts)
    score, status, by_order = resolved(said, evidence.policy)
    known = ~np.isnan(score)
    cell = said.pair * shape[1] + said.prompt
    n = np.bincount(cell[known], minlength=shape[0] * shape[1]).reshape(shape)
    total = np.bincount(cell[known], 1 - score[known], shape[0] * shape[1]).reshape(shape)
    grave = np.maximum(_of_answers(evidence), GRAVITY[SKIPPED])
    np.maximum.at(grave.reshape(-1), cell, GRAVITY[status])
    both = ~np.isnan(by_order).any(1) & ~said.of_one_text
    heard = said.status[said.asked]
    counts = np.bincount(np.where(heard < 0, SKIPPED, heard), minlength=len(STATUSES)).tolist()
    counts[FAILED] += int((~said.told).sum())
    return Outcomes(
        name=name,
        description=description,
        sees_order=sees_order,
        scores=np.divide(total, n, out=np.full(shape, np.nan), where=n > 0),
        status=np.where(n > 0, OK, BY_GRAVITY[grave]).astype(np.int8),
        swapped=by_order[both],
        swapped_at=np.stack([said.pair[both], said.prompt[both]], axis=1),
        verdicts=dict(zip(STATUSES, counts, strict=True)),
        weighed=bool(np.any((said.status == OK) & ~np.isin(said.second, (0.0, 0.5, 1.0)))),
    )


def _of_answers(evidence: Evidence) -> NDArray[np.int8]:
    """How grave it is that an answer is missing to either of a pair, shape (pairs, prompts)."""
    who = {name: i for i, name in enumerate(evidence.contestants)}
    which = {prompt.id: q for q, prompt in enumerate(evidence.prompts)}
    grave = np.zeros((len(who), len(which)), dtype=np.int8)
    for (name, prompt, _), response in evidence.responses.items():
        if response.reply.status != "ok":
            cell = who[name], which[prompt]
            grave[cell] = max(grave[cell], GRAVITY[STATUSES.index(response.reply.status)])
    first, second = (np.array([who[pair[side]] for pair in evidence.pairs], dtype=np.intp) for side in (0, 1))
    return np.maximum(grave[first], grave[second])
