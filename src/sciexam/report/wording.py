"""What a report says in words, so that the console, Markdown and HTML say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from sciexam.report.calls import Calls
from sciexam.report.escalation import Escalation
from sciexam.report.evidence import NOT_ASKED
from sciexam.report.panel import Member
from sciexam.report.plain_text import one_line, quoted
from sciexam.report.record import NO_EVIDENCE, Figure, Pair, Report, Stop
from sciexam.stats import Estimate, Undefined
from sciexam.types import CANNOT_JUDGE, NO_ANSWER

DECIDED = ("better", "worse", "higher by form", "lower by form")
EQUIVALENT = ("equivalent", "equivalent by form")
UNUSUAL = 0.9  # of the share of prompts that usually counts
ENDING = 60  # letters of a reply that are shown
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


def title(report: Report) -> str:
    """`sft against base`, or all contestants where there are more than two."""
    if len(report.contestants) == 2:
        first, second = report.contestants
        return f"{second} against {first}"
    return ", ".join(report.contestants)


def overview(report: Report) -> str:
    """What many comparisons come to, in a sentence."""
    kinds = {"better": "decided", "worse": "decided", **dict.fromkeys(NO_EVIDENCE, "form")}
    counts = Counter(kinds.get(pair.conclusion, pair.conclusion) for pair in report.pairs)
    which = "which contestant is better"
    form = f"decided by form alone (no evidence of {which})"
    says = {"decided": f"shows {which}", "equivalent": "is equivalent", "undecided": "is undecided"}
    say = {"decided": f"show {which}", "equivalent": "are equivalent", "undecided": "are undecided"}
    says, say = says | {"form": f"is {form}"}, say | {"form": f"are {form}"}
    parts = [f"{counts[key]} {say[key] if counts[key] != 1 else says[key]}" for key in say if counts[key]]
    all_of = parts[0].replace(str(len(report.pairs)), f"All {len(report.pairs)} comparisons", 1)
    said = all_of if len(parts) == 1 else f"Of {len(report.pairs)} comparisons {_listed(parts)}"
    if any(pair.to_come for pair in report.pairs):
        said = f"So far, {said[0].lower()}{said[1:]}"
    judges = dict.fromkeys(pair.judge for pair in report.pairs)
    if len(report.contestants) == 2:
        return f"{said}, by {' and '.join(judges)}."
    leads = "; ".join(f"by {judge}, {_lead([p for p in report.pairs if p.judge == judge])}" for judge in judges)
    return f"{said}. {leads[0].upper()}{leads[1:]}."


def _lead(pairs: Sequence[Pair]) -> str:
    """Who is better than all others by one judge, or how far its pairs go to say so."""
    beaten: dict[str, set[str]] = {name: set() for pair in pairs for name in (pair.a, pair.b)}
    for pair in pairs:
        if pair.conclusion in ("better", "worse"):
            better, worse = (pair.b, pair.a) if pair.conclusion == "better" else (pair.a, pair.b)
            beaten[better].add(worse)
    if not any(beaten.values()):
        return "no contestant is shown to be better than another"
    others = len(beaten) - 1
    ahead = [name for name in beaten if not any(name in theirs for theirs in beaten.values())]
    if not ahead:
        return "each contestant is worse than another one, in a circle"
    if len(ahead) > 1:
        ahead = [name for name in ahead if beaten[name]]
    if len(ahead) != 1:
        return f"{_listed(ahead)} lead, and are not told apart"
    count = len(beaten[ahead[0]])
    if count == others:
        return f"{ahead[0]} is better than the other {NUMBERS.get(others, others)}"
    return f"{ahead[0]} leads: worse than none, and better than {count} of the other {NUMBERS.get(others, others)}"


def _listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def unlike_the_rest(report: Report, most: int = 8) -> list[str]:
    """Of many comparisons those that need more words than a row: without a win rate, with an interval on one side of
    one half that decides nothing, equivalent, or with fewer prompts than the others of their judge.
    """
    usual = {judge: _usual(report, judge) for judge in {pair.judge for pair in report.pairs}}
    told = [line for pair in report.pairs for line in _unlike(report, pair, usual[pair.judge])]
    return told[:most] + ([f"and {len(told) - most} more, on the page"] if len(told) > most else [])


def _usual(report: Report, judge: str) -> float:
    """The median of the shares of prompts that count in the comparisons of a judge."""
    return median(pair.used / pair.planned for pair in report.pairs if pair.judge == judge and pair.planned)


def _unlike(report: Report, pair: Pair, usual: float) -> Iterator[str]:
    who, rate = f"{contest(pair)} by {pair.judge}", pair.win_rate
    if isinstance(rate, Undefined) or pair.conclusion in EQUIVALENT:
        yield f"{who}: {conclusion(report, pair)}"
    elif pair.conclusion == "undecided" and pair.stop is None and not rate.low <= 0.5 <= rate.high:
        yield f"{who}: {rate}, undecided for the number of comparisons alone: p (Holm) is {p_value(pair.p_holm)}"
    if pair.stop is None and pair.used < UNUSUAL * usual * pair.planned:
        yield f"{who}: {used(pair)}"


def so_far(report: Report) -> str:
    """How much is missing of a comparison that is still running, or was left; an empty text for one that is done."""
    if not report.missing:
        return ""
    return f"{report.missing:,} verdict{'s are' if report.missing != 1 else ' is'} still missing."


def by_note(notes: Mapping[str, str]) -> dict[str, list[str]]:
    """What the suite says of its contestants: each note once, with all of whom it says it."""
    found: dict[str, list[str]] = {}
    for name, note in notes.items():
        found.setdefault(note, []).append(name)
    return found


def noted(notes: Mapping[str, str]) -> list[str]:
    """The notes on contestants as lines."""
    return [f"{', '.join(names)}: {note}" for note, names in by_note(notes).items()]


def contest(pair: Pair) -> str:
    return f"{pair.b} against {pair.a}"


def after_judge(pair: Pair) -> str:
    """The pair's sentence without its beginning "By `judge`", for views that set the judge's name in their own way."""
    return pair.sentence.removeprefix(f"By `{pair.judge}`")


def value(figure: Figure) -> str:
    """The estimate with its interval, or n/a; the reason belongs in `undefined`."""
    return str(figure) if isinstance(figure, Estimate) else "n/a"


WON_TIED_LOST = (
    "W/T/L counts prompts by their mean score, above, at or below one half: it is no rate, and a narrow win counts "
    "like a clear one."
)


def p_value(p: float | None) -> str:
    if p is None:
        return "n/a"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def undefined(pair: Pair) -> dict[str, str]:
    """Why a figure of the pair has no value, by the figure's name."""
    named = {
        "win rate": pair.win_rate,
        "mean preference": pair.preference,
        "order consistency": pair.order_consistency,
        "position bias": pair.position_bias,
    }
    if pair.length is not None:
        named["longer answer wins"] = pair.length.longer_wins
        named["length-controlled win rate"] = pair.length.controlled
    why = {name: figure.why for name, figure in named.items() if isinstance(figure, Undefined)}
    if pair.p_value is None:
        why["p-value"] = "no prompt has a score to test"
    if pair.length is None:
        why["length"] = "no prompt has a usable verdict"
    return why


