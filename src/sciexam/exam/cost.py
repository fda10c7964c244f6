"""What a design costs: calls, tokens and dollars, as the ledger measured them or else from the length of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sciexam.battles import Slot, present, submit
from sciexam.exam.markers import Marker
from sciexam.exam.raters import SCRIPTED, called_model
from sciexam.exam.recordings import is_recorded, recorded_answers
from sciexam.judges import JUDGE_GENERATION, judge_generation
from sciexam.judges.grading import GradingTemplate
from sciexam.judges.rendering import template_of
from sciexam.judges.settings import JudgeSpec, LLMJudge, RewardJudge, RewardWeightsJudge, VllmJudge, WeightsJudge
from sciexam.models.spending import Price
from sciexam.report.planning.costs import Cost, Orders, Rate
from sciexam.suite import Suite
from sciexam.types import Comparison, Reply, Response

WORD = 2  # tokens of a letter, with the mark of a new word that some vocabularies put before it
CHARACTERS = 4  # of English text that make about one token
RENDERED = 20  # comparisons that a judge's prompt is measured on
PAID = ("ok", "invalid")

Named = tuple[str, str, str, int]  # a, b, the prompt's id, the sample: see battles.name_of


@dataclass(frozen=True, slots=True)
class AtHand:
    """What tells how long replies are: answers by slot, the replies of each judge by name, and comparisons."""

    responses: Mapping[Slot, Response]
    said: Mapping[str, Sequence[Reply]]
    comparisons: Mapping[Named, Comparison]

    def stored(self, name: str) -> Mapping[Orders, int]:
        """Verdicts of a judge that are not asked for again, as far as they are known."""
        return {}


@dataclass(frozen=True, slots=True)
class Party:
    """Someone who is called: a contestant (`samples` times a prompt) or a judge (for each pair, sample and order).

    `stored`: results in the ledger by orders; those of a contestant are the same for all. `limit`: the most tokens
    that a call can say, where no reply in the ledger shows how many it does. `equal`: the share of pairs of answers
    that are two equal texts, of which both orders are one call.
    """

    rate: Rate
    pairs: int = 1
    repeats: int = 1
    sees_order: bool = False
    stored: Mapping[Orders, int] | None = None
    limit: int | None = None
    equal: float = 0.0

    def calls(self, prompts: int, orders: Orders, samples: int) -> int:
        seen = 2 - self.equal if self.sees_order and orders == "both" else 1
        return round(prompts * samples * self.pairs * seen * self.repeats)

    def kept(self, prompts: int, orders: Orders, samples: int) -> int:
        return min((self.stored or {}).get(orders, 0), self.calls(prompts, orders, samples))


def cost_of(parties: Iterable[Party], prompts: int, orders: Orders, samples: int) -> Cost:
    """All calls of a design, and those that are left once the stored ones are taken off."""
    made: dict[Literal["answers", "verdicts"], int] = {"answers": 0, "verdicts": 0}
    read = written = 0.0
    usd: float | None = 0.0
    left: float | None = 0.0
    stored = 0
    for party in parties:
        rate, calls, kept = party.rate, party.calls(prompts, orders, samples), party.kept(prompts, orders, samples)
        made[rate.what] += calls
        stored += kept
        read += calls * rate.input_tokens
        written += calls * rate.output_tokens
        usd = None if usd is None or rate.usd is None else usd + calls * rate.usd
        left = None if left is None or rate.usd is None else left + (calls - kept) * rate.usd
    return Cost(made["answers"], made["verdicts"], read, written, usd, stored, left)


def parties_of(
    suite: Suite, contestants: Sequence[str], markers: Sequence[Marker], at_hand: AtHand | None, equal: float = 0.0
) -> list[Party]:
    """Everyone who is called, with what a call takes. What is recorded or measured offline takes none.

    `equal`: the share of pairs of answers that are two equal texts.
    """
    lengths = {name: _answer_tokens(suite, name, at_hand) for name in contestants}
    known = [tokens for tokens in lengths.values() if tokens is not None]
    pairs = len(contestants) * (len(contestants) - 1) // 2
    return [
        *(_contestant(suite, name, at_hand, known) for name in contestants if not is_recorded(suite, name)),
        *(
            replace(_judge(suite, marker, at_hand, pairs, known), equal=equal)
            for marker in markers
            if marker.model is not None
        ),
    ]


def _contestant(suite: Suite, name: str, at_hand: AtHand | None, known: Sequence[float]) -> Party:
    spec = suite.models[name]
    model = called_model(spec) or name
    replies = [r.reply for r in _responses(at_hand, name)]
    measured = _measured(replies)
    limit = suite.generation_of(name).max_tokens if measured is None else None
    if measured is None:
        asked = sum(len(p.text) for p in suite.prompts) / len(suite.prompts) + len(getattr(spec, "system", None) or "")
        answer = sum(known) / len(known) if known else float(limit or 0)
        how = f"answers of {'the length of those at hand' if known else f'{limit:,} tokens, their limit'}"
        measured = asked / CHARACTERS, answer, f"an estimate: {CHARACTERS} characters a token, {how}"
    paid = sum(reply.status in PAID for reply in replies)
    stored: dict[Orders, int] = dict.fromkeys(("both", "one", "own"), paid)
    return Party(_rate(suite, name, "answers", model, measured), stored=stored, limit=limit)


def _judge(suite: Suite, marker: Marker, at_hand: AtHand | None, pairs: int, known: Sequence[float]) -> Party:
    measured = _measured(at_hand.said.get(marker.name, ())) if at_hand else None
    most: int | None = None
    if measured is None:
        spec = suite.judge_spec(marker.named) if marker.named is not None else None
        generation = judge_generation(spec) if isinstance(spec, LLMJudge) else JUDGE_GENERATION
        limit = most = _longest(suite, spec, generation.max_tokens, marker.grades)
        answer = sum(known) / len(known) if known else suite.generation.max_tokens
        read = _rendered(suite, spec, at_hand, answer, marker.grades)
        if getattr(spec, "reference", None):  # which is not written yet, and takes about as much as an answer
            read += CHARACTERS * answer
        how = f"an estimate: {CHARACTERS} characters a token, replies of {limit:,} tokens, their limit"
        measured = read / CHARACTERS, float(limit), how
    rate = _rate(suite, marker.name, "verdicts", marker.model or marker.name, measured)
    stored = at_hand.stored(marker.name) if at_hand else None
    return Party(rate, pairs, marker.repeats, marker.sees_order, stored, most)


def _longest(suite: Suite, spec: JudgeSpec | None, allowed: int, grades: bool) -> int:
    """The most tokens that a judge says: fewer than are `allowed` where it writes none, or is held to a word."""
    if isinstance(spec, RewardJudge | RewardWeightsJudge):
        return 0
    if grades or not isinstance(spec, WeightsJudge | VllmJudge):
        return allowed
    return min(allowed, WORD) if template_of(spec, suite.rubric).form == "letter" else allowed


def _rate(
    suite: Suite, who: str, what: Literal["answers", "verdicts"], model: str, measured: tuple[float, float, str]
) -> Rate:
    asked, said, basis = measured
    price = suite.costs.get(model) or (Price(input=0, output=0) if model == SCRIPTED else None)
    usd = None if price is None else (asked * price.input + said * price.output) / 1e6
    return Rate(who, what, model, asked, said, basis, usd)


def _measured(replies: Sequence[Reply]) -> tuple[float, float, str] | None:
    """The mean tokens in and out of the replies that say how many they took."""
    counted = [(r.input_tokens, r.output_tokens) for r in replies if r.input_tokens is not None]
    both = [(i, o) for i, o in counted if i is not None and o is not None]
    if not both:
        return None
    basis = f"measured in {len(both):,} replies" if len(both) > 1 else "measured in one reply"
    return sum(i for i, _ in both) / len(both), sum(o for _, o in both) / len(both), basis


def usd_of_verdict(suite: Suite, model: str | None, replies: Sequence[Reply]) -> float | None:
    """What a verdict of a model cost on average, by the suite's prices; None where that is not known."""
    price = suite.costs.get(model or "")
    measured = _measured(replies)
    if price is None or measured is None:
        return None
    asked, said, _ = measured
    return (asked * price.input + said * price.output) / 1e6


