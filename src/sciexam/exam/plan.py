"""The plan: a resolved command, and the keys of the facts that it covers. Nothing is asked here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any, Literal

from sciexam.battles import Policy, Slot, in_drawn_order, orders_of, present, submit
from sciexam.digests import digest
from sciexam.errors import DocumentError, UsageError, did_you_mean
from sciexam.exam.cautions import caveats_of, contaminations_of, strangers_of
from sciexam.exam.raters import Rater, raters_of
from sciexam.models.recorded import RecordedModel
from sciexam.models.terms import Terms
from sciexam.prompts import field_of
from sciexam.store import Store
from sciexam.suite import Suite, suite_digest
from sciexam.types import (
    HUMANS,
    Comparison,
    Conversation,
    Judge,
    Model,
    Presentation,
    Prompt,
    Response,
    Submission,
)

Purpose = Literal["compare", "agree", "leaderboard", "validate", "grade", "reward", "annotate", "answer", "export"]
# Purposes for which no two answers are asked about.
ALONE: tuple[Purpose, ...] = ("grade", "reward", "annotate", "answer")
SCORED: tuple[Purpose, ...] = ("compare", "leaderboard", "grade", "reward")  # that say how good contestants are

FACT_SCHEMA = 1  # part of every key: raised when a fact comes to mean something else


@dataclass(frozen=True, slots=True)
class Plan:
    """A resolved command: whose answers, by whom they are judged, and how they are counted."""

    suite: Suite
    contestants: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]  # that are compared, in the order in which they are reported
    prompts: tuple[Prompt, ...]
    benches: Mapping[str, str]  # name -> what it is, in words
    raters: tuple[Rater, ...]
    models: Mapping[str, str]  # contestant -> digest of its model
    policy: Policy
    orders: Literal["both", "one"]
    margin: float | None
    by: str
    content: str  # the suite's (`suite_digest`)
    samples: int  # that every contestant gives, also where the plan is cut down; sample i is compared with sample i
    purpose: Purpose = "compare"
    caveats: tuple[str, ...] = ()
    # model, prompt's id -> its answer, or None where it has failed to give one
    references: Mapping[tuple[str, str], str | None] = field(default_factory=dict, repr=False)
    until_decided: bool = False  # the prompts are in a drawn order, and nothing is asked once all pairs are decided
    # a, b, prompt's id: the comparisons that are asked about; None: all
    only: frozenset[tuple[str, str, str]] | None = field(default=None, repr=False)

    def asks(self, a: str, b: str, prompt: str) -> bool:
        """Whether the comparison of contestants a and b on a prompt is asked about."""
        return self.only is None or (a, b, prompt) in self.only

    def told(self, rater: Rater, prompt: Prompt) -> Prompt | None:
        """The prompt as `rater` sees it, with its own reference or the written one; None where it waits for one."""
        if rater.reference is None or prompt.reference is not None:
            return prompt
        written = self.references.get((rater.reference, prompt.id))
        return None if written is None else prompt.model_copy(update={"reference": written})

    def awaits(self, rater: Rater, prompt: Prompt) -> bool:
        """Whether a reference that `rater` sees is still to be asked for."""
        wanted = rater.reference is not None and prompt.reference is None
        return wanted and (rater.reference, prompt.id) not in self.references

    @property
    def alone(self) -> bool:
        """Whether answers are marked one by one, and nothing is compared."""
        return self.purpose in ALONE

    @property
    def takes_records(self) -> bool:
        """Whether it takes a record of each verdict to know what is owed; otherwise arrays tell it (`stored`)."""
        return self.until_decided or any(rater.grades or rater.part_of == "cascade" for rater in self.raters)

    @property
    def run(self) -> str:
        """The id of the run: the digest of everything that could change its result."""
        return digest(
            {
                "suite": [self.suite.name, self.content, self.suite.seed],
                "prompts": [prompt.id for prompt in self.prompts],
                "contestants": [[name, self.models[name]] for name in self.contestants],
                "pairs": list(self.pairs),
                "raters": [[r.bench, r.name, r.digest, r.orders, r.repeats, *_besides(r)] for r in self.raters],
                "benches": list(self.benches),
                "counted": [self.purpose, self.policy, self.orders, self.margin, self.by, self.samples],
            }
            | ({"until": "decided"} if self.until_decided else {})  # only then: the ids of other runs stay
            | ({"together": together} if (together := self._together) else {})
        )[:16]

    @property
    def _together(self) -> dict[str, Any]:
        """How the verdicts of a panel or a cascade become one, by bench."""
        benches = dict.fromkeys(rater.bench for rater in self.raters if rater.part_of)
        return {name: self.suite.judges[name].model_dump(exclude={"judges"}) for name in benches}


def make_plan(
    suite: Suite,
    contestants: Sequence[str],
    judges: Sequence[str | Judge],
    orders: Literal["both", "one"] | None,
    policy: Policy,
    margin: float | None,
    by: str,
    limit: int | None,
    terms: Terms,
    purpose: Purpose = "compare",
    until_decided: bool = False,
) -> tuple[Plan, dict[str, Model]]:
    """The plan of a command, and the models of its contestants. Raises UsageError before anyone is asked.

    For the purposes in ALONE answers are marked one by one, or only read: one contestant is enough, none are paired.
    `until_decided` puts the prompts into their drawn order; `limit` takes the first of the file all the same.
    """
    alone = purpose in ALONE
    names = tuple(contestants) or baseline_first(suite)
    if len(names) < 2 and not alone:
        there = f"only {names[0]!r} is named" if names else "none is named"
        raise UsageError(f"a comparison needs two contestants, and {there}")
    if len(set(names)) < len(names):
        raise UsageError("a contestant is named twice")
    if margin is not None and not 0 < margin < 0.5:
        raise UsageError(f"--margin: a difference of win rates between 0 and 0.5, not {margin}")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit: 1 or more prompts, not {limit}")
    prompts = suite.prompts[:limit]
    _check_field(prompts, by)
    models = _opened(suite, names, terms)
    _check_answers(suite, prompts, models)
    if until_decided:
        prompts = in_drawn_order(prompts, suite.seed)
    benches: dict[str, str] = {}
    raters: list[Rater] = []
    for judge in judges or (suite.judge,):
        found = list(raters_of(suite, judge, orders, terms, alone))
        named = {rater.bench: description for rater, description in found}
        if judge == HUMANS and HUMANS not in suite.judges:
            named[HUMANS] = "the human verdicts in the ledger"
        if twice := sorted(named.keys() & benches.keys()):
            raise UsageError(f"two judges are called {twice[0]!r}; name each once, and no two the same")
        benches |= named
        raters += [rater for rater, _ in found]
    if until_decided:
        _check_watched(benches, raters, by)
    return Plan(
        suite=suite,
        contestants=names,
        pairs=() if alone else tuple(combinations(names, 2)),
        prompts=prompts,
        benches=benches,
        raters=tuple(raters),
        models={name: model.digest for name, model in models.items()},
        policy=policy,
        orders=orders or "both",
        margin=margin,
        by=by,
        content=suite_digest(suite),
        samples=samples_of(suite, names),
        purpose=purpose,
        caveats=(
            *caveats_of(suite, names, prompts, models, [str(judge) for judge in judges or (suite.judge,)]),
            *strangers_of(suite, raters, orders),
            *(contaminations_of(suite, names, prompts) if purpose in SCORED else ()),
        ),
        until_decided=until_decided,
    ), models


def _opened(suite: Suite, names: Sequence[str], terms: Terms) -> dict[str, Model]:
    """The models of these contestants. The faults of all their files are raised at once."""
    models: dict[str, Model] = {}
    faults: list[str] = []
    for name in names:
        try:
            models[name] = suite.open_model(name, terms)
        except DocumentError as error:
            faults += error.faults
    if faults:
        raise DocumentError(faults)
    return models


def _check_watched(benches: Mapping[str, str], raters: Sequence[Rater], by: str) -> None:
    """Refuse what cannot be told from a sequence of prompts that ends when it is decided."""
    if by != "category":
        raise UsageError(f"--by {by}: a run that stops when it is decided has no slices; leave out --until-decided")
    for bench in benches:
        found = [rater for rater in raters if rater.bench == bench]
        if not found:
            raise UsageError(f"--until-decided: {bench!r} cannot be asked for verdicts; leave one of the two out")
        if whole := next((rater.part_of for rater in found if rater.part_of), None):
            names = " ".join(f"--judge {rater.name}" for rater in found)
            raise UsageError(f"--until-decided: {bench!r} is a {whole}; name its judges one by one: {names}")


def _answers_any(model: RecordedModel, prompts: Sequence[Prompt]) -> bool:
    """Whether a file answers one of the prompts, in whichever of its samples."""
    samples = {sample for _, sample in model.lines}
    return any(model.answers(prompt, sample) for prompt in prompts for sample in samples)


def _check_answers(suite: Suite, prompts: Sequence[Prompt], models: Mapping[str, Model]) -> None:
    """Refuse recorded answers to other prompts before anyone else is asked and paid."""
    for name, model in models.items():
        if isinstance(model, RecordedModel) and not _answers_any(model, prompts):
            theirs = next(iter(model.lines))[0]
            raise UsageError(
                f"{name}: no prompt of suite {suite.name!r} has an answer in {model.path}; "
                f"the suite names its prompts like {prompts[0].id!r}, the file like {theirs[:60]!r}"
            )


def samples_of(suite: Suite, contestants: Iterable[str]) -> int:
    """How many samples all of these contestants give: as many as the one that gives the fewest."""
    return min(suite.generation_of(name).samples for name in contestants)


def baseline_first(suite: Suite) -> tuple[str, ...]:
    """The suite's contestants, so ordered that the others are set against the baseline."""
    return tuple(sorted(suite.contestants, key=lambda name: name != suite.baseline))


