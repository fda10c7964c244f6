"""A stand-in for vLLM 0.33 with its signatures: an unknown keyword is a TypeError, and there is no model in it.

`LLM.chat` asks the dialect of tests/vllm_server.py for what it says and refuses, without HTTP.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2]))

from vllm.lora.request import LoRARequest
from vllm.sampling_params import SamplingParams, StructuredOutputsParams

__all__ = ["LLM", "LoRARequest", "SamplingParams", "StructuredOutputsParams"]

FAULT: list[Exception] = []  # what the next chat raises
LOADED: list["LLM"] = []


@dataclass
class Logprob:
    logprob: float
    rank: int
    decoded_token: str


@dataclass
class CompletionOutput:
    index: int
    text: str
    token_ids: list[int]
    logprobs: list[dict[int, Logprob]] | None
    finish_reason: str | None
    stop_reason: Any = None


@dataclass
class RequestOutput:
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]


@dataclass
class _EngineArgs:
    enable_lora: bool = False
    max_loras: int = 1
    max_lora_rank: int = 16
    max_model_len: int = 4096
    generation_config: str = "auto"
    load_format: str = "auto"


class _Tokenizer:
    def __init__(self, server: Any):
        self.server = server

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return list(range(self.server.count({"prompt": text})))

    def apply_chat_template(
        self, messages: Any, *, chat_template: Any, add_generation_prompt: bool, return_dict: bool
    ) -> list[int]:
        assert add_generation_prompt
        assert not return_dict
        return list(range(self.server.count({"messages": messages})))


@dataclass
class LLM:
    model: str
    runner: str = field(default="auto", kw_only=True)
    convert: str = field(default="auto", kw_only=True)
    tokenizer: Any = field(default=None, kw_only=True)
    tokenizer_mode: str = field(default="auto", kw_only=True)
    trust_remote_code: bool = field(default=False, kw_only=True)
    tensor_parallel_size: int = field(default=1, kw_only=True)
    dtype: str = field(default="auto", kw_only=True)
    quantization: Any = field(default=None, kw_only=True)
    revision: Any = field(default=None, kw_only=True)
    chat_template: Any = field(default=None, kw_only=True)
    seed: int = field(default=0, kw_only=True)
    gpu_memory_utilization: float = field(default=0.92, kw_only=True)
    enforce_eager: bool = field(default=False, kw_only=True)

    def __init__(self, model: str, **given: Any):
        own = {name: given.pop(name) for name in list(given) if name in self.__dataclass_fields__}
        self.model, self.own, self.engine_args = model, own, _EngineArgs(**given)
        from vllm_server import VllmServer, draws

        self.server = VllmServer(model, reply=draws, max_model_len=self.engine_args.max_model_len, trusts_template=True)
        self.chats: list[tuple[list[Any], list[SamplingParams], LoRARequest | None]] = []
        LOADED.append(self)

    def get_tokenizer(self) -> _Tokenizer:
        return _Tokenizer(self.server)

    def chat(
        self,
        messages: Any,
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        use_tqdm: bool = True,
        lora_request: LoRARequest | None = None,
        priority: Any = None,
        chat_template: str | None = None,
        chat_template_content_format: str = "auto",
        add_generation_prompt: bool = True,
        continue_final_message: bool = False,
        tools: Any = None,
        chat_template_kwargs: Any = None,
        tokenization_kwargs: Any = None,
        mm_processor_kwargs: Any = None,
    ) -> list[RequestOutput]:
        from vllm_server import tokens_of

        if FAULT:
            raise FAULT.pop()
        assert isinstance(sampling_params, list)
        assert len(sampling_params) == len(messages)
        self.chats.append((messages, sampling_params, lora_request))
        bodies = []
        for said, params in zip(messages, sampling_params, strict=True):
            name = lora_request.lora_name if lora_request else self.model
            self.server.adapters = {name: ""} if lora_request else {}
            body: dict[str, Any] = {"model": name, "messages": said, "chat_template": chat_template}
            body |= {"max_tokens": params.max_tokens, "seed": params.seed, "stop": params.stop}
            body |= {"logprobs": params.logprobs is not None, "top_logprobs": params.logprobs or 0}
            if params.structured_outputs:
                body["structured_outputs"] = {"choice": params.structured_outputs.choice}
            if refused := self.server.refused(body):
                raise ValueError(refused[1])
            bodies.append(body)
        outputs = []
        for body in bodies:
            choice = self.server.reply(body)["choices"][0]
            words = tokens_of(choice["message"]["content"])
            places = None
            if choice["logprobs"]:
                places = []
                for number, place in enumerate(choice["logprobs"]["content"]):
                    told = place["top_logprobs"][::-1]  # in no order that one may rely on
                    places.append(
                        {
                            number if one["token"] == place["token"] else 1000 + rank: Logprob(
                                one["logprob"], rank, one["token"]
                            )
                            for rank, one in enumerate(told)
                        }
                    )
            done = CompletionOutput(
                0, choice["message"]["content"], list(range(len(words))), places, choice["finish_reason"]
            )
            outputs.append(RequestOutput(list(range(self.server.count(body))), [done]))
        return outputs
