"""What is written down of a batch, so that no kill makes it be paid for twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch that may still hold what is in no ledger. `id` is the provider's; None: nobody knows if it was made.

    `requests`: the attempt by the key of each conversation. `at`: when it was intended, in seconds since 1970.
    """

    token: str
    id: str | None
    requests: Mapping[str, int]
    at: float


class BatchJournal(Protocol):
    """Where batches are written down, durably, before anything of them can be billed."""

    def intend(self, token: str, model: str, requests: Mapping[str, int]) -> None:
        """A batch with these requests is about to be made for the model with digest `model`."""
        ...

    def name(self, token: str, batch: str) -> None:
        """The provider calls it `batch`."""
        ...

    def open_batches(self, model: str) -> Sequence[OpenBatch]:
        """Those of this model, the oldest first, that may hold replies which are stored nowhere."""
        ...

    def close(self, token: str) -> None:
        """It was never made."""
        ...
