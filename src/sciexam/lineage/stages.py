"""What the YAML says of a model that is trained: one frozen record a stage. Nothing is trained here."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from sciexam.errors import did_you_mean
from sciexam.lineage.sources import ONE_OF_BOTH, Preferences, answered_in, judges_in, made_on_the_way, models_in
from sciexam.models.settings import ModelSettings
from sciexam.types import Record


class Lora(Record):
    """Low-rank adapters (arXiv 2106.09685): rank, scale, dropout and the layers they sit on."""

    r: int = Field(16, ge=1)
    alpha: int | None = Field(None, ge=1)  # None: twice the rank
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: str | tuple[str, ...] = "all-linear"


class Gate(Record):
    """What a checkpoint has to show before it is accepted. Its judge is never what it was trained against.

    The lower end of the interval of its win rate lies above 0.5 - `margin` against its parent, and above 0.5 against
    the suite's baseline. `length`, `unfinished`, `repetitive`, `gibberish`: by how much it may exceed its parent: its
    mean length as a ratio, the others as a share of its answers. `kl`: nats a token from the reference; None: any.
    """

    judge: str | None = None  # None: the suite's
    margin: float = Field(0.05, ge=0, lt=0.5)
    baseline: bool = True
    length: float = Field(2.0, gt=1)
    unfinished: float = Field(0.05, ge=0, le=1)
    repetitive: float = Field(0.05, ge=0, le=1)
    gibberish: float = Field(0.05, ge=0, le=1)
    kl: float | None = Field(None, gt=0)
    # Looks at a dev slice while a long stage runs: a file of prompts that shares none with the exam, and how often.
    dev: str | None = None
    looks: int = Field(0, ge=0, le=20)

    @model_validator(mode="after")
    def _looks_at_something(self) -> Self:
        if bool(self.looks) != bool(self.dev):
            raise ValueError("`looks` says how often the prompts of the file `dev` are looked at: give both or neither")
        return self


class Stage(ModelSettings):
    """An edge of the lineage: this model was made from `from` by `stage`. `responses` are answers recorded from it.

    `weights` and `adapter` are what a stage left that was trained elsewhere: whole weights, or an adapter on top of
    those it names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), populate_by_name=True)

    parent: str = Field(alias="from")
    weights: str | None = None
    adapter: str | None = None
    responses: str | None = None
    gate: Gate = Gate()

    def parents(self) -> tuple[str, ...]:
        return (self.parent,)

    def trained_against(self) -> tuple[str, ...]:
        """The models and judges whose opinion it was made to please."""
        return ()

    def judged_by(self) -> tuple[str, ...]:
        """The judges whose word, or whose words, it learns from."""
        return ()

    def answered_by(self) -> tuple[str, ...]:
        """The models that are asked in the suite's way for what it learns from."""
        return ()


