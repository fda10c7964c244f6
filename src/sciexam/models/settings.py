"""What the YAML says of a model that can be asked: one frozen record a backend. No client is made here."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from sciexam.errors import UsageError
from sciexam.types import Generation, Record

# Where and how fast a model or a judge is asked, and what is printed beside it: nothing that it says depends on these.
WHERE = (
    *("note", "api_key_env", "concurrency", "timeout", "device", "batch_tokens"),
    *("python", "tensor_parallel", "gpu_memory"),
)


class ModelSettings(Record):
    """What every model may say of itself. `note` is printed wherever the model's results are."""

    generation: Generation | None = Field(
        None, description="How this one is asked, in place of the suite's settings, key by key."
    )
    note: str | None = Field(None, description="A sentence that is printed wherever its results are.")


def variable_name(name: str) -> str:
    """`name`, where it can be that of an environment variable. Raises ValueError, which does not repeat it."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):  # it may be a pasted key: it must not be repeated
        raise ValueError("this is no name of an environment variable; a key itself never goes into a file")
    return name


def model_of_endpoint(name: str) -> str | None:
    """The model that `openai:MODEL` names; None where `name` is no such name. The form itself is nobody's name."""
    form, _, model = name.partition(":")
    if form != "openai" or not model:
        return None
    if model == "MODEL":
        raise UsageError(f"{name}: put a model's name in the place of MODEL")
    return model


class Endpoint(ModelSettings):
    """Any OpenAI-compatible endpoint. The key is read from the environment variable `api_key_env`."""

    backend: Literal["openai"] = Field(description="An OpenAI-compatible endpoint.")
    model: str = Field(description="The model's name, as the endpoint knows it.")
    base_url: str | None = Field(
        None, description="The endpoint's address. [default: OPENAI_BASE_URL, or else OpenAI's]"
    )
    api_key_env: Annotated[str, AfterValidator(variable_name)] | None = Field(
        "OPENAI_API_KEY", description="The environment variable that holds the key; null: no key is sent."
    )
    revision: str | None = Field(
        None, description="Which weights it serves, in words of yours: with another word everything is asked anew."
    )
    system: str | None = Field(None, description="The system prompt.")
    chat_template: str | None = Field(
        None, description="Jinja2; with it the conversation is rendered here and sent as a plain completion."
    )
    concurrency: int = Field(16, ge=1, le=4096, description="How many calls are under way at once.")
    timeout: float = Field(120.0, gt=0, description="Seconds that a call may take.")


class Recorded(ModelSettings):
    """Responses that exist already: JSON Lines, or AlpacaEval's own model_outputs.json."""

    responses: str = Field(
        description="A file of answers that exist already: JSON Lines, or AlpacaEval's model_outputs.json."
    )


class Rule(Record):
    """When `when` (a regular expression) is in the last message, the reply is `say` (\\1, \\g<name> are filled)."""

    when: str = Field("", description="A regular expression that is looked for in the last message.")
    say: str = Field("", description="The reply; \\1 and \\g<name> are filled in.")
    failure: str | None = Field(None, description="In place of a reply, the name of a failure.")


class Scripted(ModelSettings):
    """The shipped fake: the first rule that matches answers."""

    backend: Literal["scripted"] = Field(description="The shipped fake, for tests and dry runs.")
    rules: tuple[Rule, ...] = Field(description="The first rule that matches answers.")


class Custom(ModelSettings):
    """A stranger's class, `package.module:Class`, called with `settings` as keyword arguments."""

    backend: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", description="A class of yours, `package.module:Class`."
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="Its keyword arguments.")


class Checkpoint(ModelSettings):
    """Which weights, and how they are loaded: a folder, or a hub's id at a revision, with LoRA adapters on top or not.

    `dtype`: what is computed in; auto is the checkpoint's own. `chat_template` (Jinja2) replaces the checkpoint's own.
    """

    weights: str = Field(description="A folder of safetensors, or a hub's id.")
    revision: str | None = Field(None, description="The commit at the hub.")
    adapter: str | None = Field(None, description="A LoRA adapter on top of the weights: a folder or a hub's id.")
    quantization: Literal["nf4", "int8", "none"] = Field("none", description="Bits of the weights in memory.")
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto", description="What is computed in; auto: the checkpoint's own."
    )
    chat_template: str | None = Field(None, description="Jinja2, in place of the checkpoint's own.")
    system: str | None = Field(None, description="The system prompt.")


class Weights(Checkpoint):
    """Weights that are asked in this process, where a lineage begins. `responses` are answers recorded from them.

    `batch_tokens` is how many tokens, read and written, the answers of one batch may hold at once. What stands between
    the two words of `thinking` is no part of an answer.
    """

    backend: Literal["huggingface"] = Field("huggingface", description="Weights that are asked in this process.")
    device: str | None = Field(
        None, description="Such as cuda:1 or cpu. [default: the first accelerator, or else the processor]"
    )
    batch_tokens: int = Field(
        16384, ge=1, description="How many tokens, read and written, the answers of one batch may hold at once."
    )
    thinking: tuple[str, str] = Field(
        ("<think>", "</think>"), description="Two words; what stands between them is no part of an answer."
    )
    responses: str | None = Field(
        None, description="A file of answers recorded from these weights: they are what is compared."
    )


class RewardCheckpoint(Checkpoint):
    """Weights of a reward model. `batch_tokens`: how many tokens the texts of a batch may hold, with their padding."""

    device: str | None = Field(
        None, description="Such as cuda:1 or cpu. [default: the first accelerator, or else the processor]"
    )
    batch_tokens: int = Field(
        16384, ge=1, description="How many tokens the texts of one batch may hold, with their padding."
    )


class Vllm(Checkpoint):
    """Weights that vLLM serves: at `base_url`, or by servers that are started with `python`, or else in this process.

    Several addresses are replicas of one model. `python` is an interpreter whose environment has vLLM.
    """

    backend: Literal["vllm"] = Field(description="Weights that vLLM serves.")
    base_url: tuple[str, ...] = Field(
        (), description="The address of a server that runs; several are replicas of one model."
    )
    python: str | None = Field(
        None,
        description="An interpreter whose environment has vLLM: servers are started with it for the command.",
    )
    api_key_env: Annotated[str, AfterValidator(variable_name)] | None = Field(
        None, description="The environment variable that holds the server's key; null: no key is sent."
    )
    tensor_parallel: int = Field(1, ge=1, description="How many GPUs hold the weights together.")
    gpu_memory: float = Field(0.9, gt=0, lt=1, description="The share of a GPU's memory that one server may take.")
    max_model_len: int | None = Field(
        None, ge=1, description="The most tokens of a conversation. [default: the model's own]"
    )
    concurrency: int = Field(64, ge=1, le=4096, description="How many calls are under way at once.")
    timeout: float = Field(600.0, gt=0, description="Seconds that a call may take.")
    thinking: tuple[str, str] = Field(
        ("<think>", "</think>"), description="Two words; what stands between them is no part of an answer."
    )
    responses: str | None = Field(
        None, description="A file of answers recorded from these weights: they are what is compared."
    )

    @field_validator("base_url", mode="before", json_schema_input_type=str | tuple[str, ...])
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
