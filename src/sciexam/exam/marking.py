"""Answers marked one by one: `grade` and `reward`, the siblings of `compare`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sciexam.errors import UsageError
from sciexam.exam.plan import Plan, make_plan
from sciexam.exam.preflight import Owed, bill_of, tell
from sciexam.exam.runs import check_all_ready, hold, opened, terms_of, write_run
from sciexam.exam.sitting import Sitting
from sciexam.exam.tally import Progress
from sciexam.judges.rewards import RecordedRewards
from sciexam.judges.settings import RewardsJudge
from sciexam.models.spending import Budget
from sciexam.models.terms import Engine, Terms
from sciexam.store import Store
from sciexam.suite import Suite, load_suite
from sciexam.types import HUMANS, Grader, Model

if TYPE_CHECKING:
    from sciexam.report.marking.grades import Grades
    from sciexam.report.marking.marks import Marking
    from sciexam.report.marking.rewards import Rewards


def grade(
    suite: Suite | str,
    *contestants: str,
    judges: Sequence[str | Grader] = (),
    limit: int | None = None,
    budget: float | None = None,
    batch: bool = False,
    engine: Engine = "local",
    retry_invalid: bool = False,
    max_wait: float = 120.0,
    store: str | Path | None = None,
    results: str | Path = "results",
    stop: threading.Event | None = None,
    preflight: Callable[[Owed], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Grades:
    """Mark the answers of contestants of `suite` one by one, by the rubric, by every judge: one contestant is enough.

    `judges` are names of the suite's judges (or `measures`, `openai:MODEL`) or objects with a name and
    `grade(submissions)`; the suite's own judge by default. `preflight` is told what is about to be asked. The rest as
    in `compare`.
    """
    suite = load_suite(suite, results) if isinstance(suite, str) else suite
    judges = [judges] if isinstance(judges, str) else judges
    terms = terms_of(suite, max_wait, budget, batch, engine)
    plan, models = plan_marks(suite, contestants, judges, limit, terms, "grade")
    with opened(store, results, terms) as ledger:
        marking, manifest = mark(plan, models, ledger, stop, preflight, progress, retry_invalid, terms)
        from sciexam.report.marking.grades import build_grades

        found = build_grades(marking)
        write_run(marks_folder(found, results), manifest, _grade_files(found, manifest))
    return found


def _grade_files(found: Grades, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from sciexam.report.marking.grades_text import sentence_of, tables_of
    from sciexam.report.result_files import result_files
    from sciexam.report.wording import noted

    title = f"Grades of {', '.join(found.contestants)}"
    told: dict[str, Any] = {"sentence": sentence_of(found), "caveats": found.caveats, "remarks": noted(found.notes)}
    return result_files("grade", "Grades by the rubric", title, found, tables_of(found), manifest, **told)


def reward(
    suite: Suite | str,
    *contestants: str,
    model: str | Grader,
    limit: int | None = None,
    budget: float | Budget | None = None,
    batch: bool = False,
    engine: Engine = "local",
    retry_invalid: bool = False,
    max_wait: float = 120.0,
    store: str | Path | None = None,
    results: str | Path = "results",
    stop: threading.Event | None = None,
    preflight: Callable[[Owed], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Rewards:
    """The distribution of rewards of contestants of `suite`, how they differ, and whether people agree.

    `model` is a judge of the suite, a `.jsonl` file of rewards (each rater in it is a reward model), or an object with
    a name and `grade(submissions)`. Human verdicts are those in the ledger on the same pairs of answers. The rest as in
    `grade`.
    """
    suite = load_suite(suite, results) if isinstance(suite, str) else suite
    suite, judge = _with_rewards(suite, model)
    terms = terms_of(suite, max_wait, budget, batch, engine)
    plan, models = plan_marks(suite, contestants, [judge], limit, terms, "reward")
    with opened(store, results, terms) as ledger:
        marking, manifest = mark(plan, models, ledger, stop, preflight, progress, retry_invalid, terms)
        from sciexam.exam.marked import people_of
        from sciexam.report.marking.rewards import build_rewards

        found = build_rewards(replace(marking, people=people_of(plan, ledger)))
        write_run(marks_folder(found, results), manifest, _reward_files(found, manifest))
    return found


def _reward_files(found: Rewards, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from sciexam.report.marking.rewards_text import sentence_of, tables_of
    from sciexam.report.result_files import result_files
    from sciexam.report.wording import noted

    title = f"Rewards of {', '.join(found.contestants)}"
    told: dict[str, Any] = {"sentence": sentence_of(found), "caveats": found.caveats, "remarks": noted(found.notes)}
    files = result_files("rewards", "Rewards", title, found, tables_of(found), manifest, **told)
    yield next(files)  # the record is written first
    yield "rewards.csv", found.to_csv()
    yield from files


def marks_folder(found: Grades | Rewards, results: str | Path = "results") -> Path:
    """Where the files of a run lie."""
    return Path(results) / found.suite / found.run


# ---------------------------------------------------------------- the plan


def plan_marks(
    suite: Suite,
    contestants: Sequence[str],
    judges: Sequence[Any],
    limit: int | None,
    terms: Terms,
    purpose: Literal["grade", "reward"],
) -> tuple[Plan, dict[str, Model]]:
    """The plan of marking answers of `contestants` one by one, and their models. Raises as `make_plan`."""
    if HUMANS in judges and HUMANS not in suite.judges:
        raise UsageError("humans compare answers here, and do not mark them one by one; name a judge that does")
    plan, models = make_plan(suite, contestants, judges, None, "mean", None, "category", limit, terms, purpose)
    return replace(plan, caveats=(*plan.caveats, *_caveats(plan))), models


def _with_rewards(suite: Suite, model: str | Grader) -> tuple[Suite, str | Grader]:
    """The suite with a file of rewards as one of its judges, and the judge to ask."""
    if not isinstance(model, str) or model in suite.judges or not model.endswith(".jsonl"):
        return suite, model
    path = Path(model)
    if not path.is_file():
        raise UsageError(f"{model}: no such file of rewards")
    if path.stem in suite.judges:
        raise UsageError(f"{path.stem!r} is a judge of the suite and the name of a file; rename the file")
    spec = RewardsJudge(backend="rewards", rewards=str(path.absolute()))
    return suite.model_copy(update={"judges": {**suite.judges, path.stem: spec}}), path.stem


def _caveats(plan: Plan) -> Iterator[str]:
    prompts, names = {prompt.id for prompt in plan.suite.prompts}, set(plan.suite.models)
    unknown: dict[str, None] = {}
    for rater in plan.raters:
        if isinstance(rater.judge, RecordedRewards):
            unknown |= dict.fromkeys(rater.judge.strangers(prompts, names))
    if unknown:
        shown = ", ".join(repr(word[:40]) for word in list(unknown)[:3])
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        yield f"There are rewards for {shown}{more}: no prompt and no model here has that name, so they do not count."


# ---------------------------------------------------------------- the sitting


def mark(
    plan: Plan,
    models: Mapping[str, Model],
    ledger: Store,
    stop: threading.Event | None,
    preflight: Callable[[Owed], None] | None,
    progress: Callable[[Progress], None] | None,
    retry_invalid: bool,
    terms: Terms,
) -> tuple[Marking, dict[str, Any]]:
    """Ask for all that is owed, and read everything the plan covers back from the ledger."""
    check_all_ready(plan, models, ledger, retry_invalid)
    announced = tell(preflight, partial(bill_of, plan, ledger, retry_invalid))
    stop = stop or threading.Event()
    sitting = Sitting(plan, ledger, stop, progress, retry_invalid, terms=terms, announced=announced)
    manifest = hold(sitting, plan, models, ledger)
    from sciexam.exam.marked import marking_of  # with the statistics, as in `compare`

    return marking_of(plan, ledger, sitting.calls, sitting.skipped, sitting.notes), manifest
