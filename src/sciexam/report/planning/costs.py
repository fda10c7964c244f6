"""What a design asks models for, and what one call of each takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# What a judge is shown: both orders of each pair or one that is drawn; "own" where there is no choice.
Orders = Literal["both", "one", "own"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a design asks models for in all. `usd` is None where a called model has no price.

    `stored`: calls whose result the ledger holds already; `usd_left`: what the others cost.
    """

    answers: int = 0
    verdicts: int = 0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    usd: float | None = 0.0
    stored: int = 0
    usd_left: float | None = 0.0

    @property
    def calls(self) -> int:
        return self.answers + self.verdicts


@dataclass(frozen=True, slots=True)
class Rate:
    """What one call of a model takes: tokens, and where they are known from; USD, None without a price."""

    who: str
    what: Literal["answers", "verdicts"]
    model: str
    input_tokens: float
    output_tokens: float
    basis: str
    usd: float | None
