"""What anchors say of a judge: whether it changes its mind more by now than it did at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sciexam.report.record import Figure
from sciexam.report.scores import distinct
from sciexam.stats import Undefined, mean
from sciexam.stats.paired import sign_flip_differences

ALPHA = 0.05
FEW = 20  # anchors, of which a judge that never contradicts itself has to change a third to be told


@dataclass(frozen=True, slots=True)
class Change:
    """How far an anchor's second look was from the first: at once, and by now. In verdicts (0 to 1), or in marks."""

    cluster: str
    at_once: float
    now: float


@dataclass(frozen=True, slots=True)
class Drift:
    """A judge on its anchors. `at_once` and `now` count the anchors of which it changed its mind.

    `change`: the mean distance from the first look by now, less that at once; `rises`: whether it is above 0, which is
    known also where all anchors changed alike and there is no interval. `p_value`: of "it changes its mind as far as at
    once", two-sided, by flipping signs; None without anchors.
    """

    judge: str
    since: str  # the day of the first second look, YYYY-MM-DD
    until: str
    anchors: int
    compared: int  # of them those that have usable verdicts on both days
    at_once: int
    now: int
    change: Figure
    rises: bool
    p_value: float | None

    @property
    def drifted(self) -> bool:
        """Whether the judge has changed: it departs from itself more than it did at once, beyond chance."""
        return self.p_value is not None and self.p_value < ALPHA and self.rises

    @property
    def sentence(self) -> str:
        """What it means, in one sentence."""
        if self.since == self.until:
            return f"{self.judge}: its {self.anchors} anchors were judged again on {self.since}; a later day will tell."
        if self.p_value is None:
            return f"{self.judge}: no anchor has usable verdicts of {self.since} and of {self.until}."
        looked = f"of {self.compared} anchors it judged {self.now} otherwise on {self.until} than at first"
        noise = f"{self.at_once} when it was asked again on {self.since}"
        p = f"p = {self.p_value:.3f}" if self.p_value >= 0.001 else "p < 0.001"
        if self.drifted:
            return f"{self.judge} has changed: {looked}, {noise} ({p}); verdicts from before and after do not mix."
        seen = "too few anchors to tell a change" if self.compared < FEW else "no change seen"
        return f"{self.judge}: {seen}; {looked}, {noise} ({p})."


def change_of(judge: str, since: str, until: str, changes: Sequence[Change], anchors: int) -> Drift:
    """The drift that `changes` show, one for each of the `anchors` that has usable verdicts."""
    more = [change.now - change.at_once for change in changes]
    clusters = distinct(change.cluster for change in changes)
    return Drift(
        judge=judge,
        since=since,
        until=until,
        anchors=anchors,
        compared=len(changes),
        at_once=sum(change.at_once > 0 for change in changes),
        now=sum(change.now > 0 for change in changes),
        change=mean(more, clusters) if more else Undefined("no anchor was judged on both days"),
        rises=sum(more) > 0,
        p_value=sign_flip_differences(more, clusters) if more else None,
    )