def conclusion(report: Report, pair: Pair) -> str:
    """What the conclusion rests on, and what it does not say."""
    rate = pair.win_rate
    if isinstance(rate, Undefined):
        return f"There is no win rate to conclude from: {rate.why}."
    if pair.stop is not None:
        return _watched(report, pair, pair.stop, rate)
    alpha = f"{1 - rate.level:.2g}"
    tested = sum(one.p_holm is not None for one in report.pairs)
    test = "p-value of the sign-flip test" if tested == 1 else f"Holm-corrected p-value ({tested} comparisons)"
    corrected = f"the {test} is {p_value(pair.p_holm)}"
    if pair.conclusion in DECIDED:
        side = "above" if rate.low > 0.5 else "below"
        return f"The interval lies wholly {side} one half, and {corrected}, below {alpha}. {_decided(pair)}"
    if pair.conclusion in EQUIVALENT:
        return (
            f"Two one-sided tests at {alpha} place the win rate of {pair.b} within {report.margin or 0:g} of one half. "
            f"By this judge, {pair.b} and {pair.a} differ by less than the margin that was set"
            f"{'' if rate.low <= 0.5 <= rate.high else ', though not by nothing: the interval excludes one half'}"
            f"{_by_form(pair)}."
        )
    if pair.p_holm is None:
        return "There is no p-value, so nothing is concluded."
    if rate.low <= 0.5 <= rate.high:
        margin = "" if report.margin is None else f", and the test for the margin of {report.margin:g} did not pass"
        return (
            f"The interval includes one half{margin}: these prompts do not show which of the two is better. "
            "That is no evidence that they are equal."
        )
    side = "above" if rate.low > 0.5 else "below"
    edge = rate.low if rate.low > 0.5 else rate.high
    just = f" ({edge:.3f})" if f"{edge:.2f}" == "0.50" else ""
    rule = "a conclusion needs both, and" if tested == 1 else "with this many comparisons,"
    return (
        f"The interval lies {side} one half{just}, but {corrected}, not below {alpha}: {rule} these prompts do not "
        "show which of the two is better."
    )


