"""Reward models as graders: rewards that exist already, and a reward model behind an endpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sciexam.digests import digest, file_digest
from sciexam.documents import parse_lines, read_jsonl
from sciexam.errors import DocumentError
from sciexam.judges.by_model import ByModel
from sciexam.lines import distinct_keys
from sciexam.types import Grade, Kind, Message, Model, Submission

Slot = tuple[str, str, int]  # prompt, model, sample

LARGEST = 1e100  # in size: the square of a larger reward is no number, and there would be no spread
NOT_FINITE = "not finite"
TOO_LARGE = f"larger than {LARGEST:g} in size"
# It reads NaN and Infinity, which are no JSON: a reward may be one.
_DECODER = json.JSONDecoder(object_pairs_hook=distinct_keys)


class RewardLine(BaseModel):
    """One line of a rewards file. A reward of null, NaN or an infinity was given, and is not finite."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, extra="ignore")

    prompt: str
    model: str
    reward: float | None = Field(strict=True)
    sample: int = Field(0, ge=0)
    rater: str = Field("recorded", min_length=1)

    @field_validator("reward")
    @classmethod
    def _countable(cls, reward: float | None) -> float | None:
        if reward is not None and LARGEST < abs(reward) < math.inf:
            raise ValueError(f"a reward {TOO_LARGE} cannot be counted with")
        return reward


class RecordedRewards:
    """One rater of a file. What the file does not hold is skipped, not failed."""

    kind: Kind = "judge"
    by_name = True  # its rewards are looked up by contestant, so two contestants of one text are still two facts

    def __init__(self, name: str, lines: dict[Slot, RewardLine], file: str):
        self.name = name
        self.digest = digest({"judge": "rewards", "rater": name, "file": file})
        self._lines = lines

    def strangers(self, prompts: Collection[str], names: Collection[str]) -> list[str]:
        """What its lines name that is neither one of the `prompts` nor one of the `names`, each once."""
        unknown = ((prompt, prompts) for prompt, _, _ in self._lines)
        others = ((name, names) for _, name, _ in self._lines)
        return list(dict.fromkeys(word for word, known in (*unknown, *others) if word not in known))

    def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
        for s in submissions:
            line = self._lines.get((s.prompt.id, s.by, s.sample))
            if line is None:
                yield s.grade(self.name, status="skipped", failure="no recorded reward")
            else:
                yield s.grade(self.name, math.nan if line.reward is None else line.reward)


def read_rewards(path: Path) -> list[RecordedRewards]:
    """One grader for each rater in the file, in order of appearance. All faults of the file are raised at once."""
    by_rater: dict[str, dict[Slot, RewardLine]] = {}
    seen: dict[tuple[str, Slot], int] = {}
    faults: list[str] = []
    for number, line in parse_lines(RewardLine, read_jsonl(path, _DECODER), path, faults):
        slot = (line.prompt, line.model, line.sample)
        earlier = seen.setdefault((line.rater, slot), number)
        if earlier != number:
            faults.append(
                f"{path}:{number}: {line.rater!r} rewarded this already in line {earlier}; number them with 'sample'"
            )
        by_rater.setdefault(line.rater, {})[slot] = line
    if faults:
        raise DocumentError(faults)
    if not by_rater:
        raise DocumentError([f"{path}: holds no rewards"])
    content = file_digest(path)
    return [RecordedRewards(rater, lines, content) for rater, lines in by_rater.items()]


class RewardModelGrader(ByModel):
    """A reward model behind an endpoint: it sees the conversation with the answer as its last message.

    The model's reply is the reward as a number in words (`sciexam.models.scoring`).
    """

    kind: Kind = "judge"

    def __init__(self, name: str, model: Model):
        super().__init__(model)
        self.name = name
        self.digest = digest({"judge": "reward", "model": model.digest})

    def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
        for submission, reply in self.replies(submissions, _conversation, 1):
            if reply.status != "ok":
                why = reply.failure or "not usable"
                yield submission.grade(self.name, status=reply.status, failure=why, reply=reply)
                continue
            reward = float(reply.text)
            failure = TOO_LARGE if LARGEST < abs(reward) < math.inf else ""
            yield submission.grade(self.name, reward, failure=failure, reply=reply)


def _conversation(submission: Submission) -> tuple[Message, ...]:
    return (*submission.prompt.messages, Message(role="assistant", content=submission.text))
