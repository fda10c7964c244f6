"""What a reader of another tool's files found, on its way to become a suite.

A reader makes a `Landing`, tells it each prompt, response, verdict and reward as it meets it, with the place (file and
line) where it stands, and returns it. `exchange/landed.py` writes the folder.

    landing = Landing("arena-hard")
    for at, row in rows(path, landing):                            # exchange/rows.py: any layout, a row at a time
        landing.prompt(at, row["id"], row["question"], kept={"cluster": row["cluster"]})
        landing.response(at, "gpt-4", row["id"], row["answer"])
        landing.verdict(at, row["id"], first="gpt-3", second="gpt-4", rater="judge", preferred="second")
    return landing

Nothing is raised for a row that is wrong: it becomes a fault, and all faults are raised together when the folder is
written. What is told waits on disk (`exchange/told.py`). Each line is checked by the record that later reads it, so
whatever lands can be loaded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from sciexam.documents import parse_line
from sciexam.errors import DocumentError
from sciexam.exchange.names import PEOPLE, named
from sciexam.exchange.told import Told, as_json
from sciexam.judges.recorded import VerdictLine
from sciexam.judges.rewards import RewardLine
from sciexam.models.recorded import ResponseLine
from sciexam.prompts import PromptLine
from sciexam.types import Kind, Side, Strength

MOST_FAULTS = 1000  # before reading is given up


class Place(NamedTuple):
    """Where a row stands: a line of a text file, or a row of a Parquet file, both counted from 1."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Omission:
    """Rows that were read and did not land: why, how many, and where the first of them stands."""

    why: str
    rows: int
    first: str


