"""How far a step goes: the optimizer, and how its learning rate changes over the steps."""

from __future__ import annotations

import math
from typing import Any

import torch


def adamw(parameters: list[Any], said: dict[str, Any]) -> Any:
    """AdamW (arXiv 1711.05101); what is no matrix, norms and biases, does not decay."""
    matrices, others = ([p for p in parameters if (p.ndim > 1) == wanted] for wanted in (True, False))
    groups = [{"params": matrices, "weight_decay": said["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=said["learning_rate"])


def schedule_of(optimizer: Any, said: dict[str, Any], steps: int) -> Any:
    """The learning rate rises over the steps of the warm-up. Then it stays, or falls to nought, as in transformers."""
    warming: int = math.ceil(said["warmup"] * steps)

    def share(step: int) -> float:
        if step < warming:
            return step / warming
        done = (step - warming) / max(1, steps - warming)
        match said["schedule"]:
            case "linear":
                return 1 - done
            case "cosine":
                return (1 + math.cos(math.pi * done)) / 2
        return 1.0

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)
