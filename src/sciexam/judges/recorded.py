"""Verdicts that exist already, read from JSON Lines. Several raters in one file are several judges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sciexam.digests import digest, file_digest
from sciexam.documents import parse_lines, read_jsonl
from sciexam.errors import DocumentError
from sciexam.types import Kind, Presentation, Side, Strength, Verdict, side_of

Slot = tuple[str, str, str, int, int]  # prompt, first, second, sample, repeat


class VerdictLine(BaseModel):
    """One line of a verdicts file; `failure` marks a judgement that was tried and is not usable."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, extra="ignore")

    prompt: str
    first: str
    second: str
    preferred: Side | None = None
    strength: Strength | None = None
    probability_second: float | None = Field(None, ge=0, le=1)
    rater: str = Field("recorded", min_length=1)
    kind: Kind = "judge"
    sample: int = Field(0, ge=0)
    repeat: int = Field(0, ge=0)
    reason: str = ""
    failure: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        given = (self.preferred is not None or self.probability_second is not None) + bool(self.failure)
        if given != 1:
            raise ValueError("a verdict has 'preferred' or 'probability_second', or else 'failure'")
        if self.kind == "human" and "rater" not in self.model_fields_set:
            raise ValueError("a human verdict needs a 'rater', or two people would count as one")
        if self.preferred is not None and self.probability_second is not None:
            leans = side_of(self.probability_second)
            if leans != self.preferred:
                raise ValueError(
                    f"'preferred' is {self.preferred!r}, but 'probability_second' {self.probability_second} "
                    f"means {leans!r}; give one of them, or both alike"
                )
        if self.first == self.second:
            raise ValueError("'first' and 'second' are the same contestant")
        return self


class RecordedJudge:
    """One rater of a file, whose lines name a prompt by its id or its whole text. What the file does not hold is
    skipped, not failed.
    """

    sees_order = True
    by_name = True  # its verdicts are looked up by contestant, so two contestants of one text are still two facts

    def __init__(self, name: str, kind: Kind, lines: dict[Slot, VerdictLine], file: str):
        self.name, self.kind = name, kind
        self.digest = digest({"judge": "recorded", "rater": name, "file": file})
        self._lines = lines

    @property
    def repeats(self) -> int:
        return 1 + max(repeat for *_, repeat in self._lines)

    @property
    def pairs(self) -> set[frozenset[str]]:
        """The pairs of contestants that its lines are on."""
        return {frozenset((first, second)) for _, first, second, _, _ in self._lines}

    def without(self, baseline: str, prompts: Collection[str], names: Collection[str]) -> dict[str, int]:
        """How many of its lines there are by prompt, of those `prompts`, on one of `names` and not on `baseline`."""
        return Counter(
            prompt
            for prompt, first, second, _, _ in self._lines
            if prompt in prompts and baseline not in (first, second) and (first in names or second in names)
        )

    def strangers(self, prompts: Collection[str], names: Collection[str]) -> list[str]:
        """What its lines name that is neither one of the `prompts` nor one of the `names`, each once."""
        unknown = ((p, prompts) for p in (slot[0] for slot in self._lines))
        others = ((name, names) for slot in self._lines for name in slot[1:3])
        return list(dict.fromkeys(word for word, known in (*unknown, *others) if word not in known))

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for p in presentations:
            slots = ((name, p.first_by, p.second_by, p.sample, p.repeat) for name in (p.prompt.id, p.prompt.text))
            line = next((self._lines[slot] for slot in slots if slot in self._lines), None)
            if line is None:
                yield p.verdict(self.name, kind=self.kind, status="skipped", failure="no recorded verdict")
            else:
                yield p.verdict(
                    self.name,
                    line.preferred,
                    kind=self.kind,
                    strength=line.strength,
                    probability_second=line.probability_second,
                    reason=line.reason,
                    failure=line.failure,
                )


def read_verdicts(path: Path) -> list[RecordedJudge]:
    """One judge for each rater in the file, in order of appearance. All faults of the file are raised at once."""
    by_rater: dict[tuple[str, Kind], dict[Slot, VerdictLine]] = {}
    seen: dict[tuple[str, Slot], int] = {}
    faults: list[str] = []
    for number, line in parse_lines(VerdictLine, read_jsonl(path), path, faults):
        slot = (line.prompt, line.first, line.second, line.sample, line.repeat)
        earlier = seen.setdefault((line.rater, slot), number)
        if earlier != number:
            faults.append(
                f"{path}:{number}: {line.rater!r} judged this already in line {earlier}; number them with 'repeat'"
            )
        by_rater.setdefault((line.rater, line.kind), {})[slot] = line
    if faults:
        raise DocumentError(faults)
    if not by_rater:
        raise DocumentError([f"{path}: holds no verdicts"])
    content = file_digest(path)
    return [RecordedJudge(rater, kind, lines, content) for (rater, kind), lines in by_rater.items()]
