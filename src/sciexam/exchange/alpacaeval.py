"""AlpacaEval: `model_outputs.json`, `reference_outputs.json`, `annotations.json`, alone or in a folder of models.

An item is known by its instruction and data set. Where one stands in a file several times, the first is the first of
every other file, the second the second. A preference is 1 where output_1 (the reference) is preferred, 2 where output_2
is, in between where it is weighed by probabilities, 1.5 or 0 for a draw, and null where the annotator failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexam.exchange.landing import Landing, Place, shown
from sciexam.exchange.rows import found, missing, rows

OUTPUTS, REFERENCE, ANNOTATIONS = "model_outputs.json", "reference_outputs.json", "annotations.json"
NO_ORDER = (
    "AlpacaEval shows each pair in one order that it draws and does not write down: these verdicts say nothing about "
    "position. `first` is the reference."
)
_USED = (
    *("instruction", "input", "dataset", "output", "output_1", "output_2"),
    *("generator", "generator_1", "generator_2", "preference", "annotator"),
)
_WHOLE = (0, 1, 1.5, 2)


class Questions:
    """The items of all files: their ids are their places in the order in which they first appear."""

    def __init__(self, landing: Landing):
        self.landing = landing
        self._ids: dict[tuple[str, str], list[str]] = {}
        self._datasets: dict[str, list[str]] = {}
        self._counts: dict[Path, Counter[tuple[str, str]]] = {}
        self._places: dict[tuple[Path, tuple[str, str]], Place] = {}
        self._known = 0

    def id(self, at: Place, row: Mapping[str, Any]) -> str | None:
        """The id of the item of a row, which is told to the landing where it is another's first; None for no item."""
        text, more = row["instruction"], row.get("input")
        if not isinstance(text, str) or not text.strip() or not isinstance(more, str | None):
            self.landing.fault(at, f"instruction: a text that is not empty, this is {shown(text)}")
            return None
        text = f"{text}\n\n{more}" if more else text
        key = (text, self._dataset(text, row.get("dataset")))
        counts = self._counts.setdefault(at.path, Counter())
        counts[key] += 1
        self._places[at.path, key] = at
        ids = self._ids.setdefault(key, [])
        if len(ids) < counts[key]:
            ids.append(str(self._known))
            self._known += 1
            self.landing.prompt(at, ids[-1], text, category=key[1] or None)
        return ids[counts[key] - 1]

    def _dataset(self, text: str, dataset: Any) -> str:
        """Its data set; for a row without one, or where none was said before, the only one that the text is in."""
        known = self._datasets.setdefault(text, [])
        word = dataset if isinstance(dataset, str) else ""
        if word not in known and known and (not word or known == [""]):
            word = known[0]
        if word not in known:
            known.append(word)
        return word

    def check(self) -> None:
        """An item that stands in one file oftener than in another cannot be told apart there."""
        for path, counts in self._counts.items():
            for key, n in counts.items():
                if n < len(self._ids[key]):
                    self.landing.fault(
                        self._places[path, key],
                        f"instruction: {shown(key[0])} stands {n} times in this file and {len(self._ids[key])} times "
                        "in another; which of them is meant cannot be told",
                    )


def read(paths: Sequence[Path]) -> Landing:
    landing = Landing("alpacaeval")
    questions = Questions(landing)
    files = {file: _kind(file) for file in found(paths, OUTPUTS, REFERENCE, ANNOTATIONS)}
    folders = [path for path in paths if path.is_dir()]
    named = {file: file.parent.name for file in files if file.name == OUTPUTS and _inside(file, folders)}
    outputs = [file for file in files if files[file] != ANNOTATIONS]
    for file in sorted(outputs, key=_completeness):
        _read_outputs(file, landing, questions, named.get(file), files[file] == REFERENCE)
    for file in (file for file in files if files[file] == ANNOTATIONS):
        model = named.get(file.parent.parent / OUTPUTS) or named.get(file.parent / OUTPUTS)
        _read_annotations(file, landing, questions, model)
    questions.check()
    if landing.told.files("verdict"):
        landing.order_unknown.update(landing.judges)
        landing.note(NO_ORDER)
    return landing


def _kind(file: Path) -> str:
    """Which of the three files it is: by its name, or else by its first item."""
    if file.name in (OUTPUTS, REFERENCE, ANNOTATIONS):
        return file.name
    _, first = next(rows(file, Landing("a look")), (None, {}))
    return ANNOTATIONS if "output_1" in first else OUTPUTS


def _completeness(file: Path) -> tuple[bool, int]:
    """What sorts the reference first, then whoever answers the most items: their order is that of the benchmark."""
    return file.name != REFERENCE, -sum(1 for _ in rows(file, Landing("a look")))


def _inside(file: Path, folders: Sequence[Path]) -> bool:
    """Whether a file lies in a folder within one of these, whose name is then that of its model."""
    return any(folder in file.parent.parents for folder in folders)


def _read_outputs(file: Path, landing: Landing, questions: Questions, model: str | None, reference: bool) -> None:
    for at, row in rows(file, landing):
        if missing(at, row, ("instruction", "output", *(() if model else ("generator",))), landing):
            continue
        id, generator = questions.id(at, row), model or row["generator"]
        if id is None:
            continue
        if row["output"] is None:
            landing.left_out(at, "no output")
        else:
            landing.response(at, generator, id, row["output"], kept=_kept(row))
        if reference:
            landing.baseline = landing.baseline or generator


def _read_annotations(file: Path, landing: Landing, questions: Questions, model: str | None) -> None:
    needed = ("instruction", "preference", "generator_1", "generator_2")
    weighted, read = False, []
    for at, row in rows(file, landing):
        if missing(at, row, needed, landing) or (id := questions.id(at, row)) is None:
            continue
        if _is_preference(row["preference"], at, landing):
            weighted = weighted or row["preference"] not in (None, *_WHOLE)
            read.append((at, id, row))
    for at, id, row in read:
        reference, other = row["generator_1"], model or row["generator_2"]
        if reference == other:
            landing.left_out(at, "a model compared with itself")
            continue
        landing.baseline = landing.baseline or reference
        if reference != landing.baseline:
            landing.note(f"References differ: the suite's baseline is {landing.baseline}, and {reference} is another.")
        for name, side in ((reference, "output_1"), (other, "output_2")):
            if isinstance(row.get(side), str):
                landing.response(at, name, id, row[side])
        rater = row.get("annotator") or file.parent.name
        kept = {"preference": row["preference"], **_kept(row)}
        landing.verdict(at, id, reference, other, rater=rater, kept=kept, **_said(row["preference"], weighted))


def _is_preference(value: Any, at: Place, landing: Landing) -> bool:
    if value is None:
        return True
    if isinstance(value, (int, float)) and not isinstance(value, bool) and (value == 0 or 1 <= value <= 2):
        return True
    landing.fault(at, f"preference: {shown(value)} is none of 1 .. 2, 0 for a draw, or null where the annotator failed")
    return False


def _said(preference: Any, weighted: bool) -> dict[str, Any]:
    """The verdict that a preference means, where output_1 is the first. One file is weighted throughout, or not."""
    if preference is None:
        return {"failure": "no preference"}
    if weighted:
        return {"probability_second": 0.5 if preference == 0 else preference - 1}
    return {"preferred": {1: "first", 2: "second"}.get(preference, "tie")}


def _kept(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in _USED}
