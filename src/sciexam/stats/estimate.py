"""Every number a report prints: an estimate with its interval, or a sentence that says why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval [low, high] at `level` (0.95 means 95 %).

    `n` counts the independent units: prompts, or groups of prompts where the prompts are grouped; `method` says which,
    and how the interval was made.
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    method: str

    def __str__(self) -> str:
        return f"{self.value:z.2f} [{self.low:z.2f}, {self.high:z.2f}]"

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; `why` is null, so that both outcomes have the same keys."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "level": self.level,
            "n": self.n,
            "method": self.method,
            "why": None,
        }


@dataclass(frozen=True, slots=True)
class Undefined:
    """A quantity that these data cannot give. `why` is a phrase for the reader; `n` counts the units there were."""

    why: str
    n: int = 0

    def __str__(self) -> str:
        return self.why

    def to_json(self) -> dict[str, Any]:
        """The keys of an Estimate, all null but `n` and `why`."""
        return {"value": None, "low": None, "high": None, "level": None, "n": self.n, "method": None, "why": self.why}