def _answer_tokens(suite: Suite, name: str, at_hand: AtHand | None) -> float | None:
    """The length of a contestant's answers, as far as there are any, in estimated tokens."""
    texts = [r.text for r in _responses(at_hand, name) if r.reply.status == "ok"]
    texts = texts or [one.text for one in recorded_answers(suite, name)]
    return sum(map(len, texts)) / len(texts) / CHARACTERS if texts else None


def _responses(at_hand: AtHand | None, name: str) -> Iterator[Response]:
    if at_hand is not None:
        yield from (r for (contestant, _, _), r in at_hand.responses.items() if contestant == name)


def _rendered(suite: Suite, spec: JudgeSpec | None, at_hand: AtHand | None, answer: float, grades: bool) -> float:
    """The characters of an average judge's prompt: over comparisons at hand, or with answers of `answer` tokens."""
    blank = "x" * round(answer * CHARACTERS)
    comparisons = list(at_hand.comparisons.values())[:RENDERED] if at_hand else []
    comparisons = comparisons or [
        Comparison(prompt, *(Response(side, prompt.id, 0, Reply("", blank)) for side in "ab"))
        for prompt in suite.prompts[:RENDERED]
    ]
    if grades:
        return _rendered_alone(suite, spec, comparisons)
    if not isinstance(spec, LLMJudge):
        return sum(len(c.prompt.text) + len(c.a.text) + len(c.b.text) for c in comparisons) / len(comparisons)
    template = template_of(spec, suite.rubric)
    shown = [present(comparison, "ab") for comparison in comparisons]
    return sum(len(template.render(presentation)) for presentation in shown) / len(shown)


def _rendered_alone(suite: Suite, spec: JudgeSpec | None, comparisons: Sequence[Comparison]) -> float:
    """The same for a judge that marks one answer at a time."""
    shown = [submit(c.prompt, response) for c in comparisons for response in (c.a, c.b)]
    if not isinstance(spec, LLMJudge):
        return sum(len(one.prompt.text) + len(one.text) for one in shown) / len(shown)
    template = GradingTemplate(spec.grading, suite.rubric, spec.mark)
    return sum(len(template.render(one)) for one in shown) / len(shown)
