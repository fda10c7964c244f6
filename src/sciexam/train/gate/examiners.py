"""Who examines a checkpoint, and whether they can: known before anything is trained, or training is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from sciexam import lineage
from sciexam.contamination import Exam
from sciexam.documents import read_jsonl
from sciexam.errors import DocumentError, UsageError
from sciexam.exam.raters import raters_of
from sciexam.judges.recorded import RecordedJudge
from sciexam.lineage.stages import Gate, Reward, Stage, Trained
from sciexam.models import check_ready
from sciexam.prompts import read_prompts
from sciexam.suite import Suite
from sciexam.train.data.candidates import terms_for
from sciexam.train.gate.independence import check_independent
from sciexam.train.workshop import Workshop
from sciexam.types import HUMANS, Prompt


def judge_of(suite: Suite, name: str) -> str:
    """The judge of the gate of the model `name`: its own, or the suite's."""
    return gate_of(suite, name).judge or suite.judge


def gate_of(suite: Suite, name: str) -> Gate:
    """The conditions for the model `name`, which owes an exam."""
    spec = suite.models[name]
    assert isinstance(spec, Stage)
    assert spec.gate is not None
    return spec.gate


def parent_of(suite: Suite, name: str) -> str:
    """Whom the model `name` is held against."""
    spec = suite.models[name]
    assert isinstance(spec, Stage)
    return spec.parent


def baseline_of(suite: Suite, name: str) -> str | None:
    """The suite's baseline, where the gate of `name` asks for it, and it is not made from `name` itself."""
    baseline = suite.baseline if gate_of(suite, name).baseline else None
    return None if baseline is None or name in lineage.walk(suite.models, baseline) else baseline


def check(workshop: Workshop, name: str) -> None:
    """Raises UsageError where the exam of `name`, or of what it is made from, could not be held.

    Its judge cannot be asked, or was what it is trained to please; its baseline does not exist; a prompt of the exam
    stands in the file of its looks.
    """
    suite = workshop.suite
    to_train = lineage.walk(suite.models, name)
    for model in to_train:
        spec = suite.models[model]
        if not isinstance(spec, Trained) or isinstance(spec, Reward) or spec.gate is None or spec.weights:
            continue
        judge = judge_of(suite, model)
        _check_judge(workshop, model, spec.parent, judge)
        check_independent(suite, workshop.results, model, judge)
        _check_baseline(suite, model, to_train)
        if spec.gate.dev:
            check_dev(suite, model, Path(spec.gate.dev))


def _check_judge(workshop: Workshop, model: str, parent: str, judge: str) -> None:
    if judge == HUMANS and HUMANS not in workshop.suite.judges:
        raise UsageError(
            f"{model}: gate.judge: people cannot be asked while a model is trained; name a judge: gate: {{judge: NAME}}"
        )
    try:
        raters = [rater for rater, _ in raters_of(workshop.suite, judge, None, terms_for(workshop, workshop.suite))]
        for rater in raters:
            check_ready(rater.judge)
            check_ready(rater.reference_model)
    except UsageError as error:
        raise UsageError(f"{model}: its exam could not be held: {error}") from None
    for rater in raters:
        if isinstance(rater.judge, RecordedJudge) and frozenset((parent, model)) not in rater.judge.pairs:
            raise UsageError(
                f"{model}: gate.judge: {judge!r} is a file without any verdict on {parent} and {model}; name a judge "
                "that can be asked: gate: {judge: NAME}"
            )


def _check_baseline(suite: Suite, model: str, to_train: list[str]) -> None:
    """Refuse a baseline that will have no answers by then."""
    baseline = baseline_of(suite, model)
    spec = suite.models[baseline] if baseline is not None else None
    if isinstance(spec, Stage) and not (spec.weights or spec.responses or baseline in to_train):
        raise UsageError(
            f"{model}: gate.baseline: the baseline {baseline} is not trained; run: sciexam train {baseline}, or write "
            "gate: {baseline: false}"
        )


def check_dev(suite: Suite, model: str, dev: Path) -> None:
    """Raises DocumentError where a prompt of the exam, or nearly the same, stands in the file of the looks."""
    prompts = read_prompts(dev, f"{model}: gate.dev: ")
    lines = dict(zip((number for number, _ in read_jsonl(dev)), prompts, strict=True))
    held = {number: f"prompt {prompt} of the exam" for number, prompt in Exam(suite.prompts).found_in(dev)}
    alike = {number: f"nearly what prompt {prompt} of the exam asks" for number, prompt in _alike(suite, model, lines)}
    found = [
        f"{dev}:{number}: {what} stands here, in the gate.dev of {model}; take it out of this file"
        for number, what in sorted((alike | held).items())
    ]
    if found:
        raise DocumentError(found)


def _alike(suite: Suite, model: str, lines: Mapping[int, Prompt]) -> Iterator[tuple[int, str]]:
    """(line, the prompt of the exam that it says nearly the same as), by MinHash as wherever prompts are made."""
    if find_spec("datasketch") is None:
        raise UsageError(f"{model}: gate.dev: is held against the exam by datasketch: pip install 'sciexam[data]'")
    from sciexam.near_duplicates import repeats

    asked = [prompt.messages[-1].content for prompt in lines.values()]
    for number, other in zip(lines, repeats(Exam(suite.prompts).texts, asked), strict=True):
        if other is not None:
            yield number, suite.prompts[other].id
