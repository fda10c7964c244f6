"""What a cascade did with one pair of contestants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sciexam.stats import Undefined
from sciexam.stats.cascade import Threshold


@dataclass(frozen=True, slots=True)
class Escalation:
    """One pair by a cascade. `units`: prompts (those of one group are one) that the cheap judge gave a verdict on.

    Of all `comparisons`, `calibrated` were judged by both, `escalated` by the dear judge because the cheap one was not
    sure enough, and `trusted` count with the cheap one's verdict. `waiting` have no verdict that counts yet.
    `calls_saved` of the `calls_alone` that the dear judge alone would have taken were not made; `usd_saved` is what
    they would have cost at the mean of those made, less what the cheap judge cost; None where a price is not known.
    `pending`: the calibration is not complete, so there is no threshold yet.
    """

    cheap: str
    dear: str
    agreement: float
    error: float
    threshold: Threshold | Undefined
    pending: bool
    units: int
    calibration_units: int
    comparisons: int
    calibrated: int
    escalated: int
    trusted: int
    waiting: int
    calls_alone: int
    calls_saved: int
    usd_saved: float | None

    @property
    def guarantee(self) -> str:
        """What the threshold promises, and on what assumption; or why there is none."""
        if isinstance(self.threshold, Undefined):
            then = "." if self.pending else f", so everything else was escalated to {self.dear}."
            return f"No verdict of {self.cheap} counts: {self.threshold.why}{then}"
        n, agreed = self.threshold.n, self.threshold.agreed
        return (
            f"Where {self.cheap} has a confidence of {self.threshold.value:.2g} or more, it names the same winner as "
            f"{self.dear} (or both a tie) on {100 * self.agreement:g} % of the prompts or more: {n} of the "
            f"{self.calibration_units} calibration prompts had that confidence, and the two agreed on {agreed}. "
            "Calibration prompts that show this wrongly are drawn with a probability of "
            f"{100 * self.error:g} % at most, if prompts are exchangeable. Who is right is another question."
        )

    @property
    def counts(self) -> str:
        """Whose verdict counts, by the number of comparisons."""
        waiting = f", {self.waiting} without a verdict yet" if self.waiting else ""
        return (
            f"Of {self.comparisons} comparisons {self.escalated} were escalated to {self.dear}, {self.calibrated} were "
            f"judged by both for the calibration, and {self.trusted} count with the verdict of {self.cheap}{waiting}."
        )

    @property
    def saved(self) -> str:
        """What the cascade saved against the dear judge alone."""
        share = f"{self.calls_saved:,} of the {self.calls_alone:,} calls that {self.dear} alone would take were saved"
        if self.usd_saved is None:
            return f"{share}; what that is in dollars is not known."
        if self.usd_saved < 0:
            return f"{share}, but {self.cheap} cost {_usd(-self.usd_saved)} more than they would have."
        return (
            f"{share}: about {_usd(self.usd_saved)} at the mean cost of those made, what {self.cheap} cost taken off."
        )

    def sentences(self) -> Iterator[str]:
        """All of it, for a reader."""
        yield from (self.guarantee, self.counts, self.saved)


def _usd(amount: float) -> str:
    return f"{amount:.2f} USD" if amount >= 0.005 else "less than 0.01 USD" if amount else "0 USD"
