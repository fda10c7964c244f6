"""Whether an endpoint answers here and now: one `GET {base_url}/models`, which costs nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sciexam.errors import UsageError
from sciexam.models.line import Answer
from sciexam.models.openai import resolve
from sciexam.models.replies import Fault
from sciexam.models.settings import Endpoint
from sciexam.models.wire import Wire
from sciexam.types import Generation

SECONDS = 5.0  # that an endpoint has to answer
SHOWN = 5  # names of its models that are repeated
LONGEST = 60  # characters of each

State = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Reached:
    """How an endpoint was found: `where` it is, and `said` what is known of it; `todo` mends what is not ok."""

    where: str
    state: State
    said: str
    todo: str = ""


def reach(endpoints: Sequence[tuple[Endpoint, bool]]) -> list[Reached]:
    """Greet endpoints at once; with each, whether it should list its model by the name in the suite.

    A key goes to its own endpoint alone, and no redirect is followed. One whose key is missing is not greeted.
    """

    async def all_of_them() -> list[Reached]:
        return await asyncio.gather(*(_reached(endpoint, lists) for endpoint, lists in endpoints))

    return asyncio.run(all_of_them())


async def _reached(settings: Endpoint, lists: bool) -> Reached:
    base_url, key = resolve(settings)
    soon = settings.model_copy(update={"timeout": SECONDS})
    variable = settings.api_key_env
    try:
        wire = Wire(soon, Generation(), base_url.rstrip("/"), key)
    except UsageError as error:
        return Reached(settings.model, "fault", str(error), "mend base_url: in the suite, or OPENAI_BASE_URL")
    try:
        wire.check_ready()
    except UsageError as error:
        missing = f"no key: the environment variable {variable} is not set" if key is None else str(error)
        return Reached(wire.where, "fault", f"{missing}; it was not asked", f"export {variable}=...")
    try:
        line = wire.line()
    except UsageError as error:
        todo = "mend that variable, or name the host in NO_PROXY"
        return Reached(wire.where, "fault", f"{error}; it was not asked", todo)
    try:
        answer = await line.ask(f"{wire.base_url}/models", None, SECONDS)
    finally:
        await line.close()
    if isinstance(answer, Fault):
        told = wire.redaction.error(answer.reason)
        return Reached(wire.where, "fault", f"does not answer ({told})", "start it, or mend base_url: in the suite")
    return _read(answer, wire, variable, lists)


def _read(answer: Answer, wire: Wire, variable: str | None, lists: bool) -> Reached:
    status = answer.status_code
    if 300 <= status < 400:
        return Reached(wire.where, "fault", f"redirects ({status}), which is not followed", "set base_url: to its end")
    if status in (401, 403):
        todo = f"set {variable} to a key that it accepts" if variable else "name the key's variable in api_key_env:"
        return Reached(wire.where, "fault", f"refuses the key ({status})", todo)
    if status in (404, 405, 501):
        return Reached(wire.where, "ok", f"answers, and lists no models ({status}), which not every endpoint does")
    if status == 429:
        return Reached(wire.where, "warning", "answers, and asks to wait (429)", "wait, or look at the account's plan")
    if not answer.is_success:
        return Reached(wire.where, "fault", f"answers with an error ({status})", "wait until it has started, or look")
    names = _names(answer.content)
    if names is None:
        said = "answers, but not like OpenAI"
        return Reached(wire.where, "warning", said, "check base_url: in the suite (most end in /v1)")
    model = wire.settings.model
    if not lists or not names or model in names:
        return Reached(wire.where, "ok", "answers" + (f", and has {model!r}" if model in names else ""))
    shown = ", ".join(repr(wire.redaction.error(name[:LONGEST])) for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return Reached(wire.where, "warning", f"answers, and lists no {model!r}, but {shown}{more}", "check model:")


def _names(body: bytes) -> list[str] | None:
    """The ids of a list of models; None for anything else."""
    try:
        return [str(one["id"]) for one in json.loads(body)["data"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
