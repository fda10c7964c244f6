"""Where each model of a lineage stands: there, recorded, missing or rejected; and what its stage gained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciexam import lineage
from sciexam.lineage.artifacts import Lineage, place_of, read_lineage
from sciexam.lineage.specs import ModelSpec, kind_of
from sciexam.lineage.stages import Stage, Trained
from sciexam.models.settings import artifact_of
from sciexam.report.record import Figure, plain
from sciexam.stats import Estimate, Undefined


@dataclass(frozen=True, slots=True)
class Standing:
    """One model. `stage`: how it is made, or its backend; `state`: there, recorded, missing or rejected.

    What no stage makes is there: where it lies, or who serves it, is the suite's to say. What has recorded answers and
    no weights is recorded.

    `digest` is that of its lineage, `folder` where its weights or its record lie; empty where there are none. `gain`:
    the win rate against the model that it was made from; None where no exam has told.
    """

    model: str
    parent: str | None
    stage: str
    state: str
    digest: str
    folder: str
    gain: Figure | None = None
    others: tuple[str, ...] = ()  # that it was made with, such as a reward model

    def to_json(self) -> dict[str, Any]:
        made: dict[str, Any] = plain(self)
        return made


def standings(
    models: Mapping[str, ModelSpec], results: Path, digest_of: Callable[[str], str], names: Sequence[str] = ()
) -> list[Standing]:
    """How `names` and all that they are made from stand, or all models: each behind its parents.

    `digest_of`: the digest of the lineage of each.
    """
    wanted = dict.fromkeys(one for name in names or models for one in lineage.walk(models, name))
    return [_standing(models, results, digest_of, name) for name in wanted]


def record_of(
    models: Mapping[str, ModelSpec], results: Path, digest_of: Callable[[str], str], name: str
) -> tuple[Path, Lineage] | None:
    """The folder that training has left of a model, with its lineage.json; None where there is none."""
    weights = getattr(models[name], "weights", None)
    folder = Path(weights) if weights else place_of(results, name, digest_of(name))
    told = read_lineage(folder)
    return None if told is None else (folder, told)


def figure_of(value: Mapping[str, Any] | None) -> Figure | None:
    """An estimate, or why there is none, from what its `to_json` has written."""
    if value is None:
        return None
    if value["value"] is None:
        return Undefined(value["why"], value["n"])
    return Estimate(**{key: value[key] for key in ("value", "low", "high", "level", "n", "method")})


def _standing(models: Mapping[str, ModelSpec], results: Path, digest_of: Callable[[str], str], name: str) -> Standing:
    spec = models[name]
    parent, others = next(iter(lineage.parents(spec)), None), lineage.parents(spec)[1:]
    others = tuple(other for other in others if other != parent)
    kind, digest = str(kind_of(spec)), digest_of(name)
    if isinstance(spec, Trained) and (found := record_of(models, results, digest_of, name)) is not None:
        folder, told = found
        gain = figure_of((told.exam or {}).get("shown", {}).get("win_rate"))
        state = "rejected" if told.accepted is False else "there"
        return Standing(name, parent, kind, state, told.digest, str(folder), gain, others)
    weights = getattr(spec, "weights", None) or ""
    return Standing(name, parent, kind, _state(spec), digest, weights, None, others)


def _state(spec: ModelSpec) -> str:
    if not isinstance(spec, Stage) or artifact_of(spec) is not None:
        return "there"
    return "recorded" if spec.responses else "missing"


def tree_of(found: Sequence[Standing]) -> list[tuple[str, Standing]]:
    """The models as the lines of a tree: what is drawn before each name, roots first, children below their parent."""
    return list(_lines(found, None, ""))


def _lines(found: Sequence[Standing], parent: str | None, before: str) -> Iterator[tuple[str, Standing]]:
    names = {one.model for one in found}
    below = [one for one in found if (one.parent if one.parent in names else None) == parent]
    for one in below:
        last = one is below[-1]
        branch = "" if parent is None else "└─ " if last else "├─ "
        yield before + branch, one
        deeper = "" if parent is None else "   " if last else "│  "
        yield from _lines(found, one.model, before + deeper)
