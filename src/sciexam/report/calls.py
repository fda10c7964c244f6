"""What a command asked models for, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calls:
    """What this command asked models for. `usd` is None where a called model has no price.

    `unasked`: why it did not ask for all that is owed, in a sentence; empty where it did. `recounted`: nobody was
    asked, and what the `reused` replies and verdicts of the ledger once cost is not known here.
    """

    made: int = 0
    reused: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    unasked: str = ""
    recounted: bool = False
