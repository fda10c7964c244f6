"""Processes that train one model together, each on its share of the rows. One process is all of them by itself.

torchrun starts them. Rows are dealt like cards; what is said of them is gathered again in their order, so that
everything but the forward and backward passes is done on the whole, by each process in the same way.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Together:
    """Which of `count` processes this one is, and the device that it works on."""

    rank: int
    count: int
    device: Any

    def share(self, rows: Sequence[T]) -> Sequence[T]:
        """The rows that this process works on; all have equally many."""
        assert len(rows) % self.count == 0, f"{len(rows)} rows for {self.count} processes"
        return rows[self.rank :: self.count]

    def gathered(self, shares: Tensor) -> Tensor:
        """What all processes found of their shares, in the order of the rows. `shares` has one shape in all of them."""
        if self.count == 1:
            return shares
        found = [torch.empty_like(shares) for _ in range(self.count)]
        dist.all_gather(found, shares.contiguous())
        return torch.stack(found, dim=1).flatten(0, 1)

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.count > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def together() -> Iterator[Together]:
    """The processes that torchrun has started, by what it says in the environment of each."""
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    there = torch.accelerator.current_accelerator(check_available=True)
    if there is not None:
        torch.accelerator.set_device_index(int(os.environ.get("LOCAL_RANK", "0")))
    device = (
        torch.device("cpu") if there is None else torch.device(there.type, torch.accelerator.current_device_index())
    )
    if count == 1:
        yield Together(0, 1, device)
        return
    dist.init_process_group("gloo" if there is None else "nccl")
    try:
        yield Together(rank, count, device)
    finally:
        dist.destroy_process_group()
