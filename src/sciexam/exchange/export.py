"""What the ledger and a suite hold, as a file for other programs: verdicts, responses, battles, preferences."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sciexam.battles import Policy
from sciexam.errors import SciexamError, UsageError
from sciexam.exam.plan import Purpose
from sciexam.exam.reading import Reading, reading
from sciexam.exchange.judged import BATTLES, NOT_THERE, VERDICTS, Line, Omissions, battle_lines, verdict_lines
from sciexam.exchange.preferences import PREFERENCES, preference_lines
from sciexam.judges.settings import MeasuresJudge
from sciexam.report.data_file import Columns, check_parquet, format_of, write_lines
from sciexam.report.next_steps import reader
from sciexam.suite import Suite
from sciexam.typed import command_of
from sciexam.types import HUMANS

SCHEMA = "sciexam/export/1"
What = Literal["verdicts", "responses", "battles", "preferences"]

RESPONSES: Columns = {
    "prompt": "text",
    "text": "text",
    "sample": "integer",
    "contestant": "text",
    "finish_reason": "text",
    "model": "text",
    "input_tokens": "integer",
    "output_tokens": "integer",
    "reasoning_tokens": "integer",
    "seconds": "number",
    "key": "text",
}
COLUMNS: dict[What, Columns] = {
    "verdicts": VERDICTS,
    "responses": RESPONSES,
    "battles": BATTLES,
    "preferences": PREFERENCES,
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export came to. `left_out` counts by reason what has no line; `margins`, of preferences, the lines by
    what their margin is made of; `mended`, the lines in which half a character became U+FFFD."""

    what: What
    out: str
    format: str
    suite: str
    contestants: tuple[str, ...]
    judges: tuple[str, ...]
    rows: int
    left_out: dict[str, int]
    margins: dict[str, int]
    mended: int

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


def export(
    suite: Suite,
    *contestants: str,
    what: What,
    out: Path,
    format: str | None = None,
    judges: Sequence[str] = (),
    min_agreement: float = 0.0,
    policy: Policy = "mean",
    limit: int | None = None,
    store: str | Path | None = None,
    results: str | Path = "results",
) -> Exported:
    """Write `what` of these contestants (by default the suite's) to `out`, whole or not at all. Nobody is asked.

    `format` is "jsonl", "csv" or "parquet", by default what the name of `out` ends with. Verdicts and battles are those
    of `judges`, by default of all who have judged; preferences follow the suite's own judge unless others are named,
    and text measures only where they are named. Raises UsageError where there is nothing to write.
    """
    if not 0 <= min_agreement <= 1:
        raise UsageError(f"--min-agreement: a share between 0 and 1, not {min_agreement}")
    if (wanted := format_of(out, format)) == "parquet":
        check_parquet()
    left_out: Omissions = Counter()
    margins: Counter[str] = Counter()
    asked = [HUMANS] if what == "responses" else list(judges)
    if what == "preferences" and not asked:
        asked = [_own_judge(suite, contestants, out, store, results)]
    purpose: Purpose = "answer" if what == "responses" else "export"
    with reading(suite, contestants, asked, purpose, policy, "category", limit, store, results) as read:
        lines = _some(_lines(read, what, left_out, margins, min_agreement), read, what, left_out)
        judged_by: dict[str, None] = {}
        written = write_lines(out, COLUMNS[what], _noting(lines, judged_by), wanted)
        return Exported(
            what=what,
            out=str(out),
            format=wanted,
            suite=suite.name,
            contestants=read.plan.contestants,
            judges=tuple(read.plan.benches) if what == "preferences" else tuple(judged_by),
            rows=written.lines,
            left_out=dict(left_out.most_common()),
            margins=dict(margins),
            mended=written.mended,
        )


