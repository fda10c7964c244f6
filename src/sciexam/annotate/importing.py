"""Verdicts that people gave elsewhere (a spreadsheet, another tool), read into the ledger under pseudonyms."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from sciexam.annotate.export import rater_id
from sciexam.annotate.serving import check_name, is_pseudonym
from sciexam.battles import present
from sciexam.digests import digest
from sciexam.documents import parse_lines, read_jsonl
from sciexam.errors import DocumentError, UsageError
from sciexam.exam.answering import Answers
from sciexam.exam.plan import verdict_key
from sciexam.judges.recorded import VerdictLine
from sciexam.report.tables import from_cell
from sciexam.store import Store
from sciexam.store.annotators import IMPORTED
from sciexam.store.forgetting import FORGOTTEN
from sciexam.types import ADJUDICATION, Comparison, Prompt, Response, Side, Verdict

SHOWN = 5  # unmatched lines that a message names


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the lines of a file: new verdicts, those that were there, and those that match nothing here.

    `forgotten`: the lines that were left out of each who was forgotten here, by pseudonym.
    """

    new: int
    known: int
    unmatched: tuple[str, ...]
    annotators: tuple[str, ...]
    forgotten: Mapping[str, int]


class ImportLine(VerdictLine):
    """A verdict of a person. `rater_id` is what an export of another ledger calls them, `criteria` as in a verdict;
    `key` is of the fact that `sciexam export` wrote down.
    """

    rater_id: str = Field("", max_length=40)
    key: str = ""
    criteria: dict[str, Side] = Field(default_factory=dict)

    @field_validator("criteria", mode="before")
    @classmethod
    def _of_a_cell(cls, value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError('criteria are {"name": "first"}, as JSON') from None


def import_verdicts(store: Store, answers: Answers, path: Path, rubric: str) -> Imported:
    """Read a file of verdicts (.jsonl or .csv, with the keys of recorded verdicts) on these answers.

    `rubric` is the digest of the one that they were given under. The same file again adds nothing, and nothing comes
    back of whoever was forgotten here. Raises DocumentError with all faults, and UsageError where no line matches.
    """
    lines, forgotten = _without_forgotten(store, read_lines(path))
    prompts = _by_name(answers.prompts)
    pseudonyms = _pseudonyms(store, [line for _, line in lines], path.stem)
    found: dict[str, Verdict] = {}
    unmatched = []
    for number, line in lines:
        why, comparison = _matched(answers, prompts, line)
        if comparison is None:
            unmatched.append(f"{path}:{number}: {why}")
            continue
        verdict = _verdict(comparison, line, pseudonyms[line.rater, line.rater_id], rubric)
        found[verdict.key] = verdict
    if not found:
        why = "no line matches an answer here" if lines else "every line is of somebody who was forgotten here"
        raise UsageError("\n".join([f"{path}: {why}", *left_out_of(forgotten), *unmatched[:SHOWN]]))
    known = {(one.rater, one.subject): one for one in store.human_verdicts({v.subject for v in found.values()})}
    new = [verdict for verdict in found.values() if not _is_known(known.get((verdict.rater, verdict.subject)), verdict)]
    store.append(new)
    return Imported(len(new), len(found) - len(new), tuple(unmatched), tuple(pseudonyms.values()), forgotten)


def _without_forgotten(
    store: Store, lines: Sequence[tuple[int, ImportLine]]
) -> tuple[list[tuple[int, ImportLine]], Mapping[str, int]]:
    """The lines of all but those who were forgotten here, and how many were left out of each of these."""
    gone = {rater_id(store, one.id): one.pseudonym for one in store.annotators.all() if one.state == FORGOTTEN}
    counts = Counter(gone[line.rater_id] for _, line in lines if line.rater_id in gone)
    return [(number, line) for number, line in lines if line.rater_id not in gone], counts


def left_out_of(forgotten: Mapping[str, int]) -> Iterator[str]:
    """What was left out of whom, a line each."""
    for pseudonym, count in forgotten.items():
        lines = "1 line" if count == 1 else f"{count} lines"
        yield f"{lines} of {pseudonym}, who was forgotten here, left out"


def _by_name(prompts: Sequence[Prompt]) -> dict[str, Prompt]:
    """Prompts by their ids, and by their whole texts where one alone has it."""
    texts = Counter(prompt.text for prompt in prompts)
    alone = {prompt.text: prompt for prompt in prompts if texts[prompt.text] == 1}
    return alone | {prompt.id: prompt for prompt in prompts}


def read_lines(path: Path) -> list[tuple[int, ImportLine]]:
    """The verdicts of a file with their line numbers; who gave them is a human. Raises DocumentError."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file of verdicts")
    if path.suffix == ".parquet":
        raise UsageError(f"{path}: verdicts are read from .jsonl or .csv, which `sciexam export verdicts` writes, too")
    rows = _read_csv(path) if path.suffix == ".csv" else read_jsonl(path)
    faults: list[str] = []
    human = ((number, {"kind": "human", **row}) for number, row in rows)
    lines = list(parse_lines(ImportLine, human, path, faults))
    seen: dict[tuple[Any, ...], int] = {}
    for number, line in lines:
        if line.kind != "human":
            faults.append(f"{path}:{number}: kind: {line.kind!r}; a judge's verdicts are named with --judge FILE")
        if line.rater == ADJUDICATION:
            faults.append(f"{path}:{number}: rater: {line.rater!r} is no annotator; leave these lines out")
        slot = (line.rater, line.rater_id, line.prompt, frozenset((line.first, line.second)), line.sample)
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


def _pseudonyms(store: Store, lines: Sequence[ImportLine], file: str) -> dict[tuple[str, str], str]:
    """The pseudonym here of each rater of a file, who is added where nobody is known by the name.

    A pseudonym in a file is no name: annotator-1 of another ledger is somebody else. Whoever has the id of one of ours,
    or the key of what one of ours said, is that one; others are called by the pseudonym and their id, or the file.
    """
    ours = {rater_id(store, one.id): one.pseudonym for one in store.annotators.all()}
    held = store.verdicts({line.key: None for line in lines if line.key})
    by_key = {(line.rater, line.rater_id): held[line.key].rater for line in lines if line.key in held}
    found: dict[tuple[str, str], str] = {}
    for name, id in dict.fromkeys((line.rater, line.rater_id) for line in lines):
        if id in ours or by_key.get((name, id)) in ours.values():
            found[name, id] = ours.get(id) or by_key[name, id]
            continue
        own = f"{name} ({id[:6] or file})" if is_pseudonym(name) else name
        found[name, id] = store.annotators.add(check_name(own), 0, IMPORTED).pseudonym
    return found


def _matched(answers: Answers, prompts: Mapping[str, Prompt], line: VerdictLine) -> tuple[str, Comparison | None]:
    prompt = prompts.get(line.prompt)
    if prompt is None:
        return f"no prompt {line.prompt!r} has these answers", None
    first, second = (_response(answers, name, prompt.id, line.sample) for name in (line.first, line.second))
    if first is None or second is None:
        more = "; further samples are read with --samples" if line.sample or "#" in line.first + line.second else ""
        return f"no answer of {line.second if first else line.first!r} to {line.prompt!r}{more}", None
    return "", Comparison(prompt, first, second)


def _response(answers: Answers, name: str, prompt: str, sample: int) -> Response | None:
    """An answer by the name that a queue gives it: further samples of one contestant are numbered from 2."""
    contestant, _, number = name.rpartition(" #")
    if contestant and number.isdecimal():
        found = answers.usable(contestant, prompt, int(number) - 1)
        return None if found is None else replace(found, contestant=name)
    return answers.usable(name, prompt, sample)


def _verdict(comparison: Comparison, line: ImportLine, rater: str, rubric: str) -> Verdict:
    judge = digest({"judge": "annotator", "rater": rater, "rubric": rubric, "scale": "imported"})
    shown = replace(present(comparison, "ab"), repeat=line.repeat)
    return replace(shown, key=verdict_key(judge, shown)).verdict(
        rater,
        line.preferred,
        kind="human",
        strength=line.strength,
        probability_second=line.probability_second,
        criteria=line.criteria,
        reason=line.reason,
        failure=line.failure,
    )


def _is_known(stored: Verdict | None, verdict: Verdict) -> bool:
    if stored is None:
        return False
    same = ("status", "failure", "preferred", "strength", "probability_second", "criteria", "reason")
    return all(getattr(stored, name) == getattr(verdict, name) for name in same)
