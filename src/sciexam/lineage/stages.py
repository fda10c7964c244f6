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

    r: int = Field(16, ge=1, description="The rank.")
    alpha: int | None = Field(None, ge=1, description="The scale. [default: twice the rank]")
    dropout: float = Field(0.0, ge=0, lt=1, description="On the adapter's input.")
    targets: str | tuple[str, ...] = Field("all-linear", description="Which layers have one, by name.")


class Gate(Record):
    """What a checkpoint has to show before it is accepted. Its judge is never what it was trained against.

    The lower end of the interval of its win rate lies above 0.5 - `margin` against its parent, and above 0.5 against
    the suite's baseline. `length`, `unfinished`, `repetitive`, `gibberish`: by how much it may exceed its parent: its
    mean length as a ratio, the others as a share of its answers. `kl`: nats a token from the reference; None: any.
    """

    judge: str | None = Field(None, description="Who compares it with its parent. [default: the suite's judge]")
    margin: float = Field(
        0.05, ge=0, lt=0.5, description="The lower end of its win rate against its parent lies above 0.5 less this."
    )
    baseline: bool = Field(True, description="Whether it has to beat the suite's baseline, too.")
    length: float = Field(2.0, gt=1, description="How many times as long as its parent's its answers may be.")
    unfinished: float = Field(
        0.05,
        ge=0,
        le=1,
        description="By which share more of its answers than of its parent's may have no end or no text.",
    )
    repetitive: float = Field(0.05, ge=0, le=1, description="The same of answers that say one thing over and over.")
    gibberish: float = Field(0.05, ge=0, le=1, description="The same of answers in no language.")
    kl: float | None = Field(
        None, gt=0, description="The most nats a token that it may be away from its parent. [default: any]"
    )
    # Looks at a dev slice while a long stage runs: a file of prompts that shares none with the exam, and how often.
    dev: str | None = Field(
        None, description="A file of prompts that is looked at while a long stage runs; it shares none with the exam."
    )
    looks: int = Field(0, ge=0, le=20, description="How often.")

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

    parent: str = Field(alias="from", description="The model that it is made from.")
    weights: str | None = Field(
        None, description="What the stage has left elsewhere: a folder, or a hub's id; then nothing is trained."
    )
    adapter: str | None = Field(None, description="An adapter on top of `weights`.")
    responses: str | None = Field(None, description="A file of answers recorded from it: they are what is compared.")
    gate: Gate = Field(Gate(), description="What it has to show before it is accepted.")

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

    lora: Lora | None = Field(
        None, description="Train an adapter in place of the weights; it is merged when the stage is done."
    )
    quantization: Literal["nf4", "int8", "none"] = Field("none", description="Bits of the weights below an adapter.")
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto", description="What is computed in; auto: bf16 on an accelerator, fp32 without one."
    )
    epochs: float | None = Field(None, gt=0, description="How often the rows are learnt from. [default: by stage]")
    steps: int | None = Field(None, ge=1, description="The number of steps, in place of `epochs`.")
    batch_size: int = Field(16, ge=1, description="Rows, pairs or answers in a step, of all processes together.")
    micro_batch: int | None = Field(
        None,
        ge=1,
        description="What one process holds at once, halved where memory does not suffice. [default: its share]",
    )
    learning_rate: float | None = Field(None, gt=0, description="The highest of the schedule. [default: by stage]")
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="How the learning rate falls.")
    warmup: float = Field(0.0, ge=0, lt=1, description="The share of the steps in which the learning rate rises.")
    weight_decay: float = Field(0.0, ge=0, description="Of AdamW.")
    dropout: float | None = Field(
        None, ge=0, lt=1, description="In the layers. [default: the checkpoint's own, where the stage has any]"
    )
    max_length: int = Field(1024, ge=2, description="Tokens of a row; a longer one is refused.")
    save_steps: int = Field(
        200, ge=1, description="After how many steps a checkpoint is written, from which the same command goes on."
    )
    seed: int | None = Field(None, description="Of this stage. [default: the suite's]")
    trainer: dict[str, Any] = Field(
        default_factory=dict, description="Further settings of the trainer, by its own names."
    )

    @model_validator(mode="after")
    def _ends_once(self) -> Self:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("a stage ends after so many `epochs` or so many `steps`: give one of them")
        if self.quantization != "none" and self.lora is None:
            raise ValueError(f"weights of `quantization: {self.quantization}` cannot be trained: add `lora: {{r: 16}}`")
        return self


