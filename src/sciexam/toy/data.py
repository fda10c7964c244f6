"""What the toy lineage learns from, made of the world by a seed.

    documents.jsonl        documents of every quality, for `stage: pretrain`
    demonstrations.jsonl   the half with the better structure of others, for `stage: sft`: whoever chose them did not
                           look at what they say
    train_prompts.jsonl    questions, for what is answered and judged in training
    dev_prompts.jsonl      other questions, for looks at a stage that runs
    judging.jsonl          pairs of documents with the letter of the better one, for a tiny judge
    judging_exam.jsonl     other such pairs as prompts, with the letter as reference, for the exam of that judge
    evaluations.jsonl      documents with their marks, for a model that is to mark its own answers

Every file asks for every phenomenon, in its own words; no two files have a question in common, and none has one of the
exam.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from sciexam.files import write_atomically
from sciexam.toy.documents import BEST, document
from sciexam.toy.judging import lessons, questions_of_judging
from sciexam.toy.marking import examples
from sciexam.toy.questions import questions
from sciexam.toy.scorer import Answer
from sciexam.toy.world import Phenomenon, world


@dataclass(frozen=True, slots=True)
class Size:
    """How many lines of each file a phenomenon gets, and how many phenomena there are."""

    phenomena: int
    documents: int
    demonstrations: int
    train: int
    dev: int
    judging: int  # pairs, each of which is shown in both orders
    evaluations: int = 0
    judging_exam: int = 0  # pairs, as in judging; where there are none nothing is drawn for them


FULL = Size(phenomena=104, documents=24, demonstrations=6, train=6, dev=1, judging=6, evaluations=6)
SMALL = Size(phenomena=24, documents=24, demonstrations=6, train=12, dev=1, judging=6, evaluations=6)
MARKED = Size(phenomena=24, documents=48, demonstrations=24, train=12, dev=1, judging=6, evaluations=36)
Line = Mapping[str, Any]


def write(folder: Path, size: Size = FULL, seed: int = 1) -> list[Path]:
    """Write the files that have lines into a folder, and say which. The same size and seed give the same files."""
    return write_lines(folder, files(size, seed))


def write_lines(folder: Path, lines_of: Mapping[str, Sequence[Line]]) -> list[Path]:
    """Write the lines of each file that has any into a folder, and say which files these are."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, lines in lines_of.items():
        if not lines:
            continue
        written.append(folder / name)
        write_atomically(written[-1], (json.dumps(line) + "\n" for line in lines))
    return written


def files(size: Size = FULL, seed: int = 1) -> dict[str, list[Line]]:
    """The lines of each file by its name."""
    return _shuffled((_about(one, size, asked, draw) for one, asked, draw in _drawn(size, seed)), seed)


def more_files(
    more: Callable[[Phenomenon, Iterator[str], Random], Mapping[str, Sequence[Line]]], size: Size = FULL, seed: int = 1
) -> dict[str, list[Line]]:
    """Further files, whose lines `more` makes of each phenomenon, with questions that are in none of `files`."""

    def left() -> Iterator[Mapping[str, Sequence[Line]]]:
        for one, asked, draw in _drawn(size, seed):
            _about(one, size, asked, draw)
            yield more(one, asked, draw)

    return _shuffled(left(), seed)


def _drawn(size: Size, seed: int) -> Iterator[tuple[Phenomenon, Iterator[str], Random]]:
    """Each phenomenon with questions for it, each of them once, and its draw."""
    for one in islice(world().values(), size.phenomena):
        draw = Random(f"{seed}\n{one.id}")  # noqa: S311
        yield one, _different(questions(one, draw)), draw


def _shuffled(several: Iterable[Mapping[str, Sequence[Line]]], seed: int) -> dict[str, list[Line]]:
    """The lines of all phenomena, file by file, in a drawn order."""
    found: dict[str, list[Line]] = {}
    for files_of_one in several:
        for name, lines in files_of_one.items():
            found.setdefault(name, []).extend(lines)
    for name, lines in found.items():
        Random(f"{seed}\n{name}").shuffle(lines)  # noqa: S311
    return found


def _about(one: Phenomenon, size: Size, asked: Iterator[str], draw: Random) -> dict[str, list[Line]]:
    numbers = iter(range(1, size.train + size.dev + 1))

    def prompts(many: int) -> list[Line]:
        return [
            {"id": f"{one.id}.{number}", "text": text, "category": one.category}
            for number, text in zip(islice(numbers, many), asked, strict=False)
        ]

    return {
        "documents.jsonl": _documents(one, size.documents, asked, draw),
        "demonstrations.jsonl": demonstrations(one, size.demonstrations, asked, draw),
        "judging.jsonl": list(lessons(one, asked, size.judging, draw)),
        "dev_prompts.jsonl": prompts(size.dev),
        "train_prompts.jsonl": prompts(size.train),
        "evaluations.jsonl": list(examples(one, asked, size.evaluations, draw)),
        "judging_exam.jsonl": list(questions_of_judging(one, asked, many, draw)) if (many := size.judging_exam) else [],
    }


def _documents(one: Phenomenon, many: int, asked: Iterator[str], draw: Random) -> list[Line]:
    return [{"prompt": next(asked), "completion": document(one, draw.uniform(0, BEST), draw)} for _ in range(many)]


def demonstrations(one: Phenomenon, many: int, asked: Iterator[str], draw: Random) -> list[Line]:
    """Questions with answers that somebody has chosen, of twice as many."""
    return _better_half(_documents(one, 2 * many, asked, draw))


def _better_half(shown: Sequence[Line]) -> list[Line]:
    """Those with the better structure: nobody looked at what they say."""
    by_structure = sorted(shown, key=lambda line: Answer(line["completion"]).structure(), reverse=True)
    return by_structure[: len(shown) // 2]


def _different(asked: Iterator[str]) -> Iterator[str]:
    """Each question once."""
    seen: set[str] = set()
    for one in asked:
        if one not in seen:
            seen.add(one)
            yield one
