"""What is wrong with a suite, told before any call is made or paid for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import combinations
from pathlib import Path

from sciexam.battles import cluster
from sciexam.contamination import Exam, TrainingFile, ancestry, normalise, training_files
from sciexam.errors import SciexamError, did_you_mean
from sciexam.judges import compares_by_grades, open_grader, open_judge
from sciexam.judges.settings import CascadeJudge, PanelJudge
from sciexam.lineage.stages import SelfRewarding, Stage
from sciexam.models import check_ready
from sciexam.models.recorded import RecordedModel, read_responses
from sciexam.models.settings import artifact_of
from sciexam.report.plain_text import quoted
from sciexam.suite import Suite
from sciexam.types import Prompt

SHOWN = 5  # ids or lines that a message lists


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check: a fault has to be mended, what is unchecked may hide one, what is unfinished is likely to be
    one, the rest is good to know.
    """

    text: str
    fault: bool = False
    unchecked: bool = False
    unfinished: bool = False


def check(suite: Suite) -> list[Finding]:
    """Look at prompts, recorded answers, judges and training data. Reads files; calls no model."""
    findings = [Finding(f"{len(suite.prompts)} prompts in {_count_categories(suite)}; rubric {suite.rubric.rubric!r}")]
    for part in (_rubric, _same_text, _answers, _equal_answers, _contestants, _judges, _prices, _contamination):
        try:
            findings += part(suite)
        except SciexamError as error:
            findings += [Finding(line, fault=True) for line in str(error).splitlines()]
    return findings


def _count_categories(suite: Suite) -> str:
    count = len({prompt.category for prompt in suite.prompts} - {None})
    return f"{count} categor{'y' if count == 1 else 'ies'}"


def _rubric(suite: Suite) -> Iterator[Finding]:
    template = (resources.files("sciexam") / "starter" / "rubric.yaml").read_text(encoding="utf-8")
    if f"about: {suite.rubric.about}" in template.splitlines():
        yield Finding(
            f"rubric {suite.rubric.rubric!r}: about: is still the template's sentence, and judges read it; say what "
            "the answers are for",
            unfinished=True,
        )


def _same_text(suite: Suite) -> Iterator[Finding]:
    first: dict[str, Prompt] = {}
    for prompt in suite.prompts:
        earlier = first.setdefault(normalise(prompt.text) or prompt.text, prompt)
        if earlier is prompt:
            continue
        if cluster(earlier) == cluster(prompt):
            as_units = "they count as one in every interval"
        else:
            as_units = "give them one `group`, or they count as two independent prompts"
        yield Finding(f"prompts {earlier.id!r} and {prompt.id!r} ask the same; {as_units}")


def _answers(suite: Suite) -> Iterator[Finding]:
    for name, spec in suite.models.items():
        path = getattr(spec, "responses", None)
        if path is None:
            continue
        try:
            lines = read_responses(Path(path))
        except SciexamError as error:
            yield from (Finding(line, fault=True) for line in str(error).splitlines())
            continue
        answered = {prompt for (prompt, _), line in lines.items() if not line.absent}
        missing = [p.text for p in suite.prompts if p.id not in answered and p.messages[-1].content not in answered]
        told = f"{name}: {len(suite.prompts) - len(missing)} of {len(suite.prompts)} prompts have an answer"
        told += f"; none to {quoted(missing)}" if missing else ""
        absent = sum(line.absent for line in lines.values())
        told += f"; in no imported file: {absent}" if absent else ""
        empty = sum(not line.text.strip() for line in lines.values())
        yield Finding(f"{told}; {empty} {'is' if empty == 1 else 'are'} empty" if empty else told)
        if unmatched := RecordedModel(Path(path)).unmatched(suite.prompts):
            shown = ", ".join(repr(one[:40]) for one in unmatched[:SHOWN])
            yield Finding(f"{path}: {len(unmatched)} answers match no prompt: {shown}", fault=True)


def _equal_answers(suite: Suite) -> Iterator[Finding]:
    """For every two contestants with files of answers, on how many prompts both say the same, word for word."""
    files = {name: getattr(suite.models[name], "responses", None) for name in suite.contestants}
    texts = {name: _texts(suite, Path(path)) for name, path in files.items() if path is not None}
    for a, b in combinations(texts, 2):
        both = texts[a].keys() & texts[b].keys()
        if equal := sum(texts[a][slot] == texts[b][slot] for slot in both):
            yield Finding(
                f"{a} and {b}: {equal} of {len(both)} pairs of answers are equal texts, which say nothing of either"
            )


