"""Pair responses into comparisons, and resolve verdicts into battles. The only place where a swap is undone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from sciexam.digests import digest
from sciexam.types import Comparison, Order, Presentation, Prompt, Response, Status, Submission, Verdict

Policy = Literal["mean", "conservative"]
Slot = tuple[str, str, int]  # contestant, prompt id, sample

STRENGTH = {"slight": 1.0, "clear": 2.0, "strong": 3.0}


@dataclass(frozen=True, slots=True)
class Battle:
    """A comparison resolved for one rater.

    `score` is a's, in [0, 1]; None when the battle is void (`status` and `failure` say why). `by_order` holds a's score
    in each order that gave a usable verdict. `preference` is signed towards b on -3 .. 3 (strong a .. strong b, 0 a
    tie), None where a verdict names a side and none carries a strength. `first` is the score of whatever was shown
    first, averaged over the orders. `of_one_text`: both texts are equal; no verdict tells the contestants apart.
    """

    prompt: str
    sample: int
    a: str
    b: str
    rater: str
    score: float | None
    by_order: Mapping[Order, float]
    preference: float | None = None
    first: float | None = None
    status: Status = "ok"
    failure: str = ""
    of_one_text: bool = False


def cluster(prompt: Prompt) -> str:
    """The unit of every interval: the prompt's group, or else the digest of what it asks."""
    return (
        f"group {prompt.group}" if prompt.group is not None else digest([(m.role, m.content) for m in prompt.messages])
    )


def in_drawn_order(prompts: Sequence[Prompt], seed: int) -> tuple[Prompt, ...]:
    """The prompts in an order that their content and the seed draw, whatever their order is in the file.

    Those of one cluster (battles.cluster) stay together.
    """

    def place(prompt: Prompt) -> tuple[str, str, str]:
        return digest([seed, cluster(prompt)]), digest([(m.role, m.content) for m in prompt.messages]), prompt.id

    return tuple(sorted(prompts, key=place))


def pair(
    prompts: Sequence[Prompt], pairs: Iterable[tuple[str, str]], samples: int, responses: Mapping[Slot, Response]
) -> Iterator[Comparison]:
    """All comparisons of these pairs of contestants whose responses are both there, sample i against sample i."""
    for a, b in pairs:
        for prompt in prompts:
            for sample in range(samples):
                left, right = responses.get((a, prompt.id, sample)), responses.get((b, prompt.id, sample))
                if left and right and left.reply.status == "ok" and right.reply.status == "ok":
                    yield Comparison(prompt, left, right)


def name_of(comparison: Comparison) -> tuple[str, str, str, int]:
    """What tells one comparison of a run from another: both contestants, the prompt's id and the sample."""
    return comparison.a.contestant, comparison.b.contestant, comparison.prompt.id, comparison.a.sample


def orders_of(comparison: Comparison, orders: Literal["both", "one"], seed: int) -> tuple[Order, ...]:
    """The orders in which a comparison is shown: both, or one drawn from its content and the seed."""
    if orders == "both":
        return ("ab", "ba")
    draw = digest([seed, comparison.prompt.id, comparison.a.sample, *sorted((comparison.a.text, comparison.b.text))])
    # The draw says whether the text that sorts first is shown first, so that naming the pair (b, a) shows the same.
    sorted_first = int(draw, 16) % 2 == 0
    return ("ab",) if sorted_first == (comparison.a.text <= comparison.b.text) else ("ba",)


def present(comparison: Comparison, order: Order, repeat: int = 0) -> Presentation:
    """The presentation in `order`, with the digests of what is seen: what is asked and both texts as they are shown."""
    texts = _digest_of_text(comparison.a.text), _digest_of_text(comparison.b.text)
    seen = (asked_digest(comparison.prompt), *(texts if order == "ab" else texts[::-1]))
    return comparison.shown(order, repeat, seen, digest(seen))


def submit(prompt: Prompt, response: Response, repeat: int = 0) -> Submission:
    """One response to be marked by itself, with the digest of what is seen."""
    return Submission(
        prompt=prompt,
        text=response.text,
        sample=response.sample,
        repeat=repeat,
        subject=digest([asked_digest(prompt), digest(response.text)]),
        by=response.contestant,
    )


def asked_digest(prompt: Prompt) -> str:
    """The digest of what is asked, and of its reference answer."""
    return _digest_of_question(tuple((m.role, m.content) for m in prompt.messages), prompt.reference)


