"""Questions, answers and votes as a folder to train with and to test with.

    demonstrations.jsonl  preferences.jsonl  train_prompts.jsonl
    test_prompts.jsonl  test_answers.jsonl  test_preferences.jsonl  provenance.json

It is written whole or not at all. What is read lies in a database on the disk, and what is made in files without a
name: the memory that this takes does not grow with the dump.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from sciexam.contamination import Exam
from sciexam.digests import file_digest
from sciexam.errors import UsageError
from sciexam.exchange.decontamination import HOLDS
from sciexam.exchange.lesson import Lesson, Line, Teacher
from sciexam.exchange.mapped_posts import read_lines
from sciexam.exchange.post_index import PostIndex, room_on_disk
from sciexam.exchange.provenance import PROVENANCE, check_same_command, most_first
from sciexam.exchange.question_draw import Choice, QuestionDraw
from sciexam.exchange.stackexchange import read_site
from sciexam.folders import check_folder, replace_folder
from sciexam.suite import load_suite
from sciexam.types import Prompt

SCHEMA = "sciexam/data/1"
FILES = {
    "demonstrations.jsonl": "the best answer to each question; `data:` of a model with `stage: sft`",
    "preferences.jsonl": "a better and a worse answer; `data:` with `stage: reward` or `stage: dpo`",
    "train_prompts.jsonl": "the questions alone; `prompts:` with `stage: best_of_n` or `stage: ppo`",
    "test_prompts.jsonl": "questions that are in none of the above; `prompts:` of a suite",
    "test_answers.jsonl": "the best answers to these; `responses:` of a contestant",
    "test_preferences.jsonl": "pairs of answers to these, to measure a reward model with",
}
# The licences ask to say so.
CHANGES = "HTML was made into Markdown; images are named, without their address; a title stands before its question"
_MADE_WITH = ("sciexam", "datasketch", "markdownify", "beautifulsoup4")

Tick = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a dump."""

    folder: str
    sources: list[dict[str, Any]]  # file, bytes, sha256
    settings: dict[str, Any]
    changes: str  # what was done to the texts
    read: dict[str, int]  # questions, answers, other rows
    left_out: dict[str, dict[str, int]]  # questions, and answers: by reason
    questions: dict[str, int]  # train, test
    files: dict[str, int]  # rows of each
    sites: dict[str, int]  # questions of each
    licences: dict[str, int]  # posts under each, however many rows have them

    def to_json(self) -> dict[str, Any]:
        made_with = {package: version(package) for package in _MADE_WITH}
        return {"schema": SCHEMA, "made_with": made_with, **asdict(self)}


def make(
    dumps: Sequence[Path],
    out: Path,
    choice: Choice,
    columns: Path | None = None,
    suite: str | None = None,
    tick: Tick = lambda what, done: None,
) -> Made:
    """Read the dumps and write the folder. `tick` is told what is being done, and how much of it is done.

    Raises DocumentError with all that is wrong with rows, and UsageError for what cannot be read or written, and where
    nothing is left. The folder is touched in none of these cases.
    """
    check_folder(out, [*FILES, PROVENANCE])
    check_same_command(out, SCHEMA)
    exam = load_suite(suite).prompts if suite is not None else ()
    with room_on_disk(), closing(PostIndex(tick)) as index, ExitStack() as stack:
        sources = _read(dumps, index, choice, columns)
        index.finish()
        making = _Making(index, choice, exam, stack, tick)
        making.run()
        settings = {**asdict(choice), "suite": suite, "columns": str(columns) if columns else None}
        made = making.made(str(out), sources, settings)
        replace_folder(out, _files(made, making.spools))
    return made


