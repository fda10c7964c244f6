"""What `sciexam validate` and `sciexam audit` left of a judge, read back from their files.

The files are data: what has not the expected shape is passed over, and no annotator's name is taken from them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sciexam.report import audit
from sciexam.report.record import Figure
from sciexam.report.validating import validation
from sciexam.stats import Estimate, Undefined

LARGEST = 8_000_000  # bytes of a file that is read
Text = Annotated[str, Field(max_length=2_000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class _Number(_Part):
    """A figure in a file: a value with its interval, or why there is none."""

    value: float | None
    low: float | None
    high: float | None
    level: float | None
    n: int
    method: Text | None
    why: Text | None

    def figure(self) -> Figure:
        if self.value is None or self.low is None or self.high is None or self.level is None:
            return Undefined(self.why or "the file does not say why", self.n)
        return Estimate(self.value, self.low, self.high, self.level, self.n, self.method or "")


class _Against(_Part):
    who: Text
    kind: Literal["judge", "adjudicated", "annotator", "annotators", "baseline"]
    items: int
    decided: int
    accuracy: _Number
    accuracy_decided: _Number
    kappa: _Number
    lead: _Number | None = None


class _Rate(_Part):
    a: Text
    b: Text
    judged: int
    both: int
    unlabelled: int
    powered: _Number
    weight: float | None = None


class _Validation(_Part):
    run: Text
    rubric: Text
    judge: Text
    annotators: tuple[Text, ...]
    labelled: int
    against: tuple[_Against, ...] = Field(max_length=10_000)
    rates: tuple[_Rate, ...] = Field((), max_length=10_000)
    drawn: Text = ""


class _Line(_Part):
    name: Text
    family: Text
    measures: Text
    figure: _Number
    tolerated: tuple[float, float] | None
    outcome: audit.Outcome
    meaning: Text


class _Audit(_Part):
    run: Text
    rubric: Text
    judge: Text
    prompts: int
    lines: tuple[_Line, ...] = Field(max_length=1_000)


F = TypeVar("F", _Validation, _Audit)


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody against the human majority, as in report.against_humans; `lead` is the judge's over them."""

    who: str
    items: int
    accuracy: Figure
    decided: int
    on_decided: Figure
    kappa: Figure
    lead: Figure


@dataclass(frozen=True, slots=True)
class Corrected:
    """The win rate of b against a by people and a judge together, as in report.validating.corrected_rates.

    `drawn`: whether what people judged is known to be a random sample.
    """

    a: str
    b: str
    judged: int
    both: int
    unlabelled: int
    powered: Figure
    weight: float | None
    drawn: bool


@dataclass(frozen=True, slots=True)
class Validated:
    """A validation of a judge. `changed`: it had other settings then; None where that cannot be told. `plan`: of what
    it was, by the manifest beside it."""

    run: str
    started: str
    labelled: int
    annotators: int
    held: tuple[Held, ...]
    changed: bool | None
    rates: tuple[Corrected, ...]
    plan: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tested:
    """One perturbation of an audit, as in report.audit."""

    name: str
    measures: str
    figure: Figure
    tolerated: tuple[float, float] | None
    outcome: audit.Outcome
    meaning: str


@dataclass(frozen=True, slots=True)
class Audited:
    """An audit of a judge; `changed` as in Validated. The shapes of injections are told together, and what follows is
    counted as on the card (`report.audit.outcomes`)."""

    run: str
    started: str
    prompts: int
    lines: tuple[Tested, ...]
    changed: bool | None
    outcomes: Mapping[str, audit.Outcome]


def newest_validation(runs: Path, judge: str, rubric: str, raters: frozenset[str]) -> Validated | None:
    """The newest validation of `judge` by `rubric` among `runs`, the runs of a suite; None where there is none.

    `raters` are the digests of those who judge under the name.
    """
    if (found := _newest(runs, "validation.json", validation.SCHEMA, _Validation, judge, rubric)) is None:
        return None
    one, started, plan = found
    rates = [
        Corrected(r.a, r.b, r.judged, r.both, r.unlabelled, r.powered.figure(), r.weight, bool(one.drawn))
        for r in one.rates
    ]
    held = [_held(row) for row in one.against if row.kind != "annotator"]  # which is a person, by name
    changed = _changed(digests_of(plan, judge), raters)
    people = len(one.annotators)
    return Validated(one.run, started, one.labelled, people, tuple(held), changed, tuple(rates), plan)


def _held(row: _Against) -> Held:
    lead = row.lead.figure() if row.lead else Undefined("the file does not say")
    of_all, of_decided = row.accuracy.figure(), row.accuracy_decided.figure()
    return Held(row.who, row.items, of_all, row.decided, of_decided, row.kappa.figure(), lead)


def newest_audit(runs: Path, judge: str, rubric: str, raters: frozenset[str]) -> Audited | None:
    """The newest audit; arguments as in `newest_validation`."""
    if (found := _newest(runs, "audit.json", audit.SCHEMA, _Audit, judge, rubric)) is None:
        return None
    one, started, plan = found
    lines = [
        Tested(line.name, line.measures, line.figure.figure(), line.tolerated, line.outcome, line.meaning)
        for line in one.lines
        if not line.family
    ]
    changed = _changed(digests_of(plan, judge), raters)
    return Audited(one.run, started, one.prompts, tuple(lines), changed, audit.outcomes(one.lines))


def _newest(
    runs: Path, file: str, schema: str, kind: type[F], judge: str, rubric: str
) -> tuple[F, str, Mapping[str, Any]] | None:
    """The newest file of a kind, when it was begun, and its plan, by the manifest beside it."""
    found = []
    for path in sorted(runs.glob(f"*/{file}")):
        one = _read(path, schema, kind)
        if one and (one.judge, one.rubric) == (judge, rubric):
            manifest = _json(path.with_name("run.json"))
            manifest = manifest if isinstance(manifest, dict) else {}
            found.append((moment(manifest.get("started")), str(path), one, plan_in(manifest)))
    if not found:
        return None
    started, _, one, plan = max(found, key=lambda each: each[:2])
    return one, started, plan


def plan_in(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The plan in a manifest; empty where it has none."""
    plan = manifest.get("plan")
    return plan if isinstance(plan, Mapping) else {}


def digests_of(plan: Mapping[str, Any], judge: str) -> frozenset[str]:
    """What those who judge under a name are, by the plan in a manifest; empty where it does not tell."""
    raters = plan.get("raters")
    listed = [rater for rater in raters if isinstance(rater, Mapping)] if isinstance(raters, list) else []
    return frozenset(str(r.get("digest")) for r in listed if r.get("bench") == judge and r.get("kind") != "human")


def moment(started: object) -> str:
    """A time of a manifest to show; empty where it is none."""
    if not isinstance(started, str) or not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\b", started, re.ASCII):
        return ""
    return started[:19].replace("T", " ") + " UTC"


def _changed(then: frozenset[str], now: frozenset[str]) -> bool | None:
    return then != now if then and now else None


def _read(path: Path, schema: str, kind: type[F]) -> F | None:
    made = _json(path)
    if not isinstance(made, dict) or made.get("schema") != schema:
        return None
    try:
        return kind.model_validate(made)
    except ValidationError:
        return None


def _json(path: Path) -> Any:
    """What a file holds; None where it is no JSON, or larger than any of ours."""
    try:
        return json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST else None
    except (OSError, ValueError, RecursionError):
        return None
