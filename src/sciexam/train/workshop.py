"""What a stage has at hand while it is prepared and examined: the suite, where things lie, and how others are asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sciexam.exam.tally import Progress
from sciexam.models.spending import Budget
from sciexam.models.terms import Engine
from sciexam.suite import Suite
from sciexam.train.job import Job


@dataclass(frozen=True, slots=True)
class Workshop:
    """`results`, `store`, `engine`, `max_wait`, `stop` and `progress` as in `exam.compare`.

    `budget` is what all stages and exams of the walk may spend together.
    `processes` train together. `track` is a tracker that the trainers report to. `tell` is given a line at a time.
    `watch` is entered while a job is trained, and may read how far it is (`at_step`).
    `write_prompts` has a model write prompts: given a suite, a model of it, a file of prompts to show, a folder, how
    many replies to ask for, and a seed, it returns the file of the new ones, which more replies only lengthen.
    """

    suite: Suite
    results: Path
    store: str | Path | None = None
    budget: Budget | None = None
    engine: Engine = "local"
    max_wait: float = 120.0
    processes: int = 1
    track: str | None = None
    stop: threading.Event | None = None
    progress: Callable[[Progress], None] | None = None
    tell: Callable[[str], None] = lambda line: None
    watch: Callable[[Job], AbstractContextManager[None]] = lambda job: nullcontext()
    write_prompts: Callable[[Suite, str, Path, Path, int, int], Path] | None = None

    def asking(self) -> dict[str, Any]:
        """The arguments of a function of the exam that say on what terms it asks, and where it keeps what it gets."""
        return {
            "store": self.store,
            "results": self.results,
            "budget": self.budget,
            "engine": self.engine,
            "max_wait": self.max_wait,
            "stop": self.stop,
            "progress": self.progress,
        }

    def with_weights(self, name: str, weights: Path) -> Workshop:
        """The same workshop, where the model `name` has these weights."""
        spec = self.suite.models[name].model_copy(update={"weights": str(weights), "adapter": None, "responses": None})
        return replace(self, suite=self.suite.with_models({name: spec}))
