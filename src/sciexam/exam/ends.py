"""Whether a reward model could see that an answer had ended: counted from what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from sciexam.exam.plan import Plan, submissions_of
from sciexam.exam.raters import Rater
from sciexam.judges.settings import RewardJudge, RewardWeightsJudge
from sciexam.models.reward_text import END_UNSEEN, NO_END, PAIR, PLAIN
from sciexam.store import Store
from sciexam.types import Response


def ends_of(plan: Plan, store: Store, responses: Collection[Response]) -> Iterator[str]:
    """What a reader must know of the rewards of these answers."""
    raters = [rater for rater in plan.raters if isinstance(_spec(plan, rater), (RewardJudge, RewardWeightsJudge))]
    if not raters:
        return
    usable = [response for response in responses if response.reply.status == "ok"]
    names = " and ".join(dict.fromkeys(rater.name for rater in raters))
    for contestant, (cut, answers) in _cut_off(plan, usable).items():
        if cut:
            yield (
                f"{cut:,} of {answers:,} answers of {contestant} were cut off by the limit of tokens, and {names} "
                f"{'are' if len(raters) > 1 else 'is'} shown them as if they had ended."
            )
    for rater in raters:
        if isinstance(_spec(plan, rater), RewardWeightsJudge):
            yield from _as_shown(rater.name, _endings(plan, rater, store, usable))


def _spec(plan: Plan, rater: Rater) -> object:
    return plan.suite.judges.get(rater.name)


def _cut_off(plan: Plan, usable: Iterable[Response]) -> Mapping[str, tuple[int, int]]:
    """By contestant: how many answers ended at the limit of tokens, of how many."""
    cut: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    for response in usable:
        answers[response.contestant] += 1
        cut[response.contestant] += response.reply.finish_reason == "length"
    return {name: (cut[name], answers[name]) for name in plan.contestants}


def _endings(plan: Plan, rater: Rater, store: Store, usable: Iterable[Response]) -> Counter[str]:
    """How often the texts that `rater` was shown had each word of their ending (`reward_text`); under "": all texts."""
    prompts = {prompt.id: prompt for prompt in plan.prompts}
    shown = (one for r in usable for one in submissions_of(plan, rater, prompts[r.prompt], r, store))
    said = store.replies({one.key for one in shown}).values()
    return Counter(word for reply in said if reply.status == "ok" for word in ("", *reply.finish_reason.split(", ")))


def _as_shown(rater: str, counted: Mapping[str, int]) -> Iterator[str]:
    texts = counted[""]
    if plain := counted[PLAIN]:
        yield (
            f"{rater} has no chat template: {plain:,} of {texts:,} texts were shown as the turns with a blank line "
            "between them and its end-of-sequence after the last; `chat_template:` shows them otherwise."
        )
    if pairs := counted[PAIR]:
        yield (
            f"{rater} has no chat template: {pairs:,} of {texts:,} texts were shown as a pair, prompt and answer, with "
            "its separator between them; `chat_template:` shows them otherwise."
        )
    if open_ended := counted[NO_END]:
        yield (
            f"{rater} was shown no end-of-sequence after {open_ended:,} of {texts:,} answers: a reward model that was "
            "trained with it takes them for unfinished."
        )
    if unseen := counted[END_UNSEEN]:
        yield (
            f"{rater} pads with its end-of-sequence, so that {unseen:,} of {texts:,} rewards were read before it: they "
            "do not depend on whether an answer ended."
        )
