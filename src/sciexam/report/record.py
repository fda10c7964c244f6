"""What a comparison found: the one object that the console, the files and `--json` all print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from sciexam.digests import SCALARS
from sciexam.report.calls import Calls
from sciexam.report.evidence import NOT_ASKED
from sciexam.stats import Conclusion, Estimate, Undefined

if TYPE_CHECKING:
    import pandas as pd

    from sciexam.report.benchmarks import Beside
    from sciexam.report.escalation import Escalation
    from sciexam.report.gains import Gain
    from sciexam.report.panel import Panel

SCHEMA = "sciexam/report/1"

Figure = Estimate | Undefined
# Whose word it is: people's, that of a judge that a validation held against people, of one that none did, or a fake's.
Trust = Literal["people", "held", "doubtful", "fake"]
# What is concluded of b. A text measure concludes by form alone, which is no evidence of which contestant is better.
ByForm = Literal["higher by form", "lower by form", "equivalent by form"]
BY_FORM: Mapping[str, ByForm] = {
    "better": "higher by form",
    "worse": "lower by form",
    "equivalent": "equivalent by form",
}
NO_EVIDENCE: Mapping[str, str] = {
    "higher by form": "that is no evidence that it is better",
    "lower by form": "that is no evidence that it is worse",
    "equivalent by form": "that is no evidence that they are equally good",
}

BLIND = "It kept its verdict in {kept:.0%} of the swaps: this judge may be unable to tell the two apart."


@dataclass(frozen=True, slots=True)
class LengthBin:
    """Prompts on which b's answer has `low` to `high` words more than a's, `difference` on average: b's win rate."""

    low: float
    high: float
    difference: float
    prompts: int
    win_rate: Figure


