"""What the YAML says of a model that can be asked: one frozen record a backend. No client is made here."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from sciexam.types import Generation, Record

# Where and how fast a model or a judge is asked, and what is printed beside it: nothing that it says depends on these.
WHERE = (
    *("note", "api_key_env", "concurrency", "timeout", "device", "batch_tokens"),
    *("python", "tensor_parallel", "gpu_memory"),
)


class ModelSettings(Record):
    """What every model may say of itself. `note` is printed wherever the model's results are."""

    generation: Generation | None = None  # replaces the suite's, field by field
    note: str | None = None


def variable_name(name: str) -> str:
    """`name`, where it can be that of an environment variable. Raises ValueError, which does not repeat it."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):  # it may be a pasted key: it must not be repeated
        raise ValueError("this is no name of an environment variable; a key itself never goes into a file")
    return name


class Endpoint(ModelSettings):
    """Any OpenAI-compatible endpoint. The key is read from the environment variable `api_key_env`."""

    backend: Literal["openai"]
    model: str
    base_url: str | None = None
    api_key_env: Annotated[str, AfterValidator(variable_name)] | None = "OPENAI_API_KEY"
    revision: str | None = None
    system: str | None = None
    chat_template: str | None = None  # Jinja2; with it the conversation is rendered and sent as a plain completion
    concurrency: int = Field(16, ge=1, le=4096)
    timeout: float = Field(120.0, gt=0)  # seconds a call may take


class Recorded(ModelSettings):
    """Responses that exist already: JSON Lines, or AlpacaEval's own model_outputs.json."""

    responses: str


class Rule(Record):
    """When `when` (a regular expression) is in the last message, the reply is `say` (\\1, \\g<name> are filled)."""

    when: str = ""
    say: str = ""
    failure: str | None = None


class Scripted(ModelSettings):
    """The shipped fake: the first rule that matches answers."""

    backend: Literal["scripted"]
    rules: tuple[Rule, ...]


class Custom(ModelSettings):
    """A stranger's class, `package.module:Class`, called with `settings` as keyword arguments."""

    backend: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    settings: dict[str, Any] = Field(default_factory=dict)


class Checkpoint(ModelSettings):
    """Which weights, and how they are loaded: a folder, or a hub's id at a revision, with LoRA adapters on top or not.

    `dtype`: what is computed in; auto is the checkpoint's own. `chat_template` (Jinja2) replaces the checkpoint's own.
    """

    weights: str
    revision: str | None = None
    adapter: str | None = None
    quantization: Literal["nf4", "int8", "none"] = "none"
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    chat_template: str | None = None
    system: str | None = None


class Weights(Checkpoint):
    """Weights that are asked in this process, where a lineage begins. `responses` are answers recorded from them.

    `batch_tokens` is how many tokens, read and written, the answers of one batch may hold at once. What stands between
    the two words of `thinking` is no part of an answer.
    """

    backend: Literal["huggingface"] = "huggingface"
    device: str | None = None  # None: the first accelerator there is, or else the processor
    batch_tokens: int = Field(16384, ge=1)
    thinking: tuple[str, str] = ("<think>", "</think>")
    responses: str | None = None


class RewardCheckpoint(Checkpoint):
    """Weights of a reward model. `batch_tokens`: how many tokens the texts of a batch may hold, with their padding."""

    device: str | None = None  # None: the first accelerator there is, or else the processor
    batch_tokens: int = Field(16384, ge=1)


class Vllm(Checkpoint):
    """Weights that vLLM serves: at `base_url`, or by servers that are started with `python`, or else in this process.

    Several addresses are replicas of one model. `python` is an interpreter whose environment has vLLM.
    """

    backend: Literal["vllm"]
    base_url: tuple[str, ...] = ()
    python: str | None = None
    api_key_env: Annotated[str, AfterValidator(variable_name)] | None = None
    tensor_parallel: int = Field(1, ge=1)
    gpu_memory: float = Field(0.9, gt=0, lt=1)  # the share of it that one server may take
    max_model_len: int | None = Field(None, ge=1)
    concurrency: int = Field(64, ge=1, le=4096)
    timeout: float = Field(600.0, gt=0)  # seconds a call may take
    thinking: tuple[str, str] = ("<think>", "</think>")
    responses: str | None = None

    @field_validator("base_url", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


def artifact_of(settings: Record) -> Weights | Vllm | None:
    """The weights of a model that can be loaded: its own, or what a training stage left (`weights`, `adapter`)."""
    if isinstance(settings, (Weights, Vllm)):
        return settings
    if not (weights := getattr(settings, "weights", None)):
        return None
    own = {key: value for key in ("generation", "note", "adapter") if (value := getattr(settings, key, None))}
    return Weights(weights=weights, **own)


def weights_of(settings: object) -> Checkpoint | None:
    """The weights of one's own that a contestant or judge is; None for an endpoint, a file, a script or a class."""
    if isinstance(settings, Checkpoint):
        return settings
    return artifact_of(settings) if isinstance(settings, Record) else None
