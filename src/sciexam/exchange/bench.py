"""Benchmarks that others have standardised, on the models of a suite, through lm-evaluation-harness.

    found = bench("science", "base", "sft", tasks=["truthfulqa_mc2"], margin=0.03)

What a model did on a task is written into the ledger as one: killed anywhere, only the running task is asked again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sciexam.digests import digest
from sciexam.errors import Incomplete, UsageError
from sciexam.exam.benchmark_facts import Outcome, identity_of, identity_of_weights, item_key, read_outcome, task_key
from sciexam.exam.plan import baseline_first
from sciexam.exam.raters import called_model
from sciexam.exam.runs import opened, report_folder, terms_of, write_run
from sciexam.exam.tally import Tally
from sciexam.exchange.bench_result import files_of, found_of, plan_of
from sciexam.exchange.bench_run import Taker, grades_of, item_of, run_task, setting_of
from sciexam.exchange.bench_tasks import Task, load_tasks, quiet
from sciexam.exchange.toxicity import keep_scores, with_scorer
from sciexam.manifest import environment
from sciexam.models import check_ready, open_model
from sciexam.models.checkpoint import LocalCheckpoint
from sciexam.models.checkpoint_loading import out_of_memory
from sciexam.models.settings import Recorded, Weights, artifact_of
from sciexam.models.terms import Terms
from sciexam.report.benchmarks import Benchmarks, Item
from sciexam.report.calls import Calls
from sciexam.store import Store
from sciexam.suite import Suite, load_suite
from sciexam.types import Reply

LONGEST = 200  # characters of another library's message


def bench(
    suite: Suite | str,
    *contestants: str,
    tasks: Sequence[str],
    tasks_from: Path | None = None,
    code_from: Path | None = None,
    limit: int | None = None,
    shots: int | None = None,
    chat: bool = False,
    margin: float | None = None,
    group_by: Sequence[str] = (),
    toxicity: str | Path | None = None,
    toxic_label: str | None = None,
    budget: float | None = None,
    max_wait: float = 120.0,
    store: str | Path | None = None,
    results: str | Path = "results",
    stop: threading.Event | None = None,
    tell: Callable[[str], None] | None = None,
) -> Benchmarks:
    """Have models of `suite` do tasks of lm-evaluation-harness, and compare each two of them item by item.

    `tasks_from`: a folder of task files, which are data; `code_from`: one whose Python may run. `limit`: the first
    items of each task; `shots`: examples before each item; `chat`: render prompts by the chat template of local
    weights. `margin`: the difference of means within which two models count as equal. `toxicity`: the folder of a
    classifier, or the address of a service, for tasks that are about it. `tell` is told what is about to be done.
    Raises UsageError before anybody is asked.
    """
    quiet()
    suite = load_suite(suite, results) if isinstance(suite, str) else suite
    if margin is not None and not 0 < margin < 1:
        raise UsageError(f"--margin: a difference of means between 0 and 1, not {margin}")
    names = contestants or baseline_first(suite)
    if len(set(names)) < len(names):
        raise UsageError("a model is named twice")
    terms = terms_of(suite, max_wait, budget)
    takers = [_taker(suite, name, chat, terms) for name in names]
    loaded = load_tasks(tasks, tasks_from, code_from, shots, limit, group_by)
    chosen = with_scorer(loaded, toxicity, toxic_label, max_wait)
    _check_pairs(takers, chosen)
    with opened(store, results, terms) as ledger:
        stop = stop or threading.Event()
        keep_scores(chosen, ledger, stop)
        sitting = _Sitting(suite, takers, chosen, ledger, terms, stop, tell or (lambda _: None))
        run = digest([suite.name, [[t.name, t.identity] for t in takers], *sitting.settings, margin, list(group_by)])[
            :16
        ]
        manifest = environment() | {"run": run, "plan": plan_of(suite, takers, chosen, margin)}
        ledger.add_run(run, json.dumps(manifest))
        sitting.hold()
        done = (sitting.outcomes, margin, sitting.missing, sitting.calls, sitting.asked)
        found = found_of(suite, run, takers, chosen, *done)
        write_run(report_folder(found, results), manifest, files_of(found, sitting.items(), manifest))
    return found


def _taker(suite: Suite, name: str, chat: bool, terms: Terms) -> Taker:
    spec = suite.model(name)
    if isinstance(spec, Recorded):
        raise UsageError(f"{name}: it is a file of answers, and cannot be asked; name its weights, or its endpoint")
    if isinstance(settings := artifact_of(spec), Weights):
        found = LocalCheckpoint(name, settings, "causal", settings.device)
        return Taker(name, identity_of_weights(found, settings), chat, found, settings)
    open_model(name, spec, suite.generation_of(name), terms)  # refuses what has no price under a budget
    return Taker(name, identity_of(suite, name), True)


def _check_pairs(takers: Sequence[Taker], tasks: Sequence[Task]) -> None:
    """Refuse tasks that a model cannot do, before any does one."""
    for taker in takers:
        silent = [task.name for task in tasks if not task.generates]
        if taker.weights is None and silent:
            other = "bbq_generate" if silent[0].startswith("bbq") else "a task with `output_type: generate_until`"
            raise UsageError(
                f"{taker.name}: {silent[0]} asks how probable given answers are, and an endpoint does not say that of "
                f"a text that it did not write; name its weights (`backend: huggingface`), or {other}"
            )


class _Sitting:
    """Every model and every task: what is in the ledger is read, the rest is asked for."""

    def __init__(
        self,
        suite: Suite,
        takers: Sequence[Taker],
        tasks: Sequence[Task],
        ledger: Store,
        terms: Terms,
        stop: threading.Event,
        tell: Callable[[str], None],
    ):
        self._suite, self._takers, self._tasks = suite, takers, tasks
        self._ledger, self._terms, self._stop, self._tell = ledger, terms, stop, tell
        self._tally = Tally(suite.costs, None, terms.budget)
        self.outcomes: dict[tuple[str, str], Outcome] = {}  # by task and model
        self.missing: dict[str, str] = {}
        self.asked = 0

    @property
    def calls(self) -> Calls:
        return self._tally.calls

    @property
    def settings(self) -> list[Any]:
        """What is asked of each model."""
        return [[task.name, setting_of(task, taker.chat)] for task in self._tasks for taker in self._takers]

    def hold(self) -> None:
        """Ask for all that is owed, model by model: its weights are loaded once."""
        for taker in self._takers:
            keys = {task_key(taker.identity, setting_of(task, taker.chat)): task for task in self._tasks}
            stored = self._ledger.grades(keys)
            for key, grade in stored.items():
                task = keys[key]
                # What belongs together is a matter of this command, and not of what was asked.
                groups = None if task.groups is None else tuple(task.groups)
                self.outcomes[task.name, taker.name] = replace(read_outcome(grade, taker.name), groups=groups)
            if owed := [task for key, task in keys.items() if key not in stored]:
                self._ask(taker, owed)

    def items(self) -> Iterator[Item]:
        """Every item of every outcome, as the ledger has it, task by task."""
        for task in self._tasks:
            digests = [_doc_digest(item) for item in task.items]
            for taker in self._takers:
                if (outcome := self.outcomes.get((task.name, taker.name))) is not None:
                    keys = [item_key(taker.identity, outcome.setting, i, one) for i, one in enumerate(digests)]
                    stored = self._ledger.grades(keys)
                    groups = outcome.groups or [""] * len(keys)
                    for key, group in zip(keys, groups, strict=True):
                        if key in stored:
                            yield replace(item_of(stored[key], taker.name), group=group)

    def _ask(self, taker: Taker, owed: Sequence[Task]) -> None:
        from sciexam.exchange.bench_models import AskedModel, local_model

        if taker.weights is not None and taker.settings is not None:
            taker.weights.check_ready()
            opened_model: AbstractContextManager[Any] = local_model(taker.weights, taker.settings, taker.chat)
            with opened_model as lm:
                self._go_through(taker, owed, lm)
            return
        check_ready(open_model(taker.name, self._suite.model(taker.name), self._suite.generation_of(taker.name)))
        account = partial(self._account, called_model(self._suite.model(taker.name)))
        self._go_through(
            taker, owed, AskedModel(taker.name, self._suite, self._ledger, self._terms, self._stop, account)
        )

    def _go_through(self, taker: Taker, owed: Sequence[Task], lm: Any) -> None:
        system = taker.settings.system if taker.settings else None
        for task in owed:
            what = f"{task.name}, {taker.name}"
            if self._stop.is_set() or self._terms.over_budget:
                self.missing[what] = self._terms.unasked or "it was stopped before"
                continue
            items = len(task.items)
            self._tell(f"{taker.name}: {task.name}, {items:,} item{'s' if items != 1 else ''}")
            try:
                done = run_task(lm, taker.name, taker.identity, task, taker.chat, system)
            except Incomplete as error:
                self.missing[what] = str(error)
            except UsageError:
                raise
            except Exception as error:  # a task is a stranger's program: the others go on
                self.missing[what] = _why(taker.name, error)
            else:
                self._keep(taker, task, *done)

    def _keep(self, taker: Taker, task: Task, outcome: Outcome, items: Sequence[Item]) -> None:
        facts = grades_of(outcome, items, taker.identity)
        known = self._ledger.grades([fact.key for fact in facts])
        self._ledger.append([fact for fact in facts if fact.key not in known])  # in one transaction
        self.outcomes[task.name, taker.name] = outcome
        self.asked += 1

    def _account(self, model: str | None, name: str, reply: Reply, new: bool) -> None:
        self._tally.account(model, reply, new)


def _why(name: str, error: Exception) -> str:
    if out_of_memory(error):
        return f"it does not fit into the memory beside {name}; write a smaller `batch_tokens`"
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}..."


def _doc_digest(item: Mapping[str, Any]) -> str:
    """An item's digest as the harness makes it."""
    from lm_eval.utils import handle_non_serializable, hash_string

    said = json.dumps(item, indent=2, default=handle_non_serializable, ensure_ascii=False)
    return str(hash_string(said))
