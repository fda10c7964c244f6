"""A judge held against humans: it is asked for its verdicts on what they judged, nobody else is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sciexam.battles import Policy, Slot, pair
from sciexam.errors import UsageError
from sciexam.exam.audit_price import takes_of
from sciexam.exam.cautions import model_behind
from sciexam.exam.facts import read_facts
from sciexam.exam.labelled import owed_on, to_ask
from sciexam.exam.people import audited_by
from sciexam.exam.plan import Plan, conversations_of, make_plan
from sciexam.exam.preflight import Owed
from sciexam.exam.raters import Rater
from sciexam.exam.runs import hold, opened, terms_of, write_run
from sciexam.exam.sitting import Sitting
from sciexam.exam.tally import Progress
from sciexam.judges import open_judge
from sciexam.judges.measures import Measures
from sciexam.judges.settings import MeasuresJudge, RecordedJudge
from sciexam.models import check_ready
from sciexam.models.terms import Engine, Terms
from sciexam.report.agreeing.votes import ItemKey, votes_of
from sciexam.report.audit import Takes
from sciexam.report.calls import Calls
from sciexam.report.evidence import Evidence
from sciexam.store import Store
from sciexam.suite import Suite, load_suite
from sciexam.types import HUMANS, Comparison, Judge, Model, Response

if TYPE_CHECKING:
    from sciexam.report.validating.validation import Validation

EPSILON = 0.2  # of the alt-test, for experts; its authors suggest .15 for skilled annotators and .1 for a crowd


def validate(
    suite: Suite | str,
    judge: str | Judge,
    *contestants: str,
    humans: Sequence[str] = (),
    orders: Literal["both", "one"] | None = None,
    policy: Policy = "mean",
    epsilon: float = EPSILON,
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
) -> Validation:
    """Whether `judge` can be trusted on contestants of `suite`, by the human verdicts on the same comparisons.

    `humans`: files of verdicts with "kind": "human", judges of the suite that are such files, or `humans` for those in
    the ledger; by default the ledger's and the suite's. The judge is asked, in the orders that it is configured with
    unless `orders` says otherwise, for what the ledger lacks on comparisons that a human judged; a file of verdicts and
    the text measures cost nothing and are taken on all. No contestant is asked. `epsilon` is how much worse than a
    human the judge may be in the alt-test. Everything else as in `compare`. Raises UsageError without a human verdict.
    """
    from sciexam.report.validating.steps import steps_of
    from sciexam.report.validating.validation import build_validation

    suite = load_suite(suite, results) if isinstance(suite, str) else suite
    if not 0 < epsilon < 1:
        raise UsageError(f"--epsilon: how much worse than a human a judge may be, between 0 and 1, not {epsilon}")
    terms = terms_of(suite, max_wait, budget, batch, engine)
    cast, plan, models = _cast(suite, judge, contestants, humans, orders, policy, limit, terms)
    plan = replace(plan, purpose="validate", margin=epsilon)
    stop = stop or threading.Event()
    with opened(store, results, terms) as ledger:
        files = replace(plan, raters=tuple(rater for rater in plan.raters if rater.by_name))
        reading = Sitting(files, ledger, stop, None, retry_invalid=False, recorded_only=True)
        manifest = hold(reading, plan, models, ledger)
        labelled = _labelled(plan, cast, ledger)
        _check_and_announce(owed_on(plan, cast.judge, labelled, ledger, retry_invalid), cast.judge, preflight)
        raters = [rater for rater in plan.raters if rater.bench in (cast.judge.bench, cast.measures)]
        part = to_ask(plan, raters, labelled)
        asking = Sitting(part, ledger, stop, progress, retry_invalid, judges_only=True, terms=terms)
        asking.hold(models)
        skipped = {**reading.skipped, **asking.skipped}
        evidence = read_facts(plan, ledger, asking.calls, skipped, asking.notes)
        own, why_not = _own(plan, cast.judge)
        found = build_validation(evidence, cast.judge.bench, cast.judge_is, cast.measures, own, why_not)
        audited = audited_by(plan, cast.judge.bench, Path(results)) is not None
        steps = steps_of(
            found,
            manifest.get("argv", ()),
            cast.judge.by_name,
            audited,
            len(suite.prompts),
            _takes(plan, evidence, cast, ledger),
            suite.readers,
        )
        found = replace(found, next_steps=steps)
        _write(found, manifest, Path(results))
    return found


def _takes(plan: Plan, evidence: Evidence, cast: _Cast, ledger: Store) -> Takes | None:
    """What an audit of the judge would take."""
    name = cast.judge.bench
    keys = (shown.key for one in evidence.benches if one.name == name for shown, _ in one.verdicts)
    return takes_of(plan, name, ledger, keys)


def folder_of(found: Validation, results: str | Path = "results") -> Path:
    """Where the files of a validation lie."""
    return Path(results) / found.suite / found.run


# ---------------------------------------------------------------- who takes part


@dataclass(frozen=True, slots=True)
class _Cast:
    """The one judge, what it is in words, and the name of the text measures' bench where they are a baseline."""

    judge: Rater
    judge_is: str
    measures: str | None


def _cast(
    suite: Suite,
    judge: str | Judge,
    contestants: Sequence[str],
    humans: Sequence[str],
    orders: Literal["both", "one"] | None,
    policy: Policy,
    limit: int | None,
    terms: Terms,
) -> tuple[_Cast, Plan, dict[str, Model]]:
    """Who takes part, and the plan of all of them: the judge, the humans, and the measures as a baseline."""
    alone, _ = make_plan(suite, contestants, [judge], orders, policy, None, "category", limit, terms)
    judges = [rater for rater in alone.raters if rater.kind != "human"]
    named = judge if isinstance(judge, str) else judge.name
    if not judges:
        raise UsageError(
            f"{named!r} is who a judge is held against; name a judge of the suite ({', '.join(suite.judges)}), "
            "measures, openai:MODEL, or a .jsonl file of its verdicts"
        )
    if len(judges) > 1:
        raise UsageError(
            f"{named!r} stands for {len(judges)} judges: {', '.join(one.name for one in judges)}; "
            "name one of them, or keep the verdicts of each in a file of its own"
        )
    people = [name for name in dict.fromkeys(humans or _humans_of(suite)) if name != judge]
    measures = _measures_of(suite, judges[0])
    baseline = [measures] if measures and measures not in (judge, *people) else []
    plan, models = make_plan(
        suite, contestants, [judge, *people, *baseline], orders, policy, None, "category", limit, terms
    )
    kept = [
        _apart(rater, judges[0])
        for rater in plan.raters
        if rater.kind == "human" or rater.bench == judges[0].bench or rater.bench in baseline
    ]
    benches = {rater.bench: plan.benches.get(rater.bench, "annotators, recorded") for rater in kept}
    if HUMANS in people and HUMANS not in suite.judges:
        benches[HUMANS] = plan.benches[HUMANS]
    of_files = [name for name in humans if name != HUMANS or HUMANS in suite.judges]
    _check_humans(of_files, suite, terms)
    (rater,) = [one for one in kept if one.kind != "human" and one.bench == judges[0].bench]
    judge_is = alone.benches[rater.bench].removesuffix(", not validated")
    found = _Cast(rater, judge_is, baseline[0] if baseline else None)
    return found, replace(plan, raters=tuple(kept), benches=benches), models


def _apart(rater: Rater, judge: Rater) -> Rater:
    """Annotators of a file that is named like the judge sit on a bench of their own."""
    return (
        replace(rater, bench=f"{rater.bench} (humans)")
        if rater.kind == "human" and rater.bench == judge.bench
        else rater
    )


def _humans_of(suite: Suite) -> list[str]:
    """The humans in the ledger, and the judges of the suite that are files with human verdicts."""
    files = [
        name
        for name, spec in suite.judges.items()
        if isinstance(spec, RecordedJudge) and _any_human(open_judge(name, spec, suite.rubric))
    ]
    return [HUMANS, *files]


def _check_humans(names: Sequence[str], suite: Suite, terms: Terms) -> None:
    for name in names:
        if not _any_human(open_judge(name, suite.judge_spec(name), suite.rubric, terms)):
            raise UsageError(f'{name} holds no human verdict; a line of one has "kind": "human" and a "rater"')


def _any_human(opened: Iterable[object]) -> bool:
    return any(getattr(one, "kind", "judge") == "human" for one in opened)


