"""A judge that a model was trained to please says nothing about it: who a judge is, whatever it is called.

Two names are one where an endpoint asks one model, where weights are the same files, where a panel has the other as a
member. A judge of the preferences that a reward model was trained on is another than that reward model.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sciexam import lineage
from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.judges.settings import CascadeJudge, PanelJudge, RecordedJudge, RewardsJudge
from sciexam.lineage.artifacts import place_of, read_lineage
from sciexam.lineage.stages import Reward, Stage
from sciexam.models.checkpoint_digests import digests_of
from sciexam.models.settings import Checkpoint, weights_of
from sciexam.suite import Suite


def check_independent(suite: Suite, results: Path, name: str, judge: str) -> None:
    """Raises UsageError where the model `name`, or one that it descends from, was trained to please `judge`."""
    own = frozenset(_identities(suite, results, judge))
    for model in lineage.chain(suite.models, name):
        spec = suite.models[model]
        for pleased in spec.trained_against() if isinstance(spec, Stage) else ():
            if own & frozenset(_identities(suite, results, pleased)):
                named = f"{judge!r}" if judge == pleased else f"{judge!r}, which is {pleased!r} by another name,"
                raise UsageError(
                    f"{name}: gate.judge: {model} is trained to please {named} so that its word on it is worth "
                    f"nothing; name another judge: gate: {{judge: NAME}}"
                )


def _identities(suite: Suite, results: Path, who: str) -> Iterator[str]:
    """What a judge, or a model that marks answers, is known by."""
    model = suite.models.get(who)
    if model is not None and (isinstance(model, Reward) or who not in suite.judges):
        known = suite.lineage_digest(who)
        yield known
        yield str(place_of(results, who, known).resolve())
        if (weights := weights_of(model)) is not None:
            yield from _of_weights(weights)
        return
    try:
        spec = suite.judge_spec(who)
    except UsageError:  # a word that a stage has for somebody else, such as for people
        yield who
        return
    match spec:
        case PanelJudge() | CascadeJudge():
            for member in spec.judges:
                yield from _identities(suite, results, member)
        case RecordedJudge(verdicts=file) | RewardsJudge(rewards=file):
            yield str(Path(file).resolve())
        case _ if (weights := weights_of(spec)) is not None:
            yield from _of_weights(weights)
        case _ if (asked := getattr(spec, "model", None)) is not None:
            yield f"{getattr(spec, 'base_url', None)} {asked}"
        case _:
            yield digest(spec.model_dump(mode="json"))


def _of_weights(own: Checkpoint) -> Iterator[str]:
    """Weights, and the adapter on them, by their places, by what is in them, and by what they were made of."""
    on_top = list(_of_folder(own.adapter)) if own.adapter else [""]
    for weights in _of_folder(own.weights):
        yield from (f"{weights}{adapter}" for adapter in on_top)


def _of_folder(weights: str) -> Iterator[str]:
    """A folder by its place and its contents; a hub's by its name."""
    folder = Path(weights)
    if not folder.is_dir():
        yield weights
        return
    yield str(folder.resolve())
    yield digest(digests_of(folder))
    if (told := read_lineage(folder)) is not None:
        yield told.digest