class Architecture(Record):
    """A Llama made on the spot, small enough to be trained from nothing. `vocabulary` is the tokenizer's, in tokens."""

    hidden: int = Field(96, ge=8, description="The width.")
    layers: int = Field(3, ge=1, description="The depth.")
    heads: int = Field(4, ge=1, description="Attention heads.")
    intermediate: int | None = Field(
        None, ge=8, description="The width of the feed-forward layers. [default: four times `hidden`]"
    )
    vocabulary: int = Field(768, ge=300, description="The tokenizer's, in tokens.")
    context: int = Field(512, ge=16, description="The most tokens of a text.")


class Pretrain(Trained):
    """Weights and a tokenizer from nothing, trained on documents: the base of a toy lineage."""

    stage: Literal["pretrain"] = Field(description="Weights from nothing.")
    parent: str = Field("", alias="from", max_length=0, description="Nothing: it has no parent.")
    data: str = Field(description="A JSON Lines file of documents.")
    architecture: Architecture = Field(Architecture(), description="How large the model is.")
    group_by_length: bool = Field(False, description="Batches of rows of nearly the same length: less padding.")
    gate: Gate | None = Field(None, description="It owes no exam: there is nothing to hold it against.")  # type: ignore[assignment]

    def parents(self) -> tuple[str, ...]:
        return ()


class External(Stage):
    """A checkpoint that was trained elsewhere. Its contents are part of its digest."""

    stage: Literal["external"] = Field(description="Trained elsewhere.")
    weights: str = Field(description="A folder of safetensors, or a hub's id.")


class Sft(Trained):
    """Supervised fine-tuning on demonstrations; the loss is that of their answers alone, if `completion_only`.

    `judge` is the judge of the suite in whose words examples of marking are written.
    """

    stage: Literal["sft"] = Field(description="Supervised fine-tuning.")
    data: str | tuple[str, ...] = Field(description="A JSON Lines file of demonstrations, or several.")
    judge: str | None = Field(
        None, description="The judge of the suite in whose words examples of marking are written."
    )
    packing: bool = Field(False, description="Put several rows into one sequence.")
    group_by_length: bool = Field(False, description="Batches of rows of nearly the same length: less padding.")
    completion_only: bool = Field(True, description="Whether the loss is that of the answers alone.")

    def judged_by(self) -> tuple[str, ...]:
        return (self.judge,) if self.judge else ()


class Reward(Trained):
    """A reward model by the pairwise loss of Bradley and Terry, with margins where the pairs have them.

    `backbone` are the weights that it begins with, such as an encoder's; None: its parent's. `held_out` is the share of
    the prompts that are kept for its exam. Its own exam asks for `accuracy`: the lower end of the interval is above it.
    """

    stage: Literal["reward"] = Field(description="A reward model.")
    data: Preferences = Field(
        description="A JSON Lines file of preferences, or how they come to be, or several of these."
    )
    backbone: str | None = Field(
        None, description="The weights that it begins with, such as an encoder's. [default: its parent's]"
    )
    center: float | None = Field(
        None, gt=0, description="A penalty that keeps the mean reward near zero (arXiv 2312.09244)."
    )
    held_out: float = Field(0.1, gt=0, lt=1, description="The share of the prompts that are kept for its own exam.")
    accuracy: float = Field(
        0.5, ge=0.5, lt=1, description="Its own exam: the lower end of the interval of its accuracy lies above this."
    )

    def parents(self) -> tuple[str, ...]:
        return (self.parent, *models_in(self.data))

    def judged_by(self) -> tuple[str, ...]:
        return judges_in(self.data)

    def answered_by(self) -> tuple[str, ...]:
        return answered_in(self.data)


