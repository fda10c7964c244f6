"""What an audit found of a judge: the one object that the console, the files and `--json` all print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sciexam.report.calls import Calls
from sciexam.report.record import Figure, Step, plain
from sciexam.report.tables import Table, methods_table
from sciexam.stats import Estimate

SCHEMA = "sciexam/audit/1"

DECIDED = "A line passes if all of its interval is tolerated, and fails if none of it is."
# The words of docs/auditing.md, in short.
NOT_PROVED = (
    "Not that the judge is right: it can pass every line and prefer the worse of two real answers. Only labels by "
    "people tell (`sciexam validate`).",
    "Not that it cannot be attacked: the attacks here are public, few and not adapted to this judge.",
    "Nothing about prompts, languages or answers of another kind than those that were shown.",
    "Nothing about faults that no line looks for: a taste for its own model's answers, for a language, for a name.",
    "A line that is unclear has not passed.",
)

# Why a prompt has no case of a line, by the name of the line.
ONE_ANSWER = "the others have no two different answers"
NO_OTHER = "the others have no reference, or none that another prompt has not, too"
UNSHOWN: Mapping[str, str] = {
    **dict.fromkeys(("position bias", "order consistency", "rubric paraphrase"), ONE_ANSWER),
    "restyling": "an answer of one sentence, or with markup of its own, is not restyled",
    "truncated": "an answer of fewer than eight words is not cut",
    **dict.fromkeys(("copied reference", "exchanged reference"), NO_OTHER),
}

Outcome = Literal["pass", "fail", "unclear", "informative", "not applicable"]
SAID: Mapping[Outcome, str] = {
    "pass": "pass",
    "fail": "FAIL",
    "unclear": "unclear",
    "informative": "info",
    "not applicable": "n/a",
}


@dataclass(frozen=True, slots=True)
class Takes:
    """What an audit asks of a judge: whether prompts have references, and the USD of a verdict, where that is known.

    `repeats`: the verdicts that are asked for whatever is shown.
    """

    referred: bool = False
    usd: float | None = None
    repeats: int = 1

    @property
    def a_prompt(self) -> int:
        """The most calls for one prompt (exam/audit/cases.py)."""
        return (39 if self.referred else 35) * self.repeats

    def most(self, prompts: int) -> str:
        """The most calls for so many prompts, in words, and about what they cost."""
        calls = prompts * self.a_prompt
        if not self.usd:
            return f"at most {calls:,} calls"
        cost = calls * self.usd
        return f"at most {calls:,} calls ({f'about {cost:.2f}' if cost >= 0.005 else 'less than 0.01'} USD)"


class _Decided(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def outcome(self) -> Outcome: ...


def outcomes(lines: Iterable[_Decided]) -> dict[str, Outcome]:
    """What follows for each line of a card, by its name. A shape of attack is counted with its line, and where the
    shape fails the line does."""
    found: dict[str, Outcome] = {}
    for line in lines:
        if not line.family or line.outcome == "fail":
            found[line.name] = line.outcome
    return found


def tally(found: Mapping[str, Outcome], passes: str, fails: str, leaves: str, most: int) -> str:
    """How many lines passed, failed and are unclear, with the names of up to `most` that failed; in the verbs given."""
    failed = [name for name, outcome in found.items() if outcome == "fail"]
    named = f" ({', '.join([*failed[:most], *(['...'] if len(failed) > most else [])])})" if failed else ""
    passed, unclear = (sum(one == outcome for one in found.values()) for outcome in ("pass", "unclear"))
    lines = f"{passes} {passed} line{'' if passed == 1 else 's'}"
    return f"{lines}, {fails} {len(failed)}{named} and {leaves} {unclear} unclear"


@dataclass(frozen=True, slots=True)
class Line:
    """One perturbation: what was measured, what is tolerated, what follows.

    `tolerated`: the bounds that the whole interval must lie within; None where the figure is only told. `family` is the
    shape of an injection, empty for all shapes together. `planned`, `used`, `invalid`, `failed` and `skipped` count
    cases; the figure's `n` counts prompts. `settled_by`: about how many prompts would decide an unclear line, if more
    of them came out as these did; None where that cannot be told. `control`: the line that `meaning` sets beside it.
    """

    name: str
    family: str
    measures: str
    figure: Figure
    tolerated: tuple[float, float] | None
    outcome: Outcome
    meaning: str
    planned: int
    used: int
    invalid: int
    failed: int
    skipped: int
    settled_by: int | None = None
    control: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """The perturbation card of one judge."""

    suite: str
    run: str
    rubric: str
    judge: str
    judge_is: str  # in words: "the LLM gpt-4.1-mini, not validated"
    contestants: tuple[str, ...]
    prompts: int  # that have an answer, of which one is shown
    seed: int
    level: float
    lines: tuple[Line, ...]
    calls: Calls
    caveats: tuple[str, ...]
    next_steps: tuple[Step, ...] = ()
    schema: str = SCHEMA

    def line(self, name: str, family: str = "") -> Line:
        """The line of this name. Raises KeyError with the names that there are."""
        for line in self.lines:
            if (line.name, line.family) == (name, family):
                return line
        raise KeyError(f"{name!r} ({family!r}): the lines are {', '.join(line.name for line in self.lines)}")

    @property
    def failing(self) -> tuple[Line, ...]:
        """The lines that failed."""
        return tuple(line for line in self.lines if line.outcome == "fail")

    @property
    def incomplete(self) -> bool:
        """Whether a call failed, or was not made for the budget, or no verdict of a line is usable."""
        return bool(self.calls.unasked) or any(line.failed or (line.invalid and not line.used) for line in self.lines)

    @property
    def title(self) -> str:
        return f"Audit of {self.judge}"

    @property
    def sentence(self) -> str:
        """The card in one sentence."""
        told = tally(outcomes(self.lines), "passes", "fails", "leaves", most=len(self.lines))
        evened = self._evened()
        return f"By {self.prompts} prompts of suite {self.suite}, `{self.judge}` ({self.judge_is}) {told}.{evened}"

    def _evened(self) -> str:
        """That lines were passed as the order decides: verdicts that turn with it are even, whatever was shown."""
        found = {line.name: line for line in self.lines if not line.family}
        kept = found.get("order consistency")
        if kept is None or not isinstance(kept.figure, Estimate) or kept.figure.high >= 0.5:
            return ""
        passed = [
            name
            for name, line in found.items()
            if line.outcome == "pass" and line.tolerated and line.tolerated[0] <= 0.5 <= line.tolerated[1]
        ]
        if not passed:
            return ""
        these = "this pass says" if len(passed) == 1 else "these passes say"
        why = "Its verdicts turn with the order and so come out even, which is all that"
        return f" {why} {' and '.join(passed)} {'asks' if len(passed) == 1 else 'ask'} for: {these} little."

    def to_json(self) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, no infinity."""
        keys = ("schema", "suite", "run", "rubric", "judge", "judge_is", "contestants", "prompts", "seed", "level")
        made = {key: plain(getattr(self, key)) for key in keys}
        return {
            **made,
            "sentence": self.sentence,
            **{k: plain(getattr(self, k)) for k in ("lines", "calls", "caveats", "next_steps")},
        }

    def tables(self) -> Iterator[Table]:
        """What the console and the files show below the sentence."""
        head = ("perturbation", "figure", "tolerated", "n", "result", "why")
        rows = [
            (
                _name(line),
                _figure(line),
                tolerated(line.tolerated, line.outcome),
                str(line.figure.n),
                SAID[line.outcome],
                _meaning(line),
            )
            for line in self.lines
        ]
        shapes = ("A shape of attack (-) is counted with its line.",) if any(line.family for line in self.lines) else ()
        notes = (DECIDED, *self._counted(), *shapes, *self._controls(), *self._unshown(), *self._inapplicable())
        yield Table("The lines", head, rows, notes)
        if missing := tuple(self._missing()):
            yield Table("Without a usable verdict", (), (), missing)
        yield Table("What the figures are", (), (), tuple(self._measures()))
        yield Table("What passing does not prove", (), (), NOT_PROVED)
        yield from methods_table([line.figure for line in self.lines], self.level)

    def _counted(self) -> Iterator[str]:
        """What n is, where it is not simply the prompts."""
        if any(line.used < line.planned for line in self.lines):
            yield "n: the prompts of which a case has a usable verdict in each order that was shown; no other counts."

    def _controls(self) -> Iterator[str]:
        """What the other figure beside a line is."""
        named = dict.fromkeys(line.control for line in self.lines if line.control)
        if named:
            yield (
                f"Beside a failed line stands what {' or '.join(named)} came to on the prompts of that line; its own "
                "line is of all its prompts."
            )

    def _unshown(self) -> Iterator[str]:
        """Which lines not every prompt has a case of, and why, lines of one reason together."""
        named: dict[tuple[int, str], list[str]] = {}
        for line in self.lines:
            if line.name in UNSHOWN and not line.family and 0 < line.planned < self.prompts:
                named.setdefault((line.planned, UNSHOWN[line.name]), []).append(line.name)
        for (planned, why), names in named.items():
            yield f"{', '.join(names)}: {planned} of {self.prompts} prompts; {why}."

    def _inapplicable(self) -> Iterator[str]:
        """Why lines have no figure, lines of one reason together."""
        named: dict[str, list[str]] = {}
        for line in self.lines:
            if line.outcome == "not applicable" and not line.family:
                named.setdefault(line.meaning, []).append(line.name)
        for why, names in named.items():
            yield f"n/a for {', '.join(names)}: {why}."

    def _missing(self) -> Iterator[str]:
        """Which cases are without a usable verdict, lines of one count together; a shape's are among its line's."""
        named: dict[str, list[str]] = {}
        for line in self.lines:
            if line.used < line.planned and not line.family:
                named.setdefault(_missing(line), []).append(line.name)
        for counts, names in named.items():
            yield f"{', '.join(names)}: {counts}."

    def _measures(self) -> Iterator[str]:
        """What each line measures, lines of one measure together."""
        named: dict[str, list[str]] = {}
        for line in self.lines:
            if line.outcome != "not applicable" and not line.family:
                named.setdefault(line.measures, []).append(line.name)
        for measure, names in named.items():
            yield f"{', '.join(names)}: {measure}."


def _name(line: Line) -> str:
    return f"- {line.family}" if line.family else line.name


def _figure(line: Line) -> str:
    return str(line.figure) if isinstance(line.figure, Estimate) else "n/a"


def tolerated(bounds: tuple[float, float] | None, outcome: Outcome) -> str:
    """The bounds of a line in words; nothing where the figure is only told, or there is none."""
    if bounds is None or outcome == "not applicable":
        return ""
    low, high = bounds
    if low in (0, -1):
        return f"<= {high:.2f}"
    return f">= {low:.2f}" if high == 1 else f"{low:.2f} to {high:.2f}"


def _meaning(line: Line) -> str:
    """In a few words; a shape of attack that passed says no more than all shapes together."""
    return "" if line.outcome == "not applicable" or (line.family and line.outcome == "pass") else line.meaning


def _missing(line: Line) -> str:
    lost = {"invalid": line.invalid, "failed": line.failed, "skipped": line.skipped}
    return f"{', '.join(f'{count} {status}' for status, count in lost.items() if count)} of {line.planned} cases"
