"""What a trainer logs, a line a step in metrics.jsonl, as if it had never been interrupted; and what it tells of."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sciexam.files import write_atomically
from sciexam.stats.running_loss import RUN_AWAY, SPIKE, RunningLoss


class MetricsFile:
    """metrics.jsonl. A run that goes on at a step takes back what was logged after it, which comes again."""

    def __init__(self, path: Path, step: int):
        self._path = path
        kept = [line for line in _lines(path) if line["step"] <= step]
        write_atomically(path, (json.dumps(line) + "\n" for line in kept))
        self._running = RunningLoss()
        for line in kept:
            self.diverged(line)

    def add(self, step: int, logged: Mapping[str, Any]) -> None:
        numbers = {name: value for name, value in logged.items() if isinstance(value, (int, float))}
        numbers.pop("num_tokens", None)  # it begins at nothing again where a run goes on
        # JSON has no word for what is no number.
        said = {name: value if math.isfinite(value) else str(value) for name, value in numbers.items()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **said}) + "\n")

    def diverged(self, logged: Mapping[str, Any]) -> str:
        """Why this is where training has to end; empty where it may go on."""
        loss = logged.get("loss")
        if loss is None:
            return ""
        if not isinstance(loss, (int, float)) or not math.isfinite(loss):
            return f"the loss is {loss}, which is no number"
        self._running.add(loss)
        if self._running.has_run_away:
            return f"the loss was {RUN_AWAY} times in a row above {SPIKE:g} times its mean, and is {loss:.3g}"
        return ""


def _lines(path: Path) -> list[dict[str, Any]]:
    """What a file holds; the end of a line that a kill cut off is not there."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