def _check_field(prompts: Sequence[Prompt], by: str) -> None:
    if by != "category" and all(field_of(prompt, by) is None for prompt in prompts):
        known = {"category", "group", *(key for prompt in prompts for key in prompt.metadata)}
        raise UsageError(f"--by {by}: no prompt has this field{did_you_mean(by, known)}")


def conversations_of(plan: Plan, contestant: str) -> Iterator[tuple[Slot, Conversation]]:
    """What a contestant is asked. A recorded answer is looked up by its prompt's id, so two prompts of one text are two
    facts there; for everyone else one text is one question.
    """
    recorded = bool(getattr(plan.suite.models[contestant], "responses", None))
    samples = range(plan.samples)
    for prompt in plan.prompts:
        for sample in samples:
            asked = conversation_of(plan.models[contestant], prompt, sample, recorded)
            yield (contestant, prompt.id, sample), asked


def conversation_of(model: str, prompt: Prompt, sample: int, recorded: bool) -> Conversation:
    """The call that asks the model of this digest for an answer to `prompt`."""
    key = digest(
        {
            "fact": ["reply", FACT_SCHEMA],
            "model": model,
            "messages": [(message.role, message.content) for message in prompt.messages],
            "sample": sample,
            "named": prompt.id if recorded else None,
        }
    )
    return Conversation(key, prompt.messages, sample, prompt=prompt.id)