class Landing:
    """Everything that one import found. `kept` of any record is a mapping of what the format says besides; it is
    written into the same line and read by nobody but people."""

    def __init__(self, format: str, prompts_in: str = ""):
        self.format = format
        self.prompts_in = prompts_in  # the file of this format that holds the prompts, where it is one by itself
        self.baseline: str | None = None  # the model that the others were compared with
        self.licence: str | None = None  # where the files state one
        self.rows_read: Counter[str] = Counter()  # by file
        self.notes: list[str] = []  # what whoever imports has to know
        self.faults: list[str] = []
        self.kinds: dict[str, Kind] = {}  # of the raters, in order of appearance
        self.models: dict[str, str] = {}  # by the name that the files have, the name that the suite has
        self.judges: dict[str, str] = {}  # likewise, of judges
        self.order_unknown: set[str] = set()  # raters of whom no file says which answer they were shown first
        self.repeats = 0  # verdicts that a rater gave again, on the same order
        self.first_repeat = ""  # where the first of them stands
        self.contradicting = 0  # of these, those that say another side than one before
        self._omissions: dict[str, list[Any]] = {}
        self.told = Told()

    def prompt(
        self,
        at: Place,
        id: Any,
        asked: str | Sequence[Mapping[str, Any]] | None,
        *,
        category: str | None = None,
        group: str | None = None,
        reference: str | None = None,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """An item: its text or its messages, or None where the files do not hold them. The same one again is passed
        over; another one under the same id is a fault."""
        said = {"id": id, "text": asked} if isinstance(asked, str) else {"id": id, "messages": asked}
        if asked is None:
            said = {"id": id, "text": str(id)}
        said |= {"category": category, "group": group, "reference": reference}
        if (line := self._checked(PromptLine, at, said, kept)) is not None:
            self._add("prompt", "", line["id"], "", line, at, f"prompt {shown(line['id'])} is asked otherwise")

    def response(
        self, at: Place, model: str, prompt: Any, text: Any, *, sample: int = 0, kept: Mapping[str, Any] | None = None
    ) -> None:
        """An answer of `model` to the prompt with this id. The same text again is the same answer, of which the line
        keeps all that is said besides; what was told first counts."""
        said = {"prompt": prompt, "text": text, "sample": sample}
        name = self._model(at, model)
        if name and (line := self._checked(ResponseLine, at, said, kept)) is not None:
            what = f"{shown(model)} answers {shown(line['prompt'])} (sample {sample}) otherwise"
            self._add("response", name, line["prompt"], str(sample), line, at, what)

    def verdict(
        self,
        at: Place,
        prompt: Any,
        first: str,
        second: str,
        *,
        rater: str,
        kind: Kind = "judge",
        preferred: Side | None = None,
        probability_second: float | None = None,
        strength: Strength | None = None,
        failure: str = "",
        reason: str = "",
        sample: int = 0,
        repeat: int | None = 0,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """What a rater said of two answers in the order in which they were shown, or why it said nothing usable.

        `repeat=None` numbers what one rater says again of the same order; a number that was given twice is a fault.
        """
        one, other = self._model(at, first), self._model(at, second)
        said = {"prompt": prompt, "first": one, "second": other, "preferred": preferred, "strength": strength}
        said |= {"probability_second": probability_second, "rater": rater, "kind": kind, "sample": sample}
        said |= {"repeat": repeat or 0, "reason": reason, "failure": failure}
        if not isinstance(rater, str) or not rater:
            self.fault(at, f"a rater's name is a text that is not empty, this is {shown(rater)}")
            return
        if not (one and other) or (line := self._checked(VerdictLine, at, said, kept)) is None:
            return
        if self.kinds.setdefault(line["rater"], kind) != kind:
            self.fault(at, f"{shown(rater)} is a person in one line, and a judge in another; name them apart")
        file = PEOPLE if kind == "human" else named(self.judges, line["rater"])
        slot = [line["rater"], one, other, sample]
        if repeat is None:
            repeat, otherwise = self.told.again(file, line["prompt"], slot, _side(line))
            if repeat:
                line |= {"repeat": repeat}
                self.repeats += 1
                self.first_repeat = self.first_repeat or str(at)
                self.contradicting += otherwise
        what = f"{shown(rater)} judged {shown(line['prompt'])} for {shown(first)} and {shown(second)}"
        self._add("verdict", file, line["prompt"], as_json([*slot, repeat]), line, at, what, again=True)
        for name in (one, other):
            self.told.owe(name, line["prompt"], sample, str(at))

    def reward(
        self,
        at: Place,
        prompt: Any,
        model: str,
        reward: Any,
        *,
        rater: str,
        sample: int = 0,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """The score that a reward model, or a judge by points, gave one answer; None where it gave none that counts."""
        name = self._model(at, model)
        said = {"prompt": prompt, "model": name, "reward": reward, "rater": rater, "sample": sample}
        if name and (line := self._checked(RewardLine, at, said, kept, optional=("reward",))) is not None:
            what = f"{shown(rater)} rewards {shown(model)} on {shown(line['prompt'])} otherwise"
            key = as_json([line["rater"], name, sample])
            self._add("reward", named(self.judges, line["rater"]), line["prompt"], key, line, at, what)
            self.told.owe(name, line["prompt"], sample, str(at))

    def fault(self, at: Place | Path, what: str) -> None:
        """Something that makes the files unfit to be imported. Raises DocumentError with all where there are many."""
        self.faults.append(f"{at}: {what}")
        if len(self.faults) >= MOST_FAULTS:
            stopped = f"reading was given up after {MOST_FAULTS:,} faults"
            raise DocumentError([*folded(self.faults), stopped])

    def row_id(self, at: Place) -> str:
        """What a row is called that has no id: `row-2`, and `file-3-row-2` in the third file that is read."""
        number = list(self.rows_read).index(str(at.path)) + 1
        return f"row-{at.line}" if number == 1 else f"file-{number}-row-{at.line}"

    def left_out(self, at: Place | Path, why: str) -> None:
        """A row that does not land, and is counted with its reason."""
        self._omissions.setdefault(why, [0, str(at)])[0] += 1

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def omissions(self) -> list[Omission]:
        return [Omission(why, rows, first) for why, (rows, first) in self._omissions.items()]

    # ------------------------------------------------ how it is kept

    def _checked(
        self,
        record: type[BaseModel],
        at: Place,
        said: Mapping[str, Any],
        kept: Mapping[str, Any] | None,
        optional: Sequence[str] = (),
    ) -> dict[str, Any] | None:
        """The line as it is written, without what is not said; None where it is not one, and that is a fault."""
        given = {key: value for key, value in said.items() if value not in (None, "") or key in ("text", *optional)}
        try:
            line = parse_line(record, given, at.path, at.line)
        except DocumentError as error:
            for what in error.faults:
                self.fault(at, what.removeprefix(f"{at}: "))
            return None
        plain = {key: getattr(line, key) for key in given}
        plain |= {"messages": [dict(m) for m in plain["messages"]]} if plain.get("messages") else {}
        plain = {key: value for key, value in plain.items() if value != 0 or key not in ("sample", "repeat")}
        return plain | {
            key if key not in record.model_fields else f"source_{key}": v for key, v in (kept or {}).items()
        }

    def _add(
        self, kind: str, file: str, prompt: str, key: str, line: Any, at: Place, what: str, *, again: bool = False
    ) -> None:
        """`again`: a second line under one key is a fault even where it says the same."""
        try:
            known = self.told.add(kind, file, prompt, key, line, str(at))
        except ValueError:  # a number that JSON does not have, or what is nested too deep
            self.fault(at, "holds a number that is none, or an infinite one; write null, or a text")
            return
        if known is None:
            return
        place, differing = known
        if kind == "prompt" and not {"text", "messages"} & {*differing}:
            what = f"prompt {shown(line['id'])} has another {' and '.join(differing)}"
        if again or differing:
            self.fault(at, f"{what} {'already ' if again else ''}in {place}; which one counts? Remove the other")

    def _model(self, at: Place, model: Any) -> str:
        if not isinstance(model, str) or not model.strip():
            self.fault(at, f"a model's name is a text that is not empty, this is {shown(model)}")
            return ""
        return named(self.models, model)


def _side(line: Mapping[str, Any]) -> str | None:
    """The side of a verdict line; None where it holds none."""
    if (second := line.get("probability_second")) is not None:
        return "tie" if second == 0.5 else "second" if second > 0.5 else "first"
    return line.get("preferred")


def folded(faults: Sequence[str]) -> Iterator[str]:
    """Each fault where it first stands, with the number of other places that say the same."""
    places: dict[str, list[str]] = {}
    for fault in faults:
        at = re.match(r".*?:\d+(?=: )", fault)
        place = at.group() if at else ""
        places.setdefault(fault.removeprefix(place), []).append(place)
    for what, found in places.items():
        more = f" (and {len(found) - 1:,} more like this, the next in {found[1]})" if len(found) > 1 else ""
        yield f"{found[0]}{what}{more}"


def shown(value: Any) -> str:
    """A value of a file in a message: short, and on one line."""
    word = repr(value)
    return word if len(word) <= 60 else f"{word[:57]}..."
