"""A queue over made answers, and annotators who judge it by a rule: for tests that need no page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import write_jsonl, write_suite
from sciexam.annotate.desk import Desk, keep_queue
from sciexam.annotate.queue import Item, Queue, make_queue
from sciexam.exam.answering import answers_of
from sciexam.exam.runs import terms_of
from sciexam.store import Store
from sciexam.store.annotations import Slots
from sciexam.store.annotators import Annotator
from sciexam.suite import load_suite


def queue_of(
    folder: Path,
    store: Store,
    names: tuple[str, ...] = ("base", "sft"),
    prompts: int = 12,
    samples: int = 1,
    task: Any = "pairs",
    scale: Any = "four-point",
    overlap: int = 2,
    annotators: int = 2,
    draw: int | None = None,
    tail: str = "",
    seed: int = 7,
    **more: Any,
) -> Queue:
    """The queue of a suite exam.yaml in `folder`, where each contestant's answers begin with its name."""
    models = {}
    for name in names:
        rows = [
            {"prompt": f"q{i}", "sample": sample, "text": f"{name}, once more {sample}, on {i} {tail}"}
            for i in range(prompts)
            for sample in range(samples)
        ]
        write_jsonl(folder / f"{name}.jsonl", rows)
        models[name] = {"responses": f"{name}.jsonl"}
    suite = load_suite(str(write_suite(folder, prompts, models, seed=seed)))
    suite = suite.with_samples(samples)
    found = answers_of(suite, names, store, terms_of(suite, 1), draw=draw)
    made = make_queue(suite, found, task, scale, seal=store.seal, overlap=overlap, annotators=annotators, **more)
    keep_queue(store, made)
    return made


def judging_by(desk: Desk, who: Annotator, choose: Callable[[Item, Slots], str], at_most: int = 10_000) -> list[str]:
    """Judge whatever comes by a rule of the item and its layout; the ids in turn."""
    seen: list[str] = []
    while len(seen) < at_most and (id := desk.next(who)) is not None:
        showing = desk.show(who, id)
        assert desk.judge(who, id, showing.place.turns, {"choice": choose(showing.item, showing.place.shown)})
        seen.append(id)
    return seen
