"""The exam: respond, mark, resolve, report. The only place that knows the order of things."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sciexam.battles import Policy
from sciexam.errors import UsageError
from sciexam.exam.board.plan import make_board_plan
from sciexam.exam.echoes import check_echoes
from sciexam.exam.null_contestant import NULL, TEXTS
from sciexam.exam.plan import Plan, make_plan
from sciexam.exam.preflight import Owed
from sciexam.exam.runs import (
    existing_ledger,
    location_of,
    opened,
    report_folder,
    terms_of,
    write_run,
)
from sciexam.exam.sat import Sat, sit
from sciexam.exam.tally import Progress
from sciexam.folders import check_folder, resolved
from sciexam.models.spending import Budget
from sciexam.models.terms import USUAL, Engine
from sciexam.store import Store
from sciexam.suite import Suite, load_suite
from sciexam.types import Judge

# What counts and reports (and numpy, and the statistics) is imported by each command once it has verdicts: whoever is
# asked is asked a third of a second sooner.
if TYPE_CHECKING:
    from sciexam.report.agreeing.agreement import Agreement
    from sciexam.report.audit import Takes
    from sciexam.report.evidence import Evidence
    from sciexam.report.record import Report, Step
    from sciexam.report.standings.leaderboard import Leaderboard

__all__ = ["agree", "compare", "leaderboard", "report_folder"]


def compare(
    suite: Suite | str,
    *contestants: str,
    judges: Sequence[str | Judge] = (),
    orders: Literal["both", "one"] | None = None,
    policy: Policy = "mean",
    margin: float | None = None,
    by: str = "category",
    limit: int | None = None,
    until_decided: bool = False,
    budget: float | Budget | None = None,
    batch: bool = False,
    engine: Engine = "local",
    strict_model: bool = False,
    retry_invalid: bool = False,
    max_wait: float = 120.0,
    store: str | Path | None = None,
    results: str | Path = "results",
    stop: threading.Event | None = None,
    preflight: Callable[[Owed], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Compare contestants of `suite` (or of the one of that name) pairwise: all pairs, by every judge.

    `judges` are names of the suite's judges (or `measures`, `openai:MODEL`, a file of verdicts, `humans`) or objects
    with a name and `judge(presentations)`; the suite's own judge by default. `margin` is the difference of win rates
    that does not matter; `by` the field of a prompt to slice by; `limit` takes the first prompts only. `max_wait` is in
    seconds. Facts go to `store` (results/ledger.sqlite), the report to results/<suite>/<run>/.

    `until_decided` asks for the prompts in an order drawn from their content, and for no more once every pair is
    decided by every judge: better, worse, or with a `margin` equivalent. `preflight` is told before the first call what
    is about to be asked, and what it costs. `budget` is the most that the command spends, in USD by the suite's prices:
    when it is reached everything that came back is kept, and the report says so. `batch` asks endpoints through their
    batch API, `engine` local weights in this process or on the nodes of a Ray cluster. `strict_model` raises GateNotMet
    as soon as an endpoint answers as another model than was asked for, and at the end where one did before, or under
    several names.

    Setting `stop` ends the run early: calls in flight are waited for, and Interrupted is raised.
    """
    suite = load_suite(suite, results) if isinstance(suite, str) else suite
    judges = [judges] if isinstance(judges, str) else judges
    if batch and until_decided:
        raise UsageError("--batch: --until-decided looks at every round of answers, and a batch may take a day")
    terms = terms_of(suite, max_wait, budget, batch, engine)
    plan, models = make_plan(
        suite, contestants, judges, orders, policy, margin, by, limit, terms, until_decided=until_decided
    )
    with opened(store, results, terms) as ledger:
        stop = stop or threading.Event()
        sat = sit(plan, models, ledger, terms, stop, preflight, progress, retry_invalid, strict_model)
        from sciexam.exam.reporting import count, write

        found = count(sat, ledger, results=results)
        if not strict_model:
            sat = replace(sat, stored=None)  # what the report has not taken of it is not held while it is written
        write(found, sat.manifest, Path(results))
        if strict_model:
            check_echoes(plan, ledger, report_folder(found, results), sat.stored)
    return found


