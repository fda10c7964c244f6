"""A plan in words: its table and its sentences, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sciexam.report import tables
from sciexam.report.planning.costs import Cost, Orders
from sciexam.report.planning.outlook import Design, Ground, Labels, Outlook
from sciexam.report.tables import Table
from sciexam.stats.estimate import Undefined
from sciexam.stats.variance import Variance, VarianceComponents

if TYPE_CHECKING:
    from rich.console import Console

ORDERS: dict[Orders, str] = {"both": "both orders", "one": "one order", "own": ""}
SHORT: dict[Orders, str] = {"both": "2 orders:", "one": "1 order:", "own": ""}
FACTORS = ("prompt", "sample", "judge", "order", "residual")


def print_outlook(outlook: Outlook, console: Console) -> None:
    """Print the plan. Writes to `console` and nowhere else; no name in it reaches the terminal as a control code."""
    from rich.padding import Padding

    tables.print_tables([table(outlook)], console)
    for heading, lines in sections(outlook):
        tables.print_list(heading, lines, console)
    console.print(tables.text_for(console, "Next", "bold"))
    for line in outlook.next:
        text = tables.text_for(console, line)
        if line.startswith("sciexam "):  # on one line however long it is: what is broken in two cannot be copied
            text.pad_left(4)
            console.print(text, soft_wrap=True)
        else:
            console.print(Padding(text, (0, 0, 0, 2)))


def title(outlook: Outlook) -> str:
    two = len(outlook.contestants) == 2
    who = " against ".join(outlook.contestants[::-1]) if two else ", ".join(outlook.contestants)
    return f"Plan: {who}, suite {outlook.suite}, by {', '.join(outlook.judges)}"


def table(outlook: Outlook) -> Table:
    """The designs by number of prompts, the choices of orders side by side."""
    choices = list(dict.fromkeys(design.orders for design in outlook.designs))
    paid = bool(outlook.rates)
    columns = ["finds", *(["calls", "tokens"] if paid else []), *(["USD"] if paid and not outlook.unpriced else [])]
    head = ["prompts"]
    for orders in choices:
        head += [f"{SHORT[orders]}\n{name}" if SHORT[orders] and name == "finds" else name for name in columns]
    by_size: dict[int, list[Design]] = {}
    for design in outlook.designs:
        by_size.setdefault(design.prompts, []).append(design)
    rows = []
    for size, designs in sorted(by_size.items()):
        row = [f"{size:,} {designs[0].note}" if designs[0].note else f"{size:,}"]
        for design in designs:
            shown = {
                "finds": _rate(design.finds),
                "calls": f"{design.cost.calls:,}",
                "tokens": _tokens(design.cost),
                "USD": _usd(design.cost.usd),
            }
            row += [shown[name] for name in columns]
        rows.append(tuple(row))
    return Table(title(outlook), tuple(head), rows, tuple(_meaning(outlook)))


def sections(outlook: Outlook) -> Iterator[tuple[str, Sequence[str]]]:
    """The sentences of the plan under their headings."""
    yield "What was asked", list(_findings(outlook))
    yield "What this rests on", list(_grounds(outlook))
    yield "What it costs", list(_costs(outlook))


def _meaning(outlook: Outlook) -> Iterator[str]:
    many = outlook.comparisons > 1
    test = f"the p-value, Holm-corrected over {outlook.comparisons} comparisons," if many else "the p-value"
    by = "every judge" if len(outlook.judges) > 1 else outlook.judges[0]
    yield (
        f"finds: the smallest true win rate by {by} that is shown to differ from one half with a probability of "
        f"{outlook.power:.0%}. Shown means: the {outlook.level:.0%} interval excludes one half and {test} is below "
        f"{1 - outlook.level:.2g}."
    )
    nothing = dict.fromkeys(design.finds.why for design in outlook.designs if isinstance(design.finds, Undefined))
    yield from (f"nothing: {why}." for why in nothing)
    if any(design.note == "answered" for design in outlook.designs):
        yield "answered: the prompts of the suite to which every contestant has a recorded answer."


def _findings(outlook: Outlook) -> Iterator[str]:
    """The answers to --effect, --budget and --labels."""
    if outlook.effect is not None:
        sought = outlook.effect
        by = " by every judge" if len(outlook.judges) > 1 else ""
        by += f" (corrected for {outlook.comparisons} comparisons)" if outlook.comparisons > 1 else ""
        for design in sought.designs:
            yield f"To find a win rate of {sought.win_rate:g}{by} takes {_design(design)}{_price(outlook, design)}."
        if sought.why:
            yield f"To find a win rate of {sought.win_rate:g}: {sought.why}."
    if outlook.budget is not None:
        bought = outlook.budget
        for design in bought.designs:
            best = ": the best of these" if design == bought.best and len(bought.designs) > 1 else ""
            yield f"{bought.usd:,.2f} USD buy {_design(design)}, which find {_rate(design.finds)}{best}."
        if bought.within is not None:
            there = bought.within
            price = _usd(there.cost.usd_left)
            yield f"Without more prompts than there are: {_design(there)} for {price} USD find {_rate(there.finds)}."
        if bought.why:
            yield f"For {bought.usd:,.2f} USD: {bought.why}."
    yield from outlook.conclusion
    if outlook.labels is not None:
        yield from _labels(outlook.labels)


def _labels(found: Labels) -> Iterator[str]:
    yield f"{found.labels:,} labels by people alone find {_rate(found.alone)} ({found.source})."
    if found.judged == 0:
        yield "Every prompt is labelled, so a judge's verdicts add nothing (more prompts: --size)."
        return
    for joint in found.joint:
        yield (
            f"With verdicts of {joint.judge} on {found.judged:,} more prompts, if they correlate with the labels by "
            f"{joint.correlation:.2f} ({joint.source}): {_rate(joint.finds)}, as {joint.worth:,.0f} labels alone."
        )
    if any(joint.source == "assumed" for joint in found.joint):
        yield "The correlation is assumed: a few dozen labels on judged prompts measure it."


def _grounds(outlook: Outlook) -> Iterator[str]:
    """What the plan rests on, judge by judge."""
    for ground in outlook.grounds:
        yield from _trusted(ground)
        spread = ground.components
        if ground.source == "assumed":
            yield f"{ground.judge}: no pilot, for {ground.why}."
            yield f"{ground.judge}: assumed are {ground.assumption}. {_worth(ground)}"
            continue
        known = [(name, getattr(spread, name)) for name in FACTORS]
        listed = ", ".join(f"{name} {value:.3f}" for name, value in known if not isinstance(value, Undefined))
        yield f"{ground.judge}: a pilot of {ground.why}. {_worth(ground)}"
        yield f"{ground.judge}: variance of a score between equal contestants, by source: {listed}."
        yield from _unknown(ground)
        yield from _negative(ground.judge, spread)
        if ground.caution:
            yield f"{ground.judge}: {ground.caution}."


def _trusted(ground: Ground) -> Iterator[str]:
    """What a validation found, and what a strong position bias makes of the spread."""
    if ground.held:
        yield f"{ground.judge}: {ground.held}."
    if ground.leaning:
        yield (
            f"{ground.judge} {ground.leaning}: what the order decides is a tie of both orders, so that its scores "
            "spread little, which is no precision."
        )


def _negative(judge: str, spread: VarianceComponents) -> Iterator[str]:
    """What the plan uses where the pilot's own estimate was negative: the variance of prompts is padded, see
    `VarianceComponents.at_one_half`.
    """
    padded = [name for name in spread.truncated if name == "prompt" and spread.prompt >= 0.0005]
    if padded:
        yield (
            f"{judge}: the pilot's estimate for prompt was negative; the plan uses {spread.prompt:.3f}, since a few "
            "wins and losses are added to every pilot, so that none promises certainty."
        )
    if nought := [name for name in spread.truncated if name not in padded]:
        yield f"{judge}: the pilot's estimate for {_and(nought)} was negative and counts as 0."


def _unknown(ground: Ground) -> Iterator[str]:
    """Components that the pilot cannot tell apart, where that would change the plan."""
    spread = ground.components
    asked: list[tuple[Variance, str]] = [(spread.sample, "more samples a prompt are")]
    if "one" in ground.worth:
        asked.append((spread.order, "a second order is"))
    for value, saving in asked:
        if isinstance(value, Undefined):
            yield f"{ground.judge}: {value.why}, so {saving} promised no gain."


def _worth(ground: Ground) -> str:
    both, *more = [(value, ORDERS[orders]) for orders, value in ground.worth.items()]
    said = f"{both[0]:.2f} forced choices{' in ' + both[1] if both[1] else ''}"
    return f"One prompt is worth {'; '.join([said, *(f'{value:.2f} in {where}' for value, where in more)])}."


def _costs(outlook: Outlook) -> Iterator[str]:
    """What a call takes, what is there already, and what cannot be priced."""
    if outlook.uncounted:
        yield f"Not counted: whatever {', '.join(outlook.uncounted)} may call, for it is of your own making."
    elif not outlook.rates and not outlook.judgements:
        there = " for the prompts that are there" if outlook.recorded else ""
        yield f"Nothing{there}: no model is called, for answers and verdicts are recorded or measured offline."
    if outlook.judgements:
        free = "" if outlook.rates or outlook.uncounted else "; no model is called"
        plural = "s" if outlook.judgements > 1 else ""
        yield f"{outlook.judgements:,} judgement{plural} by people, if one of them judges each comparison{free}."
    if outlook.recorded:
        yield (
            f"Not counted: whoever judges more prompts, for the verdicts of {_and(outlook.recorded)} are recorded and "
            "end with those that are there."
        )
    for rate in outlook.rates:
        price = "" if rate.usd is None else f", {1000 * rate.usd:,.2g} USD a thousand"
        one = "an answer" if rate.what == "answers" else "a verdict"
        tokens = f"{rate.input_tokens:,.0f} tokens in and {rate.output_tokens:,.0f} out"
        yield f"{rate.who}: {one} takes {tokens}{price} ({rate.basis})."
    if outlook.unpriced:
        around = "a suite, which `sciexam init DIR FILE FILE` writes around your files"
        where = around if outlook.of_files else "the suite"
        yield (
            f"Not priced: {', '.join(outlook.unpriced)}. Give USD per million tokens in {where}: "
            f"`prices: {{{outlook.unpriced[0]}: {{input: ..., output: ...}}}}`."
        )
    same, of = outlook.equal
    if same and any(design.orders == "both" for design in outlook.designs):
        yield (
            f"{same:,} of {of:,} pairs of answers at hand {'is' if same == 1 else 'are'} two equal texts, of which a "
            "judge is asked once for both orders: the calls are counted as if as many were among other prompts."
        )
    if stored := max(design.cost.stored for design in outlook.designs):
        yield f"In the table is the whole exam; {stored:,} of its calls are in the ledger and cost nothing again."


def _design(design: Design) -> str:
    said = f"{design.prompts:,} prompt{'s' if design.prompts > 1 else ''}"
    said += f" in {ORDERS[design.orders]}" if ORDERS[design.orders] else ""
    return said + (f" with {design.samples} samples" if design.samples > 1 else "")


def _price(outlook: Outlook, design: Design) -> str:
    cost = design.cost
    if not outlook.rates:
        return ""
    if cost.usd is None or cost.usd_left is None:
        return f", {cost.calls:,} calls (not priced)"
    left = f", {_usd(cost.usd_left)} of it still to pay" if cost.usd_left < cost.usd else ""
    return f", {cost.calls:,} calls, {_usd(cost.usd)} USD{left}"


def _rate(found: float | Undefined) -> str:
    return "nothing" if isinstance(found, Undefined) else f"{found:.3f}"


def _tokens(cost: Cost) -> str:
    """Tokens in and out together, to three digits."""
    total = cost.input_tokens + cost.output_tokens
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if total >= size:
            return f"{total / size:.3g}{unit}" if total < 999.5 * size else f"{total / size:.0f}{unit}"
    return f"{total:.0f}"


def _usd(usd: float | None) -> str:
    if usd is None:
        return "not priced"
    return f"{usd:,.2f}" if usd >= 0.005 or usd == 0 else "<0.01"


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
