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

    template: str = Field(
        "reason", description="How it is asked: a shipped template (reason, verdict-only, json, ...), or a .j2 file."
    )
    verdict: VerdictForm | None = Field(
        None, description="The form of its answer. [default: the one that the template was written for]"
    )
    samples: int = Field(1, ge=1, le=100, description="Verdicts on each pair in each order.")
    orders: Literal["both", "one"] | None = Field(
        None, description="Each pair in both orders, or in one that is drawn. [default: both]"
    )
    criteria: bool = Field(False, description="Ask for a verdict on each criterion before the overall one.")
    probabilities: bool = Field(
        False, description="Weigh the words of the letter form by the probabilities of their tokens."
    )
    reference: str | None = Field(
        None, description="The model that writes a reference answer, once, to each prompt that brings none."
    )
    anchors: int = Field(
        0,
        ge=0,
        le=1000,
        description="How many verdicts are asked for again each day, to see whether the judge has changed.",
    )


class Grading(Record):
    """How an LLM is made to mark answers one by one, and whether its verdicts are made of its marks.

    `grading` is a shipped template for marks, or a file; `mark` is the form of its answer. `tie_within`: marks that
    differ by no more are a tie.
    """

    grading: str | None = Field(
        None,
        description="How it is asked to mark one answer: a shipped template, or a file. [default: as fits the rubric]",
    )
    mark: MarkForm = Field("nonce", description="The form of a mark.")
    compare_by: Literal["verdicts", "grades"] = Field(
        "verdicts", description="Whether a comparison asks for verdicts, or is made of marks."
    )
    tie_within: float = Field(0.0, ge=0, description="Marks that differ by no more are a tie.")


class EndpointJudge(Endpoint, Pairwise, Grading):
    """An LLM behind an endpoint."""


class WeightsJudge(Weights, Pairwise, Grading):
    """An LLM of local weights, asked in this process."""

    backend: Literal["huggingface"] = Field(description="Weights that are asked in this process.")


class VllmJudge(Vllm, Pairwise, Grading):
    """An LLM of local weights that vLLM serves."""


class ScriptedJudge(Scripted, Pairwise, Grading):
    """The shipped fake as a judge: its rules see the judge's prompt."""


# An LLM, wherever it is asked: it can compare, and mark answers one by one.
LLMJudge = EndpointJudge | WeightsJudge | VllmJudge | ScriptedJudge


class MeasuresJudge(Record):
    """Text measures, offline and deterministic."""

    backend: Literal["measures"] = Field(description="Text measures, offline.")


class RecordedJudge(Record):
    """Verdicts that exist already, as JSON Lines."""

    backend: Literal["recorded"] = Field(description="Verdicts that exist already.")
    verdicts: str = Field(description="A JSON Lines file of verdicts.")
    order_known: bool = Field(
        True,
        description="Whether `first` was shown first; false where the order was not recorded.",
    )


class RewardsJudge(Record):
    """Rewards that exist already, as JSON Lines. In a comparison the higher reward wins."""

    backend: Literal["rewards"] = Field(description="Rewards that exist already.")
    rewards: str = Field(description="A JSON Lines file of rewards.")
    tie_within: float = Field(0.0, ge=0, description="Rewards that differ by no more are a tie.")


class RewardJudge(Record):
    """A reward model behind an endpoint that speaks vLLM's pooling API. In a comparison the higher reward wins.

    `task` is the endpoint's word: `classify` where the model gives one number for the whole text, `token_classify`
    where it gives one for each token, of which the last is the reward. The key is read from the environment variable
    `api_key_env`; None: no key is sent.
    """

    backend: Literal["reward"] = Field(description="A reward model behind an endpoint.")
    model: str = Field(description="The model's name, as the endpoint knows it.")
    base_url: str = Field(description="The endpoint's address.")
    api_key_env: Annotated[str, AfterValidator(variable_name)] | None = Field(
        None, description="The environment variable that holds the key; null: no key is sent."
    )
    revision: str | None = Field(
        None, description="Which weights it serves, in words of yours: with another word everything is asked anew."
    )
    system: str | None = Field(None, description="The system prompt.")
    task: Literal["classify", "token_classify"] = Field(
        "classify",
        description="`classify`: one number for the whole text; `token_classify`: one for each token; the last counts.",
    )
    concurrency: int = Field(16, ge=1, le=4096, description="How many calls are under way at once.")
    timeout: float = Field(120.0, gt=0, description="Seconds that a call may take.")
    tie_within: float = Field(0.0, ge=0, description="Rewards that differ by no more are a tie.")


class RewardWeightsJudge(RewardCheckpoint):
    """A reward model of local weights, with one number for a sequence. In a comparison the higher reward wins."""

    backend: Literal["reward"] = Field(description="A reward model of weights, asked in this process.")
    tie_within: float = Field(0.0, ge=0, description="Rewards that differ by no more are a tie.")


class PanelJudge(Record):
    """Several judges as one. `mean`: scores are averaged by prompt; `reliability`: weighed by Dawid and Skene."""

    backend: Literal["panel"] = Field(description="Several judges as one.")
    judges: tuple[str, ...] = Field(min_length=2, description="The names of its members.")
    weights: Literal["mean", "reliability"] = Field(
        "mean",
        description="`mean`: scores are averaged by prompt; `reliability`: members are weighed by their reliability.",
    )

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

    backend: Literal["cascade"] = Field(description="A cheap judge, and a dear one for what it is not sure of.")
    judges: tuple[str, str] = Field(description="The cheap one, then the dear one.")
    agreement: float = Field(
        0.9, gt=0, lt=1, description="The share of the prompts on which the cheap one shall agree with the dear one."
    )
    error: float = Field(0.1, gt=0, lt=0.5, description="The probability that it does not.")
    calibration: int = Field(
        100, ge=1, description="Prompts that both judge, to find out where the cheap one can be trusted."
    )

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
