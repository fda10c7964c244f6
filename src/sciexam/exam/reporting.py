"""The report of a comparison: counted from the ledger, written to its folder, and followed while it runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sciexam.errors import Incomplete, SciexamError, UsageError
from sciexam.exam.audit_price import takes_of
from sciexam.exam.benchmark_facts import identities_of
from sciexam.exam.benchmark_figures import beside
from sciexam.exam.earlier_runs import earlier_runs
from sciexam.exam.facts import read_facts
from sciexam.exam.people import held_against_people, people_who_judged
from sciexam.exam.plan import Plan, from_manifest
from sciexam.exam.preflight import missing_of
from sciexam.exam.runs import existing_ledger, report_folder, write_run
from sciexam.exam.sat import Sat
from sciexam.exam.stored import behind, stored_of
from sciexam.exam.until import replayed
from sciexam.files import json_pieces
from sciexam.report.build import build
from sciexam.report.calls import Calls
from sciexam.report.evidence import Evidence
from sciexam.report.next_steps import next_steps
from sciexam.report.record import Report, plain
from sciexam.report.stopping import build_stopped
from sciexam.store import Store

MOST_RUNS = 5  # that are named where a name is wrong
LOOK_SECONDS = 5  # between two looks at the ledger of a comparison that is followed


def count(sat: Sat, ledger: Store, missing: int = 0, results: str | Path = "results") -> Report:
    """The report of what the ledger holds of a plan, with what to do next in the words of the command that made it.

    `missing`: verdicts that are still to come. `results`: where validations and audits of its judges lie.
    """
    plan, manifest, skipped = sat.plan, sat.manifest, sat.skipped
    evidence = read_facts(plan, ledger, sat.calls, skipped, sat.notes, sat.stored)
    evidence = held_against_people(plan, evidence, Path(results))
    evidence = replace(evidence, earlier=earlier_runs(manifest["run"], manifest["plan"], ledger))
    if plan.until_decided:
        found = build_stopped(evidence, replayed(plan, ledger, skipped).outcomes())
    else:
        found = build(evidence)
    found = replace(found, missing=missing, benchmarks=beside(_identities(plan, manifest), ledger))
    trust = {bench.trust for bench in evidence.benches}
    judged = people_who_judged(plan, evidence, ledger) if trust - {"fake"} and "people" not in trust else ""
    audited = {bench.name for bench in evidence.benches if bench.audited}
    by_chance = {bench.name: bench.by_chance for bench in evidence.benches if bench.by_chance}
    again = set() if missing else set(_to_validate_again(evidence, found))
    takes = {
        one.name: takes_of(plan, one.name, ledger, (shown.key for shown, _ in one.verdicts)) for one in evidence.benches
    }
    named, readers = plan.suite.judges, plan.suite.readers
    steps = next_steps(found, manifest.get("argv", ()), named, judged, audited, by_chance, again, takes, readers)
    return replace(found, next_steps=steps)


def _to_validate_again(evidence: Evidence, found: Report) -> Iterator[str]:
    """The judges whose validation was of other prompts or answers, or of other verdicts than they have given by now."""
    for bench in evidence.benches:
        then = {(one.a, one.b): one.judged for one in bench.corrected}
        pairs = [pair for pair in found.pairs if pair.judge == bench.name and pair.stop is None]
        if bench.held_elsewhere or any(then.get((pair.a, pair.b), pair.used) != pair.used for pair in pairs):
            yield bench.name


def _read(plan: Plan, ledger: Store, manifest: Mapping[str, Any]) -> Sat:
    """What the ledger holds of a comparison, without asking anybody."""
    stored = stored_of(plan, ledger)
    calls = Calls(reused=behind(plan, stored, ledger), usd=None, recounted=True)
    return Sat(plan, stored, calls, manifest=manifest)


def _identities(plan: Plan, manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """The contestants as benchmarks know them: those of then, whatever has become of their weights."""
    known: Mapping[str, str] | None = manifest.get("benchmarked")
    return identities_of(plan.suite, plan.models) if known is None else known


def write(report: Report, manifest: Mapping[str, Any], results: Path, refresh: int | None = None) -> None:
    """Put a report into its folder. `refresh`: the seconds after which its page loads itself again."""
    write_run(report_folder(report, results), manifest, _files(report, manifest, refresh))


def _files(
    report: Report, manifest: Mapping[str, Any], refresh: int | None
) -> Iterator[tuple[str, str | Iterator[str]]]:
    from sciexam.report.html import html_pieces
    from sciexam.report.markdown import to_markdown

    items: Any = map(plain, report.items) if report.items else []
    yield "report.json", json_pieces(report.to_json() | {"items": items})
    yield "report.md", to_markdown(report)
    yield "report.html", html_pieces(report, manifest, refresh)


def report(run: str | None = None, store: str | Path | None = None, results: str | Path = "results") -> Report:
    """The report of an earlier comparison, counted again from the ledger without any call.

    `run` is its id, or the unique beginning of it; by default the comparison that was started last.
    """
    with existing_ledger(store, results) as ledger:
        manifest, plan = _found(ledger, run)
        counted = count(_read(plan, ledger, manifest), ledger, _missing(plan, ledger), results)
        write(counted, manifest, Path(results))
    return counted


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a running comparison found. `report` is None while nothing can be counted; `workers` are the
    other processes at work on the ledger.
    """

    report: Report | None
    missing: int
    workers: int


