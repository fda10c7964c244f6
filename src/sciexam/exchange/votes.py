"""What votes say of answers: a score, the best one, and pairs to learn a preference from.

After Askell et al., "A General Language Assistant as a Laboratory for Alignment" (arXiv 2112.00861), as StackLLaMA
applied it (huggingface.co/blog/stackllama): score = round(log2(1 + votes)), plus 1 where whoever asked accepted the
answer; -1 where the votes are negative; at most ten pairs a question, of a higher and a lower score.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

MOST_PAIRS = 10


@dataclass(frozen=True, slots=True)
class Voted:
    """An answer and what is known of it. `votes` is None where nobody votes, which counts as none."""

    key: str
    votes: int | None
    accepted: bool
    posted: str

    @property
    def score(self) -> int:
        return score_of(self.votes or 0, self.accepted)


def score_of(votes: int, accepted: bool) -> int:
    """The score of an answer by its net votes."""
    return -1 if votes < 0 else round(math.log2(1 + votes)) + accepted


def ranked(answers: Sequence[Voted]) -> list[Voted]:
    """Best first: by score; of one score by votes, then the accepted one, then the earlier one."""
    return sorted(answers, key=lambda a: (-a.score, -(a.votes or 0), not a.accepted, a.posted or "~", a.key))


def pairs_of(answers: Sequence[Voted], seed: str, most: int = MOST_PAIRS) -> list[tuple[Voted, Voted]]:
    """(better, worse) by score; where there are more than `most`, as many drawn by `seed`.

    The pairs are never all listed: a question with thousands of answers has millions.
    """
    order = ranked(answers)
    ends = {answer.score: place for place, answer in enumerate(order, 1)}  # where the answers of a score end
    worse = [len(order) - ends[answer.score] for answer in order]  # how many answers each one beats
    sums = list(accumulate(worse))
    total = sums[-1] if sums else 0
    drawn = sorted(Random(seed).sample(range(total), most)) if total > most else range(total)  # noqa: S311
    found = []
    for number in drawn:
        better = bisect_right(sums, number)
        place = ends[order[better].score] + number - (sums[better] - worse[better])
        found.append((order[better], order[place]))
    return found
