"""A suite: prompts, rubric, models, contestants and judges, resolved once into one frozen record."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr

from sciexam import lineage
from sciexam.digests import digest, file_digest
from sciexam.documents import read_jsonl
from sciexam.errors import UsageError, did_you_mean
from sciexam.judges.settings import (
    EndpointJudge,
    JudgeSpec,
    MeasuresJudge,
    RecordedJudge,
    RewardsJudge,
    RewardWeightsJudge,
    VllmJudge,
    WeightsJudge,
)
from sciexam.lineage.artifacts import place_of, read_heard
from sciexam.lineage.specs import ModelSpec
from sciexam.lineage.stages import Reward, Stage
from sciexam.models import open_model
from sciexam.models.public_name import public_name
from sciexam.models.recorded import read_all
from sciexam.models.settings import Recorded, artifact_of, model_of_endpoint, weights_of
from sciexam.models.spending import Price
from sciexam.models.terms import USUAL, Terms
from sciexam.prompts import read_prompts
from sciexam.rubric import Rubric, load_rubric
from sciexam.suite_file import DEFAULT_RUBRIC, read_suite_file
from sciexam.typed import Command
from sciexam.types import HUMANS, Generation, Message, Model, Prompt, Record

# Of how a model is asked, what a stage of training says itself.
OF_A_STAGE = {"samples", "temperature", "top_p"}


class Suite(Record):
    """A suite with everything it points to read in; file paths in it are absolute.

    `heard`: of each stage that learns from people the digest of what it has heard from them when it was last trained.
    `trained`: the models whose weights training has left among the results.
    """

    name: str
    version: int
    prompts: tuple[Prompt, ...]
    rubric: Rubric
    seed: int
    models: dict[str, ModelSpec]
    contestants: tuple[str, ...]
    baseline: str | None
    generation: Generation
    judges: dict[str, JudgeSpec]
    judge: str
    prices: dict[str, Price]
    heard: dict[str, str] = Field(default_factory=dict)
    trained: tuple[str, ...] = ()
    _typed: Command = PrivateAttr(Command())  # how it was named; no part of what the suite is

    def command(self, *words: str) -> str:
        """A command on this suite and its contestants, as one types it; files that are no part of a suite are named."""
        files = self._typed.contestants
        named = {*words} & {*files, *self._typed.typed}
        return self._typed.line(*words, *(() if named else files))

    @property
    def readers(self) -> tuple[str, ...]:
        """The judges that read two answers and can be asked here, the suite's own first."""
        asked = (EndpointJudge, WeightsJudge, VllmJudge)
        found = [n for n, spec in self.judges.items() if isinstance(spec, asked) and spec.compare_by == "verdicts"]
        return tuple(sorted(found, key=lambda name: name != self.judge))

    @property
    def of_files(self) -> bool:
        """Whether files of answers were named and no suite, so that there is none to write into."""
        return bool(self._typed.contestants) and "--suite" not in self._typed.exam

    def typed(self, typed: Command) -> Suite:
        """The suite, which these words name on a command line."""
        named = self.model_copy()
        named._typed = typed
        return named

    def model(self, name: str) -> ModelSpec:
        """The specification of a model. Raises UsageError with the nearest known name."""
        if name not in self.models:
            hint = _file_of(name, self.models) or did_you_mean(name, self.models)
            raise UsageError(f"{name!r} is not a model of suite {self.name!r}{hint}")
        return self.models[name]

    def open_model(self, name: str, terms: Terms = USUAL) -> Model:
        """A model, open to be asked. Raises UsageError where there is none of that name, and as `models.open_model`."""
        spec = self.model(name)
        if isinstance(spec, Stage) and not spec.responses and artifact_of(spec) is None:
            train = self.command("train", name)
            raise UsageError(
                f"{name}: it was not trained here, or its exam rejected it; `{train}` trains it, or name its "
                "weights (`weights: FOLDER`) or its answers (`responses: FILE`) in the suite"
            )
        return open_model(name, spec, self.generation_of(name), terms)

    def generation_of(self, name: str) -> Generation:
        """How a model is asked: the suite's settings, with those that the model sets itself in their place."""
        own = getattr(self.models[name], "generation", None)
        return self.generation.model_copy(update=own.model_dump(exclude_unset=True)) if own else self.generation

    def judge_spec(self, name: str) -> JudgeSpec:
        """The judge called `name`: the suite's, a reward model of its lineage, or else as the error says."""
        if name in self.judges:
            return self.judges[name]
        if isinstance(self.models.get(name), Reward):
            return self.reward_model(name)
        if name == "measures":
            return MeasuresJudge(backend="measures")
        if model := model_of_endpoint(name):
            return EndpointJudge(backend="openai", model=model)
        if name.endswith(".jsonl"):
            if not Path(name).is_file():
                raise UsageError(f"{name}: no such file of verdicts")
            return _recorded(Path(name).absolute())
        if name.endswith((".csv", ".tsv")):
            taken_in = self.command("annotate", "import", name)
            raise UsageError(
                f"{name}: a file of verdicts is a .jsonl; a table of what people said is read by `{taken_in}`, "
                "and one with columns of its own names by `sciexam import table`"
            )
        known = [*self.judges, "measures", HUMANS]
        raise UsageError(
            f"{name!r} is not a judge of suite {self.name!r}{did_you_mean(name, known)} "
            "(a judge can also be openai:MODEL, or a .jsonl file of recorded verdicts)"
        )

    def reward_model(self, name: str) -> RewardWeightsJudge:
        """A model of the suite as a judge that marks by its rewards. Raises UsageError where it has no weights yet."""
        if (weights := weights_of(self.models[name])) is None:
            raise UsageError(f"{name}: it has no weights here; run: {self.command('train', name)}")
        own = weights.model_dump(include=RewardWeightsJudge.model_fields.keys() - {"backend", "generation"})
        return RewardWeightsJudge(backend="reward", **own)

    def lineage_digest(self, name: str) -> str:
        """What the model `name` is: what it was made from, by whose word, and how (`lineage.lineage_digest`)."""
        return lineage.lineage_digest(self.models, name, self.told)

    def told(self, name: str) -> str:
        """The digest of what a stage is told: by which judges, in which way of answering, and by people until now.

        Looks at a stage that is trained choose its weights, so what is looked at, and by whom, is told as well.
        """
        spec = self.models[name]
        if not isinstance(spec, Stage):
            return ""
        told: dict[str, Any] = {}
        if spec.judged_by() or spec.answered_by():
            told = {
                "judges": [self._definition(judge) for judge in spec.judged_by()],
                "asked": [self.generation_of(model).model_dump(exclude=OF_A_STAGE) for model in spec.answered_by()],
                "heard": self.heard.get(name),
            }
        if spec.gate is not None and spec.gate.dev is not None:
            told["looks"] = {
                "many": spec.gate.looks,
                "at": file_digest(Path(spec.gate.dev)) if Path(spec.gate.dev).is_file() else spec.gate.dev,
                "by": self._definition(spec.gate.judge or self.judge),
                "asked": self.generation_of(name),
            }
        return digest(told) if told else ""

    def _definition(self, judge: str) -> Any:
        """What a judge is, with its members and the model that writes its references."""
        from sciexam.judges.definition import definition_of

        if judge in self.models and judge not in self.judges:
            return lineage.lineage_digest(self.models, judge)
        try:
            spec = self.judge_spec(judge)
        except UsageError:  # people, or a name that is refused where it is opened
            return judge
        members = [self._definition(member) for member in getattr(spec, "judges", ())]
        writer = getattr(spec, "reference", None)
        written = [lineage.lineage_digest(self.models, writer), self.generation_of(writer)] if writer else None
        return definition_of(spec, self.rubric) | {"members": members, "references": written}

    def with_trained(self, results: str | Path) -> Suite:
        """The suite whose models have the weights that training has left of them among `results`."""
        heard = dict(self.heard)
        for name in (one for model in self.models for one in lineage.walk(self.models, model)):
            if name not in heard and self.learns_from_people(name):
                place = place_of(results, name, self.model_copy(update={"heard": heard}).lineage_digest(name))
                if (said := read_heard(place)) is not None:
                    heard[name] = said
        suite = self.model_copy(update={"heard": heard})
        found = lineage.trained(suite.models, results, suite.lineage_digest)
        return suite.with_models(found).model_copy(update={"trained": (*self.trained, *found)})

    def learns_from_people(self, name: str) -> bool:
        """Whether a stage learns from what annotators say in the ledger."""
        spec = self.models[name]
        return isinstance(spec, Stage) and HUMANS in spec.judged_by() and HUMANS not in self.judges

    @property
    def costs(self) -> dict[str, Price]:
        """The price of each model by the name under which it is asked: local weights cost nothing, unless stated."""
        local = filter(None, map(weights_of, (*self.models.values(), *self.judges.values())))
        return {public_name(one.weights): Price(input=0, output=0) for one in local} | self.prices

    def with_samples(self, samples: int) -> Suite:
        """The suite with so many answers of each model to a prompt. Raises UsageError for a number that is none."""
        if not 1 <= samples <= 1000:
            raise UsageError(f"--samples: 1 to 1000 answers to a prompt, not {samples}")
        models = {
            name: spec.model_copy(
                update={"generation": self.generation_of(name).model_copy(update={"samples": samples})}
            )
            for name, spec in self.models.items()
            if hasattr(spec, "generation")
        }
        general = self.generation.model_copy(update={"samples": samples})
        return self.with_models(models).model_copy(update={"generation": general})

    def with_models(self, models: dict[str, ModelSpec]) -> Suite:
        """The suite with these models as well; one of a name that it has takes its place."""
        return self.model_copy(update={"models": {**self.models, **models}})


