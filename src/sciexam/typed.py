"""A command line as it was typed, and commands that go on from it: on the same exam, in the same ledger."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sciexam.errors import redacted

LEDGER = ("--store", "--results")  # where the exam lies
OPTIONS = ("--suite", "--rubric", "--prompts", "--samples", *LEDGER)  # and which exam it is
TAKES = {  # of these options, where a command does not take all
    "annotate export": LEDGER,
    "annotate link": LEDGER,
    "annotate status": LEDGER,
    "answer": ("--suite", "--prompts", "--samples", *LEDGER),
    "audit": ("--suite", "--rubric", "--prompts", *LEDGER),
    "check": ("--suite",),
    "grade": ("--suite", "--rubric", "--prompts", *LEDGER),
    "leaderboard": ("--suite", "--rubric", "--prompts", *LEDGER),
    "report": LEDGER,
    "reward": ("--suite", "--prompts", *LEDGER),
    "train": ("--suite", *LEDGER),
}
SHORT = {"-s": "--suite", "-j": "--judge", "-q": "--quiet"}
FLAGS = ("--json", "--quiet", "--retry-invalid", "--until-decided", "--batch", "--strict-model", "--open")
ONCE = ("--json", "--quiet", "--retry-invalid", "--open")  # what the same command need not say again


@dataclass(frozen=True, slots=True)
class Command:
    """What was typed: the contestants or files, which exam they sat, and the whole line without its output options.

    No contestants are those of the suite. `typed`: how the contestants are named on a command line, by their names, and
    `judges`: the same of judges.
    """

    contestants: tuple[str, ...] = ()
    exam: Mapping[str, str] = field(default_factory=dict)
    again: tuple[str, ...] = ()
    judges: Mapping[str, str] = field(default_factory=dict)
    typed: Mapping[str, str] = field(default_factory=dict)

    def line(self, *words: str) -> str:
        """A command on the same exam, with those of its options that this command takes and `words` do not have."""
        takes = {*TAKES.get(words[0], TAKES.get(" ".join(words[:2]), OPTIONS))} & {*self.exam} - {*words}
        options = [word for name in OPTIONS if name in takes for word in (name, self.exam[name])]
        return shlex.join(["sciexam", *self._as_typed(words), *options])

    def repeated(self, *more: str, name: str = "compare") -> str:
        """The same command once more."""
        return shlex.join(["sciexam", name, *self.again, *more])

    def _as_typed(self, words: Sequence[str]) -> Iterator[str]:
        for before, word in zip(("", *words), words, strict=False):
            yield word if before.startswith("-") else self.typed.get(word, word)


def untyped(suite: str, *words: str) -> Command:
    """What one would have typed, where a result was made from Python: these words, and the suite."""
    exam = {} if suite == "science" else {"--suite": suite}
    return Command(words, exam, (*words, *(word for option in exam.items() for word in option)))


def command_of(argv: Sequence[str], command: str | None = None) -> Command | None:
    """What a command line of sciexam says, of any command or of this one; None where it is none."""
    if len(argv) < 2 or not re.search(r"(^|/)(sciexam|__main__\.py)$", argv[0]) or command not in (None, argv[1]):
        return None
    contestants: list[str] = []
    options: list[tuple[str, ...]] = []
    words = list(map(redacted, argv[2:]))
    while words:
        word = words.pop(0)
        name, _, joined = word.partition("=")
        name = SHORT.get(name, name)
        if not word.startswith("-"):
            contestants.append(word)
        elif joined or name in FLAGS or not words:
            options.append((name, joined) if joined else (name,))
        else:
            options.append((name, words.pop(0)))
    return Command(
        contestants=tuple(contestants),
        exam={said[0]: said[-1] for said in options if said[0] in OPTIONS},
        again=(*contestants, *(word for said in options if said[0] not in ONCE for word in said)),
        judges={said[1]: said[1] for said in options if said[0] == "--judge" and len(said) > 1},
    )