def _watched(report: Report, pair: Pair, stop: Stop, rate: Estimate) -> str:
    """What the sequence of a pair says; its interval holds wherever it stops."""
    level = percent(rate.level)
    if pair.conclusion in DECIDED:
        return (
            f"The confidence sequence has excluded one half at {level}; its p-value, which holds at every look, is "
            f"{p_value(pair.p_holm)} ({_corrected(report)}). {_decided(pair)}"
        )
    if pair.conclusion in EQUIVALENT:
        return (
            f"The confidence sequence at {level} lies within {report.margin or 0:g} of one half. "
            f"By this judge, {pair.b} and {pair.a} differ by less than the margin that was set{_by_form(pair)}."
        )
    if not stop.finished:
        return "Answers or verdicts on the next prompt are missing; the same command asks for them and goes on."
    margin = "" if report.margin is None else f", nor does it lie within {report.margin:g} of it"
    return (
        f"All prompts were used, and the interval does not exclude one half{margin}: these prompts do not show which "
        "of the two is better. That is no evidence that they are equal."
    )


def _decided(pair: Pair) -> str:
    """What a win rate that is told from one half says of b, which by a text measure is nothing of its worth."""
    if pair.conclusion in NO_EVIDENCE:
        return (
            f"By form alone, {pair.b} is {pair.conclusion.split()[0]} than {pair.a}: {pair.judge} knows nothing of "
            "meaning, so ask people, or a judge that reads, which of the two is better."
        )
    if pair.to_come:
        return f"By this judge, {pair.b} is {'ahead' if pair.conclusion == 'better' else 'behind'} so far."
    return f"By this judge, {pair.b} is {pair.conclusion} than {pair.a} on prompts like these."


def _by_form(pair: Pair) -> str:
    return f", in form alone: {pair.judge} knows nothing of meaning" if pair.conclusion in NO_EVIDENCE else ""


def _corrected(report: Report) -> str:
    tests = len(report.pairs)
    return "one comparison" if tests == 1 else f"times {tests} for as many comparisons"


def p_names(report: Report) -> tuple[str, str]:
    """What the p-value is called, and the corrected one."""
    if not report.watched:
        return "p", "p (Holm)"
    return "p (any time)", "p (corrected)" if len(report.pairs) == 1 else f"p (times {len(report.pairs)})"


def bounds(pair: Pair) -> str:
    """What the prompts that faults have lost could change, or an empty text where none is lost."""
    if pair.bounds is None or pair.invalid + pair.failed == 0:
        return ""
    low, high = pair.bounds
    missing = pair.invalid + pair.failed
    prompts = f"the {missing} invalid or failed prompts" if missing > 1 else "the one invalid or failed prompt"
    return f"Had {pair.b} lost {prompts}, its win rate would be {low:.2f}; had it won, {high:.2f}."


