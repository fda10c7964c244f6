"""A loss against its own running mean: where it spikes, and where it has run away.

Losses of large models were seen to spike at irregular steps and to come back by themselves (arXiv 2204.02311, section
5.1). What counts as a spike has no agreed number. Here it is a logged loss above three times its running mean, an
exponential one with a weight of 0.1 for the newest; five in a row are no spike but a loss that has run away.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

SPIKE = 3.0  # times the running mean of the loss
RUN_AWAY = 5  # logged losses in a row above it
LEAST = 0.01  # a loss below it does not spike: that of a policy gradient is about zero, whatever is learnt
SETTLED = 5  # logged losses before the running mean says anything
NEWEST = 0.1  # the weight of the newest loss in the running mean


class RunningLoss:
    """The running mean of the losses that were `add`ed, and how many in a row stood above `SPIKE` times it.

    A spike does not enter the mean.
    """

    def __init__(self) -> None:
        self._mean: float | None = None
        self._seen = self._above = 0

    def add(self, loss: float) -> None:
        """Take a finite loss into account."""
        self._seen += 1
        limit = max(SPIKE * self._mean, LEAST) if self._mean is not None and self._mean > 0 else math.inf
        self._above = self._above + 1 if self._seen > SETTLED and loss > limit else 0
        if not self._above:
            self._mean = loss if self._mean is None else (1 - NEWEST) * self._mean + NEWEST * loss

    @property
    def spikes(self) -> bool:
        """Whether the last loss stands above it."""
        return self._above > 0

    @property
    def has_run_away(self) -> bool:
        """Whether the last `RUN_AWAY` losses do."""
        return self._above >= RUN_AWAY


def spikes(losses: Iterable[tuple[int, float]]) -> tuple[int, ...]:
    """The steps, of (step, loss) in order, at which the loss spiked."""
    running, found = RunningLoss(), []
    for step, loss in losses:
        if math.isfinite(loss):
            running.add(loss)
            if running.spikes:
                found.append(step)
    return tuple(found)
