"""What is to be said of a command by its settings alone, before anyone is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from sciexam.contamination import Exam, TrainingFile, ancestry, training_files
from sciexam.errors import SciexamError
from sciexam.exam.raters import Rater
from sciexam.judges import judge_generation
from sciexam.judges.recorded import RecordedJudge as RecordedVerdicts
from sciexam.judges.settings import CascadeJudge, LLMJudge
from sciexam.models.public_name import public_name
from sciexam.models.recorded import RecordedModel
from sciexam.models.settings import Endpoint, weights_of
from sciexam.prompts import are_ids
from sciexam.suite import Suite
from sciexam.types import Model, Prompt

SHOWN = 100  # characters of a prompt
LARGEST = 64_000_000  # bytes of a training file that is read through before every comparison


def caveats_of(
    suite: Suite, names: Sequence[str], prompts: Sequence[Prompt], models: Mapping[str, Model], judges: Sequence[str]
) -> Iterator[str]:
    """What a reader must know of answers and judges before anyone is asked."""
    if told := ids_for_questions(prompts):
        yield f"{told}."
    for name in names:
        model = models[name]
        if isinstance(model, RecordedModel) and (unmatched := model.unmatched(suite.prompts)):
            yield (
                f"{len(unmatched)} recorded answers of {name} match no prompt of the suite "
                f"({', '.join(repr(one[:40]) for one in unmatched[:3])}{', ...' if len(unmatched) > 3 else ''})."
            )
    members = (name for judge in judges for name in getattr(suite.judges.get(judge), "judges", (judge,)))
    for judge in dict.fromkeys(members):
        spec = suite.judges.get(judge)
        asked = model_behind(spec) if spec is not None else (judge.removeprefix("openai:"), None)
        for name in names:
            if (behind := model_behind(suite.models[name])) is not None and behind == asked:
                same = public_name(behind[0])
                yield f"{judge} judges its own answers: contestant {name} is the same model ({same})."
        if isinstance(spec, LLMJudge):
            yield from _of_settings(judge, spec, names)
    for judge in judges:
        spec = suite.judges.get(judge)
        if isinstance(spec, CascadeJudge) and spec.calibration >= len(prompts):
            yield (
                f"{judge} saves nothing: its calibration takes {spec.calibration} prompts of {len(prompts)} in all; "
                "write a smaller `calibration:`, or ask its second judge alone."
            )


def model_behind(spec: object) -> tuple[str, str | None] | None:
    """What tells a model from another: its name at an endpoint, or its weights and the adapter on them."""
    if (local := weights_of(spec)) is not None:
        return local.weights, local.adapter
    return (spec.model, None) if isinstance(spec, Endpoint) else None


def ids_for_questions(prompts: Sequence[Prompt]) -> str:
    """That the prompts are nothing but their ids, as in files of answers without their questions; or an empty text."""
    if not are_ids([(prompt.id, prompt.text) for prompt in prompts]):
        return ""
    return (
        f"The prompts are ids, such as {prompts[0].id[:40]!r}: judges are shown these in the place of questions, and "
        "nothing that rests on the question can be relied on; give the questions with --prompts FILE"
    )


def differ_in_spacing(prompts: Sequence[Prompt]) -> str:
    """That two prompts are the same but for their spaces, which makes two prompts of one; or an empty text."""
    first: dict[str, Prompt] = {}
    for prompt in prompts:
        earlier = first.setdefault(" ".join(prompt.text.split()), prompt)
        if earlier.text != prompt.text:
            both = f"{earlier.text[:SHOWN]!r} and {prompt.text[:SHOWN]!r}"
            return f"these two differ only in spacing, and count as two prompts: {both}"
    return ""


def _of_settings(judge: str, spec: LLMJudge, names: Sequence[str]) -> Iterator[str]:
    if spec.reference in names:
        yield f"{judge} is shown the answers of {spec.reference} as references, and {spec.reference} is a contestant."
    if spec.samples > 1 and not judge_generation(spec).temperature:
        yield (
            f"{judge}: {spec.samples} samples at temperature 0 are nearly the same reply over and over; "
            "write generation: {temperature: 1.0}, or samples: 1."
        )


def contaminations_of(suite: Suite, names: Sequence[str], prompts: Sequence[Prompt]) -> Iterator[str]:
    """Which contestants were trained on `prompts`, by the data that their lineage names and that lie here."""
    exam = Exam(prompts)
    descendants = {name: [one for one in names if name in ancestry(suite.models, [one])] for name in suite.models}
    for file in training_files(suite.models, names):
        if not file.path.is_file():
            continue  # `sciexam check` says so; data often stay where the training was
        if file.path.stat().st_size > LARGEST:
            yield (
                f"{file.path.name}, which trained {file.model}, is too large to be searched for prompts of this exam "
                f"before every comparison; `{suite.command('check')}` does it."
            )
            continue
        try:
            found = list(dict.fromkeys(prompt for _, prompt in exam.found_in(file.path)))
        except SciexamError:
            continue  # a fault of the training data is `sciexam check`'s to tell, and stops no comparison
        if found:
            yield _contaminated(file, descendants[file.model], found, len(prompts))


def _contaminated(file: TrainingFile, contestants: Sequence[str], found: Sequence[str], prompts: int) -> str:
    shown = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    return (
        f"{' and '.join(contestants)} trained on {len(found)} of the {prompts} prompts ({shown}): they stand word for "
        f"word in {file.path.name} ({file.key} of {file.model}), and a good answer to them may be remembered."
    )


def strangers_of(suite: Suite, raters: Sequence[Rater], orders: Literal["both", "one"] | None) -> Iterator[str]:
    """What files of verdicts hold that nobody asked for, and what they cannot be asked for."""
    prompts = {word for prompt in suite.prompts for word in (prompt.id, prompt.text)}
    names = set(suite.models)
    unknown: dict[str, list[str]] = {}
    for rater in raters:
        if isinstance(rater.judge, RecordedVerdicts) and (words := rater.judge.strangers(prompts, names)):
            listed = unknown.setdefault(rater.bench, [])
            listed += [word for word in words if word not in listed]
    for bench, listed in unknown.items():
        shown = ", ".join(repr(word[:40]) for word in listed[:3])
        more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
        yield f"{bench} has verdicts on {shown}{more}: no prompt and no model here has that name, so they do not count."
    if orders == "one" and (told := {rater.bench for rater in raters if rater.by_name}):
        yield f"--orders one is not for {', '.join(sorted(told))}: recorded verdicts count in their own orders."