class Trained(Stage):
    """How weights are trained. The defaults of None depend on the stage: docs/stages.md lists them.

    `batch_size` is the effective one: rows, or pairs, of all processes in one step; `micro_batch` is what one process
    holds at once, and is halved where memory does not suffice. `max_length` is in tokens. `trainer` holds further
    settings of the trainer, by its own names.
    """

    lora: Lora | None = None
    quantization: Literal["nf4", "int8", "none"] = "none"
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    epochs: float | None = Field(None, gt=0)
    steps: int | None = Field(None, ge=1)
    batch_size: int = Field(16, ge=1)
    micro_batch: int | None = Field(None, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(0.0, ge=0, lt=1)  # the share of the steps in which the learning rate rises
    weight_decay: float = Field(0.0, ge=0)
    dropout: float | None = Field(None, ge=0, lt=1)  # None: the checkpoint's own
    max_length: int = Field(1024, ge=2)
    save_steps: int = Field(200, ge=1)
    seed: int | None = None  # None: the suite's
    trainer: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ends_once(self) -> Self:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("a stage ends after so many `epochs` or so many `steps`: give one of them")
        if self.quantization != "none" and self.lora is None:
            raise ValueError(f"weights of `quantization: {self.quantization}` cannot be trained: add `lora: {{r: 16}}`")
        return self


class Architecture(Record):
    """A Llama made on the spot, small enough to be trained from nothing. `vocabulary` is the tokenizer's, in tokens."""

    hidden: int = Field(96, ge=8)
    layers: int = Field(3, ge=1)
    heads: int = Field(4, ge=1)
    intermediate: int | None = Field(None, ge=8)  # None: four times `hidden`
    vocabulary: int = Field(768, ge=300)
    context: int = Field(512, ge=16)


class Pretrain(Trained):
    """Weights and a tokenizer from nothing, trained on documents: the base of a toy lineage."""

    stage: Literal["pretrain"]
    parent: str = Field("", alias="from", max_length=0)
    data: str
    architecture: Architecture = Architecture()
    group_by_length: bool = False
    gate: Gate | None = None  # type: ignore[assignment]  # there is nothing to hold it against

    def parents(self) -> tuple[str, ...]:
        return ()


class External(Stage):
    """A checkpoint that was trained elsewhere. Its contents are part of its digest."""

    stage: Literal["external"]
    weights: str


class Sft(Trained):
    """Supervised fine-tuning on demonstrations; the loss is that of their answers alone, if `completion_only`.

    `judge` is the judge of the suite in whose words examples of marking are written.
    """

    stage: Literal["sft"]
    data: str | tuple[str, ...]
    judge: str | None = None
    packing: bool = False
    group_by_length: bool = False
    completion_only: bool = True

    def judged_by(self) -> tuple[str, ...]:
        return (self.judge,) if self.judge else ()


class Reward(Trained):
    """A reward model by the pairwise loss of Bradley and Terry, with margins where the pairs have them.

    `backbone` are the weights that it begins with, such as an encoder's; None: its parent's. `held_out` is the share of
    the prompts that are kept for its exam. Its own exam asks for `accuracy`: the lower end of the interval is above it.
    """

    stage: Literal["reward"]
    data: Preferences
    backbone: str | None = None
    center: float | None = Field(None, gt=0)  # a penalty that keeps the mean reward near zero (arXiv 2312.09244)
    held_out: float = Field(0.1, gt=0, lt=1)
    accuracy: float = Field(0.5, ge=0.5, lt=1)

    def parents(self) -> tuple[str, ...]:
        return (self.parent, *models_in(self.data))

    def judged_by(self) -> tuple[str, ...]:
        return judges_in(self.data)

    def answered_by(self) -> tuple[str, ...]:
        return answered_in(self.data)


class BestOfN(Trained):
    """Rejection sampling: a reward model or a judge picks the best of `n` answers to each prompt, then SFT on these."""

    model_config = ConfigDict(json_schema_extra=ONE_OF_BOTH)

    stage: Literal["best_of_n"]
    prompts: str
    reward: str | None = None
    judge: str | None = None
    n: int = Field(8, ge=2, le=1000)
    temperature: float = Field(1.0, gt=0)
    top_p: float | None = Field(None, gt=0, le=1)
    group_by_length: bool = False

    def parents(self) -> tuple[str, ...]:
        return (self.parent, *([self.reward] if self.reward else []))

    def trained_against(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.reward, self.judge)))

    def judged_by(self) -> tuple[str, ...]:
        return (self.judge,) if self.judge else ()

    def answered_by(self) -> tuple[str, ...]:
        return (self.parent,)

    @model_validator(mode="after")
    def _somebody_picks(self) -> Self:
        if (self.reward is None) == (self.judge is None):
            raise ValueError("the best answer is picked by a model (`reward: NAME`) or by a judge (`judge: NAME`)")
        return self


# The losses of TRL's DPOTrainer, by its own names.
LOSSES = (
    *("sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired"),
    *("apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm"),
)


class Preferring(Trained):
    """How preferences are optimised. `loss` and `loss_weights` mix losses by TRL's own names."""

    beta: float = Field(0.1, gt=0)
    loss: tuple[str, ...] = ("sigmoid",)
    loss_weights: tuple[float, ...] | None = None

    @field_validator("loss", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_losses(self) -> Self:
        for loss in self.loss:
            if loss not in LOSSES:
                raise ValueError(f"loss: {loss!r} is not a loss{did_you_mean(loss, LOSSES)}")
        if self.loss_weights is not None and len(self.loss_weights) != len(self.loss):
            raise ValueError(f"loss_weights: {len(self.loss_weights)} weights for {len(self.loss)} losses")
        _check_no_noise(self)
        return self


class Dpo(Preferring):
    """Direct preference optimisation (arXiv 2305.18290)."""

    stage: Literal["dpo"]
    data: Preferences

    def parents(self) -> tuple[str, ...]:
        return (self.parent, *models_in(self.data))

    def trained_against(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.by for one in made_on_the_way(self.data) if one.by != "humans"))

    def judged_by(self) -> tuple[str, ...]:
        return judges_in(self.data)

    def answered_by(self) -> tuple[str, ...]:
        return answered_in(self.data)


