"""Verdicts that people gave elsewhere (a spreadsheet, another tool), read into the ledger under pseudonyms."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sciexam.battles import present
from sciexam.documents import digest, parse_lines, read_jsonl
from sciexam.errors import DocumentError, UsageError
from sciexam.exam.answering import Answers
from sciexam.exam.plan import FACT_SCHEMA
from sciexam.judges.recorded import VerdictLine
from sciexam.report.tables import from_cell
from sciexam.store import Store
from sciexam.types import Comparison, Prompt, Response, Verdict

SHOWN = 5  # unmatched lines that a message names


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the lines of a file: new verdicts, those that were there, and those that match nothing here."""

    new: int
    known: int
    unmatched: tuple[str, ...]
    annotators: tuple[str, ...]


def import_verdicts(store: Store, answers: Answers, path: Path, rubric: str, until: int) -> Imported:
    """Read a file of verdicts (.jsonl or .csv, with the keys of recorded verdicts) on these answers.

    `rubric` is the digest of the one that they were given under, `until` when links of new annotators end. The same
    file again adds nothing. Raises DocumentError with all faults, and UsageError where no line matches.
    """
    lines = read_lines(path)
    prompts = {prompt.id: prompt for prompt in answers.prompts}
    pseudonyms = _pseudonyms(store, [line.rater for _, line in lines], until)
    found: dict[str, Verdict] = {}
    unmatched = []
    for number, line in lines:
        why, comparison = _matched(answers, prompts, line)
        if comparison is None:
            unmatched.append(f"{path}:{number}: {why}")
            continue
        verdict = _verdict(comparison, line, pseudonyms[line.rater], rubric)
        found[verdict.key] = verdict
    if not found:
        raise UsageError("\n".join([f"{path}: no line matches an answer here", *unmatched[:SHOWN]]))
    stored = store.verdicts(found)
    new = [verdict for verdict in found.values() if not _is_known(stored.get(verdict.key), verdict)]
    store.append(new)
    return Imported(len(new), len(found) - len(new), tuple(unmatched), tuple(pseudonyms.values()))


def read_lines(path: Path) -> list[tuple[int, VerdictLine]]:
    """The verdicts of a file with their line numbers; who gave them is a human. Raises DocumentError."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file of verdicts")
    rows = _read_csv(path) if path.suffix == ".csv" else read_jsonl(path)
    faults: list[str] = []
    human = ((number, {"kind": "human", **row}) for number, row in rows)
    lines = list(parse_lines(VerdictLine, human, path, faults))
    seen: dict[tuple[Any, ...], int] = {}
    for number, line in lines:
        if line.kind != "human":
            faults.append(f"{path}:{number}: kind: {line.kind!r}; a judge's verdicts are named with --judge FILE")
        slot = (line.rater, line.prompt, frozenset((line.first, line.second)), line.sample)
        if slot in seen:
            faults.append(f"{path}:{number}: {line.rater!r} judged this already in line {seen[slot]}")
        seen.setdefault(slot, number)
    if faults:
        raise DocumentError(faults)
    if not lines:
        raise DocumentError([f"{path}: holds no verdicts"])
    return lines


def _read_csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Rows by their column's names; an empty cell is a key that is left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            for row in rows:
                if None in row:
                    raise DocumentError([f"{path}:{rows.line_num}: has more cells than the head has names"])
                yield rows.line_num, {key: from_cell(value) for key, value in row.items() if value}
    except UnicodeDecodeError:
        raise DocumentError([f"{path}: not UTF-8; save the file as UTF-8"]) from None
    except csv.Error as error:
        raise DocumentError([f"{path}: not CSV: {error}"]) from None


def _pseudonyms(store: Store, names: list[str], until: int) -> dict[str, str]:
    """The pseudonym of each name; who is known by name or pseudonym stays who they are."""
    known = {one.pseudonym for one in store.annotations.annotators()}
    return {
        name: name if name in known else store.annotations.add(name, until).pseudonym for name in dict.fromkeys(names)
    }


def _matched(answers: Answers, prompts: Mapping[str, Prompt], line: VerdictLine) -> tuple[str, Comparison | None]:
    prompt = prompts.get(line.prompt)
    if prompt is None:
        return f"no prompt {line.prompt!r} has these answers", None
    first, second = (_response(answers, name, line) for name in (line.first, line.second))
    if first is None or second is None:
        return f"no answer of {line.second if first else line.first!r} to {line.prompt!r}", None
    return "", Comparison(prompt, first, second)


def _response(answers: Answers, name: str, line: VerdictLine) -> Response | None:
    """An answer by the name that a queue gives it: further samples of one contestant are numbered from 2."""
    contestant, _, number = name.rpartition(" #")
    if contestant and number.isdecimal():
        found = answers.usable(contestant, line.prompt, int(number) - 1)
        return None if found is None else replace(found, contestant=name)
    return answers.usable(name, line.prompt, line.sample)


def _verdict(comparison: Comparison, line: VerdictLine, rater: str, rubric: str) -> Verdict:
    shown = present(comparison, "ab")
    judge = digest({"judge": "annotator", "rater": rater, "rubric": rubric, "scale": "imported"})
    fact = ["verdict", FACT_SCHEMA]
    key = digest({"fact": fact, "judge": judge, "subject": shown.subject, "repeat": line.repeat, "named": None})
    return replace(shown, key=key, repeat=line.repeat).verdict(
        rater,
        line.preferred,
        kind="human",
        strength=line.strength,
        probability_second=line.probability_second,
        reason=line.reason,
        failure=line.failure,
    )


def _is_known(stored: Verdict | None, verdict: Verdict) -> bool:
    if stored is None:
        return False
    same = ("status", "failure", "preferred", "strength", "probability_second", "reason")
    return all(getattr(stored, name) == getattr(verdict, name) for name in same)