@dataclass(frozen=True, slots=True)
class Length:
    """Words of the answers, and how often the longer one won. `difference` is b's mean minus a's.

    `controlled` is b's win rate at equal length, from one fit over all pairs by this judge. `bins` hold about equally
    many prompts each, from those where b's answer is shortest against a's; empty where the prompts are too few.
    """

    a: float
    b: float
    difference: float
    longer_wins: Figure
    controlled: Figure
    bins: tuple[LengthBin, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """b's win rate over the prompts on which its answer was shown `first`, and over those where it was `second`."""

    first: Figure
    second: Figure


@dataclass(frozen=True, slots=True)
class StrengthCount:
    """The verdicts of one strength: `preference` is -3 (a strongly) .. 3 (b strongly), 0 for a tie.

    `share`: the mean over prompts of how many of a prompt's verdicts are of this strength.
    """

    preference: int
    verdicts: int
    share: Figure


@dataclass(frozen=True, slots=True)
class Power:
    """What prompts like these find: in a sentence, and as points (prompts, win rate found with a power of 80 %).

    `takes`: win rates that one may want to find, each with the number of prompts that it takes.
    """

    sentence: str
    curve: tuple[tuple[int, float], ...]
    takes: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Category:
    """One slice of the prompts, a value of `--by`, with the win rate of b in it; or b's win rate on one criterion."""

    name: str
    win_rate: Figure
    planned: int
    used: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a sequence knew when it had read so many prompts of its order: b's win rate so far, with its interval."""

    prompts: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Stop:
    """How many prompts of its drawn order a pair took that was watched. `finished`: decided, or there were no more.

    `path`: the looks from the first score to the last, thinned to `MOST_LOOKS` (report/stopping.py). The intervals are
    those of the pair's win rate, at its level.
    """

    prompts: int
    finished: bool
    path: tuple[Look, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """Contestant b against contestant a, by one judge. Counts are prompts; `win_rate` is b's, ties half.

    `conclusion` is b's: better, equivalent (within the margin) or undecided; worse is a's better read from b. Of a text
    measure: "higher by form", "lower by form" or "equivalent by form", which says nothing of which of them is better.
    `undone`: b's win rate with every invalid or failed prompt against the conclusion, where that would undo it.
    """

    a: str
    b: str
    judge: str
    judge_is: str  # in words: "a text measure, not validated"
    raters: tuple[str, ...]
    policy: str
    conclusion: Conclusion | ByForm
    win_rate: Figure
    bounds: tuple[float, float] | None
    wins: int
    ties: int
    losses: int
    p_value: float | None
    p_holm: float | None
    preference: Figure
    order_consistency: Figure
    position_bias: Figure
    length: Length | None
    power: Power | None
    planned: int
    used: int
    invalid: int
    failed: int
    skipped: int
    reasons: Mapping[str, int]  # why prompts were not used, most frequent first
    categories: tuple[Category, ...]
    by_members: Panel | Escalation | None = None  # what those did who judge as one: a panel, or a cascade
    # Verdicts that were asked for, by status: a prompt can be used though some of its verdicts are missing.
    verdicts: Mapping[str, int] = field(default_factory=lambda: {"ok": 0, "invalid": 0, "failed": 0})
    stop: Stop | None = None  # of a pair that was watched until it was decided; `p_holm` is then p times the pairs
    criteria: tuple[Category, ...] = ()  # of a judge that says which answer is better on each criterion
    strengths: tuple[StrengthCount, ...] = ()  # from -3 to 3; of a judge that gives strengths
    shown: Shown | None = None  # of a judge that sees the order
    recorded: tuple[str, ...] = ()  # the names of the files that the verdicts come from, where nobody can be asked
    trust: Trust = "doubtful"
    undone: Estimate | None = None

    @property
    def to_come(self) -> int:
        """Prompts that nobody was asked about yet, of a pair that ends with its last prompt."""
        return 0 if self.stop else self.reasons.get(NOT_ASKED, 0)

    @property
    def concluded(self) -> str:
        """The conclusion in words; "so far" where prompts are not asked yet."""
        return f"{self.conclusion} so far" if self.to_come else self.conclusion

    @property
    def sentence(self) -> str:
        """The result as one sentence; a second one where "equivalent" may be the judge's failing."""
        kept = self.order_consistency
        blind = self.conclusion == "equivalent" and isinstance(kept, Estimate) and kept.value < 0.5
        return f"{self._result} {BLIND.format(kept=kept.value)}" if blind else self._result  # type: ignore[union-attr]

    @property
    def _result(self) -> str:
        who = f"By `{self.judge}` ({self.judge_is})"
        if isinstance(self.win_rate, Undefined):
            return f"{who}, nothing can be said of {self.b} against {self.a}: {self.win_rate.why}."
        of = f" of {self.planned}" if self.to_come else ""
        prompts = f"{self.used}{of} prompt{'s' if of or self.used != 1 else ''}"
        scores = f"{who}, {self.b} scores {self.win_rate} against {self.a}"
        if self.stop is None:
            return f"{scores} over {prompts}, ties half: {self.concluded}{self._no_evidence}."
        read = f"{self.stop.prompts} of {self.planned} prompts"
        if self.conclusion != "undecided":
            return f"{scores}, ties half: {self.conclusion}, decided after {read}{self._no_evidence}."
        return f"{scores}, ties half: undecided {'after' if self.stop.finished else 'so far, after'} {read}."

    @property
    def _no_evidence(self) -> str:
        return f"; {NO_EVIDENCE[self.conclusion]}" if self.conclusion in NO_EVIDENCE else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One contestant's answer as shown in a report."""

    contestant: str
    sample: int
    text: str
    words: int
    status: str
    failure: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class Opinion:
    """One verdict, in contestants' names: who was preferred (or "tie"), or why there is none."""

    judge: str
    rater: str
    first: str
    second: str
    sample: int
    preferred: str | None
    strength: str | None
    probability_second: float | None
    reason: str
    status: str
    failure: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one prompt says of one pair by one judge: b's score, from which the pair's figures are made.

    `score` is None where there is no usable verdict (`status` says what became of it). `orders_agree`: whether both
    orders named the same winner (None where not both were judged); `raters_agree`: whether all raters of the bench did
    (None with one rater).
    """

    judge: str
    a: str
    b: str
    score: float | None
    status: str
    orders_agree: bool | None
    raters_agree: bool | None


@dataclass(frozen=True, slots=True)
class Step:
    """What a reader may do next: why, and the command or setting to type for it."""

    why: str
    command: str


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt with everything that was answered and said about it."""

    prompt: str
    text: str
    category: str | None
    reference: str | None
    answers: tuple[Answer, ...]
    opinions: tuple[Opinion, ...]
    outcomes: tuple[Outcome, ...] = ()  # one a pair and judge


class Pairs(tuple[Pair, ...]):
    """All pairs by all judges: `pairs["base", "sft"]` is the first judge's, `pairs["base", "sft", "gpt-4"]` gpt-4's."""

    def __getitem__(self, which: Any) -> Any:
        if not isinstance(which, tuple):
            return super().__getitem__(which)
        for pair in self:
            if (pair.a, pair.b) == which[:2] and which[2:] in ((), (pair.judge,)):
                return pair
        known = ", ".join(str((pair.a, pair.b, pair.judge)) for pair in self)
        raise KeyError(f"{which}: the pairs are {known}")


@dataclass(frozen=True, slots=True)
class Report:
    """What a comparison found: what the console, the files and `--json` print. `pairs["base", "sft"]` is a Pair."""

    suite: str
    run: str
    rubric: str
    contestants: tuple[str, ...]
    notes: Mapping[str, str]  # contestant -> what its suite says of it
    prompts: int
    by: str
    level: float
    margin: float | None
    pairs: Pairs
    calls: Calls
    caveats: tuple[str, ...]
    items: tuple[Item, ...] = field(repr=False, default=())
    lineage: tuple[Gain, ...] = ()  # what each stage of training gained, by each judge
    next_steps: tuple[Step, ...] = ()
    missing: int = 0  # verdicts that were still to come when it was counted
    benchmarks: Beside | None = None  # what the ledger has of the contestants; no judge has a say in it
    schema: str = SCHEMA

    @property
    def watched(self) -> bool:
        """Whether the pairs were watched while their verdicts came in, and asked for no longer than until decided."""
        return any(pair.stop for pair in self.pairs)

    @property
    def incomplete(self) -> bool:
        """Whether any call failed, or was not made (for the budget, or yet), or all verdicts on a pair are invalid."""
        missing = (pair.verdicts["failed"] or (pair.invalid and not pair.used) for pair in self.pairs)
        return bool(self.calls.unasked or self.missing) or any(missing)

    def to_json(self, items: bool = False) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, no infinity. `items` adds the answers and verdicts."""
        keys = ("schema", "suite", "run", "rubric", "contestants", "notes", "prompts", "by", "level", "margin")
        more = ("pairs", "lineage", "calls", "caveats", "next_steps")
        made = {key: plain(getattr(self, key)) for key in (*keys, *more)}
        made |= {"missing": self.missing} if self.missing else {}
        made |= {"benchmarks": plain(self.benchmarks)} if self.benchmarks else {}
        for pair, row in zip(self.pairs, made["pairs"], strict=True):
            row["win_rate"] = {"of": pair.b, **row["win_rate"]}
            row["bounds"] = None if pair.bounds is None else {"low": pair.bounds[0], "high": pair.bounds[1]}
            row["sentence"] = pair.sentence
            row |= {"to_come": pair.to_come} if pair.to_come else {}
            for key in ("stop", "by_members", "criteria", "strengths", "shown", "recorded", "undone"):
                if not getattr(pair, key):
                    del row[key]
            if pair.length is not None and not pair.length.bins:
                del row["length"]["bins"]
        return {**made, "items": plain(self.items)} if items else made

    def to_frame(self) -> pd.DataFrame:
        """One row a pair and judge, as a pandas data frame."""
        import pandas as pd

        def flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
            for key, value in row.items():
                if isinstance(value, dict) and key not in ("reasons",):
                    yield from flat(value, f"{prefix}{key}_")
                elif not isinstance(value, (list, dict)) and key not in ("bounds", "length"):
                    yield prefix + key, value

        return pd.DataFrame([dict(flat(row)) for row in self.to_json()["pairs"]])


@cache
def _fields_of(kind: Any) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


def plain(value: Any) -> Any:
    """Records as mappings and lists, field by field."""
    kind: Any = type(value)
    if kind in SCALARS:  # most are
        return value
    if isinstance(value, (Estimate, Undefined)):
        return value.to_json()
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in _fields_of(kind)}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value
