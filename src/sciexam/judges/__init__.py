"""Presentations in, verdicts out; or submissions in, grades out: every kind of judge behind one method."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sciexam.errors import UsageError
from sciexam.judges.settings import (
    CascadeJudge,
    CustomJudge,
    EndpointJudge,
    JudgeSpec,
    LLMJudge,
    MeasuresJudge,
    Pairwise,
    PanelJudge,
    RecordedJudge,
    RewardJudge,
    RewardsJudge,
    RewardWeightsJudge,
    ScriptedJudge,
    VllmJudge,
    WeightsJudge,
)
from sciexam.models import load_class, open_model, placed
from sciexam.models.settings import Endpoint
from sciexam.models.terms import USUAL, Terms
from sciexam.rubric import Rubric
from sciexam.types import Generation, Grader, Judge

if TYPE_CHECKING:
    from sciexam.judges.measures import Measures

# Room to reason, and no sampling noise unless it is asked for.
JUDGE_GENERATION = Generation(max_tokens=1024, temperature=0.0)


def open_judge(name: str, spec: JudgeSpec, rubric: Rubric, terms: Terms = USUAL) -> list[Judge]:
    """The judges behind `name`: one, or one for each rater of a recorded file.

    Raises UsageError; also for what only marks answers one by one, which `compares_by_grades` tells and `open_grader`
    opens.
    """
    match spec:
        case EndpointJudge() | WeightsJudge() | VllmJudge() | ScriptedJudge():
            return [_pairwise(name, spec, rubric, terms)]
        case MeasuresJudge():
            return [_measures(name, rubric)]
        case RecordedJudge():
            from sciexam.judges.recorded import read_verdicts

            return list(read_verdicts(Path(spec.verdicts)))
        case RewardsJudge() | RewardJudge() | RewardWeightsJudge():
            raise UsageError(f"judge {name!r} marks answers one by one: it has rewards, and no verdicts")
        case PanelJudge() | CascadeJudge():
            raise UsageError(_composed(name, spec))
        case CustomJudge():
            judge: Judge = load_class(name, spec.backend, "judge")(**spec.settings)
            return [judge]


def open_grader(name: str, spec: JudgeSpec, rubric: Rubric, terms: Terms = USUAL) -> list[Grader]:
    """Those behind `name` who mark answers one by one. Raises UsageError for a judge that can only compare."""
    match spec:
        case EndpointJudge() | WeightsJudge() | VllmJudge() | ScriptedJudge():
            return [_grading(name, spec, rubric, terms)]
        case MeasuresJudge():
            from sciexam.judges.measured import MeasuredMarks

            return [MeasuredMarks(_measures(name, rubric))]
        case RewardsJudge():
            from sciexam.judges.rewards import read_rewards

            return list(read_rewards(Path(spec.rewards)))
        case RewardJudge():
            return [_reward(name, spec, terms)]
        case RewardWeightsJudge():
            from sciexam.judges.rewards import RewardModelGrader
            from sciexam.models.reward_weights import RewardWeights

            return [RewardModelGrader(name, placed(partial(RewardWeights, name, spec, terms.fetch), spec, terms))]
        case CustomJudge():
            grader: Grader = load_class(name, spec.backend, "grade")(**spec.settings)
            return [grader]
        case PanelJudge() | CascadeJudge():
            raise UsageError(_composed(name, spec))
        case RecordedJudge():
            raise UsageError(
                f"judge {name!r} has recorded verdicts, and cannot mark answers one by one; name one that can: "
                "--judge measures"
            )


def _composed(name: str, spec: PanelJudge | CascadeJudge) -> str:
    return f"judge {name!r} is a {spec.backend}, whose members judge one by one: {', '.join(spec.judges)}"


def compares_by_grades(spec: JudgeSpec | None) -> bool:
    """Whether a judge's verdicts are made of its marks for each answer."""
    if isinstance(spec, CustomJudge):
        return _only_grades(spec)
    if isinstance(spec, (RewardsJudge, RewardJudge, RewardWeightsJudge)):
        return True
    return getattr(spec, "compare_by", "verdicts") == "grades"


def _only_grades(spec: CustomJudge) -> bool:
    """Whether a stranger's class has grade() and no judge(); what is wrong with it is told when it is opened."""
    try:
        return not callable(getattr(load_class("", spec.backend, "grade"), "judge", None))
    except UsageError:
        return False


def _pairwise(name: str, spec: LLMJudge, rubric: Rubric, terms: Terms) -> Judge:
    from sciexam.judges.pairwise import PairwiseJudge
    from sciexam.judges.rendering import template_of

    generation = judge_generation(spec)
    template = template_of(spec, rubric)
    template.check_complete()
    if spec.probabilities and template.form != "letter":
        raise UsageError(
            f"judge {name!r}: `probabilities: true` needs a verdict of one word, not the form {template.form!r}; write "
            "`template: verdict-only`, or `verdict: letter` with a template that asks for A, B or ="
        )
    model = open_model(name, spec, generation, terms)
    return PairwiseJudge(name, model, template, generation.max_tokens, spec.probabilities)


def _grading(name: str, spec: LLMJudge, rubric: Rubric, terms: Terms) -> Grader:
    from sciexam.judges.grading import GradingTemplate, LLMGrader

    generation = judge_generation(spec)
    template = GradingTemplate(spec.grading, rubric, spec.mark)
    return LLMGrader(name, open_model(name, spec, generation, terms), template, generation.max_tokens)


def _reward(name: str, spec: RewardJudge, terms: Terms) -> Grader:
    from sciexam.judges.rewards import RewardModelGrader
    from sciexam.models.scoring import RewardModel

    asked = spec.model_dump(exclude={"backend", "task", "tie_within"})
    return RewardModelGrader(name, RewardModel(name, Endpoint(backend="openai", **asked), spec.task, terms))


def judge_generation(spec: LLMJudge) -> Generation:
    """How an LLM is asked as a judge: with room to reason, field by field replaced by what its settings say."""
    return JUDGE_GENERATION.model_copy(update=spec.generation.model_dump(exclude_unset=True) if spec.generation else {})


def _measures(name: str, rubric: Rubric) -> Measures:
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
