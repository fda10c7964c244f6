"""The walk of a lineage: everything that a model is made from, each stage after its parents, and only what is missing.

A stage is prepared, trained, examined, and put in its place, in this order; each step leaves what the next one needs in
a folder beside the place of the artifact. Killed anywhere, the same walk goes on there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from sciexam import lineage
from sciexam.contamination import Exam, training_files
from sciexam.digests import file_digest
from sciexam.errors import DocumentError, Interrupted, SciexamError, UsageError
from sciexam.files import write_atomically
from sciexam.lineage.artifacts import LINEAGE, METRICS, Lineage, place_of, read_lineage
from sciexam.lineage.specs import kind_of
from sciexam.lineage.stages import Reward, SelfRewarding, Stage, Trained
from sciexam.manifest import environment
from sciexam.models.checkpoint_files import WEIGHTS, weight_files
from sciexam.models.spending import Budget
from sciexam.suite import Suite, load_suite
from sciexam.train.at_step import forget_step, kept_of
from sciexam.train.data.candidates import check_judge
from sciexam.train.fitting import Diverged, fit_here, read_diverged, steps_of
from sciexam.train.gate import Candidate, Found, examine, looks, rejected, sit, stands
from sciexam.train.gate.examiners import check
from sciexam.train.hearing import hear
from sciexam.train.job import Job, read_job
from sciexam.train.self_rewarding import check_iterations, iterate
from sciexam.train.stages import head_of, prepare, whole_weights
from sciexam.train.tracking import check_tracker
from sciexam.train.trainer_settings import check_trainer_settings
from sciexam.train.weights import make_whole
from sciexam.train.workshop import Workshop

Outcome = Literal["there", "trained", "rejected"]


@dataclass(frozen=True, slots=True)
class Step:
    """One model of the walk: what became of it, and where it lies."""

    model: str
    stage: str
    outcome: Outcome
    folder: str
    exam: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def train(
    suite: Suite | str | None,
    name: str,
    *,
    results: str | Path = "results",
    keep_rejected: bool = False,
    budget: float | Budget | None = None,
    **how: Any,
) -> list[Step]:
    """Train the model `name` of `suite` and what it is made from, as far as it is missing; `how` as in Workshop.

    `budget` holds for the whole walk: candidates, opinions, looks and exams spend it together. Raises UsageError
    before anything is trained, Diverged, and Interrupted where `stop` was set.
    """
    check_installed()
    check_tracker(how.get("track"))
    chosen = suite if isinstance(suite, Suite) else load_suite(suite, results)
    how["budget"] = Budget(budget) if isinstance(budget, (int, float)) else budget
    return walk(Workshop(chosen, Path(results), **how), name, keep_rejected)


def check_installed() -> None:
    """Raises UsageError where training cannot be done here."""
    missing = [package for package in ("torch", "transformers", "trl", "datasets") if find_spec(package) is None]
    if missing:
        raise UsageError(f"training needs {missing[0]}: pip install 'sciexam[train]'")


def walk(workshop: Workshop, name: str, keep_rejected: bool = False) -> list[Step]:
    """Train `name` and what it is made from, as far as it is not there. Stops behind the first that is rejected.

    Raises UsageError before anything is trained: for names, for weights that are not there, and where a prompt of the
    exam stands in the data.
    """
    workshop.suite.model(name)
    check_uncontaminated(workshop.suite, name)
    _check_stages(workshop, name)
    steps = []
    for model in lineage.walk(workshop.suite.models, name):
        if (heard := hear(workshop, model)) is not workshop:
            workshop = heard
            _check_stages(workshop, name)
        spec = workshop.suite.models[model]
        if not isinstance(spec, Stage):
            continue
        step = _step(workshop, model, spec, keep_rejected)
        steps.append(step)
        if step.outcome == "rejected":
            break
        if isinstance(spec, Trained) and step.folder:
            workshop = workshop.with_weights(model, Path(step.folder))
            if spec.responses:
                kept = f"the answers recorded in {Path(spec.responses).name} are what other commands compare"
                workshop.tell(
                    f"{model}: {kept}; take `responses:` out of a copy of the suite, and these weights are asked"
                )
    return steps


def _check_stages(workshop: Workshop, name: str) -> None:
    """Raises UsageError for what could not be trained, or not be examined, of all that `name` lacks."""
    suite = workshop.suite
    check(workshop, name)
    for model in lineage.walk(suite.models, name):
        if isinstance(spec := suite.models[model], Trained) and not spec.weights:
            check_judge(suite, model, spec)
            check_trainer_settings(model, spec)
            if isinstance(spec, SelfRewarding):
                check_iterations(workshop, model)


def check_uncontaminated(suite: Suite, name: str) -> None:
    """Raises DocumentError where a prompt of the exam stands in what trains `name`, with every line."""
    exam = Exam(suite.prompts)
    found = [
        f"{file.path}:{number}: prompt {prompt} of the exam stands here, in the {file.key} of {file.model}; take it "
        "out of one of the two"
        for file in training_files(suite.models, [name])
        if file.path.is_file()
        for number, prompt in exam.found_in(file.path)
    ]
    if found:
        raise DocumentError(found)


def _step(workshop: Workshop, model: str, spec: Any, keep_rejected: bool) -> Step:
    if spec.weights or not isinstance(spec, Trained):
        return Step(model, str(kind_of(spec)), "there", spec.weights or "")
    digest = workshop.suite.lineage_digest(model)
    place = place_of(workshop.results, model, digest)
    with _alone(place):
        told = read_lineage(place)
        if told is not None and not stands(told, spec):
            told = _sit_again(workshop, told, spec, place)
        if told is None:
            workshop.tell(f"{model}: {kind_of(spec)}")
            told = _make(workshop, model, digest, place, keep_rejected)
    outcome: Outcome = "rejected" if told.accepted is False else "trained"
    return Step(model, told.stage, outcome, str(place), told.exam)


def _sit_again(workshop: Workshop, told: Lineage, spec: Trained, place: Path) -> Lineage | None:
    """What the exam says of a rejected checkpoint whose `gate` has changed, if its weights were kept; its record goes
    where they were not, since it has to be trained again."""
    if isinstance(spec, Reward) or not weight_files(place, WEIGHTS):
        shutil.rmtree(place)
        return None
    reference, _ = whole_weights(workshop.suite, spec.parent, workshop.results)
    found = examine(workshop, Candidate(told.name, place, reference))
    told = replace(told, accepted=found.accepted, exam=found.to_json())
    write_atomically(place / LINEAGE, told.to_text())
    return told


def _make(workshop: Workshop, model: str, digest: str, place: Path, keep_rejected: bool) -> Lineage:
    work = place.with_name(f"{place.name}.work")
    if isinstance(workshop.suite.models[model], SelfRewarding):
        told, made = iterate(workshop, model, digest, work, _walked(keep_rejected))
        _put_in_place(made, told, work, place)
        return told
    if not (work / "job.json").is_file():
        work.mkdir(parents=True, exist_ok=True)
        job, rows = prepare(workshop, model, work)
        job.write(rows)
    job = read_job(work)
    found, models = _fit_and_sit(workshop, job), workshop.suite.models
    told = Lineage(
        name=model,
        stage=job.stage,
        digest=digest,
        parents={parent: workshop.suite.lineage_digest(parent) for parent in lineage.parents(models[model])},
        settings=job.settings,
        data={"rows": sum(1 for _ in job.rows.open("rb")), "digest": file_digest(job.rows), "steps": steps_of(job)},
        seed=job.seed,
        versions=environment()["packages"],
        accepted=found.accepted,
        exam=found.to_json(),
    )
    made = job.weights if told.accepted is not False or keep_rejected else work / "record"
    made.mkdir(exist_ok=True)
    shutil.copy2(job.metrics, made / METRICS)
    _put_in_place(made, told, work, place)
    return told


def _walked(keep_rejected: bool) -> Callable[[Workshop, str], Path]:
    """How an iteration of a stage is trained and examined: as a stage of its own."""
    return lambda workshop, model: Path(_step(workshop, model, workshop.suite.models[model], keep_rejected).folder)


def _fit_and_sit(workshop: Workshop, job: Job) -> Found:
    """Train a job, and let it sit the exam. What has run away, or was shown worse on the way, is rejected without."""
    fitted, gate = Path(job.folder) / "fitted.json", workshop.suite.models[job.name].gate  # type: ignore[union-attr]
    try:
        if not fitted.is_file():
            if gate is not None and gate.looks:
                looks.train_with_looks(workshop, job, lambda until: fit_job(job, workshop, until))
            else:
                fit_job(job, workshop)
            write_atomically(fitted, json.dumps({"micro_batch": None}) + "\n")
    except Diverged as error:
        return rejected(gate, str(error).removeprefix(f"{job.name}: "), looks.looks_of(job))
    seen = looks.looks_of(job)
    if seen and (best := looks.best_of(seen)).worse:
        return rejected(gate, f"at every look it was worse than its parent: {looks.in_words(best)}", seen)
    return sit(workshop, job, seen)


def fit_job(job: Job, workshop: Workshop, until: int | None = None) -> None:
    """Train a job to its end, or to the step `until`: in this process, or by several that torchrun starts.

    Raises Interrupted with what is kept where Ctrl-C stops it: at once, since there is no call to wait for.
    """
    forget_step(job)
    try:
        with workshop.watch(job):
            if workshop.processes == 1:
                fit_here(job, until)
            else:
                _torchrun(job, workshop.processes, until)
    except KeyboardInterrupt:
        raise Interrupted(kept_of(job, workshop.processes)) from None
    if job.weights.is_dir():
        make_whole(job, head_of(job.stage))


def _torchrun(job: Job, processes: int, until: int | None) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", "sciexam.train", job.folder, *([str(until)] if until is not None else [])]
    with subprocess.Popen(command, env={"OMP_NUM_THREADS": "1", **os.environ}) as torchrun:  # noqa: S603 - our own words
        try:
            code = torchrun.wait()
        except KeyboardInterrupt:
            torchrun.terminate()  # it ends those that it has started
            raise
    if code and (told := read_diverged(job)):
        raise Diverged(told)
    if code:
        raise SciexamError(f"{job.name}: training ended with exit code {code}; see above what it said")


def _put_in_place(made: Path, told: Lineage, work: Path, place: Path) -> None:
    write_atomically(made / LINEAGE, told.to_text())
    made.rename(place)
    shutil.rmtree(work)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """One process at a time trains an artifact; another waits, and then finds it there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f".{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