def _read(dumps: Sequence[Path], index: PostIndex, choice: Choice, columns: Path | None) -> list[Path]:
    """Returns the files that were read."""
    for path in dumps:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder")
        if dumps.count(path) > 1:
            raise UsageError(f"{path}: is named twice")
        lines = path.name.removesuffix(".gz").endswith((".jsonl", ".ndjson"))
        if not lines and path.is_file() and path.suffix not in (".xml", ".7z"):
            raise UsageError(
                f"{path}: is neither a site's .7z, its Posts.xml nor its folder, nor JSON Lines (.jsonl, .jsonl.gz); "
                "see docs/training-data.md"
            )
        if lines != (columns is not None):
            what = "says nothing of its columns: name a YAML file with --columns" if lines else "takes no --columns"
            raise UsageError(f"{path}: {what}; see docs/training-data.md")
    if columns is not None:
        read_lines(dumps, columns, index)
        return [*dumps, columns]
    return [file for path in dumps for file in read_site(path, index, choice.site)]


class _Making:
    """The questions of an index on their way into files."""

    def __init__(self, index: PostIndex, choice: Choice, exam: Sequence[Prompt], stack: ExitStack, tick: Tick):
        self.spools: dict[str, IO[str]] = {}
        self._index, self._choice, self._exam, self._stack, self._tick = index, choice, Exam(exam), stack, tick
        self._draw = QuestionDraw(index, choice, self._exam.texts, tick)
        self._teacher = Teacher(index, choice.seed, choice.min_score)
        self._questions: Counter[str] = Counter(train=0, test=0)
        self._rows, self._sites, self._licences = Counter[str](), Counter[str](), Counter[str]()

    def run(self) -> None:
        """Raises UsageError where no question is left."""
        self._draw.run()
        for done, (question, test, keep) in enumerate(self._draw.questions(), 1):
            self._tick("written", done)
            found = self._teacher.lesson(question)
            if isinstance(found, Lesson) and not test and self._exam.asked_in(list(found.texts())) is not None:
                found = HOLDS
            if isinstance(found, str):
                self._draw.left_out[found] += 1
                continue
            keep()
            self._write(found, test)
        if not self._questions.total():
            why = "; ".join(f"{count:,} {reason}" for reason, count in self._draw.left_out.most_common() if count)
            read = self._index.read["questions"]
            raise UsageError(f"no question is left of {read:,}" + (f": {why}" if why else "; is this the right file?"))

    def _write(self, lesson: Lesson, test: bool) -> None:
        self._questions["test" if test else "train"] += 1
        self._sites[lesson.question.site] += 1
        self._licences.update(text.licence for text in lesson.posts())
        self._row("test_prompts.jsonl" if test else "train_prompts.jsonl", lesson.prompt_line())
        if lesson.best is not None:
            if test:
                self._row("test_answers.jsonl", lesson.answer_line())
            else:
                self._row("demonstrations.jsonl", lesson.demonstration(self._choice.messages))
        for line in lesson.preferences():
            self._row("test_preferences.jsonl" if test else "preferences.jsonl", line)

    def _row(self, name: str, line: Line) -> None:
        if name not in self.spools:
            file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115 - the stack closes it
            self.spools[name] = self._stack.enter_context(file)
        self.spools[name].write(json.dumps(line, ensure_ascii=False) + "\n")
        self._rows[name] += 1

    def made(self, folder: str, sources: Iterable[Path], settings: dict[str, Any]) -> Made:
        read, teacher = self._index.read, self._teacher
        answers = Counter({"whose question is not in the dump": self._index.orphans()}) + teacher.left_out
        return Made(
            folder=folder,
            sources=[{"file": str(p), "bytes": p.stat().st_size, "sha256": file_digest(p)} for p in sources],
            settings=settings,
            changes=CHANGES,
            read={what: read[what] for what in ("questions", "answers", "other")},
            left_out={"questions": most_first(self._draw.left_out), "answers": most_first(answers)},
            questions=dict(self._questions),
            files={name: self._rows[name] for name in FILES if self._rows[name]},
            sites=most_first(self._sites),
            licences=most_first(self._licences),
        )


def _files(made: Made, spools: dict[str, IO[str]]) -> Iterator[tuple[str, str | Iterable[str]]]:
    for name in made.files:
        spools[name].seek(0)
        yield name, spools[name]
    yield PROVENANCE, json.dumps(made.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
