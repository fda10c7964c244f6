"""A reward model behind an endpoint that speaks vLLM's pooling API: a conversation in, one number out.

    POST {base_url}/pooling  {"model": ..., "messages": [..., {"role": "assistant", ...}],
                              "task": "classify", "use_activation": false, "add_generation_prompt": false}
    -> {"model": ..., "data": [{"data": [1.25]}], "usage": {"prompt_tokens": ...}}

`use_activation: false` asks for the number itself and not for its sigmoid. A model with the task `token_classify` gives
a number for each token, `[[0.1], [0.7], ...]`; the last one is the reward. Source: vLLM's documentation,
Pooling models, Reward usages (docs.vllm.ai).
"""

from __future__ import annotations

import json
import math
from typing import Any, Literal

from sciexam.digests import digest
from sciexam.errors import EndpointRefused
from sciexam.models.line import Answer, Line
from sciexam.models.openai import OpenAIModel, resolve
from sciexam.models.replies import Fault, head, read_error
from sciexam.models.settings import Endpoint
from sciexam.models.terms import USUAL, Terms
from sciexam.models.wire import Request, Wire
from sciexam.types import Conversation, Generation, Reply

Task = Literal["classify", "token_classify"]

NO_REWARD = "endpoint did not answer with one reward"  # how the failure of a body without one begins


class ScoringWire(Wire):
    """The line to one reward model: as safe as that to a model that writes, with another path and another body."""

    def __init__(self, settings: Endpoint, task: Task, base_url: str, api_key: str | None):
        # vLLM serves /pooling beside /v1 and not below it.
        super().__init__(settings, Generation(), base_url.removesuffix("/v1"), api_key)
        self._task = task

    def request(self, conversation: Conversation) -> Request | Fault:
        request = super().request(conversation)
        # A budget reserves by the tokens that may be written: none are.
        return request if isinstance(request, Fault) else Request(request.content, {"max_tokens": 0})

    def refusal(self, fault: Fault) -> EndpointRefused:
        if fault.status not in (404, 405):
            return super().refusal(fault)
        return EndpointRefused(
            f"{self.where}/pooling refuses ({fault.status}): {fault.reason}; check model: {self.settings.model!r} and "
            "base_url:, the address of a server that serves /pooling (vllm serve MODEL --runner pooling)"
        )

    async def _answer(self, line: Line, request: Request) -> Reply | Fault:
        body = {
            "model": self.settings.model,
            "messages": request.content,
            "task": self._task,
            "use_activation": False,
            "add_generation_prompt": False,
        }
        answer = await line.ask(f"{self.base_url}/pooling", body, self.settings.timeout)
        return answer if isinstance(answer, Fault) else self._read_answer(answer)

    def _read_answer(self, answer: Answer) -> Reply | Fault:
        body = answer.content
        try:
            if answer.is_success:
                return read_reward(self.redaction.raw(body), self._task)
            return read_error(answer.status_code, answer.headers, body, {})
        except Exception as error:  # a body is a stranger's: what nobody foresaw in it must not cost the other calls
            reason = f"{NO_REWARD}: {type(error).__name__}: {error}"
            return Fault("final", reason, raw=body, status=answer.status_code, outage=True)


class RewardModel(OpenAIModel):
    """A reward model behind an endpoint; the text of its reply is the reward. `settings.base_url` must be given.

    Asked, limited, retried and stopped as `OpenAIModel` is. `digest` names all that could change a reward.
    """

    def __init__(self, name: str, settings: Endpoint, task: Task, terms: Terms = USUAL):
        base_url, api_key = resolve(settings)
        account = terms.account(name, settings.model)
        super().__init__(
            settings, Generation(), base_url=base_url, api_key=api_key, max_wait=terms.max_wait, account=account
        )
        self._wire = ScoringWire(settings, task, base_url.rstrip("/"), api_key)
        self.notes = self._wire.notes
        self.digest = digest(
            {
                "backend": "reward",
                "model": settings.model,
                "revision": settings.revision,
                "base_url": self._wire.base_url,
                "system": settings.system,
                "task": task,
            }
        )


def read_reward(body: bytes, task: Task) -> Reply | Fault:
    """A body that came with status 200: a Reply whose text is the reward, as `repr` of a float writes it.

    NaN and infinities are rewards that are not finite, and null is taken for NaN. `raw` is the body.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        if not body.strip() or body.lstrip()[:1] == b"{":
            return Fault("again", "the reply is cut: its JSON does not end", raw=body, outage=True)
        return Fault("final", f"{NO_REWARD}: {head(body)}", raw=body, outage=True)
    reward = _reward(value, task)
    if reward is None:
        return Fault("final", f"{NO_REWARD}: {head(body)}", raw=body, outage=True)
    model, usage = value.get("model"), value.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    counted = isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0
    return Reply(
        key="",
        text=repr(reward),
        finish_reason="stop",
        model=model if isinstance(model, str) else "",
        input_tokens=tokens if counted else None,
        output_tokens=0 if counted else None,
        raw=body,
    )


def _reward(value: Any, task: Task) -> float | None:
    """The one number of the one item; None where there is none, or more than one."""
    items = value.get("data") if isinstance(value, dict) else None
    if not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], dict):
        return None
    numbers = items[0].get("data")
    if task == "token_classify" and isinstance(numbers, list) and numbers:
        numbers = numbers[-1]
    if not isinstance(numbers, list) or len(numbers) != 1:
        return None
    return _number(numbers[0])


def _number(value: Any) -> float | None:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf
