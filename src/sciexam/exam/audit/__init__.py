"""The audit of a judge: whether its verdicts move with what should not move them, and with what should."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.exam.audit.cases import cases_of
from sciexam.exam.audit.lines import lines_of
from sciexam.exam.audit.marking import Marking, exhibits_of
from sciexam.exam.audit.paraphrase import paraphrased
from sciexam.exam.audit.rules import LEVEL
from sciexam.exam.audit_price import takes_of
from sciexam.exam.cost import RENDERED
from sciexam.exam.people import held_by
from sciexam.exam.plan import Plan, conversations_of, make_plan, to_manifest
from sciexam.exam.preflight import Owed, bill_of_verdicts
from sciexam.exam.raters import Rater
from sciexam.exam.references import with_references
from sciexam.exam.runs import opened, terms_of, write_run
from sciexam.exam.sitting import Progress, Sitting
from sciexam.judges import open_judge
from sciexam.judges.foreign import digest_of
from sciexam.judges.rendering import template_of
from sciexam.judges.settings import CascadeJudge, LLMJudge, PanelJudge, RecordedJudge, RewardsJudge
from sciexam.manifest import environment
from sciexam.models import check_ready
from sciexam.models.terms import Engine, Terms
from sciexam.report.audit import Card
from sciexam.report.audit_steps import steps_of
from sciexam.store import Store
from sciexam.suite import Suite, load_suite
from sciexam.types import HUMANS, Judge, Message, Model, Presentation, Prompt, Reply, Response

VERSION = 2  # of the cases and rules: part of a run's id


def audit(
    suite: Suite | str,
    judge: str | Judge,
    *contestants: str,
    limit: int | None = None,
    budget: float | None = None,
    batch: bool = False,
    engine: Engine = "local",
    seed: int | None = None,
    retry_invalid: bool = False,
    max_wait: float = 120.0,
    store: str | Path | None = None,
    results: str | Path = "results",
    stop: threading.Event | None = None,
    preflight: Callable[[Owed], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Card:
    """The perturbation card of `judge` on answers of `contestants` (two or more; the suite's by default).

    Of each prompt one answer and one pair of answers are drawn (by `seed`, the suite's by default), changed by code,
    and shown to the judge: a text against itself, padded, restyled, cut, with an injection, and so on; in both orders
    where the judge sees the order. Answers are those of files and of the ledger: no contestant is asked. Verdicts that
    are not in the ledger are asked for; `preflight` is told before how many calls to endpoints that takes. The unit of
    every interval is the prompt.

    `limit`, `retry_invalid`, `max_wait` (seconds), `store`, `results`, `stop` and `progress` as in `compare`. The card
    goes to results/<suite>/<run>/audit.html, audit.md and audit.json.

    Raises UsageError for a judge that cannot be shown anything (recorded verdicts, humans) or marks answers one by one,
    and where a contestant has no answer yet.
    """
    suite = load_suite(suite, results) if isinstance(suite, str) else suite
    seed = suite.seed if seed is None else seed
    terms = terms_of(suite, max_wait, budget, batch, engine)
    plan, models, own = _plan(suite, judge, contestants, limit, terms)
    other, unread = _rephrased(plan.suite, judge, own, terms)
    run = digest({"audit": VERSION, "plan": plan.run, "seed": seed})[:16]
    with opened(store, results, terms) as ledger:
        manifest = environment() | {"run": run, "plan": to_manifest(plan) | {"purpose": "audit"}, "seed": seed}
        ledger.add_run(run, json.dumps(manifest))
        plan, own = _referred(with_references(plan, ledger), own)
        answers = _answers(plan, models, ledger, stop or threading.Event())
        cases = list(cases_of(plan.prompts, answers, seed, other is not None))
        if not cases:
            raise UsageError(f"no prompt of suite {suite.name!r} has an answer that could be shown")
        exhibits = exhibits_of(plan, cases, own, other, ledger)
        marking = Marking(plan, exhibits, ledger, stop or threading.Event(), progress, retry_invalid, terms)
        if marking.owed:
            check_ready(own.judge)
        if preflight is not None:
            shown = [comparison for case in cases[: 4 * RENDERED] for comparison in case.shown.values()]
            preflight(bill_of_verdicts(plan, ledger, own, marking.owed, shown))
        marking.hold()
        held, judge_is = held_by(plan, own.bench, Path(results)), plan.benches[own.bench]
        why = _inapplicable(plan, own, unread, {case.kind for case in cases})
        card = Card(
            suite=suite.name,
            run=run,
            rubric=suite.rubric.rubric,
            judge=own.bench,
            judge_is=held.describe(judge_is) if held else judge_is,
            contestants=plan.contestants,
            prompts=len({case.unit for case in cases}),
            seed=seed,
            level=LEVEL,
            lines=tuple(lines_of(list(marking.findings()), _may_tie(suite, judge), why)),
            calls=replace(marking.calls, unasked=terms.unasked),
            caveats=(*plan.caveats, *marking.notes),
        )
        if isinstance(judge, str):
            takes = takes_of(plan, own.bench, ledger, (said.key for one in marking.findings() for said in one.verdicts))
            argv, whole = manifest.get("argv", ()), len(suite.prompts)
            steps = steps_of(card, argv, whole, held is not None, takes, suite.readers)
            card = replace(card, next_steps=steps)
        _write(card, manifest, Path(results))
    return card


def card_folder(card: Card, results: str | Path = "results") -> Path:
    """Where the files of an audit lie."""
    return Path(results) / card.suite / card.run


def _plan(
    suite: Suite, judge: str | Judge, contestants: Sequence[str], limit: int | None, terms: Terms
) -> tuple[Plan, dict[str, Model], Rater]:
    """The plan whose answers are shown, and the one rater that sees them. Raises UsageError."""
    if len(contestants or suite.contestants) < 2:
        raise UsageError("an audit draws on the answers of two contestants: sciexam audit JUDGE A B")
    plan, models = make_plan(suite, contestants, [judge], "both", "mean", None, "category", limit, terms)
    if judge == HUMANS or any(rater.kind == "human" for rater in plan.raters):
        raise UsageError("humans cannot be audited: there is nobody here to show anything to; name a judge")
    if len(plan.raters) > 1 and not all(rater.by_name for rater in plan.raters):
        names = ", ".join(rater.name for rater in plan.raters)
        raise UsageError(f"{judge} stands for several judges ({names}); audit them one by one")
    if any(rater.by_name for rater in plan.raters):
        raise UsageError(
            f"{judge} holds recorded verdicts, and nothing can be shown to a file; audit the judge that gave them, "
            f"such as openai:MODEL, or one of the suite that can be asked{_askable(suite, contestants)}"
        )
    if any(getattr(rater, "grades", False) for rater in plan.raters):
        raise UsageError(f"{judge} marks answers one by one; an audit is of a judge that compares two answers")
    (own,) = plan.raters
    return plan, models, own


def _askable(suite: Suite, contestants: Sequence[str]) -> str:
    """Judges of the suite that an audit can show something to, with the command for the last one."""
    recorded = (RecordedJudge, RewardsJudge, PanelJudge, CascadeJudge)
    names = [name for name, spec in suite.judges.items() if not isinstance(spec, recorded)] or ["measures"]
    return f": {', '.join(names)} (`{suite.command('audit', names[-1], *contestants)}`)"


def _answers(
    plan: Plan, models: Mapping[str, Model], ledger: Store, stop: threading.Event
) -> dict[str, list[Response]]:
    """The answers (sample 0) of every contestant by prompt: files are read into the ledger, nobody is asked."""
    Sitting(replace(plan, raters=()), ledger, stop, None, False, recorded_only=True).hold(models)
    found: dict[str, list[Response]] = {prompt.id: [] for prompt in plan.prompts}
    for name in plan.contestants:
        conversations = {slot: c for slot, c in conversations_of(plan, name) if slot[2] == 0}
        replies: dict[str, Reply] = ledger.replies(c.key for c in conversations.values())
        usable = {slot: r for slot, c in conversations.items() if (r := replies.get(c.key)) and r.status == "ok"}
        if not usable:
            raise UsageError(
                f"{name} has no answer in {ledger.location}; "
                f"`{plan.suite.command('compare', *plan.contestants)}` asks for the answers"
            )
        for (_, prompt, sample), reply in usable.items():
            found[prompt].append(Response(name, prompt, sample, reply))
    return found


def _referred(plan: Plan, own: Rater) -> tuple[Plan, Rater]:
    """The prompts with the references that the judge was given in the exam, as far as they are in the ledger."""
    prompts = tuple(plan.told(own, prompt) or prompt for prompt in plan.prompts)
    return replace(plan, prompts=prompts), replace(own, reference=None, reference_digest=None)


def _rephrased(suite: Suite, judge: str | Judge, own: Rater, terms: Terms) -> tuple[Rater | None, str]:
    """The same judge with the paraphrased rubric; or None, and why there is none."""
    if not isinstance(judge, str):
        return None, "a judge that is given as an object has its rubric to itself"
    spec = suite.judge_spec(judge)
    if not isinstance(spec, LLMJudge):
        return None, "this judge does not read the words of the rubric"
    (opened,) = open_judge(judge, spec, paraphrased(suite.rubric), terms)
    if not _shows_a_difference(spec, suite, {"criteria": paraphrased(suite.rubric).criteria}):
        return None, "its prompt does not show the rubric"
    return replace(own, judge=opened, digest=digest_of(opened)), ""


def _may_tie(suite: Suite, judge: str | Judge) -> bool | None:
    """Whether the judge's prompt offers a tie; None where it has no prompt that could be looked at."""
    spec = suite.judge_spec(judge) if isinstance(judge, str) else None
    if not isinstance(spec, LLMJudge):
        return None
    return suite.rubric.ties and _shows_a_difference(spec, suite, {"ties": False})


def _shows_a_difference(spec: LLMJudge, suite: Suite, change: Mapping[str, Any]) -> bool:
    """Whether what the judge reads is another text with the rubric changed like this."""
    blank = Prompt(id="blank", messages=(Message(role="user", content="?"),))
    shown = Presentation(blank, "", "", "ab", seal="0" * 32)
    rubrics = (suite.rubric, suite.rubric.model_copy(update=dict(change)))
    before, after = (template_of(spec, rubric).render(shown) for rubric in rubrics)
    return before != after


def _inapplicable(plan: Plan, own: Rater, unread: str, kinds: set[str]) -> dict[str, str]:
    """Why lines have no figure, by their names."""
    found: dict[str, str] = {}
    if not own.sees_order:
        each = "it scores each answer by itself, so the order cannot matter"
        found |= {"position bias": each, "order consistency": each, "identical: position": each}
    if "swap" not in kinds:
        pairs = "no prompt has two different answers"
        found = {"position bias": pairs, "order consistency": pairs, "rubric paraphrase": pairs} | found
    if unread:
        found["rubric paraphrase"] = unread
    if "copied reference" not in kinds:
        some = any(prompt.reference for prompt in plan.prompts)
        found["copied reference"] = (
            "no two prompts with answers have different references" if some else "no prompt has a reference"
        )
    return found


def _write(card: Card, manifest: Mapping[str, Any], results: Path) -> None:
    write_run(card_folder(card, results), manifest, _files(card, manifest))


def _files(card: Card, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from sciexam.report.result_files import result_files

    told: dict[str, Any] = {"sentence": card.sentence, "caveats": card.caveats, "steps": card.next_steps}
    title, tables = card.title, card.tables()
    return result_files("audit", "What moves a judge", title, card, tables, manifest, **told, has_figures=False)