def skipped(pair: Pair) -> str:
    """What becomes of the prompts that had no answer or verdict to begin with; an empty text where there are none."""
    count = pair.skipped - pair.reasons.get(NOT_ASKED, 0)
    if not count or pair.stop is not None:
        return ""
    prompts, they = ("prompt is", "it") if count == 1 else ("prompts are", "they")
    said = f"{count} skipped {prompts} no part of the win rate, its interval or its bounds"
    return f"{said}: had {they} been judged, any of these could be another."


def used(pair: Pair) -> str:
    """How many prompts count, and what became of the others."""
    to_come = pair.reasons.get(NOT_ASKED, 0)
    others = {"invalid": pair.invalid, "failed": pair.failed, "skipped": pair.skipped - to_come, NOT_ASKED: to_come}
    lost = ", ".join(f"{count} {status}" for status, count in others.items() if count)
    lost = "; " + lost if lost else ""
    if pair.stop is None:
        return f"{pair.used} of {pair.planned} prompts used{lost}"
    first = f"the first {pair.stop.prompts} of {pair.planned} in their drawn order"
    return f"{pair.used} prompts used{lost}; read were {first}"


def reasons(report: Report, pair: Pair, most: int | None = 5) -> list[str]:
    """Why prompts were not used, the `most` frequent reasons first; what a file of answers lacks by its question."""
    lacking = {f"skipped: {name}: {NO_ANSWER}": name for name in (pair.a, pair.b)}
    told = {why: _lacks(report, pair, name) for why, name in lacking.items() if why in pair.reasons}
    told |= _unusable(report, pair)
    listed = [f"{count} x {told.get(why, why)}" for why, count in pair.reasons.items()]
    left_out = len(listed[most:]) if most is not None else 0
    return listed[:most] + ([f"and {left_out} more reasons"] if left_out else [])


def _unusable(report: Report, pair: Pair) -> dict[str, str]:
    """Why replies of the pair's judge could not be used, each with how one of them ends, where it says anything."""
    found: dict[str, str] = {}
    if not any(why.startswith("invalid: ") for why in pair.reasons):
        return found
    theirs = {(pair.judge, pair.a, pair.b), (pair.judge, pair.b, pair.a)}
    for one in (one for item in report.items for one in item.opinions if (one.judge, one.first, one.second) in theirs):
        why, said = f"invalid: {one.failure}", one.reason.strip()
        if one.status == "invalid" and said and one.failure != CANNOT_JUDGE and why not in found:
            line = one_line(said.splitlines()[-1])
            ending = line if len(line) <= ENDING else f"...{line[-ENDING:].lstrip()}"
            found[why] = f"{why}, such as a reply that ends '{ending}'"
    return found


def _lacks(report: Report, pair: Pair, name: str) -> str:
    """What `name` has no answer to; a question that both lack is counted where the first one lacks it."""
    lacking = [(item.text, {a.contestant for a in item.answers if a.failure == NO_ANSWER}) for item in report.items]
    unanswered = [text for text, who in lacking if name in who and (name == pair.a or pair.a not in who)]
    return f"skipped: {name} has no answer to {quoted(unanswered)}" if unanswered else f"skipped: {name}: {NO_ANSWER}"


def figures(pair: Pair) -> list[str]:
    """What else was measured of a pair, each with its interval."""
    near = " (approximate)" if pair.stop and isinstance(pair.position_bias, Estimate) else ""
    found = [f"policy {pair.policy}", f"position bias {value(pair.position_bias)}{near}"]
    if pair.stop is None:
        found.append(f"mean preference {value(pair.preference)}")
    if pair.length is not None:
        found.append(f"mean words {pair.length.a:.0f} ({pair.a}) and {pair.length.b:.0f} ({pair.b})")
    if pair.length is not None and pair.stop is None:
        found.append(f"longer answer wins {value(pair.length.longer_wins)}")
        found.append(f"length-controlled win rate {value(pair.length.controlled)}")
    if pair.power is not None:
        found.append(pair.power.sentence.rstrip("."))
    if pair.bounds is not None:
        found.append(f"bounds [{pair.bounds[0]:.2f}, {pair.bounds[1]:.2f}]")
    return found