def _measures_of(suite: Suite, judge: Rater) -> str | None:
    """The text measures as a baseline; None where they are the judge, or the rubric has none."""
    if isinstance(judge.judge, Measures) or not any(criterion.measure for criterion in suite.rubric.criteria):
        return None
    named = [name for name, spec in suite.judges.items() if isinstance(spec, MeasuresJudge)]
    return named[0] if named else None if "measures" in suite.judges else "measures"


def _own(plan: Plan, judge: Rater) -> tuple[tuple[str, ...], str]:
    """The contestants that are the judge's own model, or that bear its name; or why there are none."""
    behind = model_behind(plan.suite.judges.get(judge.bench)) or (judge.model, None)
    own = tuple(
        name for name in plan.contestants if model_behind(plan.suite.models[name]) == behind or name == judge.name
    )
    if isinstance(judge.judge, Measures):
        return (), "this judge is no language model, and wrote no answer"
    if judge.model is None:
        return own, "no contestant has the judge's name, and which model is behind it is not known"
    return own, f"no contestant is the judge's own model ({judge.model})"


# ---------------------------------------------------------------- what is asked


def _labelled(plan: Plan, cast: _Cast, ledger: Store) -> frozenset[ItemKey]:
    """The comparisons that have a usable human verdict. Raises UsageError where there is none."""
    people = [rater for rater in plan.raters if rater.kind == "human"]
    apart = {cast.judge.bench, cast.measures}
    only = replace(
        plan, raters=tuple(people), benches={name: what for name, what in plan.benches.items() if name not in apart}
    )
    try:
        evidence = read_facts(only, ledger, Calls(), {})
    except UsageError as error:
        if not _compared(plan, ledger):
            asks = plan.suite.command("compare", *plan.contestants)
            raise UsageError(f"{error} (no contestant is asked here; `{asks}` does that)") from None
        raise UsageError("\n".join([_nobody(plan, ledger), *plan.caveats])) from None
    found = frozenset(item for one in votes_of(evidence.benches) for item in (*one.scores, *one.of_one_text))
    if not found:
        raise UsageError("\n".join([_nobody(plan, ledger), *plan.caveats]))
    return found


def _nobody(plan: Plan, ledger: Store) -> str:
    names, annotate = ", ".join(plan.contestants), plan.suite.command("annotate", "serve", *plan.contestants)
    first, second, *_ = plan.contestants
    said = {"prompt": plan.prompts[0].id, "first": first, "second": second, "preferred": "second"}
    line = json.dumps({**said, "rater": "ann", "kind": "human"}, ensure_ascii=False)
    return (
        f"no human has judged {names} on these prompts, by {ledger.location} and the files that were named.\n"
        f"Let people judge them: {annotate}\n"
        f"Or give a file with --humans FILE.jsonl; a line of it: {line}"
    )


def _compared(plan: Plan, ledger: Store) -> list[Comparison]:
    """The comparisons of which the ledger has both answers."""
    responses: dict[Slot, Response] = {}
    for contestant in plan.contestants:
        conversations = dict(conversations_of(plan, contestant))
        replies = ledger.replies({conversation.key for conversation in conversations.values()})
        for slot, conversation in conversations.items():
            if conversation.key in replies:
                responses[slot] = Response(*slot, replies[conversation.key])
    return list(pair(plan.prompts, plan.pairs, plan.samples, responses))


def _check_and_announce(owed: Owed, judge: Rater, preflight: Callable[[Owed], None] | None) -> None:
    if owed.calls:
        check_ready(judge.judge)
    if preflight is not None:
        preflight(owed)


# ---------------------------------------------------------------- files


def _write(found: Validation, manifest: dict[str, Any], results: Path) -> None:
    write_run(folder_of(found, results), manifest, _files(found, manifest))


def _files(found: Validation, manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    from sciexam.report.result_files import result_files
    from sciexam.report.validating.validation_text import tables_of

    title = f"{found.judge} against humans on {', '.join(found.contestants)}"
    return result_files(
        "validation",
        "A judge against people",
        title,
        found,
        tables_of(found),
        manifest,
        sentence=found.sentence,
        caveats=found.caveats,
        remarks=found.remarks,
        steps=found.next_steps,
    )