def _own_judge(
    suite: Suite, contestants: Sequence[str], out: Path, store: str | Path | None, results: str | Path
) -> str:
    """Whose preferences are meant where nobody is named. Raises UsageError where that would be text measures, with who
    has judged instead."""
    own = suite.judge
    if not isinstance(suite.judges.get(own), MeasuresJudge) and own != "measures":
        return own
    to_type = ("export", "preferences", *contestants, "--out", str(out), "--judge")
    said = f"whose preferences? {own!r} counts features of a text, and what trains on its choices learns to make these"
    others = [name for name in _who_has_judged(suite, contestants, store, results) if name != own]
    if others:
        lines = [
            f"{said}; {' and '.join(others)} judged too; name one:",
            *(suite.command(*to_type, one) for one in others),
        ]
    else:
        lines = [
            f"{said}; nobody else has judged these answers, and people can:",
            suite.command("annotate", "serve", *contestants),
            "a language model can, too:" if suite.readers else "a language model can, too, for money:",
            suite.command("compare", *contestants, "--judge", reader(suite.readers)),
        ]
    raise UsageError("\n".join([*lines, f"or --judge {own}, if that is what you want"]))


def _who_has_judged(
    suite: Suite, contestants: Sequence[str], store: str | Path | None, results: str | Path
) -> list[str]:
    """Whose verdicts on these contestants the ledger holds, people first, and the files of verdicts that it was given,
    as one types them; nobody where there is no ledger."""
    try:
        with reading(suite, contestants, (), "export", "mean", "category", None, store, results) as read:
            found = {line["judge"] for line in verdict_lines(read, Counter()) if line["status"] == "ok"}
            runs = [json.loads(text) for text in read.store.manifests()]
            made = [command_of(run["argv"]) for run in runs if run["plan"]["digests"]["suite"] == read.plan.content]
    except SciexamError:
        return []
    files = [judge for one in made if one for judge in one.judges if judge.endswith(".jsonl") and Path(judge).is_file()]
    return [*sorted(found, key=lambda name: (name != HUMANS, name)), *dict.fromkeys(files)]


def _lines(
    read: Reading, what: What, left_out: Omissions, margins: Counter[str], min_agreement: float
) -> Iterator[Line]:
    match what:
        case "verdicts":
            return verdict_lines(read, left_out)
        case "responses":
            return response_lines(read, left_out)
        case "battles":
            return battle_lines(read, left_out)
        case "preferences":
            return preference_lines(read, left_out, margins, min_agreement)


def response_lines(read: Reading, left_out: Omissions) -> Iterator[Line]:
    """A line for each usable answer, with the keys of a file of recorded answers, and what else is known of it."""
    for response in read.responses():
        reply = response.reply
        if reply.status != "ok" or response.absent:
            left_out[f"{response.contestant}: {NOT_THERE if response.absent else reply.failure or reply.status}"] += 1
            continue
        yield {
            "prompt": response.prompt,
            "text": reply.text,
            "sample": response.sample,
            "contestant": response.contestant,
            "finish_reason": reply.finish_reason or None,
            "model": reply.model or None,
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "reasoning_tokens": reply.reasoning_tokens,
            "seconds": reply.seconds or None,
            "key": reply.key,
        }


def _noting(lines: Iterator[Line], judges: dict[str, None]) -> Iterator[Line]:
    """The lines, and by the way who judged."""
    for line in lines:
        if "judge" in line:
            judges[line["judge"]] = None
        yield line


def _some(lines: Iterator[Line], read: Reading, what: What, left_out: Omissions) -> Iterator[Line]:
    """The lines. Raises UsageError where there is none: a file is then neither written nor replaced."""
    first = next(lines, None)
    if first is None:
        why = [f"{number} x {reason}" for reason, number in left_out.most_common()]
        by = "" if what == "responses" else f" by {', '.join(read.plan.benches)}"
        raise UsageError("\n".join([f"there are no {what} of {', '.join(read.plan.contestants)}{by} to export", *why]))
    yield first
    yield from lines
