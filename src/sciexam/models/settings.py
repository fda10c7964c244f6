"""What the YAML says of a model that can be asked: one frozen record a backend. No client is made here."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from sciexam.types import Generation, Record


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


class Weights(ModelSettings):
    """Pretrained weights on disk or on a hub, where a lineage begins. `responses` are answers recorded from them."""

    weights: str
    revision: str | None = None
    quantization: Literal["nf4", "int8", "none"] = "none"
    responses: str | None = None