def members(pair: Pair) -> list[str]:
    """What those did who judge as one, as sentences: the members of a panel, or the two judges of a cascade."""
    inside = pair.by_members
    if inside is None:
        return []
    if isinstance(inside, Escalation):
        return list(inside.sentences())
    agreement = f"The members agree with a Krippendorff's alpha of {_or_why(inside.agreement)}."
    if inside.weights == "reliability":
        agreement += (
            f" A comparison's score is the probability that {pair.b} won, a tie half, given what the members said and "
            "how often each is estimated to err (Dawid and Skene); intervals take these accuracies as known."
        )
    lacking: dict[str, list[str]] = {}
    for one in inside.members:
        if isinstance(one.without, Undefined):
            lacking.setdefault(one.without.why, []).append(one.name)
    none = (f"Without {', or without '.join(names)}, the panel has no result: {why}." for why, names in lacking.items())
    return [agreement, *(member(pair, one) for one in inside.members), *none]


def member(pair: Pair, one: Member) -> str:
    """What one member of a panel says of b, and what the panel would say without it."""
    changed = {None: "", True: " (so the interval would lie elsewhere)", False: ""}[one.changes]
    accuracy = f", estimated accuracy {one.accuracy:.2f}" if one.accuracy is not None else ""
    without = f"; the panel without it {one.without}{changed}" if isinstance(one.without, Estimate) else ""
    return f"{one.name}: alone it gives {pair.b} {_or_why(one.alone)}{accuracy}{without}."


def _or_why(figure: Figure) -> str:
    return str(figure) if isinstance(figure, Estimate) else f"n/a ({figure.why})"


def calls(made: Calls) -> str:
    stored = f"; {made.reused:,} stored replies and verdicts" if made.reused else ""
    if made.recounted:
        return "counted again from the ledger" + (f"{stored} behind it" if stored else "")
    if not made.made:
        return "no model was called" + (f"{stored} reused" if stored else "")
    cost = "cost unknown" if made.usd is None else f"{made.usd:.2f} USD" if made.usd >= 0.005 else _small(made.usd)
    return (
        f"{made.made:,} made, {made.reused:,} reused; "
        f"{made.input_tokens:,} tokens in, {made.output_tokens:,} out; {cost}"
    )


def methods(report: Report) -> tuple[tuple[float, str], ...]:
    """The level of the report's intervals and how they were made, each method once after the figures that it is of."""
    made: dict[tuple[float, str], dict[str, None]] = {}
    for name, figure in _figures(report):
        if isinstance(figure, Estimate):
            made.setdefault((figure.level, figure.method), {})[name] = None
    return tuple((level, f"{', '.join(names)}: {method}") for (level, method), names in made.items())


def _figures(report: Report) -> Iterator[tuple[str, Figure]]:
    for pair in report.pairs:
        yield from (("win rate", pair.win_rate), ("mean preference", pair.preference))
        yield from (("order consistency", pair.order_consistency), ("position bias", pair.position_bias))
        if pair.length:
            yield "longer answer wins", pair.length.longer_wins
            yield "length-controlled win rate", pair.length.controlled
        yield from ((f"win rate by {report.by}", one.win_rate) for one in pair.categories)
        yield from (("win rate by criterion", one.win_rate) for one in pair.criteria)
    if report.benchmarks:
        yield from (("benchmark", one.value) for one in report.benchmarks.results)
        yield from (("difference on a benchmark", one.difference) for one in report.benchmarks.pairs)


def _small(usd: float) -> str:
    return "less than 0.01 USD" if usd else "0 USD"