def _recorded(path: Path) -> JudgeSpec:
    """A file as a judge: of rewards where its first line has one, else of verdicts."""
    _, first = next(iter(read_jsonl(path)), (0, {}))
    if isinstance(first, dict) and "reward" in first and "first" not in first:
        return RewardsJudge(backend="rewards", rewards=str(path))
    return RecordedJudge(backend="recorded", verdicts=str(path))


def load_suite(name: str | None = None, results: str | Path = "results") -> Suite:
    """The suite called `name`, or in the file `name`; None: the usual one (`usual_suite`).

    Models that were trained have the weights that lie among `results`. Raises DocumentError with all faults of the YAML
    file at once.
    """
    document = read_suite_file(name)
    file = document.value
    suite = Suite(
        name=file.suite,
        version=file.version,
        prompts=read_prompts(Path(file.prompts), document.fault(("prompts",), "")),
        rubric=load_rubric(file.rubric, document.path.absolute().parent),
        seed=file.seed,
        models=file.models,
        contestants=file.contestants,
        baseline=file.baseline,
        generation=file.generation,
        judges=file.judges,
        judge=file.judge or next(iter(file.judges)),
        prices=file.prices,
    )
    return suite.typed(Command(exam={"--suite": name} if name else {})).with_trained(results)


def suite_of_files(paths: Sequence[Path], prompts: Path | None = None, rubric: str = DEFAULT_RUBRIC) -> Suite:
    """A suite around files of answers alone. The contestants are named by their files.

    Without a prompts file, what a line gives as `instruction`, or else its `prompt`, is the question.
    """
    models = name_files(paths)
    suite = Suite(
        name=re.sub(r"[^\w.-]+", "_", "-vs-".join(models))[:100],
        version=1,
        prompts=read_prompts(prompts) if prompts else _prompts_of(paths),
        rubric=load_rubric(rubric),
        seed=0,
        models=models,
        contestants=tuple(models),
        baseline=next(iter(models)),
        generation=Generation(),
        judges={"measures": MeasuresJudge(backend="measures")},
        judge="measures",
        prices={},
    )
    given = {"--prompts": prompts, "--rubric": rubric if rubric != DEFAULT_RUBRIC else None}
    exam = {name: str(value) for name, value in given.items() if value is not None}
    files = dict(zip(models, map(str, paths), strict=True))
    return suite.typed(Command(tuple(files.values()), exam, typed=files))


