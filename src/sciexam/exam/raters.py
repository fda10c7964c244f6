"""Who judges: how each rater behind the name of a judge is asked, and what its facts are keyed by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sciexam.digests import digest
from sciexam.errors import UsageError, did_you_mean
from sciexam.judges import compares_by_grades, open_grader, open_judge, settings_of
from sciexam.judges.foreign import digest_of
from sciexam.judges.settings import (
    CascadeJudge,
    EndpointJudge,
    JudgeSpec,
    MeasuresJudge,
    PanelJudge,
    RecordedJudge,
    RewardJudge,
    RewardsJudge,
    RewardWeightsJudge,
    ScriptedJudge,
    VllmJudge,
    WeightsJudge,
)
from sciexam.models.public_name import public_name
from sciexam.models.settings import Scripted, weights_of
from sciexam.models.terms import Terms
from sciexam.report.evidence import TEXT_MEASURE
from sciexam.suite import Suite
from sciexam.types import HUMANS, Grader, Judge, Kind

if TYPE_CHECKING:
    from sciexam.report.record import Trust

SCRIPTED = "scripted"  # the model of a script, which costs nothing
UNCALLED = (None, SCRIPTED)


@dataclass(frozen=True, slots=True)
class Rater:
    """How one rater is asked, and what its verdicts are keyed by. `judge` is None when only the ledger is read."""

    name: str
    bench: str
    kind: Kind
    digest: str
    sees_order: bool = True
    by_name: bool = False
    orders: Literal["both", "one"] = "both"
    repeats: int = 1
    model: str | None = None  # that it calls, at an endpoint or on this machine, for prices
    grades: bool = False  # marks answers one by one; its verdicts follow from the marks
    tie_within: float = 0.0  # marks that differ by no more are a tie
    part_of: Literal["panel", "cascade"] | None = None  # what its bench is, where it judges there with others
    reference: str | None = None  # the model that writes a reference answer where a prompt brings none
    reference_digest: str | None = None
    anchors: int = 0  # verdicts that are asked for again each day
    recorded: str | None = None  # the name of the file that it reads, where nobody is asked
    judge: Any = field(default=None, repr=False, compare=False)  # a Judge, or a Grader where it grades
    reference_model: Any = field(default=None, repr=False, compare=False)  # a Model

    @property
    def looks(self) -> int:
        """How often it is asked for one comparison; for marks at most, since an answer is marked once for all."""
        return (2 if self.grades or (self.sees_order and self.orders == "both") else 1) * self.repeats


def annotator_digest(rater: str, rubric: str, scale: str, item: str) -> str:
    """What the verdicts of an annotator on one item of a queue are keyed by; `rubric` is the digest of the queue's.

    The item is part of it: what is taken back in one queue stands in another.
    """
    return digest({"judge": "annotator", "rater": rater, "rubric": rubric, "scale": scale, "item": item})


def raters_of(
    suite: Suite, judge: str | Judge, orders: Literal["both", "one"] | None, terms: Terms, alone: bool = False
) -> Iterator[tuple[Rater, str]]:
    """The raters behind one judge, each with its bench in words; annotators of one file share a bench.

    `alone`: they are to mark answers one by one, whatever the judge does in a comparison.
    """
    if judge == HUMANS and HUMANS not in suite.judges:
        return
    spec = suite.judge_spec(judge) if isinstance(judge, str) else None
    if isinstance(spec, (PanelJudge, CascadeJudge)):
        yield from _members_of(suite, str(judge), spec, orders, terms, alone)
        return
    settings = settings_of(spec)
    grades = alone or compares_by_grades(spec)
    opened = _opened(judge, spec, suite, terms, grades)
    humans = sum(getattr(one, "kind", "judge") == "human" for one in opened)
    for one in opened:
        assert not isinstance(one, str)
        marks = grades or (not isinstance(judge, str) and not hasattr(one, "judge") and hasattr(one, "grade"))
        _check_method(one, "grade" if marks else "judge")
        kind: Kind = getattr(one, "kind", "judge")
        bench = str(judge) if isinstance(judge, str) and (kind == "human" or len(opened) == 1) else one.name
        yield (
            Rater(
                name=one.name,
                bench=Path(bench).stem if bench.endswith(".jsonl") else bench,
                kind=kind,
                digest=digest_of(one),
                sees_order=getattr(one, "sees_order", True),
                by_name=getattr(one, "by_name", False),
                orders="both" if isinstance(spec, RecordedJudge) else orders or settings.orders or "both",
                repeats=getattr(one, "repeats", settings.samples),
                model=called_model(spec),
                grades=marks,
                tie_within=getattr(spec, "tie_within", 0.0),
                anchors=settings.anchors,
                recorded=_file_of(spec),
                judge=one,
                **_reference(str(judge), settings.reference, suite, terms),
            ),
            _describe(spec, kind, humans),
        )


def _members_of(
    suite: Suite,
    name: str,
    spec: PanelJudge | CascadeJudge,
    orders: Literal["both", "one"] | None,
    terms: Terms,
    alone: bool,
) -> Iterator[tuple[Rater, str]]:
    """The members of a panel or a cascade: asked and keyed as each would be by itself, on the bench of their whole."""
    if alone:
        raise UsageError(
            f"judge {name!r} compares answers and cannot mark them one by one; name one of {', '.join(spec.judges)}"
        )
    found = [(member, [rater for rater, _ in raters_of(suite, member, orders, terms)]) for member in spec.judges]
    for member, raters in found:
        if isinstance(spec, CascadeJudge) and len(raters) > 1:
            raise UsageError(
                f"judge {name!r}: {member!r} is {len(raters)} raters, and a cascade goes from one to another"
            )
    described = _describe_members(spec, sum(len(raters) for _, raters in found))
    for member, raters in found:
        for rater in raters:
            called = member if len(raters) == 1 else f"{member}: {rater.name}"
            yield replace(rater, name=called, bench=name, part_of=spec.backend), described


def _describe_members(spec: PanelJudge | CascadeJudge, raters: int) -> str:
    if isinstance(spec, CascadeJudge):
        return f"a cascade from {spec.judges[0]} to {spec.judges[1]}, not validated"
    weights = "averaged" if spec.weights == "mean" else "weighted by estimated reliability"
    return f"a panel of {raters} judges, {weights}, not validated"


def _reference(judge: str, name: str | None, suite: Suite, terms: Terms) -> dict[str, Any]:
    """The model that writes the references of a judge, as fields of a Rater."""
    if name is None:
        return {}
    if name not in suite.models:
        raise UsageError(f"judge {judge!r}: reference: {name!r} is not a model{did_you_mean(name, suite.models)}")
    model = suite.open_model(name, terms)
    return {"reference": name, "reference_digest": model.digest, "reference_model": model}


def _opened(
    judge: str | Judge, spec: JudgeSpec | None, suite: Suite, terms: Terms, grades: bool
) -> Sequence[Judge | Grader]:
    if not isinstance(judge, str) or spec is None:
        return [judge] if not isinstance(judge, str) else []
    return (open_grader if grades else open_judge)(judge, spec, suite.rubric, terms)


def _check_method(one: object, method: str) -> None:
    if not isinstance(getattr(one, "name", None), str) or not callable(getattr(one, method, None)):
        takes = "presentations" if method == "judge" else "submissions"
        raise UsageError(f"{type(one).__name__} is no judge: a judge has a `name` and a method {method}({takes})")


def called_model(spec: object) -> str | None:
    """The name of the model that a contestant is or a judge calls, for prices; None for one that calls none."""
    if isinstance(spec, Scripted):
        return SCRIPTED
    if (local := weights_of(spec)) is not None:
        return public_name(local.weights)
    model: str | None = getattr(spec, "model", None)
    return model


def recordings_of(raters: Sequence[Rater]) -> tuple[str, ...]:
    """The files behind these raters, by name; none where one of them can be asked."""
    files = [rater.recorded for rater in raters]
    return () if None in files else tuple(dict.fromkeys(file for file in files if file))


def trust_of(raters: Sequence[Rater]) -> Trust:
    """Whose word it is that these raters give. What a validation found of them is not known here."""
    if all(rater.kind == "human" for rater in raters):
        return "people"
    return "fake" if all(rater.model == SCRIPTED for rater in raters) else "doubtful"


def _file_of(spec: JudgeSpec | None) -> str | None:
    """The name of the file that a judge is; None for one that can be asked."""
    match spec:
        case RecordedJudge():
            return Path(spec.verdicts).name
        case RewardsJudge():
            return Path(spec.rewards).name
    return None


def _describe(spec: JudgeSpec | None, kind: Kind, humans: int) -> str:
    """What a judge is, as the report says it. Nothing here was held against humans, so nothing is called validated."""
    match spec:
        case EndpointJudge():
            return f"the LLM {public_name(spec.model)}, not validated"
        case MeasuresJudge():
            return f"{TEXT_MEASURE}, not validated"
        case ScriptedJudge():
            return "a scripted fake, not a judge"
        case RewardsJudge():
            return "recorded rewards, not validated"
        case WeightsJudge() | VllmJudge():
            return f"the LLM {public_name(spec.weights)}, not validated"
        case RewardJudge():
            return f"the reward model {public_name(spec.model)}, not validated"
        case RewardWeightsJudge():
            return f"the reward model {public_name(spec.weights)}, not validated"
        case RecordedJudge() if kind == "human":
            return f"{humans} annotator{'s' if humans != 1 else ''}, recorded"
        case RecordedJudge():
            return "recorded verdicts, not validated"
    return "a judge of your own, not validated"