class Rollouts(Trained):
    """Reinforcement learning against a reward model, with a penalty for leaving the reference.

    `batch_size` counts answers. `missing_end` is taken off the reward of an answer that did not end by itself.
    """

    prompts: str
    reward: str
    beta: float = Field(0.05, ge=0)
    max_new_tokens: int = Field(256, ge=1)
    temperature: float = Field(1.0, gt=0)
    missing_end: float = Field(1.0, ge=0)

    def parents(self) -> tuple[str, ...]:
        return (self.parent, self.reward)

    def trained_against(self) -> tuple[str, ...]:
        return (self.reward,)


class Rloo(Rollouts):
    """REINFORCE leave-one-out (arXiv 2402.14740), by TRL: `n` answers to a prompt are each other's baseline."""

    stage: Literal["rloo"]
    n: int = Field(4, ge=2)

    @model_validator(mode="after")
    def _deals_evenly(self) -> Self:
        if self.batch_size % self.n:
            raise ValueError(f"batch_size: {self.batch_size} answers are not {self.n} to each of some prompts (`n`)")
        _check_no_noise(self)
        return self


class Ppo(Rollouts):
    """Proximal policy optimisation (arXiv 1707.06347, 1909.08593) with a value function.

    `target_kl`: the KL that an adaptive beta aims at, in nats an answer; None: beta stays as it is. Advantages are
    whitened in any case, the rewards of the tokens with `whiten`.
    """

    stage: Literal["ppo"]
    target_kl: float | None = Field(None, gt=0)
    clip: float = Field(0.2, gt=0)
    value_clip: float = Field(0.2, gt=0)
    value_weight: float = Field(0.1, ge=0)
    gamma: float = Field(1.0, gt=0, le=1)
    lam: float = Field(0.95, ge=0, le=1)
    inner_epochs: int = Field(4, ge=1)
    minibatches: int = Field(1, ge=1)
    whiten: bool = False

    @model_validator(mode="after")
    def _adapts_something(self) -> Self:
        if self.target_kl is not None and not self.beta:
            raise ValueError("`target_kl` is what a beta above 0 is adapted to: `beta: 0` would stay 0")
        return self


class SelfRewarding(Preferring):
    """Iterations of DPO on pairs that the model itself has judged (arXiv 2401.10020).

    `prompts_by` is the fixed model that writes prompts from those of the file, eight shots at a time. Each prompt gets
    `n` answers, each of which the model marks `marks` times; the best is paired with the worst, ties are dropped.
    """

    stage: Literal["self_rewarding"]
    prompts: str
    prompts_by: str | None = None
    judge: str
    iterations: int = Field(2, ge=1)
    per_iteration: int | None = Field(None, ge=1)  # prompts; None: as many as the file has
    n: int = Field(4, ge=2, le=64)
    temperature: float = Field(0.7, gt=0)
    top_p: float = Field(0.9, gt=0, le=1)
    marks: int = Field(3, ge=1)

    def parents(self) -> tuple[str, ...]:
        return (self.parent, *([self.prompts_by] if self.prompts_by else []))

    def trained_against(self) -> tuple[str, ...]:
        return (self.judge,)

    def judged_by(self) -> tuple[str, ...]:
        return (self.judge,)

    def answered_by(self) -> tuple[str, ...]:
        return self.parents()

    @model_validator(mode="after")
    def _is_without_noise(self) -> Self:
        _check_no_noise(self)
        return self


def _check_no_noise(spec: Trained) -> None:
    """A model that is held against a reference, or against itself a step ago, has no dropout."""
    if spec.dropout or (spec.lora and spec.lora.dropout):
        raise ValueError("dropout: it would be noise in what is held against the reference; leave it out")
