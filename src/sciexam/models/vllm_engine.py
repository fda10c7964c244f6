"""vLLM's engine in this process: many conversations at once, where vLLM is installed beside sciexam.

It is written against the signatures of vLLM 0.33 and tested against a stand-in that has them; it was not run on a GPU.
"""

from __future__ import annotations

import importlib.util
import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from sciexam.errors import Incomplete, SciexamError, UsageError
from sciexam.models.line import sendable
from sciexam.models.replies import NEVER
from sciexam.models.settings import Vllm
from sciexam.models.vllm_launch import NO_TEMPLATE, Launch
from sciexam.models.vllm_replies import context_in, parted, too_long
from sciexam.models.vllm_wire import Asked
from sciexam.models.wire import seed_of
from sciexam.types import TRUNCATED, Conversation, Generation, Message, Reply


class Engine:
    """One vllm.LLM, shared by all models that differ in their adapter alone, and asked by one of them at a time."""

    def __init__(self, launch: Launch):
        self.launch = launch
        self.adapters: dict[str, Path] = {}
        self.lock = threading.Lock()
        self._llm: Any = None

    def admits(self, adapter: str | None) -> bool:
        """Whether it can be asked for this adapter: it was loaded with room for it, or is still to be loaded."""
        return adapter is None or adapter in self.adapters or self._llm is None

    def llm(self) -> Any:
        """The engine, loaded by now. Hold `lock`. Raises UsageError where it cannot be loaded."""
        if self._llm is None:
            for variable in ("VLLM_NO_USAGE_STATS", "DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY"):
                os.environ.setdefault(variable, "1")  # before it is imported
            from vllm import LLM

            try:
                self._llm = LLM(model=self.launch.weights, **self.launch.arguments(self.adapters))
            except Exception as error:  # of CUDA, of a driver, of a checkpoint: whatever there is in loading weights
                raise UsageError(f"vLLM cannot load {self.launch.served}: {_first_line(error)}") from None
        return self._llm

    def drop(self) -> None:
        """Have it loaded again when it is next needed: it has ended."""
        self._llm = None