def suite_of_prompts(prompts: tuple[Prompt, ...]) -> Suite:
    """A suite around prompts alone, for a model that is named by what it is."""
    return Suite(
        name="prompts",
        version=1,
        prompts=prompts,
        rubric=load_rubric(DEFAULT_RUBRIC),
        seed=0,
        models={},
        contestants=(),
        baseline=None,
        generation=Generation(),
        judges={},
        judge="measures",
        prices={},
    )


def _file_of(name: str, models: Iterable[str]) -> str:
    """The tail of a message about an unknown model where a file of answers may be what was meant; else nothing."""
    found = next((file for ending in (".jsonl", ".json") if Path(file := name + ending).is_file()), None)
    if found is None:
        return ""
    return f", which has {', '.join(sorted(models))}; there is a file {found} here: name it with its ending"


def name_files(paths: Sequence[Path]) -> dict[str, ModelSpec]:
    """Each file of answers as a recorded model, named by its stem; by folder and stem where two stems are the same."""
    stems = [path.stem for path in paths]
    names = [p.stem if stems.count(p.stem) == 1 else f"{p.absolute().parent.name}-{p.stem}" for p in paths]
    if len(set(names)) < len(names):
        raise UsageError(f"these files cannot be told apart by name: {', '.join(map(str, paths))}")
    return {name: Recorded(responses=str(path.absolute())) for name, path in zip(names, paths, strict=True)}


def suite_digest(suite: Suite) -> str:
    """What makes verdicts comparable: the prompts and the rubric."""
    return digest({"prompts": suite.prompts, "rubric": suite.rubric})


def _prompts_of(paths: Sequence[Path]) -> tuple[Prompt, ...]:
    """The prompts that the files answer, in the order in which they first appear."""
    texts: dict[str, str] = {}
    for lines in read_all(paths):
        for (prompt, _), line in lines.items():
            if prompt not in texts or line.instruction:
                texts[prompt] = line.instruction or prompt
    return tuple(Prompt(id=i, messages=(Message(role="user", content=text),)) for i, text in texts.items())
