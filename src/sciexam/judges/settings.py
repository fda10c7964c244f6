"""What the YAML says of a judge: one frozen record a backend. No client is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from sciexam.models.settings import Custom, Endpoint, RewardCheckpoint, Scripted, Vllm, Weights, variable_name
from sciexam.types import Record

VerdictForm = Literal["nonce", "brackets", "letter", "json", "last-brackets", "output-ab"]
MarkForm = Literal["nonce", "score"]


class Pairwise(Record):
    """How an LLM is made to compare. `template` is a shipped one, or a file; `verdict` is the form of its answer."""

    template: str = "reason"
    verdict: VerdictForm | None = None  # None: the form that the template was written for
    samples: int = Field(1, ge=1, le=100)  # verdicts per order
    orders: Literal["both", "one"] | None = None
    criteria: bool = False  # a verdict on each criterion before the overall one; `reason` then means `criteria`
    probabilities: bool = False  # weigh the words of the letter form by the probabilities of their tokens
    reference: str | None = None  # the model that writes a reference answer, once, to each prompt that brings none
    anchors: int = Field(0, ge=0, le=1000)  # verdicts that are asked for again each day, to see whether it changes


class Grading(Record):
    """How an LLM is made to mark answers one by one, and whether its verdicts are made of its marks.

    `grading` is a shipped template for marks, or a file; `mark` is the form of its answer. `tie_within`: marks that
    differ by no more are a tie.
    """

    grading: str | None = None  # None: the one that fits the rubric
    mark: MarkForm = "nonce"
    compare_by: Literal["verdicts", "grades"] = "verdicts"
    tie_within: float = Field(0.0, ge=0)


class EndpointJudge(Endpoint, Pairwise, Grading):
    """An LLM behind an endpoint."""


class WeightsJudge(Weights, Pairwise, Grading):
    """An LLM of local weights, asked in this process."""

    backend: Literal["huggingface"]


class VllmJudge(Vllm, Pairwise, Grading):
    """An LLM of local weights that vLLM serves."""


class ScriptedJudge(Scripted, Pairwise, Grading):
    """The shipped fake as a judge: its rules see the judge's prompt."""


# An LLM, wherever it is asked: it can compare, and mark answers one by one.
LLMJudge = EndpointJudge | WeightsJudge | VllmJudge | ScriptedJudge


class MeasuresJudge(Record):
    """Text measures, offline and deterministic."""

    backend: Literal["measures"]


class RecordedJudge(Record):
    """Verdicts that exist already, as JSON Lines."""

    backend: Literal["recorded"]
    verdicts: str


class RewardsJudge(Record):
    """Rewards that exist already, as JSON Lines. In a comparison the higher reward wins."""

    backend: Literal["rewards"]
    rewards: str
    tie_within: float = Field(0.0, ge=0)


class RewardJudge(Record):
    """A reward model behind an endpoint that speaks vLLM's pooling API. In a comparison the higher reward wins.

    `task` is the endpoint's word: `classify` where the model gives one number for the whole text, `token_classify`
    where it gives one for each token, of which the last is the reward. The key is read from the environment variable
    `api_key_env`; None: no key is sent.
    """

    backend: Literal["reward"]
    model: str
    base_url: str
    api_key_env: Annotated[str, AfterValidator(variable_name)] | None = None
    revision: str | None = None
    system: str | None = None
    task: Literal["classify", "token_classify"] = "classify"
    concurrency: int = Field(16, ge=1, le=4096)
    timeout: float = Field(120.0, gt=0)  # seconds a call may take
    tie_within: float = Field(0.0, ge=0)


class RewardWeightsJudge(RewardCheckpoint):
    """A reward model of local weights, with one number for a sequence. In a comparison the higher reward wins."""

    backend: Literal["reward"]
    tie_within: float = Field(0.0, ge=0)


class PanelJudge(Record):
    """Several judges as one. `mean`: scores are averaged by prompt; `reliability`: weighed by Dawid and Skene."""

    backend: Literal["panel"]
    judges: tuple[str, ...] = Field(min_length=2)
    weights: Literal["mean", "reliability"] = "mean"

    @model_validator(mode="after")
    def _has_members_enough(self) -> Self:
        check_members(self.judges)
        if self.weights == "reliability" and len(self.judges) < 3:
            raise ValueError(
                "of two judges who differ, nothing tells which one errs: `weights: reliability` needs three or more; "
                "name another judge, or write `weights: mean`"
            )
        return self


class CascadeJudge(Record):
    """A cheap judge, and a dear one for what the cheap one is not sure of.

    Where the cheap one is taken at its word it shall agree with the dear one on the share `agreement` of the prompts,
    but for a probability of `error`; `calibration` prompts are judged by both to find out where that is.
    """

    backend: Literal["cascade"]
    judges: tuple[str, str]  # the cheap one, then the dear one
    agreement: float = Field(0.9, gt=0, lt=1)
    error: float = Field(0.1, gt=0, lt=0.5)
    calibration: int = Field(100, ge=1)

    @model_validator(mode="after")
    def _can_be_calibrated(self) -> Self:
        from sciexam.stats.cascade import fewest_units

        check_members(self.judges)
        if self.calibration < (fewest := fewest_units(self.agreement, self.error)):
            raise ValueError(
                f"{self.calibration} calibration prompts cannot show an agreement of {100 * self.agreement:g} % (error "
                f"{self.error:g}), even where all agree; write `calibration: {fewest}` or more"
            )
        return self


def check_members(judges: Sequence[str]) -> None:
    """Raises ValueError where a judge stands among the members twice."""
    for index, name in enumerate(judges):
        if name in judges[:index]:
            raise ValueError(f"{name!r} stands here twice")


class CustomJudge(Custom):
    """A stranger's class, `package.module:Class`: an object with a name and `judge(presentations)`.

    One that has `grade(submissions)` marks answers one by one.
    """


def _kind(value: Any) -> str | None:
    backend = value.get("backend") if isinstance(value, Mapping) else getattr(value, "backend", None)
    if backend is None:
        return None
    weights = value.get("weights") if isinstance(value, Mapping) else getattr(value, "weights", None)
    if backend == "reward" and weights is not None:
        return "reward weights"
    return "custom" if ":" in str(backend) else str(backend)


JudgeSpec = Annotated[
    Annotated[EndpointJudge, Tag("openai")]
    | Annotated[WeightsJudge, Tag("huggingface")]
    | Annotated[VllmJudge, Tag("vllm")]
    | Annotated[ScriptedJudge, Tag("scripted")]
    | Annotated[MeasuresJudge, Tag("measures")]
    | Annotated[RecordedJudge, Tag("recorded")]
    | Annotated[RewardsJudge, Tag("rewards")]
    | Annotated[RewardJudge, Tag("reward")]
    | Annotated[RewardWeightsJudge, Tag("reward weights")]
    | Annotated[PanelJudge, Tag("panel")]
    | Annotated[CascadeJudge, Tag("cascade")]
    | Annotated[CustomJudge, Tag("custom")],
    Discriminator(
        _kind,
        custom_error_type="unknown_judge",
        custom_error_message="a judge has a backend: openai, huggingface, vllm, measures, recorded, reward, rewards, "
        "scripted, panel, cascade, or package.module:Class",
    ),
]