def presentations_of(plan: Plan, rater: Rater, comparison: Comparison, store: Store) -> Iterator[Presentation]:
    """What this rater is shown of one comparison. A rater that cannot see the order is shown one."""
    for shown in _presented(plan, rater, comparison):
        key = _key_of(rater, shown)
        yield replace(shown, key=key, seal=store.seal(key))


def keys_of(plan: Plan, rater: Rater, comparison: Comparison, store: Store) -> Iterator[str]:
    """The keys of what `shown_of` shows."""
    if rater.grades:
        yield from (shown.key for shown in shown_of(plan, rater, comparison, store))
    else:
        yield from (_key_of(rater, shown) for shown in _presented(plan, rater, comparison))


def _presented(plan: Plan, rater: Rater, comparison: Comparison) -> Iterator[Presentation]:
    if (told := plan.told(rater, comparison.prompt)) is None:
        return
    comparison = comparison if told is comparison.prompt else replace(comparison, prompt=told)
    orders = orders_of(comparison, rater.orders, plan.suite.seed) if rater.sees_order else ("ab",)
    for order in orders:
        for repeat in range(rater.repeats):
            yield present(comparison, order, repeat)


def _key_of(rater: Rater, shown: Presentation) -> str:
    named = [shown.prompt.id, shown.first_by, shown.second_by, shown.sample] if rater.by_name else None
    return verdict_key(rater.digest, shown, named)


