"""The exam of a reward model: which of two answers people, or a judge, liked better, on prompts that it has not seen.

It is asked as every reward model is, for one answer at a time, by the weights that will be used. The share of pairs
that it orders as they were judged stands beside what needs no model: the longer answer, a coin, and two people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sciexam.lineage.sources import made_on_the_way
from sciexam.lineage.stages import Reward
from sciexam.models.reward_weights import RewardWeights
from sciexam.models.settings import RewardCheckpoint
from sciexam.stats import Estimate, Undefined, longer_wins, mean
from sciexam.train.data.opinions import agreement_of_people
from sciexam.train.data.preferences import Preference, candidates_of
from sciexam.train.gate import Found
from sciexam.train.job import Job
from sciexam.train.reward import held_out_file, unit_of
from sciexam.train.workshop import Workshop
from sciexam.types import HUMANS, Conversation, Message

COIN = 0.5
Text = tuple[tuple[Message, ...], str]


def sit(workshop: Workshop, job: Job) -> Found:
    """The exam of the weights that `job` has made, on the pairs that were held out.

    Accepted where the lower end of the interval of its accuracy, over prompts, lies above the suite's `accuracy`. Equal
    rewards count one half, and so does a pair of which an answer could not be read.
    """
    pairs, required = held_out(job), float(job.settings["accuracy"])
    units = [unit_of(one.messages) for one in pairs]
    rewards = rewards_of(job, [text for one in pairs for text in texts_of(one)])
    right = [_right(*(rewards.get(text) for text in texts_of(one))) for one in pairs]
    lengths = [len(one.chosen) - len(one.rejected) for one in pairs]
    accuracy = over_prompts(mean(right, units, low=0.0, high=1.0))
    longer = over_prompts(longer_wins([1.0] * len(pairs), lengths, units))
    shown = {
        "pairs": len(pairs),
        "prompts": len(set(units)),
        "unread": sum(text not in rewards for one in pairs for text in texts_of(one)),
        "required": required,
        "accuracy": accuracy.to_json(),
        "longer_wins": longer.to_json(),
        "coin": COIN,
        "people": over_prompts(_people(workshop, job, set(units))).to_json(),
    }
    why = tuple(_short_of(accuracy, required, len(pairs)))
    return Found(not why, why, shown)


def over_prompts(found: Estimate | Undefined) -> Estimate | Undefined:
    """An estimate whose groups are the pairs of one prompt."""
    return replace(found, method=found.method.replace("groups", "prompts")) if isinstance(found, Estimate) else found


def held_out(job: Job) -> list[Preference]:
    """The pairs that were kept for the exam."""
    with held_out_file(job).open(encoding="utf-8") as lines:
        return [Preference.from_json(json.loads(line)) for line in lines]


def texts_of(one: Preference) -> tuple[Text, Text]:
    return (one.messages, one.chosen), (one.messages, one.rejected)


def rewards_of(job: Job, texts: Sequence[Text]) -> dict[Text, float]:
    """The reward of each text that can be read, by the weights that a job has made."""
    asked = {str(place): text for place, text in enumerate(dict.fromkeys(texts))}
    model = RewardWeights(job.name, RewardCheckpoint(weights=str(job.weights)), fetch=False)

    def conversations() -> Iterator[Conversation]:
        for key, (messages, answer) in asked.items():
            yield Conversation(key, (*messages, Message(role="assistant", content=answer)))

    return {asked[reply.key]: float(reply.text) for reply in model.generate(conversations()) if reply.status == "ok"}


def _right(chosen: float | None, rejected: float | None) -> float:
    if chosen is None or rejected is None or chosen == rejected:
        return COIN
    return float(chosen > rejected)


def _people(workshop: Workshop, job: Job, units: set[str]) -> Estimate | Undefined:
    """How far two annotators agree on the prompts of the exam."""
    spec = workshop.suite.models[job.name]
    assert isinstance(spec, Reward)
    if not workshop.suite.learns_from_people(job.name):
        return Undefined("not known: its pairs do not come from annotators of this ledger")
    by_people = (how for how in made_on_the_way(spec.data) if how.by == HUMANS)
    asked = [one for how in by_people for one in candidates_of(workshop, how)]
    return agreement_of_people(workshop, [one for one in asked if unit_of(one.prompt.messages) in units])


def _short_of(accuracy: Estimate | Undefined, required: float, pairs: int) -> Iterator[str]:
    if isinstance(accuracy, Undefined):
        yield f"its accuracy on held-out prompts is not known ({accuracy.why}); raise held_out"
    elif not accuracy.low > required:
        yield (
            f"it orders {accuracy.value:.0%} of {pairs} held-out pairs as they were judged, and the interval begins at "
            f"{accuracy.low:.3f}, which has to lie above `accuracy: {required:g}`"
        )
