"""What people have said by now is part of what a stage is that learns from them: when they say more, it is another one.

    models: {rm: {from: sft, stage: reward, data: {of: sft, prompts: round1.jsonl, judge: humans}}}

Training reads the ledger, and remembers beside the artifact what it has heard; every other command goes by that. So
what was trained stays in use while people go on annotating, until it is trained again.
"""

from __future__ import annotations

from dataclasses import replace

from sciexam import lineage
from sciexam.digests import digest
from sciexam.lineage.artifacts import keep_heard, place_of
from sciexam.lineage.sources import made_on_the_way
from sciexam.lineage.stages import Dpo, Reward
from sciexam.suite import Suite
from sciexam.train.data.preferences import judged
from sciexam.train.workshop import Workshop
from sciexam.types import HUMANS


def hear(workshop: Workshop, name: str) -> Workshop:
    """The workshop that knows what people have said by now of the answers which the stage `name` learns from.

    If it was trained on something else, neither that nor what was made from it counts. Its parents have been trained.
    Raises UsageError where nobody has said anything, with what to type to have people asked.
    """
    spec = workshop.suite.models[name]
    if not workshop.suite.learns_from_people(name) or _is_given(workshop.suite, name):
        return workshop
    assert isinstance(spec, (Reward, Dpo))
    sources = [one for one in made_on_the_way(spec.data) if one.by == HUMANS]
    said = digest([one.to_json() for source in sources for one in judged(workshop, source)])
    if workshop.suite.heard.get(name) == said:
        return workshop
    suite = _without(workshop.suite, name)
    keep_heard(place_of(workshop.results, name, suite.lineage_digest(name)), said)
    suite = suite.model_copy(update={"heard": {**suite.heard, name: said}})
    return replace(workshop, suite=suite.with_trained(workshop.results))


def _is_given(suite: Suite, name: str) -> bool:
    """Whether the suite names the weights of a stage, so that nothing is learnt."""
    return bool(getattr(suite.models[name], "weights", None)) and name not in suite.trained


def _without(suite: Suite, name: str) -> Suite:
    """The suite before `name` has heard anything, and without all that training has made of it."""
    made = {model for model in suite.models if name in lineage.walk(suite.models, model)}
    bare = {model: suite.models[model].model_copy(update={"weights": None}) for model in made & {*suite.trained}}
    return suite.with_models(bare).model_copy(
        update={
            "heard": {model: heard for model, heard in suite.heard.items() if model not in made},
            "trained": tuple(model for model in suite.trained if model not in made),
        }
    )
