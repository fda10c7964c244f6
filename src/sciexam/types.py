"""The records that travel through sciexam. Frozen; they know nothing but `shown()` and `verdict()`.

What is written by people (prompts, settings) is a pydantic model; what sciexam makes is a dataclass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

Order = Literal["ab", "ba"]
Side = Literal["first", "second", "tie"]
Strength = Literal["slight", "clear", "strong"]
Kind = Literal["judge", "human"]
Status = Literal["ok", "invalid", "failed", "skipped"]

HUMANS = "humans"  # who is meant by this name: the annotators whose verdicts the ledger holds
ADJUDICATION = "adjudication"  # the rater whose verdict on a comparison stands for those of all annotators
CANNOT_JUDGE = "cannot judge"  # the failure of a verdict of an annotator who says so
TRUNCATED = "truncated"  # the failure of a reply that was cut off by the token limit before it was of use


class Record(BaseModel):
    """Base of everything read from YAML or JSON Lines: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class Message(Record):
    role: Literal["system", "user", "assistant"]
    content: str


class Prompt(Record):
    """One item of a suite. `messages` holds the conversation; `text` is the same for a reader."""

    id: str
    messages: tuple[Message, ...]
    category: str | None = None
    group: str | None = None
    reference: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @property
    def text(self) -> str:
        """The question as one text: the message itself, or the turns with their roles."""
        if len(self.messages) == 1:
            return self.messages[0].content
        return "\n\n".join(f"[{m.role}]\n{m.content}" for m in self.messages)


class Generation(Record):
    """How a model is asked. Units: tokens; `temperature` and `top_p` as the endpoint defines them."""

    max_tokens: int = Field(512, gt=0, description="The most tokens of an answer.")
    temperature: float | None = Field(
        0.0, ge=0, description="0 takes the likeliest token; null is not sent, so that the endpoint takes its own."
    )
    top_p: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Nucleus sampling: the share of probability that is drawn from. [default: not sent]",
    )
    stop: tuple[str, ...] = Field((), description="Texts at which an answer ends.")
    samples: int = Field(1, ge=1, le=1000, description="Answers to each prompt.")
    effort: Literal["none", "minimal", "low", "medium", "high"] | None = Field(
        None, description="How long a reasoning model thinks, in the endpoint's own word. [default: not sent]"
    )


@dataclass(frozen=True, slots=True)
class Conversation:
    """One call to a model: the key of the fact that its reply becomes, and what is said."""

    key: str
    messages: tuple[Message, ...]
    sample: int = 0
    max_tokens: int | None = None  # overrides the model's own, for a second attempt after a truncated one
    attempt: int = 0
    prompt: str = ""  # the prompt's id: a recorded model looks its answer up by it
    top_logprobs: int = 0  # of how many of the likeliest words at each place the probability is asked for
    choices: tuple[str, ...] = ()  # one of which the reply is, where a backend can hold the model to it; (): any text


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one conversation, or why nothing usable did. `raw` is the body as received."""

    key: str
    text: str = ""
    status: Status = "ok"
    failure: str = ""  # one word or a short phrase when status is not ok
    finish_reason: str = ""
    model: str = ""  # as echoed by the server
    input_tokens: int | None = None
    output_tokens: int | None = None  # includes the reasoning tokens, as endpoints bill them
    reasoning_tokens: int | None = None
    seconds: float = 0.0
    attempt: int = 0
    tries: int = 1  # HTTP requests this attempt took
    raw: bytes = b""
    # For each token of the text the likeliest ones there, the one taken first, with natural log probabilities.
    logprobs: tuple[Mapping[str, float], ...] | None = field(default=None, repr=False)


NO_ANSWER = "no recorded answer"  # the `failure` of a reply that a file of answers does not hold
ABSENT = "absent"  # the `finish_reason` of a sentence that stands for an answer which no imported file holds


@dataclass(frozen=True, slots=True)
class Response:
    """One contestant's answer to one prompt (sample index `sample`), as the reply it came in."""

    contestant: str
    prompt: str
    sample: int
    reply: Reply

    @property
    def text(self) -> str:
        """What the contestant said."""
        return self.reply.text

    @property
    def absent(self) -> bool:
        """Whether the text is no answer, but a sentence in the place of one that no imported file holds."""
        return self.reply.finish_reason == ABSENT

    def says_the_same(self, other: Response) -> bool:
        """Whether both answers are there, and are equal."""
        return self.text == other.text and not (self.absent or other.absent)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rater's answer to one presentation, or a named failure. `first` and `second` are contestants."""

    key: str
    prompt: str
    first: str
    second: str
    rater: str
    kind: Kind = "judge"
    subject: str = ""
    repeat: int = 0
    attempt: int = 0
    status: Status = "ok"
    failure: str = ""
    preferred: Side | None = None
    strength: Strength | None = None
    probability_second: float | None = None
    criteria: Mapping[str, Side] = field(default_factory=dict)  # what it said of each criterion, where it was asked
    reason: str = ""
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Grade:
    """One rater's mark for one submission, or a named failure: a rubric's total, or the score of a reward model.

    `criteria` holds the mark on each criterion, in the criterion's own points; empty for a reward model.
    """

    key: str
    prompt: str
    contestant: str
    rater: str
    kind: Kind = "judge"
    subject: str = ""
    repeat: int = 0
    attempt: int = 0
    status: Status = "ok"
    failure: str = ""
    score: float | None = None
    criteria: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """What one rater sees who marks answers one by one: the prompt and one text, blind.

    `by` rides along so that a grade can be addressed; `subject`, `key` and `seal` are as in Presentation.
    """

    prompt: Prompt
    text: str
    sample: int = 0
    repeat: int = 0
    attempt: int = 0
    subject: str = ""
    key: str = ""
    seal: str = field(default="", repr=False)
    by: str = field(default="", repr=False)

    def grade(
        self,
        rater: str,
        score: float | None = None,
        *,
        kind: Kind = "judge",
        criteria: Mapping[str, float] | None = None,
        reason: str = "",
        status: Status | None = None,
        failure: str = "",
        reply: Reply | None = None,
    ) -> Grade:
        """The grade of `rater` for this submission; with `failure=` it is a named failure instead.

        `status` defaults to "invalid" for a failure. A score that is not finite is one: "not finite".
        Raises ValueError where there is neither a score nor a failure.
        """
        if not failure and score is None:
            raise ValueError("a grade has a score, or else a failure")
        if not all(math.isfinite(value) for value in (*filter(None, [score]), *(criteria or {}).values())):
            failure = failure or "not finite"
        return Grade(
            key=self.key,
            prompt=self.prompt.id,
            contestant=self.by,
            rater=rater,
            kind=kind,
            subject=self.subject,
            repeat=self.repeat,
            attempt=self.attempt,
            status=status or ("invalid" if failure else "ok"),
            failure=failure,
            score=None if failure else score,
            criteria={} if failure else dict(criteria or {}),
            reason=reason,
            reply=reply,
        )