@lru_cache(maxsize=16)  # every order, repeat and rater comes to the same texts, one after the other
def _digest_of_text(text: str) -> str:
    return digest(text)


@lru_cache(maxsize=16)
def _digest_of_question(messages: tuple[tuple[str, str], ...], reference: str | None) -> str:
    return digest([messages, reference])


def resolve(
    comparison: Comparison, shown: Sequence[tuple[Presentation, Verdict]], rater: str, policy: Policy
) -> Battle:
    """One rater's verdicts on one comparison (all orders and repeats that were planned) as a battle.

    Repeats of one order are averaged over those that are usable. An order without a usable verdict voids the battle,
    unless it was skipped (a recorded file need not hold both orders) and another order stands.
    `mean` averages the orders; `conservative` (MT-Bench, arXiv 2306.05685) gives the win only if all orders name the
    same side, and a tie otherwise. Of two equal texts a person's verdict is a tie, in no order: which of the two they
    meant cannot be told.
    """
    by_order: dict[Order, float] = {}
    preferences: list[float] = []
    counted: list[Verdict] = []
    spoilt: list[Verdict] = []
    for order in sorted({presentation.order for presentation, _ in shown}):
        verdicts = [verdict for presentation, verdict in shown if presentation.order == order]
        usable = [verdict for verdict in verdicts if verdict.status == "ok"]
        if not usable:
            spoilt += [verdict for verdict in verdicts if verdict.status != "skipped"]
            continue
        counted += usable
        by_order[order] = sum(_score_of_a(v, order) for v in usable) / len(usable)
        strengths = [p for v in usable if (p := _preference_for_b(v, order)) is not None]
        if strengths:
            preferences.append(sum(strengths) / len(strengths))
    if spoilt:
        worst = min(spoilt, key=lambda v: v.status != "failed")
        return _void(comparison, rater, by_order, worst.status, worst.failure)
    if not by_order:
        return _void(comparison, rater, by_order, "skipped", shown[0][1].failure if shown else "not judged")
    if comparison.of_one_text and counted[0].kind == "human":
        return _tied(comparison, rater)
    first = sum(s if order == "ab" else 1 - s for order, s in by_order.items()) / len(by_order)
    return Battle(
        prompt=comparison.prompt.id,
        sample=comparison.a.sample,
        a=comparison.a.contestant,
        b=comparison.b.contestant,
        rater=rater,
        score=_combine(list(by_order.values()), policy),
        by_order=by_order,
        preference=sum(preferences) / len(preferences) if preferences and _has_strengths(counted) else None,
        first=first,
        of_one_text=comparison.of_one_text,
    )


def _tied(comparison: Comparison, rater: str) -> Battle:
    a, b = comparison.a, comparison.b
    return Battle(
        comparison.prompt.id, a.sample, a.contestant, b.contestant, rater, 0.5, {}, preference=0.0, of_one_text=True
    )


def _void(comparison: Comparison, rater: str, by_order: Mapping[Order, float], status: Status, failure: str) -> Battle:
    a, b = comparison.a, comparison.b
    return Battle(
        comparison.prompt.id, a.sample, a.contestant, b.contestant, rater, None, by_order, None, None, status, failure
    )


def _score_of_a(verdict: Verdict, order: Order) -> float:
    if verdict.probability_second is not None:
        second = verdict.probability_second
    else:
        second = {"first": 0.0, "second": 1.0, "tie": 0.5}[verdict.preferred or "tie"]
    return 1 - second if order == "ab" else second


def _preference_for_b(verdict: Verdict, order: Order) -> float | None:
    if verdict.preferred == "tie":
        return 0.0
    if verdict.strength is None:
        return None
    towards_second = STRENGTH[verdict.strength] * (1 if verdict.preferred == "second" else -1)
    return towards_second if order == "ab" else -towards_second


def _has_strengths(usable: Sequence[Verdict]) -> bool:
    """Whether verdicts say how strong they are: a tie beside a win of unknown strength does not."""
    return any(one.strength is not None for one in usable) or all(one.preferred == "tie" for one in usable)


def _combine(scores: Sequence[float], policy: Policy) -> float:
    if policy == "mean":
        return sum(scores) / len(scores)
    from sciexam.stats.sides import side_of  # with all of the statistics, which a command that asks begins without

    sides = set(map(side_of, scores))
    return 1.0 if sides == {1} else 0.0 if sides == {-1} else 0.5
