"""What a reader must be told before relying on a result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sciexam.report.evidence import Evidence
from sciexam.report.record import Pair
from sciexam.stats import Undefined

FEW_PROMPTS = 30
MANY_INVALID = 0.05
MANY_TRUNCATED = 0.05


def caveats_of(evidence: Evidence, pairs: Sequence[Pair]) -> Iterable[str]:
    for bench in evidence.benches:
        if bench.silent:
            yield f"{bench.name} has no verdict on these prompts."
    for contestant in evidence.contestants:
        answers = [r.reply for (name, _, _), r in evidence.responses.items() if name == contestant]
        cut = sum(reply.finish_reason == "length" for reply in answers)
        if answers and cut > MANY_TRUNCATED * len(answers):
            yield f"{cut} of {len(answers)} answers of {contestant} hit the token limit; raise max_tokens."
        empty = sum(not reply.text.strip() for reply in answers if reply.status == "ok")
        if empty:
            yield f"{empty} of {len(answers)} answers of {contestant} are empty; they are judged as they are."
    # A pair that was watched until decided says by itself how many prompts that took.
    if any(0 < pair.used < FEW_PROMPTS and pair.stop is None for pair in pairs):
        fewest = min(pair.used for pair in pairs if pair.used)
        yield f"{fewest} prompt{'s are' if fewest > 1 else ' is'} few; the intervals are wide, and slices say little."
    for pair in pairs:
        yield from _pair_caveats(pair, f"{pair.b} against {pair.a} by {pair.judge}")


def _pair_caveats(pair: Pair, name: str) -> Iterable[str]:
    missing = pair.verdicts["invalid"] + pair.verdicts["failed"]
    asked = missing + pair.verdicts["ok"]
    if missing > MANY_INVALID * asked:
        hint = "; the bounds say what that can do" if pair.used else ""
        yield f"{name}: {missing} of {asked} verdicts are invalid or failed{hint}."
    if not isinstance(pair.order_consistency, Undefined) and pair.order_consistency.value < 0.8:
        kept = f"{pair.order_consistency.value:.0%}"
        yield f"{name}: when the order was swapped, the judge kept its verdict in {kept} of the prompts only."
    if not isinstance(pair.position_bias, Undefined) and pair.position_bias.low * pair.position_bias.high > 0:
        shown = "first" if pair.position_bias.value > 0 else "second"
        yield f"{name}: the judge favours the answer shown {shown} (position bias {pair.position_bias})."
    effect = pair.length.longer_wins if pair.length else None
    if effect and not isinstance(effect, Undefined) and effect.low > 0.5:
        yield f"{name}: the longer answer won {effect} of the decided prompts; part of the result may be length."