def _texts(suite: Suite, path: Path) -> dict[tuple[str, int], str]:
    """A file's answers by prompt and sample; none of a file that cannot be read, which is told elsewhere."""
    try:
        lines = read_responses(path)
    except SciexamError:
        return {}
    ids = {prompt.messages[-1].content: prompt.id for prompt in suite.prompts} | {p.id: p.id for p in suite.prompts}
    return {(ids[p], n): line.text for (p, n), line in lines.items() if p in ids and not line.absent}


def _contestants(suite: Suite) -> Iterator[Finding]:
    """Open every contestant that is no file of answers, as `compare` would, and ask it nothing."""
    for name in suite.contestants:
        spec = suite.models[name]
        if getattr(spec, "responses", None) is not None:
            continue
        try:
            check_ready(suite.open_model(name))
            yield Finding(f"{name}: ready; it was not called")
        except SciexamError as error:
            told = str(error).removeprefix(f"{name}: ")
            yield from (Finding(f"{name}: {line}", fault=True) for line in told.splitlines())


def _judges(suite: Suite) -> Iterator[Finding]:
    for name, spec in suite.judges.items():
        if isinstance(spec, (PanelJudge, CascadeJudge)):
            yield Finding(f"judge {name}: a {spec.backend} of {', '.join(spec.judges)}")
            continue
        if (ours := getattr(spec, "weights", None)) in suite.models:
            yield _of_training(suite, name, str(ours))
            continue
        try:
            raters = [*(open_grader if compares_by_grades(spec) else open_judge)(name, spec, suite.rubric)]
            for rater in raters:
                check_ready(rater)
            if (reference := getattr(spec, "reference", None)) is not None:
                check_ready(suite.open_model(reference))
            yield Finding(f"judge {name}: ready" + (f", {len(raters)} raters" if len(raters) > 1 else ""))
        except SciexamError as error:
            told = str(error).removeprefix(f"{name}: ")
            yield from (Finding(f"judge {name}: {line}", fault=True) for line in told.splitlines())


def _of_training(suite: Suite, judge: str, model: str) -> Finding:
    """What is to be said of a judge whose weights are the name of a model of the suite, and no place on a disk."""
    itself = [one for one, spec in suite.models.items() if isinstance(spec, SelfRewarding) and spec.judge == judge]
    if itself:
        return Finding(
            f"judge {judge}: asked in the training of {', '.join(itself)}, each time with the weights of the model "
            f"that marks itself; by itself it has none ({model} is a model of this suite)"
        )
    return Finding(
        f"judge {judge}: weights: {model} is a model of this suite, whose weights training leaves among the results; "
        "name a folder, or a hub's id",
        fault=True,
    )


def _prices(suite: Suite) -> Iterator[Finding]:
    """Prices of models that nobody here asks: most likely misspelt."""
    asked = {spec.model for spec in (*suite.models.values(), *suite.judges.values()) if hasattr(spec, "model")}
    for name in suite.prices.keys() - asked:
        yield Finding(f"prices: {name!r} is the model of nobody here{did_you_mean(name, asked)}", fault=True)


def _contamination(suite: Suite) -> Iterator[Finding]:
    """Prompts of the exam that stand word for word in training data."""
    exam = Exam(suite.prompts)
    for file in training_files(suite.models):
        if not file.path.is_file():
            yield _missing(suite, file)
            continue
        try:
            found = exam.found_in(file.path)
        except SciexamError as error:
            yield from (Finding(line, fault=True) for line in str(error).splitlines())
            continue
        if found:
            shown = ", ".join(f"line {number} holds {prompt}" for number, prompt in found[:SHOWN])
            what = f"{file.path}: {len(found)} lines train {file.model} on prompts of the exam: {shown}"
            yield Finding(what, fault=True)
        else:
            yield Finding(f"{file.model}: no prompt of the exam stands word for word in {file.path.name}")


def _missing(suite: Suite, file: TrainingFile) -> Finding:
    """A file of training data that is not here: a fault where a contestant is still to be trained on it."""
    at, command = f"{file.model}: {file.key}: {file.path}: no such file", suite.command("train", file.model)
    if _is_there(suite, file.model):
        return Finding(f"{at}; it was not searched for prompts of the exam", unchecked=True)
    untrained = [name for name in suite.contestants if not _is_there(suite, name)]
    if file.model in ancestry(suite.models, untrained):
        return Finding(f"{at}; put it there before `{command}`, or name the weights with `weights: FOLDER`", fault=True)
    return Finding(f"{at}; `{command}` needs it, and it was not searched for prompts of the exam", unchecked=True)


def _is_there(suite: Suite, name: str) -> bool:
    """Whether a model has been made already, or has answered."""
    spec = suite.models[name]
    return not isinstance(spec, Stage) or bool(spec.responses) or artifact_of(spec) is not None