class BestOfN(Trained):
    """Rejection sampling: a reward model or a judge picks the best of `n` answers to each prompt, then SFT on these."""

    model_config = ConfigDict(json_schema_extra=ONE_OF_BOTH)

    stage: Literal["best_of_n"] = Field(description="Rejection sampling.")
    prompts: str = Field(description="A JSON Lines file of prompts.")
    reward: str | None = Field(None, description="The reward model that picks the best answer.")
    judge: str | None = Field(None, description="In place of `reward`: the judge who picks it.")
    n: int = Field(8, ge=2, le=1000, description="Answers to each prompt.")
    temperature: float = Field(1.0, gt=0, description="As for `generation`.")
    top_p: float | None = Field(None, gt=0, le=1, description="As for `generation`.")
    group_by_length: bool = Field(False, description="Batches of rows of nearly the same length: less padding.")

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

    beta: float = Field(0.1, gt=0, description="How dear it is to leave the reference.")
    loss: tuple[str, ...] = Field(("sigmoid",), description="One loss or several, by TRL's own names.")
    loss_weights: tuple[float, ...] | None = Field(
        None, description="The weight of each loss, where there are several."
    )

    @field_validator("loss", mode="before", json_schema_input_type=str | tuple[str, ...])
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

    stage: Literal["dpo"] = Field(description="Direct preference optimisation.")
    data: Preferences = Field(
        description="A JSON Lines file of preferences, or how they come to be, or several of these."
    )

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

    prompts: str = Field(description="A JSON Lines file of prompts.")
    reward: str = Field(description="The reward model of the suite that it learns to please.")
    beta: float = Field(0.05, ge=0, description="How dear it is to leave the reference.")
    max_new_tokens: int = Field(256, ge=1, description="The most tokens of an answer.")
    temperature: float = Field(1.0, gt=0, description="Of the answers that it learns from.")
    missing_end: float = Field(
        1.0, ge=0, description="What is taken off the reward of an answer that did not end by itself."
    )

    def parents(self) -> tuple[str, ...]:
        return (self.parent, self.reward)

    def trained_against(self) -> tuple[str, ...]:
        return (self.reward,)


class Rloo(Rollouts):
    """REINFORCE leave-one-out (arXiv 2402.14740), by TRL: `n` answers to a prompt are each other's baseline."""

    stage: Literal["rloo"] = Field(description="REINFORCE leave-one-out.")
    n: int = Field(4, ge=2, description="Answers to a prompt, which are each other's baseline.")

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

    stage: Literal["ppo"] = Field(description="Proximal policy optimisation.")
    target_kl: float | None = Field(
        None,
        gt=0,
        description="The KL that an adaptive beta aims at, in nats an answer. [default: beta stays as it is]",
    )
    clip: float = Field(0.2, gt=0, description="How far the ratio of probabilities may move in one step.")
    value_clip: float = Field(0.2, gt=0, description="How far a value may move in one step.")
    value_weight: float = Field(0.1, ge=0, description="Of the value loss.")
    gamma: float = Field(1.0, gt=0, le=1, description="The discount a token.")
    lam: float = Field(0.95, ge=0, le=1, description="Of generalised advantage estimation.")
    inner_epochs: int = Field(4, ge=1, description="How often one batch of answers is learnt from.")
    minibatches: int = Field(1, ge=1, description="Into how many steps a batch is cut.")
    whiten: bool = Field(False, description="Whether rewards are whitened; advantages are in any case.")

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

    stage: Literal["self_rewarding"] = Field(description="Iterations of DPO on pairs that the model itself has judged.")
    prompts: str = Field(description="A JSON Lines file of prompts.")
    prompts_by: str | None = Field(
        None, description="The fixed model that writes prompts from those of the file, eight shots at a time."
    )
    judge: str = Field(description="The judge of the suite in whose words the model marks.")
    iterations: int = Field(2, ge=1, description="How often it answers, judges and learns.")
    per_iteration: int | None = Field(
        None, ge=1, description="Prompts of an iteration. [default: as many as the file has]"
    )
    n: int = Field(4, ge=2, le=64, description="Answers to each prompt.")
    temperature: float = Field(0.7, gt=0, description="Of these answers.")
    top_p: float = Field(0.9, gt=0, le=1, description="Of these answers.")
    marks: int = Field(3, ge=1, description="How often the model marks each answer.")

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
