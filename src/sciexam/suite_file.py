"""The YAML file of a suite: which one is meant, what may stand in it, what is wrong in it, where its files lie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

from pydantic import Field

from sciexam import lineage
from sciexam.documents import Document, locate, read_yaml
from sciexam.errors import DocumentError, UsageError, did_you_mean
from sciexam.judges.settings import CascadeJudge, JudgeSpec, MeasuresJudge, PanelJudge
from sciexam.lineage.sources import Judged
from sciexam.lineage.specs import ModelSpec
from sciexam.lineage.stages import Reward, Stage, Trained
from sciexam.models.checkpoint_files import is_folder
from sciexam.models.spending import Price
from sciexam.types import HUMANS, Generation, Record

DEFAULT_SUITE = "science"
DEFAULT_RUBRIC = "helpfulness"

NAME = r"\w[\w .:+@/()-]{0,99}"  # of a model or a judge

# Keys of a specification that name a file; a relative one lies beside the suite file.
FILE_KEYS = ("responses", "data", "prompts", "verdicts", "rewards")
# Keys that name a folder, or something that is not on this disk: a hub's id.
FOLDER_KEYS = ("weights", "adapter", "backbone")


class SuiteFile(Record):
    """The YAML file as written."""

    suite: str = Field(pattern=r"^[\w][\w.-]*$", max_length=100, description="The suite's name.")
    version: int = Field(1, description="A whole number, for your readers.")
    prompts: str = Field(description="A JSON Lines file of prompts, relative to this file.")
    rubric: str = Field(DEFAULT_RUBRIC, description="A rubric's name, or a file beside this one.")
    seed: int = Field(0, description="Fixes every random draw.")
    models: dict[str, ModelSpec] = Field(
        min_length=1, description="Each model by its name: how it comes to exist, or where its answers lie."
    )
    contestants: tuple[str, ...] = Field(min_length=1, description="The models that sit the exam.")
    baseline: str | None = Field(
        None, description="The model that others are held against, and that comes first where a command names none."
    )
    generation: Generation = Field(Generation(), description="How models are asked.")
    judges: dict[str, JudgeSpec] = Field(
        {"measures": MeasuresJudge(backend="measures")}, min_length=1, description="Each judge by its name."
    )
    judge: str | None = Field(
        None, description="The judge who is meant where a command names none. [default: the first of `judges`]"
    )
    prices: dict[str, Price] = Field(
        default_factory=dict,
        description="What a model costs, by the name under which it is asked; without a price, costs are unknown.",
    )


def usual_suite() -> str:
    """The suite that is meant where none is named: the only one in ./suites, or else the shipped one.

    Raises UsageError where there are several, and none of them has the shipped one's name.
    """
    here = sorted(path.stem for path in Path("suites").glob("*.yaml"))
    if not here or DEFAULT_SUITE in here:
        return DEFAULT_SUITE
    if len(here) == 1:
        return here[0]
    raise UsageError(f"there are {len(here)} suites in ./suites; name one with --suite: {', '.join(here)}")


def is_shipped_by_default() -> bool:
    """Whether the suite that is meant where none is named is the shipped one, as this folder has none."""
    return not any(Path("suites").glob("*.yaml"))


def read_suite_file(name: str | None = None) -> Document[SuiteFile]:
    """The file of the suite called `name`, or the file `name`; None: the usual one. What it names lies beside it.

    Raises DocumentError with all its faults at once.
    """
    document = read_yaml(locate("suites", name or usual_suite()), SuiteFile)
    if faults := list(_faults(document)):
        raise DocumentError(faults)
    file, folder = document.value, document.path.absolute().parent
    placed = {
        "prompts": str(_beside(folder, file.prompts)),
        "models": {name: _seeded(_absolute(spec, folder), file.seed) for name, spec in file.models.items()},
        "judges": {name: _absolute(spec, folder) for name, spec in file.judges.items()},
    }
    return replace(document, value=file.model_copy(update=placed))


def as_name(text: str) -> str:
    """The text where it can name a model, or else what of it can."""
    text = normalize("NFC", text)
    kept = re.sub(r" *[^\w .:+@/()-]+ *", "-", text).lstrip(" .:+@/()-")
    return text if re.fullmatch(NAME, text) else kept[:90].rstrip(" -") or "answers"


def _faults(document: Document[SuiteFile]) -> Iterable[str]:
    """What the file says of names that it does not have."""
    file = document.value
    for key, names in (("models", file.models), ("judges", file.judges)):
        for name in names:
            if not re.fullmatch(NAME, name):
                what = "a name is a letter or digit, then at most 99 of these, '_.:+@/()-' or blanks"
                yield document.fault((key, name), what)
    for index, name in enumerate(file.contestants):
        if name not in file.models:
            yield document.fault(("contestants", index), f"{name!r} is not a model{did_you_mean(name, file.models)}")
        elif name in file.contestants[:index]:
            yield document.fault(("contestants", index), f"{name!r} stands here twice")
    if file.baseline is not None and file.baseline not in file.models:
        yield document.fault(
            ("baseline",), f"{file.baseline!r} is not a model{did_you_mean(file.baseline, file.models)}"
        )
    if file.judge is not None and file.judge not in {*file.judges, "measures", HUMANS}:
        yield document.fault(("judge",), f"{file.judge!r} is not a judge{did_you_mean(file.judge, file.judges)}")
    for name, spec in file.judges.items():
        if (reference := getattr(spec, "reference", None)) is not None and reference not in file.models:
            what = f"{reference!r} is not a model{did_you_mean(reference, file.models)}"
            yield document.fault(("judges", name, "reference"), what)
        for index, member in enumerate(getattr(spec, "judges", ())):
            if what := _no_member(file.judges, member):
                yield document.fault(("judges", name, "judges", index), what)
    for name, model in file.models.items():
        for by in model.judged_by() if isinstance(model, Stage) else ():
            if isinstance(file.models.get(by), Reward) and by not in file.judges:
                what = f"judge: {by!r} is a reward model of the lineage; write `reward: {by}`"
                yield document.fault(("models", name), what)
    for name, what in lineage.faults(file.models):
        yield document.fault(("models", name), what)


def _no_member(judges: Mapping[str, JudgeSpec], name: str) -> str:
    """Why `name` cannot judge in a panel or a cascade; empty where it can. None of these has another as a member."""
    spec = judges.get(name)
    if isinstance(spec, (PanelJudge, CascadeJudge)):
        return f"{name!r} is a {spec.backend} itself; name its members ({', '.join(spec.judges)})"
    if spec is None and name != "measures" and not re.match("openai:.", name):
        return f"{name!r} is not a judge of this suite{did_you_mean(name, judges)}"
    return ""


def _absolute(spec: Any, folder: Path) -> Any:
    files: dict[str, Any] = {}
    for key in FILE_KEYS:
        match getattr(spec, key, None):
            case str() as named:
                files[key] = str(_beside(folder, named))
            case tuple() as several:
                files[key] = tuple(_placed(one, folder) for one in several)
            case Judged() as judged:
                files[key] = _placed(judged, folder)
    if (gate := getattr(spec, "gate", None)) and gate.dev:
        files["gate"] = gate.model_copy(update={"dev": str(_beside(folder, gate.dev))})
    for key in FOLDER_KEYS:
        if isinstance(place := getattr(spec, key, None), str) and is_folder(place, folder):
            files[key] = str(_beside(folder, str(Path(place).expanduser())))
    for key in ("template", "grading"):
        if isinstance(place := getattr(spec, key, None), str) and "." in place:
            files[key] = str(_beside(folder, place))
    return spec.model_copy(update=files)


def _placed(source: str | Judged, folder: Path) -> str | Judged:
    if isinstance(source, Judged):
        return source.model_copy(update={"prompts": str(_beside(folder, source.prompts))})
    return str(_beside(folder, source))


def _seeded(spec: Any, seed: int) -> Any:
    """A stage that names no seed of its own is trained with the suite's: it is part of what the model is."""
    return spec.model_copy(update={"seed": seed}) if isinstance(spec, Trained) and spec.seed is None else spec


def _beside(folder: Path, name: str) -> Path:
    return Path(name) if Path(name).is_absolute() else folder / name
