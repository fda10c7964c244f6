"""How a contestant fares by the place in which its answer was shown."""

from __future__ import annotations

from collections.abc import Sequence

from sciexam.report.evidence import Bench
from sciexam.report.record import Figure, Shown
from sciexam.report.scores import Score, distinct
from sciexam.stats import Undefined, win_rate
from sciexam.types import Order


def shown_of(bench: Bench, used: Sequence[Score], level: float) -> Shown | None:
    """b's win rate by the place of its answer; None where no order was seen or recorded, or nothing can be counted.

    A prompt counts with its battles of different texts that have a usable verdict in that order, one score a prompt as
    everywhere. Where all were judged in both orders the two rates average to b's win rate under the policy `mean`.
    """
    if not (bench.sees_order and bench.order_known and used):
        return None
    return Shown(first=_rate(used, "ba", level), second=_rate(used, "ab", level))


def _rate(used: Sequence[Score], order: Order, level: float) -> Figure:
    apart = [(s.cluster, [x.by_order for x in s.battles if not x.of_one_text]) for s in used]
    by_prompt = [(label, [1 - scores[order] for scores in told if order in scores]) for label, told in apart]
    kept = [(label, sum(scores) / len(scores)) for label, scores in by_prompt if scores]
    if not kept:
        return Undefined("no two different texts were judged in this order")
    return win_rate([score for _, score in kept], distinct(label for label, _ in kept), level)