class EngineModel:
    """Weights asked in this process. `concurrency` conversations are handed to the engine at once, and come back
    together. A second model waits until the first has its replies.

    Raises UsageError where vLLM is missing or cannot load the weights, Incomplete where its engine ends.
    """

    def __init__(self, name: str, settings: Vllm, generation: Generation, engine: Engine, asked: Asked, digest: str):
        self.name, self.settings, self.generation, self.digest = name, settings, generation, digest
        self._engine, self._asked_for = engine, asked
        self.notes = [NO_TEMPLATE] if asked.plain else []
        self._stopped = False

    def check_ready(self) -> None:
        """Raise UsageError where vLLM is not installed here, and say how else it can be asked."""
        if importlib.util.find_spec("vllm") is None:
            raise UsageError(
                f"model {self.name!r}: vLLM is not installed beside sciexam; name the address of a server as "
                "`base_url:`, or an interpreter whose environment has vLLM as `python:`"
            )

    def stop(self, grace: float = 0.0) -> None:
        """Ask nothing more, now or later. What the engine is at comes back whole: it is not interrupted."""
        self._stopped = True

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        """Ask everything in `conversations`, a window of them at a time."""
        self.check_ready()
        source = iter(conversations)
        while not self._stopped:
            window = list(islice(source, self.settings.concurrency))
            if not window:
                return
            replies: list[Reply] = []
            ending: SciexamError | None = None
            with self._engine.lock:  # yield to nobody in it
                try:
                    for reply in self._asked(self._engine.llm(), window):
                        replies.append(reply)
                except UsageError as error:
                    ending = UsageError(f"model {self.name!r}: {error}")
                except SciexamError as error:
                    ending = error
            yield from replies
            if ending is not None:
                raise ending

    def _asked(self, llm: Any, window: Sequence[Conversation]) -> Iterator[Reply]:
        """The replies to `window`. Where vLLM refuses all because of one, it is looked for by halves."""
        try:
            outputs = self._chat(llm, window)
        except ValueError as error:
            if len(window) == 1:
                yield self._refused(llm, window[0], error)
                return
            half = len(window) // 2
            yield from self._asked(llm, window[:half])
            yield from self._asked(llm, window[half:])
            return
        except Exception as error:  # the engine is gone, and everything it was asked with it
            self._engine.drop()
            raise Incomplete(f"model {self.name!r}: vLLM's engine ended: {_first_line(error)}") from None
        for one, output in zip(window, outputs, strict=True):
            yield self._reply(one, output)

    def _chat(self, llm: Any, window: Sequence[Conversation]) -> list[Any]:
        outputs: list[Any] = llm.chat(
            [self._messages(one) for one in window],
            sampling_params=[self._sampling(one) for one in window],
            use_tqdm=False,
            lora_request=self._lora(),
            chat_template=self._asked_for.template,
            chat_template_content_format="string",
            add_generation_prompt=True,
            continue_final_message=False,
        )
        return outputs

    def _refused(self, llm: Any, conversation: Conversation, error: ValueError) -> Reply:
        """Of a conversation that may become too long, the reply that there is room for; a failed one of any other."""
        limit = context_in(str(error))
        if limit is None:
            return _failed(conversation, _first_line(error))
        prompt = llm.get_tokenizer().apply_chat_template(
            self._messages(conversation),
            chat_template=self._asked_for.template,
            add_generation_prompt=True,
            return_dict=False,
        )
        if len(prompt) >= limit:
            return _failed(conversation, too_long(len(prompt), limit))
        shorter = replace(conversation, max_tokens=limit - len(prompt))
        return self._reply(conversation, self._chat(llm, [shorter])[0])

    def _messages(self, conversation: Conversation) -> list[dict[str, str]]:
        system = () if self.settings.system is None else (Message(role="system", content=self.settings.system),)
        return [{"role": one.role, "content": sendable(one.content)} for one in (*system, *conversation.messages)]

    def _sampling(self, conversation: Conversation) -> Any:
        """Everything is said: vLLM's own default for max_tokens is 16."""
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        asked = self.generation
        choices = list(conversation.choices)
        return SamplingParams(
            n=1,
            presence_penalty=0.0,
            frequency_penalty=0.0,
            repetition_penalty=1.0,
            temperature=asked.temperature or 0.0,
            top_p=1.0 if asked.top_p is None else asked.top_p,
            top_k=0,
            min_p=0.0,
            seed=seed_of(conversation),
            stop=list(asked.stop) or None,
            stop_token_ids=list(self._asked_for.ends) or None,
            ignore_eos=False,
            max_tokens=conversation.max_tokens or asked.max_tokens,
            min_tokens=0,
            logprobs=conversation.top_logprobs or None,
            prompt_logprobs=None,
            structured_outputs=StructuredOutputsParams(choice=choices) if choices else None,
            logit_bias=None,
            allowed_token_ids=None,
            bad_words=None,
        )

    def _lora(self) -> Any:
        if self.settings.adapter is None:
            return None
        from vllm.lora.request import LoRARequest

        names = list(self._engine.adapters)
        name = self.settings.adapter
        return LoRARequest(name, names.index(name) + 1, str(self._engine.adapters[name]))

    def _reply(self, conversation: Conversation, output: Any) -> Reply:
        done = output.outputs[0]
        finish = str(done.finish_reason or "")
        if finish == "abort":
            return _failed(conversation, "the engine gave the answer up half-way")
        answer = parted(done.text, self.settings.thinking)
        text = answer.strip() if self._asked_for.plain else answer
        status, failure = ("ok", "") if text.strip() else ("invalid", TRUNCATED if finish == "length" else "empty")
        raw = {"text": done.text, "finish_reason": finish, "stop_reason": done.stop_reason}
        return Reply(
            key=conversation.key,
            text=text,
            status=status,  # type: ignore[arg-type]
            failure=failure,
            finish_reason=finish,
            model=self._asked_for.model,
            input_tokens=len(output.prompt_token_ids or ()),
            output_tokens=len(done.token_ids),
            reasoning_tokens=self._thought(done, answer),
            attempt=conversation.attempt,
            raw=json.dumps(raw, ensure_ascii=False).encode(),
            logprobs=_logprobs(done),
        )

    def _thought(self, done: Any, text: str) -> int | None:
        """How many tokens stand before `text`; None where nothing does."""
        thought = done.text[: len(done.text) - len(text)].rstrip()
        if not thought:
            return None
        if not text:
            return len(done.token_ids)
        return len(self._engine.llm().get_tokenizer().encode(thought, add_special_tokens=False))


def _failed(conversation: Conversation, why: str) -> Reply:
    return Reply(conversation.key, status="failed", failure=why, attempt=conversation.attempt)


def _logprobs(done: Any) -> tuple[dict[str, float], ...] | None:
    """For each token the likeliest ones there, the one taken first; None where they were not asked for."""
    if not done.logprobs:
        return None
    places = []
    for taken, place in zip(done.token_ids, done.logprobs, strict=True):
        told = {str(place[token].decoded_token): max(float(place[token].logprob), NEVER) for token in (taken, *place)}
        places.append(told)
    return tuple(places)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