def agree(
    suite: Suite | str,
    *contestants: str,
    judges: Sequence[str | Judge] = (),
    policy: Policy = "mean",
    by: str = "category",
    limit: int | None = None,
    store: str | Path | None = None,
    results: str | Path = "results",
) -> Agreement:
    """How far raters agree on contestants of `suite`, by the verdicts in the ledger: no model is called.

    `judges` as in `compare`; by default all who have judged: the suite's, those that earlier runs on this ledger named
    under the same rubric, and the humans. Files of answers and verdicts that the suite or the command names are read
    into the ledger first.
    """
    from sciexam.exam.facts import read_facts
    from sciexam.exam.people import held_against_people
    from sciexam.exam.reading import reading
    from sciexam.report.agreeing.agreement import build_agreement
    from sciexam.report.agreeing.steps import steps_of

    suite = load_suite(suite, results) if isinstance(suite, str) else suite
    named = [judges] if isinstance(judges, str) else list(judges)
    with reading(suite, contestants, named, "agree", policy, by, limit, store, results) as read:
        evidence = read_facts(read.plan, read.store, read.calls, read.skipped)
        if not named:  # nobody wants to be told of the judges that were never asked
            evidence = replace(evidence, benches=[bench for bench in evidence.benches if not bench.silent])
        judged = suite.command("compare", *contestants, "--judge", "NAME")
        people = suite.command("annotate", "serve", *contestants)
        second = f"A second rater is another judge of the suite (`{judged}`), or people (`{people}`)."
        found = build_agreement(evidence, second)
        known = held_against_people(read.plan, evidence, Path(results)).benches
        held = {bench.name for bench in known if bench.held and not bench.held_elsewhere}
        steps = steps_of(found, read.manifest.get("argv", ()), suite.judges, held, suite.readers)
        found = replace(found, next_steps=steps)
        _write_agreement(found, read.manifest, Path(results))
    return found


