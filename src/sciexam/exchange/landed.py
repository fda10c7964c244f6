"""The folder that an import leaves: a suite of its own, and an account of what was read.

    suite.yaml  prompts.jsonl  responses/MODEL.jsonl  verdicts/JUDGE.jsonl  rewards/JUDGE.jsonl  provenance.json

It is written whole or not at all, and only where nothing is wrong with the files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sciexam.digests import digest, file_digest
from sciexam.documents import locate
from sciexam.errors import DocumentError, UsageError, did_you_mean
from sciexam.exchange.landing import Landing, Omission, folded, shown
from sciexam.exchange.names import plain_name
from sciexam.exchange.provenance import PROVENANCE, check_same_command, check_suite_unchanged
from sciexam.folders import check_folder, replace_folder
from sciexam.report.site.names import slug

SCHEMA = "sciexam/import/1"
RUBRIC = "helpfulness"
SUITE = "suite.yaml"


@dataclass(frozen=True, slots=True)
class Landed:
    """What an import came to. `answers_missing` are those that verdicts and rewards speak of and no file holds."""

    folder: str
    format: str
    suite: str
    files: dict[str, dict[str, Any]]  # by path: bytes, sha256, rows
    prompts: int
    responses: dict[str, int]  # by model
    verdicts: dict[str, int]  # by judge
    rewards: dict[str, int]
    raters: dict[str, str]  # judge or human
    baseline: str | None
    answers_missing: int
    verdicts_unmatched: int  # of which at least one answer is missing
    left_out: list[Omission]
    renamed: dict[str, str]  # by the name in the suite, the name in the files
    notes: list[str]
    licence: str | None
    suite_sha256: str = ""  # of suite.yaml as it was written, so that an edited one is known

    def rewarder(self, judge: str) -> str:
        """What the suite calls the judge by these rewards: its name, or another where it has verdicts as well."""
        names = {*self.verdicts, *self.rewards}
        if judge not in self.verdicts:
            return judge
        name = plain_name(f"{judge} rewards")
        return name if name not in names else plain_name(f"{judge} rewards {digest(judge)[:8]}")

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


def land(landing: Landing, folder: Path, name: str | None = None, rubric: str = RUBRIC) -> Landed:
    """Write what was found as the suite `name` (by default that of the folder). Raises DocumentError with all faults.

    `rubric` is the name or the file of the one that the suite shall name.
    """
    name, rubric = check_target(folder, name, rubric)
    check(landing)
    landed = _account(landing, folder, name)
    suite = _suite(landing, landed, rubric)
    landed = replace(landed, suite_sha256=hashlib.sha256(suite.encode("utf-8", "surrogatepass")).hexdigest())
    replace_folder(folder, _files(landing, landed, suite))
    return landed


def check_target(folder: Path, name: str | None, rubric: str) -> tuple[str, str]:
    """The name of the suite and where its rubric lies. Raises UsageError for what cannot be written so, or there."""
    name = name or re.sub(r"[^\w.-]+", "-", folder.absolute().name).strip("-.") or "imported"
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise UsageError(f"--name {name!r}: a suite's name is of letters, digits, '_', '-' and '.'")
    locate("rubrics", rubric)
    check_folder(folder)
    check_same_command(folder, SCHEMA)
    check_suite_unchanged(folder / SUITE)
    return name, str(Path(rubric).absolute()) if rubric.endswith((".yaml", ".yml")) else rubric


def check(landing: Landing) -> None:
    """Raises DocumentError with everything that is wrong, the same fault of many lines told once."""
    if landing.prompts_in and not landing.faults and landing.models and not landing.told.count("prompt"):
        read = ", ".join(landing.rows_read)
        raise DocumentError([f"{read}: no file holds the prompts; give {landing.prompts_in}, too"])
    orphans = landing.told.query(
        "SELECT prompt, min(at), count(*) FROM line WHERE kind <> 'prompt' AND prompt NOT IN "
        "(SELECT prompt FROM line WHERE kind = 'prompt') GROUP BY prompt ORDER BY min(rowid) LIMIT 1000"
    )
    faults = list(landing.faults)
    faults += [f"{at}: no prompt is called {shown(json.loads(prompt))} ({n:,} lines)" for prompt, at, n in orphans]
    if not faults and not landing.models:
        faults = [f"{', '.join(landing.rows_read) or 'the files'}: no answer, verdict or reward was found"]
    if faults:
        raise DocumentError(folded(faults))


def _account(landing: Landing, folder: Path, name: str) -> Landed:
    missing = "FROM owed WHERE NOT EXISTS (SELECT 1 FROM line WHERE kind = 'response' AND file = owed.model "
    missing += "AND prompt = owed.prompt AND key = CAST(owed.sample AS TEXT))"
    ((absent,),) = landing.told.query(f"SELECT count(*) {missing}")
    unmatched = _unmatched(landing) if absent else 0
    return Landed(
        folder=str(folder),
        format=landing.format,
        suite=name,
        files={path: _source(Path(path), rows) for path, rows in landing.rows_read.items()},
        prompts=landing.told.count("prompt"),
        responses={model: landing.told.count("response", model) for model in landing.models.values()},
        verdicts={judge: landing.told.count("verdict", judge) for judge in landing.told.files("verdict")},
        rewards={judge: landing.told.count("reward", judge) for judge in landing.told.files("reward")},
        raters=dict(landing.kinds),
        baseline=landing.models.get(landing.baseline) if landing.baseline else None,
        answers_missing=absent,
        verdicts_unmatched=unmatched,
        left_out=landing.omissions(),
        renamed={new: old for old, new in (*landing.models.items(), *landing.judges.items()) if new != old},
        notes=[*landing.notes, *_unanswered(landing), *_repeated(landing)],
        licence=landing.licence,
    )


def _unmatched(landing: Landing) -> int:
    """The verdicts on an answer that no file holds."""
    answered = "(SELECT 1 FROM line AS one WHERE one.kind = 'response' AND one.file = json_extract(line.text, '$.{0}') "
    answered += "AND one.prompt = line.prompt AND one.key = ifnull(json_extract(line.text, '$.sample'), 0))"
    both = " AND ".join(f"EXISTS {answered.format(side)}" for side in ("first", "second"))
    ((found,),) = landing.told.query(f"SELECT count(*) FROM line WHERE kind = 'verdict' AND NOT ({both})")  # noqa: S608
    return int(found)


def _unanswered(landing: Landing) -> Iterator[str]:
    """Each model of which no file holds an answer, where files hold those of others: its name may be misspelt."""
    known = landing.told.files("response")
    for name, model in landing.models.items() if known else ():
        if model not in known:
            first = landing.told.query("SELECT at FROM owed WHERE model = ? ORDER BY length(at), at LIMIT 1", model)
            for (at,) in first:
                yield f"{at}: no file holds an answer of {shown(name)}{did_you_mean(model, known)}"


def _repeated(landing: Landing) -> Iterator[str]:
    if landing.repeats:
        against = f", {landing.contradicting:,} against an earlier one" if landing.contradicting else ""
        yield (
            f"{landing.first_repeat}: a rater's further verdict on the same order counts as its repeat "
            f"({landing.repeats:,} in all{against})"
        )


def _source(path: Path, rows: int) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": file_digest(path), "rows": rows}


# ---------------------------------------------------------------- the files


def _files(landing: Landing, landed: Landed, suite: str) -> Iterator[tuple[str, str | Iterable[str]]]:
    yield SUITE, suite
    yield "prompts.jsonl", landing.told.lines("prompt")
    for model in landing.models.values():
        yield f"responses/{slug(model)}.jsonl", _responses(landing, model)
    for kind in ("verdict", "reward"):
        for judge in landing.told.files(kind):
            yield f"{kind}s/{slug(judge)}.jsonl", landing.told.lines(kind, judge)
    yield PROVENANCE, json.dumps(landed.to_json(), indent=1, allow_nan=False) + "\n"


def _responses(landing: Landing, model: str) -> Iterator[str]:
    """The answers of a model, and a sentence in the place of each that is not there: without an answer, a suite cannot
    hold what was said of it. Each sentence is another, of one length, so that texts can be told apart by what they are.
    """
    yield from landing.told.lines("response", model)
    owed = landing.told.query(
        "SELECT prompt, sample FROM owed WHERE model = ? AND NOT EXISTS (SELECT 1 FROM line WHERE kind = 'response' "
        "AND file = owed.model AND prompt = owed.prompt AND key = CAST(owed.sample AS TEXT))",
        model,
    )
    for prompt, sample in owed:
        text = absent_answer(model, json.loads(prompt), sample)
        line = {"prompt": json.loads(prompt), "text": text, **({"sample": sample} if sample else {}), "absent": True}
        yield json.dumps(line) + "\n"


def absent_answer(model: str, prompt: str, sample: int = 0) -> str:
    """What stands for an answer that the imported files do not hold."""
    return f"(This answer is not in the imported files: {digest([model, prompt, sample])[:12]}.)"


def _suite(landing: Landing, landed: Landed, rubric: str) -> str:
    """The suite's YAML; names and paths are quoted, so that none is read as anything else."""
    models = sorted(landing.models.values(), key=lambda name: name != landed.baseline)
    lines = [f"# Imported by `sciexam import {landed.format}`; {PROVENANCE} says from which files.", ""]
    lines += [f"suite: {_quoted(landed.suite)}", "prompts: prompts.jsonl", f"rubric: {_quoted(rubric)}", "models:"]
    lines += [f"  {_quoted(name)}: {{responses: {_quoted(f'responses/{slug(name)}.jsonl')}}}" for name in models]
    lines += [f"contestants: [{', '.join(map(_quoted, models))}]"]
    lines += [f"baseline: {_quoted(landed.baseline)}"] if landed.baseline else []
    samples = 1 + max((key for (key,) in landing.told.query(_LARGEST_SAMPLE) if key is not None), default=0)
    lines += [f"generation: {{samples: {samples}}}"] if samples > 1 else []
    judges = [(judge, judge, "verdict", "recorded") for judge in landed.verdicts]
    judges += [(landed.rewarder(judge), judge, "reward", "rewards") for judge in landed.rewards]
    lines += ["judges:"] if judges else []
    unordered = {landing.judges[rater] for rater in landing.order_unknown if rater in landing.judges}
    for name, judge, kind, backend in judges:
        file = f"{kind}s/{slug(judge)}.jsonl"
        unknown = ", order_known: false" if kind == "verdict" and name in unordered else ""
        lines.append(f"  {_quoted(name)}: {{backend: {backend}, {kind}s: {_quoted(file)}{unknown}}}")
    return "\n".join(lines) + "\n"


_LARGEST_SAMPLE = (
    "SELECT max(CAST(key AS INTEGER)) FROM line WHERE kind = 'response' UNION SELECT max(sample) FROM owed"
)


def _quoted(word: str) -> str:
    return json.dumps(word, ensure_ascii=False)
