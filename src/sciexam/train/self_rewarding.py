"""Self-rewarding: iterations of DPO on pairs that the model itself has judged.

    sciexam train m3        # models: {m3: {from: m1, stage: self_rewarding, prompts: train.jsonl, judge: self}}

Iteration k is a model of its own, NAME.k (arXiv 2401.10020, section 2): the model before it answers some prompts, marks
its own answers, and learns from the best and the worst of each. The judge is the suite's, with its weights replaced by
those of the model that answers; a judge of your own class stays what it is. Each iteration sits the exam against the
one before. They end at the first that is not accepted; what NAME is made of is the last one that was.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sciexam import lineage
from sciexam.contamination import Exam, normalise
from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.files import write_atomically
from sciexam.judges.settings import CustomJudge, JudgeSpec, VllmJudge, WeightsJudge
from sciexam.lineage.artifacts import LINEAGE, METRICS, Lineage, read_lineage
from sciexam.lineage.sources import Judged
from sciexam.lineage.stages import Dpo, Preferring, SelfRewarding
from sciexam.manifest import environment
from sciexam.prompts import read_prompts
from sciexam.suite import Suite
from sciexam.train import dpo
from sciexam.train.gate.examiners import baseline_of, check
from sciexam.train.stages import whole_weights
from sciexam.train.workshop import Workshop
from sciexam.types import Generation, Prompt

DEFAULTS, WITH_LORA = dpo.DEFAULTS, dpo.WITH_LORA
# What an iteration has of the stage: everything about training, the exam and how it is asked.
_SHARED = [key for key in Preferring.model_fields if key not in ("parent", "weights", "adapter", "responses")]

# Trains a model of a workshop's suite, lets it sit the exam, and returns where its artifact lies.
Walked = Callable[[Workshop, str], Path]


@dataclass(frozen=True, slots=True)
class Iteration:
    """One iteration of NAME: the model NAME.`number`, which is made from the model `before` it, of `prompts`."""

    name: str
    number: int
    before: str
    prompts: Path

    @property
    def model(self) -> str:
        return f"{self.name}.{self.number}"


def check_iterations(workshop: Workshop, name: str) -> None:
    """Raises UsageError for what could not be iterated, before anything is trained."""
    suite, spec = workshop.suite, _spec(workshop.suite, name)
    _own_judge(suite, name)
    if taken := [model for number in range(1, spec.iterations + 1) if (model := f"{name}.{number}") in suite.models]:
        raise UsageError(f"{name}: its iteration is called {taken[0]!r}, and so is another model; rename one of them")
    of_file = read_prompts(Path(spec.prompts), f"{name}: prompts: ")
    if spec.prompts_by is None:
        _drawn(suite, name, of_file)
    elif workshop.write_prompts is None:
        raise UsageError(f"{name}: prompts_by: prompts are written by the command `sciexam train`")
    elif find_spec("datasketch") is None:
        raise UsageError(f"{name}: prompts_by: needs datasketch: pip install 'sciexam[data]'")


def iterate(workshop: Workshop, name: str, known: str, work: Path, walked: Walked) -> tuple[Lineage, Path]:
    """Train the iterations of `name`, whose lineage has the digest `known`; its record, and a folder with its weights.

    Without weights where not even the first was accepted. Raises what training does.
    """
    spec = _spec(workshop.suite, name)
    before, accepted, told = spec.parent, None, list[Lineage]()
    work.mkdir(parents=True, exist_ok=True)
    for number in range(1, spec.iterations + 1):
        one = Iteration(name, number, before, _prompts_of(workshop, name, number, work))
        weights, template = whole_weights(workshop.suite, before, workshop.results)
        workshop = replace(workshop, suite=with_iteration(workshop.suite, one, weights, template))
        check(workshop, one.model)
        folder = walked(workshop, one.model)
        found = read_lineage(folder)
        assert found is not None
        told.append(found)
        if found.accepted is False:
            workshop.tell(f"{name}: {one.model} was not accepted; {before} is the last one")
            break
        workshop, before, accepted = workshop.with_weights(one.model, folder), one.model, folder
    return _record(workshop, name, known, told), _made(accepted or folder, work, with_weights=accepted is not None)


# ---------------------------------------------------------------- one iteration


def with_iteration(suite: Suite, one: Iteration, weights: str, template: str | None = None) -> Suite:
    """The suite with an iteration as a stage of DPO, and its judge: the model before it, with these `weights`.

    `template`: the chat template that the suite gives that model.
    """
    spec = _spec(suite, one.name)
    judge = f"{spec.judge} as {one.before} ({spec.marks} marks)"
    judged = Judged(
        of=(one.before,),
        prompts=str(one.prompts),
        n=spec.n,
        temperature=spec.temperature,
        top_p=spec.top_p,
        judge=judge,
        pairs="best_worst",
    )
    shared = {key: getattr(spec, key) for key in _SHARED}
    shared["gate"] = spec.gate.model_copy(update={"baseline": baseline_of(suite, one.name) is not None})
    model = Dpo(stage="dpo", parent=one.before, data=judged, **shared)
    judges = {**suite.judges, judge: _own_judge(suite, one.name, weights, template)}
    return suite.with_models({one.model: model}).model_copy(update={"judges": judges})


def _own_judge(suite: Suite, name: str, weights: str = "", template: str | None = None) -> JudgeSpec:
    """The judge that the model itself is: it marks answers several times, drawn as answers are unless it says how."""
    spec = _spec(suite, name)
    judge = suite.judge_spec(spec.judge)
    match judge:
        case CustomJudge():
            return judge
        case WeightsJudge() | VllmJudge():
            drawn = {"temperature": spec.temperature, "top_p": spec.top_p} if spec.marks > 1 else {}
            own = judge.generation.model_dump(exclude_unset=True) if judge.generation else {}
            update = {
                "weights": weights,
                "adapter": None,
                "revision": None,
                "chat_template": judge.chat_template or template,
                "samples": spec.marks,
                "compare_by": "grades",
                "generation": Generation(**{**drawn, **own}) if drawn or own else None,
            }
            return judge.model_copy(update=update)
    raise UsageError(
        f"{name}: judge: {spec.judge!r} is not asked in weights, so that the model itself cannot take its place; name "
        "a judge with `backend: huggingface`, or use `stage: dpo` with `data: {judge: NAME}`"
    )


def _spec(suite: Suite, name: str) -> SelfRewarding:
    spec = suite.model(name)
    assert isinstance(spec, SelfRewarding)
    return spec


# ---------------------------------------------------------------- prompts


def _prompts_of(workshop: Workshop, name: str, number: int, work: Path) -> Path:
    """The file of the prompts of an iteration, which it shares with no other one."""
    suite, spec = workshop.suite, _spec(workshop.suite, name)
    of_file = read_prompts(Path(spec.prompts), f"{name}: prompts: ")
    if spec.prompts_by is None:
        found = _drawn(suite, name, of_file)[number - 1]
    else:
        found = _written(workshop, name, number, of_file, work)
    path = work / f"prompts-{number}.jsonl"
    write_atomically(path, (json.dumps(_line(prompt), ensure_ascii=False) + "\n" for prompt in found))
    return path


def _drawn(suite: Suite, name: str, of_file: Sequence[Prompt]) -> list[list[Prompt]]:
    """The prompts of each iteration, in an order that their words and the seed draw. None twice, nor two of one text.

    Without `per_iteration` all of the file each time. Raises UsageError where there are too few.
    """
    spec, seed = _spec(suite, name), _seed(suite, name)
    once = {normalise(prompt.text): prompt for prompt in reversed(of_file)}
    drawn = [once[text] for text in sorted(once, key=lambda text: digest([seed, text]))]
    if spec.per_iteration is None:
        return [drawn] * spec.iterations
    if len(drawn) < spec.per_iteration * spec.iterations:
        raise UsageError(
            f"{name}: {spec.iterations} iterations of {spec.per_iteration} prompts each need "
            f"{spec.per_iteration * spec.iterations}, and {spec.prompts} holds {len(drawn)} different ones; lower "
            "per_iteration, or name a model that writes more: prompts_by: NAME"
        )
    size = spec.per_iteration
    return [drawn[number * size : (number + 1) * size] for number in range(spec.iterations)]


def _written(workshop: Workshop, name: str, number: int, of_file: Sequence[Prompt], work: Path) -> list[Prompt]:
    """Prompts that the model `prompts_by` has written for an iteration; those of earlier iterations come first.

    What the exam or the file asks is left out. Raises UsageError where twice as many replies do not give enough.
    """
    suite, spec = workshop.suite, _spec(workshop.suite, name)
    assert spec.prompts_by is not None
    assert workshop.write_prompts is not None, "check_iterations has seen to it"
    size = spec.per_iteration or len(of_file)
    exam, seen, usable = Exam(suite.prompts), {normalise(prompt.text) for prompt in of_file}, list[Prompt]()
    for replies in (number * size, 2 * number * size):
        file = workshop.write_prompts(
            suite, spec.prompts_by, Path(spec.prompts), work / "prompts", replies, _seed(suite, name)
        )
        usable = list(_new(read_prompts(file), exam, set(seen)))
        if len(usable) >= number * size:
            return usable[(number - 1) * size : number * size]
    raise UsageError(
        f"{name}: prompts_by: {2 * number * size} replies of {spec.prompts_by} hold {len(usable)} prompts that can be "
        f"used, and {number} iterations need {number * size}; lower per_iteration, or name another model"
    )


def _new(prompts: Sequence[Prompt], exam: Exam, seen: set[str]) -> Iterator[Prompt]:
    for prompt in prompts:
        text = normalise(prompt.text)
        if text not in seen and exam.asked_in(prompt.text) is None:
            seen.add(text)
            yield prompt


def _seed(suite: Suite, name: str) -> int:
    spec = _spec(suite, name)
    return suite.seed if spec.seed is None else spec.seed


def _line(prompt: Prompt) -> Mapping[str, Any]:
    line: dict[str, Any] = {"id": prompt.id, "messages": [message.model_dump() for message in prompt.messages]}
    return line | ({"reference": prompt.reference} if prompt.reference is not None else {})


# ---------------------------------------------------------------- what is left


def _record(workshop: Workshop, name: str, known: str, told: Sequence[Lineage]) -> Lineage:
    """What NAME was made of, with its iterations and what the exam found of each. Its own exam is its last model's."""
    spec = _spec(workshop.suite, name)
    stands = [one for one in told if one.accepted is not False] or told[:1]
    return Lineage(
        name=name,
        stage=spec.stage,
        digest=known,
        parents={parent: workshop.suite.lineage_digest(parent) for parent in lineage.parents(spec)},
        settings=spec.model_dump(mode="json", exclude={"gate", "note", "responses", "weights", "adapter"}),
        data=stands[-1].data | {"taken": stands[-1].name, "iterations": [asdict(one) for one in told]},
        seed=_seed(workshop.suite, name),
        versions=environment()["packages"],
        accepted=stands[-1].accepted,
        exam=stands[-1].exam,
    )


def _made(folder: Path, work: Path, with_weights: bool) -> Path:
    """The files of an iteration as those of NAME: the same ones on disk, where that has hard links."""
    made = work / "weights"
    shutil.rmtree(made, ignore_errors=True)
    if not with_weights:
        made.mkdir()
        shutil.copy2(folder / METRICS, made / METRICS)
        return made
    shutil.copytree(folder, made, copy_function=_linked, ignore=shutil.ignore_patterns(LINEAGE))
    return made


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
