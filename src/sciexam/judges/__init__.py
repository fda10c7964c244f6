"""Presentations in, verdicts out: every kind of judge behind one method, `judge(presentations)`."""

from __future__ import annotations

from pathlib import Path

from sciexam.errors import UsageError
from sciexam.judges.settings import (
    CustomJudge,
    EndpointJudge,
    JudgeSpec,
    MeasuresJudge,
    Pairwise,
    RecordedJudge,
    ScriptedJudge,
)
from sciexam.models import load_class, open_model
from sciexam.models.terms import USUAL, Terms
from sciexam.rubric import Rubric
from sciexam.types import Generation, Grader, Judge

# Room to reason, and no sampling noise unless it is asked for.
JUDGE_GENERATION = Generation(max_tokens=1024, temperature=0.0)


def open_judge(name: str, spec: JudgeSpec, rubric: Rubric, terms: Terms = USUAL) -> list[Judge]:
    """The judges behind `name`: one, or one for each rater of a recorded file. Raises UsageError."""
    match spec:
        case EndpointJudge() | ScriptedJudge():
            return [_pairwise(name, spec, rubric, terms)]
        case MeasuresJudge():
            return [_measures(name, rubric)]
        case RecordedJudge():
            from sciexam.judges.recorded import read_verdicts

            return list(read_verdicts(Path(spec.verdicts)))
        case CustomJudge():
            judge: Judge = load_class(name, spec.backend, "judge")(**spec.settings)
            return [judge]


def open_grader(name: str, spec: JudgeSpec, rubric: Rubric, terms: Terms = USUAL) -> list[Grader]:
    """Those behind `name` who mark answers one by one. Raises UsageError for a judge that can only compare."""
    raise UsageError(f"judge {name!r} compares answers and cannot mark them one by one")


def compares_by_grades(spec: JudgeSpec | None) -> bool:
    """Whether a judge's verdicts are made of its marks for each answer."""
    return getattr(spec, "compare_by", "verdicts") == "grades"


def _pairwise(name: str, spec: EndpointJudge | ScriptedJudge, rubric: Rubric, terms: Terms) -> Judge:
    from sciexam.judges.pairwise import PairwiseJudge
    from sciexam.judges.rendering import template_of

    generation = JUDGE_GENERATION.model_copy(
        update=spec.generation.model_dump(exclude_unset=True) if spec.generation else {}
    )
    template = template_of(spec, rubric)
    template.check_complete()
    if spec.probabilities and template.form != "letter":
        raise UsageError(
            f"judge {name!r}: `probabilities: true` needs a verdict of one word, not the form {template.form!r}; write "
            "`template: verdict-only`, or `verdict: letter` with a template that asks for A, B or ="
        )
    model = open_model(name, spec, generation, terms)
    return PairwiseJudge(name, model, template, generation.max_tokens, spec.probabilities)


def _measures(name: str, rubric: Rubric) -> Judge:
    from sciexam.judges.measures import Measures

    criteria = [(c.name, c.measure, c.weight) for c in rubric.criteria if c.measure]
    if not criteria:
        raise UsageError(
            f"judge {name!r}: no criterion of rubric {rubric.rubric!r} names a text measure; "
            "add `measure: structure` (or another) to one, or use another judge"
        )
    return Measures(name, criteria)


def settings_of(spec: JudgeSpec | None) -> Pairwise:
    """How often and in which orders a judge is asked; one that says nothing is asked once."""
    return spec if isinstance(spec, Pairwise) else Pairwise()
