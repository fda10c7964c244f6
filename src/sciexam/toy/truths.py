"""Two tasks of multiple choice about the toy world, in the files that `sciexam bench --tasks-from` reads.

    toy_truths    as in TruthfulQA: which of two sentences a model thinks likelier, a true one or one that is not true
    toy_fields    as in a subject of MMLU: which of four sentences of one field answers the question

Both ask by a phenomenon's own question. The sentences have all been read in training, true and false ones alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from random import Random

from sciexam.files import write_atomically
from sciexam.toy.data import FULL, Line, Size, write_lines
from sciexam.toy.world import FALSE, Phenomenon, world

OTHERS = 3  # wrong choices of a question about a field
TASK = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {name}.jsonl}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: choices
doc_to_target: answer
target_delimiter: ""
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""


def write_tasks(folder: Path, size: Size = FULL, seed: int = 1) -> list[Path]:
    """Write both tasks, each with its items, into a folder, and say which files these are."""
    draw, asked = Random(seed), list(islice(world().values(), size.phenomena))  # noqa: S311
    items = {"toy_truths": list(truths(asked, draw)), "toy_fields": list(fields(asked, draw))}
    written_files = write_lines(folder, {f"{name}.jsonl": lines for name, lines in items.items()})
    for name in items:
        written_files.append(folder / f"{name}.yaml")
        write_atomically(written_files[-1], TASK.format(name=name))
    return written_files


def truths(asked: Iterable[Phenomenon], draw: Random) -> Iterator[Line]:
    """Of each place of a document where something false is said, the true sentence and the false one."""
    for one in asked:
        for place in FALSE:
            yield _item(one, one.truths[place], [one.falsehoods[place]], draw)


def fields(asked: Iterable[Phenomenon], draw: Random) -> Iterator[Line]:
    """Of each phenomenon its conclusion, and those of others in its field."""
    for one in asked:
        beside = [other for other in world().values() if other.category == one.category and other.id != one.id]
        yield _item(one, _conclusion(one), [_conclusion(other) for other in draw.sample(beside, OTHERS)], draw)


def _conclusion(one: Phenomenon) -> str:
    return one.truths["conclusion"]


def _item(one: Phenomenon, right: str, wrong: list[str], draw: Random) -> Line:
    """One item; those of a phenomenon are one `group`."""
    choices = [right, *wrong]
    draw.shuffle(choices)
    return {"question": one.question, "choices": choices, "answer": choices.index(right), "group": one.id}
