"""vLLM in this process, against a stand-in that has its signatures: what it is loaded with, asked, and what it says."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sciexam.errors import Incomplete, UsageError
from sciexam.models import check_ready, open_model
from sciexam.models.settings import Vllm
from sciexam.models.wire import seed_of
from sciexam.types import Conversation, Generation, Message, Model, Reply
from weight_files import adapter, weights

STANDIN = Path(__file__).parents[1] / "standin"


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-in as the package that `import vllm` finds."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(STANDIN)
    for variable in ("VLLM_NO_USAGE_STATS", "DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv(variable, "1")  # so that it is taken back
        monkeypatch.delenv(variable)
    yield importlib.import_module("vllm")
    for name in set(sys.modules) - before:
        if name.split(".")[0] == "vllm":
            del sys.modules[name]


def opened(folder: Path, *, generation: Generation | None = None, **more: Any) -> Model:
    settings = Vllm(**{"backend": "vllm", "weights": str(folder), **more})
    return open_model("m", settings, generation or Generation())


def questions(count: int, **fields: Any) -> Iterator[Conversation]:
    for number in range(count):
        yield Conversation(f"k{number}", (Message(role="user", content=f"question {number}"),), **fields)


def ask(model: Model, count: int = 1, **fields: Any) -> list[Reply]:
    return list(model.generate(questions(count, **fields)))


def test_without_vllm_both_other_ways_are_named_and_what_was_asked_before_can_be_read(tmp_path: Path) -> None:
    model = opened(weights(tmp_path / "base"))
    assert model.digest == opened(tmp_path / "base", python=sys.executable).digest
    with pytest.raises(UsageError) as missing:
        check_ready(model)
    assert str(missing.value) == (
        "model 'm': vLLM is not installed beside sciexam; name the address of a server as `base_url:`, or an "
        "interpreter whose environment has vLLM as `python:`"
    )


def test_it_is_loaded_at_the_first_call_with_sampling_of_its_own_and_no_pickle(tmp_path: Path, vllm: Any) -> None:
    base = weights(tmp_path / "base")
    model = opened(base, dtype="bf16", max_model_len=99, gpu_memory=0.5, tensor_parallel=2)
    check_ready(model)
    assert vllm.LOADED == []
    ask(model)
    [llm] = vllm.LOADED
    assert llm.model == str(base)
    assert llm.own == {
        "tokenizer": str(base),
        "dtype": "bfloat16",
        "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.5,
    }
    assert (llm.engine_args.generation_config, llm.engine_args.load_format) == ("vllm", "safetensors")
    assert llm.engine_args.max_model_len == 99


def test_every_field_of_the_sampling_is_said(tmp_path: Path, vllm: Any) -> None:
    generation = Generation(max_tokens=300, temperature=0.7, top_p=0.9, stop=("END",))
    model = opened(weights(tmp_path / "base"), generation=generation, system="Be brief.")
    ask(model, sample=3, top_logprobs=5, choices=("A", "B"))
    messages, [params], lora = vllm.LOADED[0].chats[0]
    assert messages == [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "question 0"}]]
    assert (params.max_tokens, params.temperature, params.top_p, params.top_k) == (300, 0.7, 0.9, 0)
    assert (params.stop, params.logprobs, params.structured_outputs.choice) == (["END"], 5, ["A", "B"])
    assert params.seed == seed_of(Conversation("k0", (), sample=3))
    assert lora is None


def test_where_nothing_is_said_of_sampling_it_is_greedy(tmp_path: Path, vllm: Any) -> None:
    ask(opened(weights(tmp_path / "base"), generation=Generation(temperature=None)))
    _, [params], _ = vllm.LOADED[0].chats[0]
    assert (params.temperature, params.top_p, params.max_tokens, params.structured_outputs) == (0.0, 1.0, 512, None)


def test_replies_carry_what_an_endpoint_says(tmp_path: Path, vllm: Any) -> None:
    replies = ask(opened(weights(tmp_path / "base"), concurrency=4), 10, attempt=2)
    assert [reply.key for reply in replies] == [f"k{n}" for n in range(10)]
    assert [len(chat[0]) for chat in vllm.LOADED[0].chats] == [4, 4, 2]
    [first] = [reply for reply in replies if reply.key == "k0"]
    assert (first.status, first.finish_reason, first.attempt, first.output_tokens) == ("ok", "stop", 2, 2)
    assert first.input_tokens == 5
    assert json.loads(first.raw)["text"] == first.text


def test_probabilities_come_with_the_token_taken_first(tmp_path: Path, vllm: Any) -> None:
    [reply] = ask(opened(weights(tmp_path / "base")), choices=("B", "A", "="), top_logprobs=5)
    assert reply.text == "B"
    assert reply.logprobs is not None
    assert next(iter(reply.logprobs[0])) == "B"
    assert {"A", "B", "="} <= set(reply.logprobs[0])


def test_weights_and_their_adapters_share_one_engine(tmp_path: Path, vllm: Any) -> None:
    base = weights(tmp_path / "base")
    sft, dpo = adapter(tmp_path / "sft", rank=24), adapter(tmp_path / "dpo", rank=8)
    models = [opened(base), opened(base, adapter=str(sft)), opened(base, adapter=str(dpo))]
    texts = [ask(model)[0].text for model in models]
    assert len(set(texts)) == 3
    [llm] = vllm.LOADED
    assert (llm.engine_args.enable_lora, llm.engine_args.max_lora_rank, llm.engine_args.max_loras) == (True, 32, 2)
    asked = [chat[2] for chat in llm.chats]
    assert asked[0] is None
    assert [(one.lora_name, one.lora_int_id, one.lora_path) for one in asked[1:]] == [
        (str(sft), 1, str(sft)),
        (str(dpo), 2, str(dpo)),
    ]


def test_a_thought_is_stripped_and_counted(tmp_path: Path, vllm: Any) -> None:
    model = opened(weights(tmp_path / "base"))
    ask(model)
    vllm.LOADED[0].server.reply = says(vllm, "<think> one two</think> So yes.")
    [reply] = ask(model)
    assert (reply.text, reply.reasoning_tokens) == ("So yes.", 4)


def says(vllm: Any, text: str) -> Any:
    server = vllm.LOADED[0].server
    return lambda body: server.completed(body, text)


def test_one_prompt_that_is_too_long_fails_alone_and_one_that_could_become_so_is_asked(
    tmp_path: Path, vllm: Any
) -> None:
    model = opened(weights(tmp_path / "base"), max_model_len=20, generation=Generation(max_tokens=10))
    long = [Conversation(key, (Message(role="user", content="word " * n),)) for key, n in (("over", 40), ("near", 8))]
    replies = {reply.key: reply for reply in model.generate([*questions(3), *long, *questions(0)])}
    assert [replies[f"k{n}"].status for n in range(3)] == ["ok", "ok", "ok"]
    assert replies["over"].failure == "too-long: the prompt has 44 tokens, and the model reads and writes 20 in all"
    assert replies["near"].status == "ok"
    last = [params.max_tokens for chat in vllm.LOADED[0].chats for params in chat[1] if len(chat[0]) == 1]
    assert 20 - replies["near"].input_tokens in last  # type: ignore[operator]


def test_an_answer_that_was_given_up_half_way_is_a_failed_call(tmp_path: Path, vllm: Any) -> None:
    model = opened(weights(tmp_path / "base"))
    ask(model)
    whole = says(vllm, "half of")
    vllm.LOADED[0].server.reply = lambda body: {"choices": [whole(body)["choices"][0] | {"finish_reason": "abort"}]}
    [reply] = ask(model)
    assert (reply.status, reply.text, reply.failure) == ("failed", "", "the engine gave the answer up half-way")


def test_an_engine_that_ends_leaves_the_rest_for_another_day(tmp_path: Path, vllm: Any) -> None:
    model = opened(weights(tmp_path / "base"), concurrency=2)
    replies = model.generate(questions(6))
    kept = [next(replies), next(replies)]
    vllm.FAULT.append(RuntimeError("EngineCore encountered an issue.\nSee stack trace"))
    with pytest.raises(Incomplete, match="model 'm': vLLM's engine ended: EngineCore encountered"):
        next(replies)
    assert [reply.status for reply in kept] == ["ok", "ok"]
    assert len(ask(model, 3)) == 3, "it is loaded again"
    assert len(vllm.LOADED) == 2


def test_weights_that_cannot_be_loaded_are_told_in_one_line(
    tmp_path: Path, vllm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Any, model: str, **given: Any) -> None:
        raise RuntimeError("Device string must not be empty\nand more")

    monkeypatch.setattr(vllm.LLM, "__init__", refuse)
    base = weights(tmp_path / "base")
    with pytest.raises(UsageError, match=r"^model 'm': vLLM cannot load .*base: Device string must not be empty$"):
        ask(opened(base))


def test_after_stop_nothing_more_is_asked(tmp_path: Path, vllm: Any) -> None:
    model: Any = opened(weights(tmp_path / "base"), concurrency=2)
    replies = model.generate(questions(10))
    next(replies)
    model.stop()
    assert len(list(replies)) == 1, "the other one that was asked with it"
    assert ask(model, 3) == []


def test_the_stand_in_takes_no_keyword_that_vllm_does_not_know(vllm: Any) -> None:
    with pytest.raises(TypeError):
        vllm.SamplingParams(guided_decoding=None)
    with pytest.raises(TypeError):
        vllm.LLM("base", task="generate")
