"""What an audit found of a judge: the one object that the console, the files and `--json` all print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sciexam.report.record import Calls, Figure, plain
from sciexam.report.tables import Table, methods_table
from sciexam.stats import Estimate

SCHEMA = "sciexam/audit/1"

# The words of docs/auditing.md, in short.
NOT_PROVED = (
    "Not that the judge is right: it can pass every line and prefer the worse of two real answers. Only labels by "
    "people tell (`sciexam validate`).",
    "Not that it cannot be attacked: the attacks here are public, few and not adapted to this judge.",
    "Nothing about prompts, languages or answers of another kind than those that were shown.",
    "Nothing about faults that no line looks for: a taste for its own model's answers, for a language, for a name.",
    "A line that is unclear has not passed.",
)

Outcome = Literal["pass", "fail", "unclear", "informative", "not applicable"]
SAID: Mapping[Outcome, str] = {
    "pass": "pass",
    "fail": "FAIL",
    "unclear": "unclear",
    "informative": "info",
    "not applicable": "n/a",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One perturbation: what was measured, what is tolerated, what follows.

    `tolerated`: the bounds that the whole interval must lie within; None where the figure is only told. `family` is the
    shape of an injection, empty for all shapes together. `planned`, `used`, `invalid`, `failed` and `skipped` count
    cases; the figure's `n` counts prompts. `settled_by`: about how many prompts would decide an unclear line, if more
    of them came out as these did; None where that cannot be told.
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
        counts = {outcome: sum(line.outcome == outcome for line in self.lines) for outcome in SAID}
        return (
            f"By {self.prompts} prompts of suite {self.suite}, `{self.judge}` ({self.judge_is}) passes "
            f"{counts['pass']} lines and fails {counts['fail']}; {counts['unclear']} are unclear."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, no infinity."""
        keys = ("schema", "suite", "run", "rubric", "judge", "judge_is", "contestants", "prompts", "seed", "level")
        made = {key: plain(getattr(self, key)) for key in keys}
        return {
            **made,
            "sentence": self.sentence,
            **{k: plain(getattr(self, k)) for k in ("lines", "calls", "caveats")},
        }

    def tables(self) -> Iterator[Table]:
        """What the console and Markdown print."""
        head = ("perturbation", "figure", "tolerated", "n", "result", "meaning")
        rows = [
            (_name(line), _figure(line), _tolerated(line), str(line.figure.n), SAID[line.outcome], _meaning(line))
            for line in self.lines
        ]
        rule = f"A line passes if all of its {100 * self.level:g} % interval is tolerated, and fails if none of it is."
        notes = (self.sentence, rule, *self._inapplicable())
        yield Table(self.title, head, rows, notes)
        if missing := [_missing(line) for line in self.lines if line.used < line.planned]:
            yield Table("Without a usable verdict", (), (), tuple(missing))
        yield Table("What the figures are", (), (), tuple(self._measures()))
        yield Table("What passing does not prove", (), (), NOT_PROVED)
        yield from methods_table([line.figure for line in self.lines], self.level)

    def _inapplicable(self) -> Iterator[str]:
        """Why lines have no figure, lines of one reason together."""
        named: dict[str, list[str]] = {}
        for line in self.lines:
            if line.outcome == "not applicable" and not line.family:
                named.setdefault(line.meaning, []).append(line.name)
        for why, names in named.items():
            yield f"n/a for {', '.join(names)}: {why}."

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


def _tolerated(line: Line) -> str:
    if line.tolerated is None or line.outcome == "not applicable":
        return ""
    low, high = line.tolerated
    if low in (0, -1):
        return f"<= {high:.2f}"
    return f">= {low:.2f}" if high == 1 else f"{low:.2f} to {high:.2f}"


def _meaning(line: Line) -> str:
    """In a few words; a shape of attack that passed says no more than all shapes together."""
    return "" if line.outcome == "not applicable" or (line.family and line.outcome == "pass") else line.meaning


def _missing(line: Line) -> str:
    name = f"{line.name}, {line.family}" if line.family else line.name
    lost = {"invalid": line.invalid, "failed": line.failed, "skipped": line.skipped}
    return (
        f"{name}: {', '.join(f'{count} {status}' for status, count in lost.items() if count)} of {line.planned} cases"
    )