@dataclass(frozen=True, slots=True)
class Presentation:
    """What one rater sees: the prompt and two texts, blind.

    `first_by` and `second_by` ride along so that a verdict can be addressed; nothing that is rendered or shown reads
    them. `seen` holds the digests of what is asked and of both texts, `subject` is the digest of these, `key` names the
    fact (what is seen and who judges it), `seal` is a secret word derived from the key (fences and nonces are made of
    it).
    """

    prompt: Prompt
    first: str
    second: str
    order: Order
    sample: int = 0
    repeat: int = 0
    attempt: int = 0  # how often this rater was asked before
    seen: tuple[str, ...] = ()
    subject: str = ""
    key: str = ""
    seal: str = field(default="", repr=False)
    first_by: str = field(default="", repr=False)
    second_by: str = field(default="", repr=False)

    def verdict(
        self,
        rater: str,
        preferred: Side | None = None,
        *,
        kind: Kind = "judge",
        strength: Strength | None = None,
        probability_second: float | None = None,
        criteria: Mapping[str, Side] | None = None,
        reason: str = "",
        status: Status | None = None,
        failure: str = "",
        reply: Reply | None = None,
        attempt: int = 0,
    ) -> Verdict:
        """The verdict of `rater` on this presentation; with `failure=` it is a named failure instead.

        `status` defaults to "invalid" for a failure. Raises ValueError for words that are not a side or strength.
        """
        if not failure and preferred is None and probability_second is not None:
            preferred = side_of(probability_second)
        if failure:
            preferred = strength = probability_second = None
        elif preferred not in ("first", "second", "tie"):
            raise ValueError(f"preferred must be 'first', 'second' or 'tie', not {preferred!r}")
        if strength not in (None, "slight", "clear", "strong"):
            raise ValueError(f"strength must be 'slight', 'clear' or 'strong', not {strength!r}")
        if probability_second is not None and not 0 <= probability_second <= 1:
            raise ValueError(f"probability_second must lie in [0, 1], not {probability_second!r}")
        return Verdict(
            key=self.key,
            prompt=self.prompt.id,
            first=self.first_by,
            second=self.second_by,
            rater=rater,
            kind=kind,
            subject=self.subject,
            repeat=self.repeat,
            attempt=attempt,
            status=status or ("invalid" if failure else "ok"),
            failure=failure,
            preferred=preferred,
            strength=None if preferred == "tie" else strength,
            probability_second=probability_second,
            criteria={} if failure else dict(criteria or {}),
            reason=reason,
            reply=reply,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """One prompt and two responses, without an order."""

    prompt: Prompt
    a: Response
    b: Response

    @property
    def of_one_text(self) -> bool:
        """Whether both answers are there and are equal: then no verdict tells the contestants apart."""
        return self.a.says_the_same(self.b)

    def shown(
        self, order: Order, repeat: int = 0, seen: tuple[str, ...] = (), subject: str = "", key: str = ""
    ) -> Presentation:
        """The presentation in `order`: "ab" shows a's text first. `seen`, `subject`, `key`: see Presentation."""
        first, second = (self.a, self.b) if order == "ab" else (self.b, self.a)
        return Presentation(
            prompt=self.prompt,
            first=first.text,
            second=second.text,
            order=order,
            sample=self.a.sample,
            repeat=repeat,
            seen=seen,
            subject=subject,
            key=key,
            first_by=first.contestant,
            second_by=second.contestant,
        )


class Model(Protocol):
    """Anything that turns conversations into replies. A backend owns its concurrency; it yields as replies finish.

    `digest` names everything about the model that could change a reply (id, revision, sampling, templates).
    """

    digest: str

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        """Take an iterable of Conversation (pulled lazily, when there is room for another), yield Reply."""
        ...


class Grader(Protocol):
    """Anything with a name and this one method marks answers one by one; from marks a comparison can be made, too."""

    name: str

    def grade(self, submissions: Iterable[Submission]) -> Iterable[Grade]:
        """Take an iterable of Submission, yield one Grade for each as they finish (any order)."""
        ...


class Judge(Protocol):
    """Anything with a name and this one method is a judge."""

    name: str

    def judge(self, presentations: Iterable[Presentation]) -> Iterable[Verdict]:
        """Take an iterable of Presentation, yield one Verdict for each as they finish (any order)."""
        ...


def side_of(probability_second: float) -> Side:
    """The side a probability leans to; exactly one half is a tie."""
    if probability_second == 0.5:
        return "tie"
    return "second" if probability_second > 0.5 else "first"
