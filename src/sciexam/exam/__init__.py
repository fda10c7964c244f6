"""The exam: respond, mark, resolve, report. The only place that knows the order of things."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sciexam.battles import Policy
from sciexam.documents import write_atomically
from sciexam.errors import UsageError
from sciexam.exam.facts import read_facts
from sciexam.exam.plan import from_manifest, make_plan, to_manifest
from sciexam.exam.sitting import Progress, Sitting
from sciexam.manifest import environment
from sciexam.report.build import build
from sciexam.report.record import Calls, Report
from sciexam.store import Store
from sciexam.suite import Suite, load_suite
from sciexam.types import Judge


def compare(
    suite: Suite | str,
    *contestants: str,
    judges: Sequence[str | Judge] = (),
    orders: Literal["both", "one"] | None = None,
    policy: Policy = "mean",
    margin: float | None = None,
    by: str = "category",
    limit: int | None = None,
    retry_invalid: bool = False,
    max_wait: float = 120.0,
    store: str | Path | None = None,
    results: str | Path = "results",
    stop: threading.Event | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Compare contestants of `suite` (or of the one of that name) pairwise: all pairs, by every judge.

    `judges` are names of the suite's judges (or `measures`, `openai:MODEL`, a file of verdicts, `humans`) or objects
    with a name and `judge(presentations)`; the suite's own judge by default. `margin` is the difference of win rates
    that does not matter; `by` the field of a prompt to slice by; `limit` takes the first prompts only. `max_wait` is in
    seconds. Facts go to `store` (results/ledger.sqlite), the report to results/<suite>/<run>/.

    Setting `stop` ends the run early: calls in flight are waited for, and Interrupted is raised.
    """
    with Store(store or Path(results) / "ledger.sqlite") as ledger:
        suite = load_suite(suite) if isinstance(suite, str) else suite
        judges = [judges] if isinstance(judges, str) else judges
        plan, models = make_plan(suite, contestants, judges, orders, policy, margin, by, limit, max_wait)
        manifest = environment() | {"run": plan.run, "plan": to_manifest(plan)}
        ledger.add_run(plan.run, json.dumps(manifest))
        sitting = Sitting(plan, ledger, stop or threading.Event(), progress, retry_invalid)
        sitting.hold(models)
        report = build(read_facts(plan, ledger, sitting.calls, sitting.skipped, sitting.notes))
        _write(report, manifest, Path(results))
    return report


def report(run: str, store: str | Path | None = None, results: str | Path = "results") -> Report:
    """The report of an earlier run (an id, or its unique beginning), counted again from the ledger without any call."""
    location = str(store or Path(results) / "ledger.sqlite")
    if "://" not in location and not Path(location).is_file():
        raise UsageError(f"{location}: no ledger there; name it with --store or --results")
    with Store(location) as ledger:
        text = ledger.manifest(run)
        if text is None:
            raise UsageError(f"{run!r} is not a run in {ledger.location}; `sciexam compare` prints the run's id")
        manifest = json.loads(text)
        plan = from_manifest(manifest["plan"])
        rebuilt = build(read_facts(plan, ledger, Calls(), {}))
        _write(rebuilt, manifest, Path(results))
    return rebuilt


def report_folder(report: Report, results: str | Path = "results") -> Path:
    """Where the files of a report lie."""
    return Path(results) / report.suite / report.run


def _write(report: Report, manifest: Mapping[str, Any], results: Path) -> None:
    from sciexam.report.html import to_html
    from sciexam.report.markdown import to_markdown

    folder = report_folder(report, results)
    write_atomically(folder / "run.json", json.dumps(manifest, indent=1, allow_nan=False) + "\n")
    write_atomically(folder / "report.json", json.dumps(report.to_json(items=True), indent=1, allow_nan=False) + "\n")
    write_atomically(folder / "report.md", to_markdown(report))
    write_atomically(folder / "report.html", to_html(report))