def watch(
    told: Callable[[Look], None],
    run: str | None = None,
    store: str | Path | None = None,
    results: str | Path = "results",
    stop: threading.Event | None = None,
    every: float = LOOK_SECONDS,
) -> Report:
    """Follow a comparison that another process makes: write its report anew whenever facts have arrived.

    `told` hears of each look that found something else than the one before. Ends when nothing is missing, or when
    `stop` is set; the report that is written last does not load itself again. Raises Incomplete where there is nothing
    to report by then.
    """
    stop = stop or threading.Event()
    with existing_ledger(store, results) as ledger:
        manifest, plan = _found(ledger, run)
        last: Look | None = None
        for look in _looks(plan, ledger, manifest, results, stop, every):
            if look != last:
                if look.report is not None and (last is None or look.report != last.report):
                    write(look.report, manifest, Path(results), refresh=max(1, round(every)))
                told(look)
            last = look
        if last is None or last.report is None:
            raise Incomplete("nothing can be counted of this comparison yet")
        write(last.report, manifest, Path(results))
    return last.report


def _looks(
    plan: Plan,
    ledger: Store,
    manifest: Mapping[str, Any],
    results: str | Path,
    stop: threading.Event,
    every: float,
) -> Iterator[Look]:
    """A look as soon as facts have arrived, or whoever worked is gone, until nothing is missing."""
    seen = None
    look = Look(None, 0, 0)
    while True:
        now = ledger.length(), ledger.workers()
        if now != seen:
            seen = now
            missing = _missing(plan, ledger)
            try:
                counted = count(_read(plan, ledger, manifest), ledger, missing, results)
                look = Look(counted, missing, now[1])
            except (Incomplete, UsageError):  # nobody has answered, or judged, so far
                look = Look(None, missing, now[1])
            yield look
        if not look.missing or stop.wait(every):
            return


def _found(ledger: Store, run: str | None) -> tuple[dict[str, Any], Plan]:
    """The manifest and the plan of a comparison; of the latest one where none is named."""
    if run is None:
        started = (json.loads(text) for text in ledger.manifests())
        manifest = next((one for one in started if one["plan"].get("purpose", "compare") == "compare"), None)
        if manifest is None:
            raise UsageError(f"{ledger.location} holds no comparison yet; `sciexam compare` makes one")
        return manifest, from_manifest(manifest["plan"])
    text = ledger.manifest(run)
    if text is None:
        raise UsageError(f"{run!r} is not a run in {ledger.location}; {_latest(ledger)}")
    manifest = json.loads(text)
    plan = from_manifest(manifest["plan"])
    if plan.purpose != "compare":
        raise UsageError(f"run {run} is no comparison; the `sciexam {plan.purpose}` that made it counts it anew")
    return manifest, plan


def _latest(ledger: Store) -> str:
    """The comparisons that were started last, each once, a line each."""
    found: dict[str, dict[str, Any]] = {}
    for text in ledger.manifests():
        manifest = json.loads(text)
        if manifest["plan"].get("purpose", "compare") == "compare":
            found.setdefault(manifest["run"], manifest)
        if len(found) == MOST_RUNS:
            break
    lines = [
        f"  {run}  {str(one.get('started', ''))[:16].replace('T', ' ')}  {', '.join(one['plan']['contestants'])}"
        for run, one in found.items()
    ]
    return "\n".join(["the latest comparisons are:", *lines]) if lines else "it holds no comparison yet"


def _missing(plan: Plan, ledger: Store) -> int:
    """How many verdicts are still to come; those on answers that are still owed count too."""
    try:
        return missing_of(plan, ledger).verdicts
    except SciexamError:  # a file of answers is gone: the ledger has what was in it
        return 0
