"""What to do after a comparison: sentences with the command to type, from what the report found."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sciexam.prompts import are_ids
from sciexam.report.audit import Takes
from sciexam.report.escalation import Escalation
from sciexam.report.evidence import TEXT_MEASURE
from sciexam.report.plain_text import quoted
from sciexam.report.record import Pair, Report, Step
from sciexam.report.validating.faults import leaning, useless
from sciexam.stats import Estimate
from sciexam.typed import Command, command_of, untyped
from sciexam.types import CANNOT_JUDGE

READER = "openai:gpt-4.1-mini-2025-04-14"  # a judge that reads, for whoever has none in the suite
ANY_READER = "openai:MODEL"  # where OPENAI_BASE_URL names another server, whose models are not known
MOST = 7  # steps that are named
NAMED = 3  # prompts whose recorded verdicts are failures
DRAWN = 50  # prompts for people to begin with
AUDITED = 60  # prompts of an audit that is proposed: each is shown some twenty times
NOT_JUDGED = "skipped: not judged"  # as reasons are counted
MANY_TRUNCATED = 0.02  # of a contestant's answers


def reader(readers: Sequence[str] = (), but: Collection[str] = ()) -> str:
    """A judge that reads, by the name under which a command takes it: of a suite's `readers` the first that is not
    among `but`, or else one that every suite has.
    """
    general = ANY_READER if os.environ.get("OPENAI_BASE_URL") else READER
    return next((name for name in readers if name not in but), general)


def of_report(report: Report, argv: Sequence[str], judges: Collection[str]) -> Command:
    """The command line that made `report`; one that says the same where it was made from Python."""
    known = {name: name for name in {pair.judge for pair in report.pairs} if name in judges or is_general(name)}
    typed = command_of(argv, "compare")
    if typed is None:
        return replace(untyped(report.suite, *report.contestants), judges=known)
    files = {Path(said).stem: said for said in typed.judges if said.endswith(".jsonl")}
    names = dict(zip(report.contestants, typed.contestants, strict=False))
    return replace(typed, judges=known | files, typed=names)


def of_judge(name: str, argv: Sequence[str], suite: str, judge: str, contestants: Sequence[str]) -> tuple[str, Command]:
    """How a judge is named on the command line that is about it, and the exam; from Python, as the suite names them."""
    typed = command_of(argv, name)
    if typed is None:
        return judge, replace(untyped(suite, judge, *contestants), contestants=tuple(contestants))
    named, *others = typed.contestants or (judge,)
    return named, replace(typed, contestants=tuple(others))


def is_general(judge: str) -> bool:
    """Whether a judge has this name in every suite."""
    return judge in ("measures", "humans") or judge.startswith("openai:")


def next_steps(
    report: Report,
    argv: Sequence[str] = (),
    judges: Collection[str] = (),
    judged: str = "",
    audited: Collection[str] = (),
    by_chance: Mapping[str, str] | None = None,
    again: Collection[str] = (),
    takes: Mapping[str, Takes | None] | None = None,
    readers: Sequence[str] = (),
) -> tuple[Step, ...]:
    """At most MOST steps, what is amiss with this result first.

    `argv` is the command line that made it, `judges` are the names of the suite's judges. `judged`: as which judge
    people can be heard who judged these answers, if any did. `audited`: judges whose audit lies among the results.
    `by_chance`: how a validation put it of judges that agreed with people no better than a coin. `again`: judges whose
    validation was of something else than this. `takes`: what an audit of a judge takes, where it calls a model.
    `readers`: the judges of the suite that can be asked, its own first.
    """
    command = of_report(report, argv, judges)
    amiss = (*_missing(report, command), *_truncated(report))
    faults = _faults(report, by_chance or {})
    return (
        *amiss,
        *_reader(report, command, readers),
        *_unjudged(report, command),
        *(
            _another(report, command, faults, judged, by_chance or {}, readers)
            if faults
            else _undecided(report, command, readers)
        ),
        *_judges(report, command, judged, audited, {*again} - faults.keys(), takes or {}),
    )[:MOST]


def _missing(report: Report, command: Command) -> Iterator[Step]:
    asked, cannot = [pair for pair in report.pairs if not pair.recorded], _cannot(report)
    counts = {status: sum(pair.verdicts[status] for pair in asked) for status in ("failed", "invalid")}
    counts["invalid"] -= sum(cannot[judge] for judge in {pair.judge for pair in asked})
    if report.calls.unasked:
        yield Step("Not everything was asked for; the same command with more room goes on", command.repeated())
    elif report.missing:
        yield Step(f"{_verdicts(report.missing)} still to come; the same command asks for them", command.repeated())
    if counts["failed"]:
        why = f"{_verdicts(counts['failed'])} missing, as calls failed; they are asked again by"
        yield Step(why, command.repeated())
    if counts["invalid"]:
        why = f"{_verdicts(counts['invalid'])} missing, as replies could not be used; to draw once more"
        yield Step(why, command.repeated("--retry-invalid"))
    for file, count in _unusable(report.pairs, cannot).items():
        are = "verdicts in {} are failures, which count" if count != 1 else "verdict in {} is a failure, which counts"
        why = f"{count:,} {are.format(file)} as invalid{_failed_on(report, file)}"
        place = "their place" if count != 1 else "its place"
        yield Step(f"{why}; with verdicts in {place}, the file is read again by", command.repeated())


def _cannot(report: Report) -> Counter[str]:
    """How often people said that they cannot judge, by the name under which they judge: that is their last word."""
    said = (opinion for item in report.items for opinion in item.opinions)
    return Counter(opinion.judge for opinion in said if opinion.failure == CANNOT_JUDGE)


def _unusable(pairs: Sequence[Pair], cannot: Counter[str]) -> Counter[str]:
    """How many recorded verdicts cannot be used, by file."""
    counts: Counter[str] = Counter()
    for judge, files in {pair.judge: pair.recorded for pair in pairs}.items():
        counts[" and ".join(files)] -= cannot[judge]
    for pair in pairs:
        counts[" and ".join(pair.recorded)] += pair.verdicts["invalid"] + pair.verdicts["failed"]
    return Counter({file: count for file, count in counts.items() if file and count > 0})


def _failed_on(report: Report, file: str) -> str:
    """` (prompts p1, p2, p3 and 4 more)`: on which the verdicts in a file are failures."""
    judges = {pair.judge for pair in report.pairs if " and ".join(pair.recorded) == file}
    prompts = [
        item.prompt
        for item in report.items
        if any(
            one.judge in judges and one.status in ("invalid", "failed") and one.failure != CANNOT_JUDGE
            for one in item.opinions
        )
    ]
    return f" (prompt{'s' if len(prompts) > 1 else ''} {quoted(prompts, NAMED, 40)})" if prompts else ""


def _verdicts(count: int) -> str:
    return f"{count:,} verdict{'s are' if count != 1 else ' is'}"


def _truncated(report: Report) -> Iterator[Step]:
    for name in report.contestants:
        answers = [answer for item in report.items for answer in item.answers if answer.contestant == name]
        cut = sum(answer.truncated for answer in answers)
        if answers and cut > MANY_TRUNCATED * len(answers):
            why = f"{cut} of {len(answers)} answers of {name} were cut off; raise its limit in the suite, such as"
            yield Step(why, "generation: {max_tokens: 2048}")
    for pair in {pair.judge: pair for pair in report.pairs if any("truncated" in why for why in pair.reasons)}.values():
        why = f"Replies of {pair.judge} were cut off; raise its limit in the suite, such as"
        yield Step(why, "generation: {max_tokens: 4096}")


def _reader(report: Report, command: Command, readers: Sequence[str]) -> Iterator[Step]:
    """Where nobody has judged who understands a text."""
    if report.pairs and all(pair.judge_is.startswith(TEXT_MEASURE) for pair in report.pairs):
        why = "Text measures alone have judged, which know nothing of meaning; to ask a language model"
        why += "" if readers else ", for money"
        bare = not {"--prompts", "--suite"} & {*command.exam}
        if bare and are_ids([(item.prompt, item.text) for item in report.items]):
            why += ", with the questions in a file"
            yield Step(why, command.repeated("--judge", reader(readers), "--prompts", "FILE"))
        else:
            yield Step(why, command.repeated("--judge", reader(readers)))


def _unjudged(report: Report, command: Command) -> Iterator[Step]:
    """Where people, who are not in a file, have not judged all prompts, and did not decide by those."""
    pair = next((one for one in report.pairs if one.trust == "people" and not one.recorded), None)
    left = pair.reasons.get(NOT_JUDGED, 0) if pair and pair.conclusion == "undecided" else 0
    if left:
        prompts = f"{left:,} prompts are" if left > 1 else "A prompt is"
        why = f"{prompts} not judged by people yet; to let them, blind"
        yield Step(why, command.line("annotate", "serve", *command.contestants))


def _faults(report: Report, by_chance: Mapping[str, str]) -> dict[str, str]:
    """Why more prompts by a judge would be wasted."""
    found: dict[str, str] = {}
    for pair in report.pairs:
        if pair.trust in ("held", "doubtful") and pair.used and pair.judge not in found:
            place = leaning(pair.position_bias) if pair.conclusion == "undecided" else ()
            if fault := useless(by_chance.get(pair.judge, ""), "".join(place)):
                found[pair.judge] = fault
    return found


def _another(
    report: Report,
    command: Command,
    faults: Mapping[str, str],
    judged: str,
    by_chance: Mapping[str, str],
    readers: Sequence[str],
) -> Iterator[Step]:
    """In the place of more prompts by judges with `faults`, other judges, and people."""
    why = "; ".join(f"{judge} {fault}" for judge, fault in faults.items())
    sound = {one.judge for one in report.pairs if one.judge not in faults and not one.judge_is.startswith(TEXT_MEASURE)}
    others = [command.judges[name] for name in sorted(sound) if name in command.judges]
    if others:
        by = [word for name in others for word in ("--judge", name)]
        yield Step(f"{why}; to compare without it", command.line("compare", *command.contestants, *by))
        return
    held = any(judge in by_chance for judge in faults)
    other = reader(readers, faults)
    words = ("validate", other, *command.contestants)
    if other not in faults:
        words = words if held else ("compare", *command.contestants, "--judge", other)
        yield Step(f"{why}, which more prompts do not mend; to ask another", command.line(*words))
    if held and judged:
        by_people = command.line("compare", *command.contestants, "--judge", judged)
        yield Step("Or, to go by the people who judged, and by no model", by_people)


def _undecided(report: Report, command: Command, readers: Sequence[str]) -> Iterator[Step]:
    """How many more prompts it takes, for the first pair that is not decided, and the plan of the same comparisons.

    None are proposed to a judge most of whose verdicts are invalid.
    """
    pair = next((one for one in report.pairs if one.conclusion == "undecided" and one.used), None)
    if pair is None or pair.stop is not None or pair.to_come:
        return
    if 2 * pair.verdicts["invalid"] > sum(pair.verdicts.values()):
        return
    effect, many = 0.6, "more prompts"
    if pair.power is not None:
        beyond = [rate for rate, takes in pair.power.takes if takes > pair.used]
        if not beyond:
            return
        effect, (takes, used) = beyond[0], _most(report, pair, beyond[0])
        many = f"about {takes:,} prompts, {takes - used:,} more than were used"
    contests, benches = {(one.a, one.b) for one in report.pairs}, {one.judge for one in report.pairs}
    sought = f"{effect:g}" + (f" for {pair.b} against {pair.a}" if len(contests) > 1 else "")
    sought += " by every judge" if len(benches) > 1 else ""
    many += f" (corrected for {len(report.pairs)} comparisons)" if len(report.pairs) > 1 else ""
    why = f"To find a win rate of {sought} takes {many}, if they are like these"
    recorded = [one for one in report.pairs if one.recorded] if "--limit" not in command.again else []
    if recorded:
        names = " and ".join(dict.fromkeys(one.judge for one in recorded))
        why += (
            f". The verdicts of {names} are recorded and end with these prompts: let people judge more, or a judge "
            "that can be asked; what one costs"
        )
    else:
        why += "; a plan goes by the average pair, and says what it costs" if len(contests) > 1 else "; what that costs"
    by = [word for name in _planned(report, command, recorded, readers) for word in ("--judge", name)]
    yield Step(why, command.line("plan", *command.contestants, *by, "--effect", f"{effect:g}"))


def _most(report: Report, pair: Pair, effect: float) -> tuple[int, int]:
    """The prompts that it takes to find `effect` in the contest of `pair` by the judge that lacks the most of them, and
    how many it judged.
    """
    powers = [(one.power, one.used) for one in report.pairs if (one.a, one.b) == (pair.a, pair.b)]
    found = [(dict(power.takes).get(effect, 0), used) for power, used in powers if power is not None]
    return max(found, key=lambda one: one[0] - one[1])


def _planned(report: Report, command: Command, recorded: Sequence[Pair], readers: Sequence[str]) -> Iterator[str]:
    """The judges of a plan where any are to be named, each once."""
    gone = {pair.judge for pair in recorded}
    members = {pair.judge: _members(pair) for pair in report.pairs}
    if gone or any(members.values()) or "--judge" in command.again:
        named = (
            inside or (reader(readers) if name in gone else command.judges.get(name),)
            for name, inside in members.items()
        )
        yield from dict.fromkeys(name for names in named for name in names if name)


def _members(pair: Pair) -> tuple[str, ...]:
    """Who judge as one, of whom a plan is made one by one; nobody for a judge by itself."""
    inside = pair.by_members
    if isinstance(inside, Escalation):
        return inside.cheap, inside.dear
    return tuple(one.name for one in inside.members) if inside else ()


def _judges(
    report: Report,
    command: Command,
    judged: str,
    audited: Collection[str],
    again: Collection[str],
    takes: Mapping[str, Takes | None],
) -> Iterator[Step]:
    """What tells whether the judges can be relied on: people, then their verdicts, then a perturbed answer."""
    machines = {pair.judge: pair for pair in report.pairs if pair.trust in ("held", "doubtful") and pair.used}
    doubtful = any(pair.trust == "doubtful" or pair.judge in again for pair in machines.values())
    people = any(pair.trust == "people" for pair in report.pairs)
    if doubtful and not people and judged:
        yield Step("People have judged these answers, too; what they say", command.repeated("--judge", judged))
    elif doubtful and not people:
        why = "No person has judged these answers; to let people compare them, blind"
        yield Step(why, command.line("annotate", "serve", *command.contestants, *_first_study(report, command)))
    # The members of a panel or a cascade are validated and audited, each by itself.
    alone = {
        command.judges[name]: pair
        for name, pair in machines.items()
        if name in command.judges and pair.by_members is None
    }
    for judge, pair in alone.items():
        if pair.trust == "doubtful" or pair.judge in again:
            then = "To" if judged or people else "Once people have, to"
            why = f"{then} hold {pair.judge} against what they say"
            why += " here, and as things are" if pair.judge in again else ""
            yield Step(why, command.line("validate", judge, *command.contestants))
    for judge, pair in alone.items():
        if not pair.recorded and pair.judge not in audited:
            some = first_of(pair.planned, limited="--limit" in command.again)
            why = with_most(_suspicion(pair), takes.get(pair.judge), min(AUDITED, pair.planned))
            yield Step(why, command.line("audit", judge, *command.contestants, *some))


def first_of(prompts: int, limited: bool = False) -> tuple[str, ...]:
    """What keeps a first audit small; `limited`: the exam has more than these prompts."""
    return ("--limit", str(min(AUDITED, prompts))) if prompts > AUDITED or limited else ()


def with_most(why: str, takes: Takes | None, prompts: int) -> str:
    """Why an audit of so many prompts is proposed, and how many calls it takes at most."""
    return why if takes is None else f"{why}, by {takes.most(prompts)}"


def _first_study(report: Report, command: Command) -> Iterator[str]:
    """What keeps the first queue of people small: one answer of each to some prompts that are drawn at random."""
    if "--samples" not in command.exam and any(answer.sample for item in report.items for answer in item.answers):
        yield from ("--samples", "1")
    if report.prompts > DRAWN:
        yield from ("--draw", str(DRAWN))


def _suspicion(pair: Pair) -> str:
    kept, bias = pair.order_consistency, pair.position_bias
    effect = pair.length.longer_wins if pair.length else None
    moved = [
        name
        for name, found in (
            ("the order", isinstance(kept, Estimate) and kept.value < 0.8),
            ("the place of an answer", isinstance(bias, Estimate) and bias.low * bias.high > 0),
            ("the length", isinstance(effect, Estimate) and not effect.low <= 0.5 <= effect.high),
        )
        if found
    ]
    if not moved:
        return f"To see what {pair.judge} can be moved by"
    return f"{pair.judge} may be moved by {' and '.join(moved)}; to see how far"