def verdict_key(judge: str, shown: Presentation, named: Sequence[Any] | None = None) -> str:
    """The key of the verdict of the judge of this digest on what is `shown`; `named` is what else tells it apart."""
    fact = ["verdict", FACT_SCHEMA]
    return digest({"fact": fact, "judge": judge, "named": named, "repeat": shown.repeat, "seen": shown.seen})


def submissions_of(plan: Plan, rater: Rater, prompt: Prompt, response: Response, store: Store) -> Iterator[Submission]:
    """What a rater who marks answers one by one is shown of one response. One text is marked once, whoever wrote it."""
    if (told := plan.told(rater, prompt)) is None:
        return
    for repeat in range(rater.repeats):
        shown = submit(told, response, repeat)
        key = digest(
            {
                "fact": ["grade", FACT_SCHEMA],
                "judge": rater.digest,
                "subject": shown.subject,
                "repeat": repeat,
                "named": [prompt.id, shown.by, shown.sample] if rater.by_name else None,
            }
        )
        yield replace(shown, key=key, seal=store.seal(key))


def shown_of(
    plan: Plan, rater: Rater, comparison: Comparison, store: Store
) -> Iterator[Presentation] | Iterator[Submission]:
    """All that `rater` is shown for one comparison: presentations, or both answers where it marks them one by one."""
    if not rater.grades:
        return presentations_of(plan, rater, comparison, store)
    both = (comparison.a, comparison.b)
    return (one for response in both for one in submissions_of(plan, rater, comparison.prompt, response, store))


def to_manifest(plan: Plan) -> dict[str, Any]:
    return {
        "suite": _suite_as_said(plan.suite),
        "contestants": list(plan.contestants),
        "pairs": [list(pair) for pair in plan.pairs],
        "prompts": [prompt.id for prompt in plan.prompts],
        "benches": dict(plan.benches),
        "raters": [asdict(replace(rater, judge=None, reference_model=None)) for rater in plan.raters],
        "models": dict(plan.models),
        "digests": {
            "suite": plan.content,
            "rubric": plan.suite.rubric.digest,
            "lineage": {name: plan.suite.lineage_digest(name) for name in plan.contestants},
        },
        "policy": plan.policy,
        "orders": plan.orders,
        "margin": plan.margin,
        "by": plan.by,
        "purpose": plan.purpose,
        "caveats": list(plan.caveats),
        "until_decided": plan.until_decided,
    }


def _suite_as_said(suite: Suite) -> dict[str, Any]:
    """A suite as JSON. Of how a model is asked only what it says itself: the rest is the suite's (`generation_of`)."""
    said = suite.model_dump(mode="json", by_alias=True)
    for name, spec in suite.models.items():
        if own := getattr(spec, "generation", None):
            said["models"][name]["generation"] = own.model_dump(mode="json", exclude_unset=True)
    return said


def _besides(rater: Rater) -> list[Any]:
    """What the run's id says of a rater where it is set at all, so that the ids of other runs stay."""
    references = [rater.reference, rater.reference_digest] if rater.reference else []
    return [*references, *([{"tie_within": rater.tie_within}] if rater.tie_within else [])]


def from_manifest(value: Mapping[str, Any]) -> Plan:
    suite = Suite.model_validate(value["suite"])
    prompts = {prompt.id: prompt for prompt in suite.prompts}
    return Plan(
        suite=suite,
        contestants=tuple(value["contestants"]),
        pairs=tuple((a, b) for a, b in value.get("pairs") or combinations(value["contestants"], 2)),
        prompts=tuple(prompts[name] for name in value["prompts"]),
        benches=value["benches"],
        raters=tuple(Rater(**rater) for rater in value["raters"]),
        models=value["models"],
        policy=value["policy"],
        orders=value["orders"],
        margin=value["margin"],
        by=value["by"],
        content=value["digests"]["suite"],
        samples=samples_of(suite, value["contestants"]),
        purpose=value.get("purpose", "compare"),
        caveats=tuple(value["caveats"]),
        until_decided=value.get("until_decided", False),
    )