def leaderboard(
    suite: Suite | str,
    *contestants: str,
    judge: str | Judge | None = None,
    pairs: Literal["all", "baseline"] = "all",
    orders: Literal["both", "one"] | None = None,
    policy: Policy = "mean",
    by: str = "category",
    limit: int | None = None,
    reward: str | None = None,
    budget: float | None = None,
    batch: bool = False,
    engine: Engine = "local",
    strict_model: bool = False,
    retry_invalid: bool = False,
    max_wait: float = 120.0,
    store: str | Path | None = None,
    results: str | Path = "results",
    site: str | Path | None = None,
    stop: threading.Event | None = None,
    preflight: Callable[[Owed], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Leaderboard:
    """The standings of contestants of `suite` by one judge: ratings, rank ranges, win rates against the baseline.

    What is not in the ledger is asked for, as by `compare`. `pairs`: every two contestants, or each and the baseline.
    A null contestant, which answers nothing, is judged against the baseline where the judge can be asked.
    `reward` names the reward model whose rewards stand in the rows, which is not asked (the first one of the suite).
    `preflight` is told what is about to be asked. `site` is the folder of the static site
    (results/<suite>/leaderboard), which is replaced whole. Everything else as in `compare`.
    """
    suite = load_suite(suite, results) if isinstance(suite, str) else suite
    terms = terms_of(suite, max_wait, budget, batch, engine)
    plan, models = make_board_plan(suite, contestants, judge, pairs, orders, policy, by, limit, terms)
    place = site_folder(suite.name, site, results)
    _check_site(plan, place, store, results)
    if reward is not None:
        from sciexam.exam.board.besides import reward_model

        reward_model(plan, reward)  # a wrong name ends here, before anything is paid
    with opened(store, results, terms) as ledger:
        sat = sit(
            plan, models, ledger, terms, stop or threading.Event(), preflight, progress, retry_invalid, strict_model
        )
        from sciexam.exam.audit_price import takes_of
        from sciexam.exam.board.besides import besides_of
        from sciexam.exam.board.facts import keys_of_said, read_board
        from sciexam.exam.people import held_against_people
        from sciexam.report.standings.board import build_leaderboard

        evidence, outcomes = read_board(sat, ledger)
        evidence = held_against_people(plan, evidence, Path(results))
        outcomes = replace(outcomes, description=evidence.benches[0].description)
        besides = besides_of(plan, ledger, reward)
        found = build_leaderboard(evidence, outcomes, plan.contestants[0], NULL, besides, TEXTS)
        takes = takes_of(plan, evidence.benches[0].name, ledger, keys_of_said(sat, evidence.benches[0]))
        found = replace(found, next_steps=_after(found, sat, evidence, takes, ledger))
        _write_leaderboard(found, sat.manifest, Path(results), place, takes)
        if strict_model:
            check_echoes(plan, ledger, report_folder(found, results), sat.stored)
    return found


def _after(board: Leaderboard, sat: Sat, evidence: Evidence, takes: Takes | None, ledger: Store) -> tuple[Step, ...]:
    from sciexam.exam.people import people_who_judged
    from sciexam.report.standings.steps import steps_of

    plan, argv, (bench,) = sat.plan, sat.manifest.get("argv", ()), evidence.benches
    recorded = any(rater.by_name for rater in plan.raters if rater.bench == bench.name)
    judged = people_who_judged(plan, evidence, ledger) if bench.trust == "doubtful" else ""
    readers = plan.suite.readers
    names = [name for name in plan.contestants if name != NULL]
    return steps_of(board, argv, bench, recorded, names, len(plan.prompts), judged, takes, readers)


def check_leaderboard(
    suite: Suite | str,
    *contestants: str,
    judge: str | Judge | None = None,
    pairs: Literal["all", "baseline"] = "all",
    orders: Literal["both", "one"] | None = None,
    policy: Policy = "mean",
    by: str = "category",
    limit: int | None = None,
    store: str | Path | None = None,
    results: str | Path = "results",
) -> str:
    """A sentence that says that every row of a leaderboard is complete, and like the others: the same prompts, one
    judge, one rubric, one model behind each contestant. Raises GateNotMet with what is wrong with each row otherwise.

    Nobody is asked, and nothing is written. Arguments as in `leaderboard`.
    """
    from sciexam.exam.board.check import check_board

    suite = load_suite(suite, results) if isinstance(suite, str) else suite
    plan, _ = make_board_plan(suite, contestants, judge, pairs, orders, policy, by, limit, USUAL)
    with existing_ledger(store, results) as ledger:
        return check_board(plan, ledger)


def site_folder(suite: str, site: str | Path | None = None, results: str | Path = "results") -> Path:
    """Where the site of a leaderboard lies: by default one for each suite."""
    return Path(results) / suite / "leaderboard" if site is None else Path(site)


def _check_site(plan: Plan, site: Path, store: str | Path | None, results: str | Path) -> None:
    """Refuse a site that could not be written in the end, before anybody is asked and paid."""
    from sciexam.report.site.names import site_names

    runs, ledger = Path(results) / plan.suite.name, location_of(store, results)
    kept = {f"the runs of suite {plan.suite.name!r} lie": runs}
    if "://" not in ledger:
        kept["the ledger lies"] = Path(ledger)
    for what, path in kept.items():
        if path.resolve().is_relative_to(resolved(site)):
            raise UsageError(
                f"{what} in {path}, and the folder of the site is replaced as a whole: name another with --site"
            )
    check_folder(site, site_names(plan.contestants, plan.pairs, *plan.benches))


def _write_agreement(found: Agreement, manifest: Mapping[str, Any], results: Path) -> None:
    write_run(report_folder(found, results), manifest, _agreement_files(found, manifest))


def _agreement_files(found: Agreement, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from sciexam.report.agreeing.agreement_text import sentence_of, tables_of
    from sciexam.report.result_files import result_files
    from sciexam.report.wording import noted

    title = f"Agreement on {', '.join(found.contestants)}"
    told: dict[str, Any] = {"sentence": sentence_of(found), "caveats": found.caveats, "remarks": noted(found.notes)}
    steps = found.next_steps
    return result_files("agreement", "Agreement", title, found, tables_of(found), manifest, **told, steps=steps)


def _write_leaderboard(
    found: Leaderboard, manifest: Mapping[str, Any], results: Path, site: Path, takes: Takes | None
) -> None:
    from sciexam.report.site import write_site
    from sciexam.report.site.downloads import downloads_of

    downloads = downloads_of(found)
    write_run(report_folder(found, results), manifest, downloads.items())
    write_site(found, downloads, manifest, site, results, takes)
