"""What a judge is, by what the suite says of it and what its files hold: known without opening it.

A model that learns from a judge's word is another one where the judge is. Whatever could change a verdict counts;
where and how fast the judge is asked does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sciexam.digests import file_digest
from sciexam.errors import UsageError
from sciexam.judges.grading import GradingTemplate
from sciexam.judges.rendering import template_of
from sciexam.judges.settings import (
    CustomJudge,
    JudgeSpec,
    LLMJudge,
    RecordedJudge,
    RewardJudge,
    RewardsJudge,
    RewardWeightsJudge,
    VllmJudge,
)
from sciexam.models.checkpoint_digests import digests_of
from sciexam.models.class_source import source_of
from sciexam.models.settings import WHERE, weights_of
from sciexam.rubric import Rubric

WITHOUT_RUBRIC = (RecordedJudge, RewardsJudge, RewardJudge, RewardWeightsJudge)


def definition_of(spec: JudgeSpec, rubric: Rubric) -> dict[str, Any]:
    """What a judge is, as plain values. Its members, and who writes its references, are known by their names alone.

    What cannot be read counts by its name: that it is wrong is told where the judge is opened.
    """
    read = {"template", "grading", "weights", "adapter", "verdicts", "rewards"}
    counted = {"order_known"}  # in figures alone: what was said is the same
    return {
        "settings": spec.model_dump(mode="json", exclude={*WHERE, *read, *counted, *_addresses(spec)}),
        "contents": list(_contents(spec, rubric)),
        "rubric": None if isinstance(spec, WITHOUT_RUBRIC) else rubric.digest,
    }


def _addresses(spec: JudgeSpec) -> tuple[str, ...]:
    """Weights are the same at whatever address they are served."""
    return ("base_url",) if isinstance(spec, VllmJudge) else ()


def _contents(spec: JudgeSpec, rubric: Rubric) -> Iterator[Any]:
    """What is in the files that a judge reads."""
    if isinstance(spec, LLMJudge):
        yield _or_name(lambda: template_of(spec, rubric).digest, spec.template)
        yield _or_name(lambda: GradingTemplate(spec.grading, rubric, spec.mark).digest, spec.grading)
    if (weights := weights_of(spec)) is not None:
        folders = filter(None, (weights.weights, weights.adapter))
        yield from (digests_of(Path(folder)) if Path(folder).is_dir() else folder for folder in folders)
    if isinstance(spec, CustomJudge):
        yield source_of(spec.backend)
    for file in (getattr(spec, "verdicts", None), getattr(spec, "rewards", None)):
        if file is not None:
            yield file_digest(Path(file)) if Path(file).is_file() else file


def _or_name(read: Callable[[], str], name: str | None) -> str | None:
    try:
        return read()
    except UsageError:
        return name
