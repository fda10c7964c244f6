"""A server of vLLM that sciexam starts: the real path from the interpreter to the last process that must end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sciexam.errors import Incomplete, UsageError
from sciexam.models import calls, check_ready, open_model, vllm_server
from sciexam.models.settings import Vllm
from sciexam.models.token_prompts import PLAIN, PLAIN_STOP
from sciexam.models.vllm_launch import Launch
from sciexam.types import Conversation, Generation, Message, Model
from vllm_server import is_alive
from weight_files import adapter, tokenizer, weights

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
FLAGS = {
    "--host": "127.0.0.1",
    "--dtype": "auto",
    "--generation-config": "vllm",
    "--tensor-parallel-size": "1",
    "--gpu-memory-utilization": "0.9",
    "--load-format": "safetensors",
    "--chat-template-content-format": "string",
}


@pytest.fixture
def behave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The stand-in on the interpreter's path, and how it behaves; what it was told is in `told`."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS / "standin"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(calls, "BACKOFF", 0.005)
    monkeypatch.setattr(calls, "BACKOFF_MOST", 0.05)
    (tmp_path / "tmp").mkdir()

    def set_to(**how: Any) -> None:
        monkeypatch.setenv("STANDIN_VLLM", json.dumps({"told": str(tmp_path / "told.jsonl"), **how}))

    set_to()
    return set_to


def told(tmp_path: Path) -> list[dict[str, Any]]:
    """The arguments, the environment and the processes of every server that was started."""
    path = tmp_path / "told.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def opened(folder: Path, name: str = "m", *, generation: Generation | None = None, **more: Any) -> Model:
    settings = Vllm(**{"backend": "vllm", "weights": str(folder), "python": sys.executable, **more})
    return open_model(name, settings, generation or Generation())


def questions(count: int) -> Iterator[Conversation]:
    for number in range(count):
        yield Conversation(f"k{number}", (Message(role="user", content=f"question {number}"),))


def flags(argv: list[str]) -> dict[str, str]:
    return {flag: value for flag, value in pairwise(argv) if flag.startswith("--")}


def wait_until_gone(pids: list[int]) -> None:
    latest = time.monotonic() + 30
    while any(map(is_alive, pids)):
        assert time.monotonic() < latest, "a process is left"
        time.sleep(0.02)


def test_a_server_is_started_at_the_first_call_asked_and_ended_with_the_model(tmp_path: Path, behave: Any) -> None:
    base = weights(tmp_path / "base")
    model = opened(base)
    check_ready(model)
    assert told(tmp_path) == [], "nothing is started to look facts up"
    replies = list(model.generate(questions(5)))
    assert len(list(model.generate(questions(2)))) == 2
    assert sorted(reply.key for reply in replies) == [f"k{n}" for n in range(5)]
    assert {(reply.status, reply.model) for reply in replies} == {("ok", str(base))}
    [server] = told(tmp_path)
    said, key = server["argv"], server["environment"]["VLLM_API_KEY"]
    assert said[0] == str(base)
    assert {flag: flags(said)[flag] for flag in FLAGS} == FLAGS
    assert "--trust-request-chat-template" in said
    assert len(key) > 30
    assert not any(key in one for one in said), "others can read a command line"
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    assert quiet.items() <= server["environment"].items()
    assert all(map(is_alive, server["pids"]))
    del model
    wait_until_gone(server["pids"])
    assert list((tmp_path / "tmp").iterdir()) == [], "the log of what went well is not kept"


def test_a_variable_with_the_key_of_another_service_is_not_handed_on(
    tmp_path: Path, behave: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another")
    list(opened(weights(tmp_path / "base")).generate(questions(1)))
    [server] = told(tmp_path)
    assert "sk-of-another" not in server["environment"].values()


def test_weights_and_their_adapters_share_one_server_and_are_asked_by_name(tmp_path: Path, behave: Any) -> None:
    base = weights(tmp_path / "base")
    sft = adapter(tmp_path / "with=signs, and blanks", rank=24)
    dpo = adapter(tmp_path / "dpo", rank=8)
    models = [opened(base), opened(base, adapter=str(sft)), opened(base, adapter=str(dpo))]
    texts = [[reply.text for reply in model.generate(questions(3))] for model in models]
    assert len({text for some in texts for text in some}) == 9, "the stand-in answers by adapter"
    [server] = told(tmp_path)
    said = server["argv"]
    at = said.index("--lora-modules")
    assert [json.loads(one) for one in said[at + 1 : at + 3]] == [
        {"name": str(sft), "path": str(sft)},
        {"name": str(dpo), "path": str(dpo)},
    ]
    assert "--enable-lora" in said
    assert (flags(said)["--max-lora-rank"], flags(said)["--max-loras"]) == ("32", "2")
    assert flags(said)["--tokenizer"] == str(base)


def test_what_differs_in_how_it_is_loaded_has_a_server_of_its_own(tmp_path: Path, behave: Any) -> None:
    base = weights(tmp_path / "base")
    plain, packed = opened(base), opened(base, quantization="nf4", dtype="bf16", max_model_len=99, gpu_memory=0.4)
    list(plain.generate(questions(1)))
    list(packed.generate(questions(1)))
    said = flags(told(tmp_path)[1]["argv"])
    assert len(told(tmp_path)) == 2
    assert (said["--quantization"], said["--dtype"], said["--max-model-len"]) == ("bitsandbytes", "bfloat16", "99")
    assert said["--gpu-memory-utilization"] == "0.4"
    assert "--load-format" not in said


def test_the_template_and_the_end_that_an_adapter_was_trained_on_go_with_each_request(tmp_path: Path) -> None:
    base = weights(tmp_path / "base", template=None)
    tokenizer(base, template=None, ends="<|endoftext|>")
    tuned = opened(base, adapter=str(adapter(tmp_path / "sft")))
    [body] = sent(tuned)
    assert "<|im_start|>" in body["chat_template"]
    assert body["stop_token_ids"] == [1]


def test_weights_without_a_template_are_asked_in_plain_turns_and_say_so(tmp_path: Path) -> None:
    model = opened(weights(tmp_path / "base", template=None), generation=Generation(stop=("END",)))
    [body] = sent(model)
    assert (body["chat_template"], body["stop"]) == (PLAIN, ["END", PLAIN_STOP])
    assert model.notes == [  # type: ignore[attr-defined]
        "has no chat template, and was asked in turns of plain text: `User: ...`, then `Assistant:`"
    ]


def test_the_template_of_the_weights_is_left_to_the_server(tmp_path: Path) -> None:
    base = weights(tmp_path / "base")
    assert "chat_template" not in sent(opened(base, adapter=str(adapter(tmp_path / "x", own=False))))[0]
    (base / "tokenizer_config.json").write_text('{"eos_token": "<|im_end|>"}')
    (base / "chat_template.jinja").write_text("{{ messages }}")
    assert "chat_template" not in sent(opened(base))[0]
    assert sent(opened(base, chat_template="{{ 1 }}"))[0]["chat_template"] == "{{ 1 }}"


def sent(model: Any) -> list[dict[str, Any]]:
    """What the line would send."""
    return [model._wire.request(one).options for one in questions(1)]


def test_an_adapter_with_a_vocabulary_of_its_own_is_served_with_its_tokenizer(tmp_path: Path) -> None:
    base, grown = weights(tmp_path / "base"), adapter(tmp_path / "grown")
    tokenizer(grown, template=None, words=3)
    model: Any = opened(base, adapter=str(grown))
    assert model._server.launch.tokenizer == str(grown)


def test_the_digest_is_of_the_contents_and_not_of_the_place(tmp_path: Path) -> None:
    first = opened(weights(tmp_path / "a")).digest
    assert opened(weights(tmp_path / "b")).digest == first
    assert opened(tmp_path / "a", python="/another/python", gpu_memory=0.3, tensor_parallel=2).digest == first
    assert opened(weights(tmp_path / "c", word="other")).digest != first
    assert opened(tmp_path / "a", max_model_len=64).digest != first, "it cuts answers off"
    with_adapter = opened(tmp_path / "a", adapter=str(adapter(tmp_path / "x"))).digest
    assert with_adapter != first
    assert opened(tmp_path / "a", adapter=str(adapter(tmp_path / "y", word="other"))).digest != with_adapter


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_server_that_ends_before_it_is_ready_says_its_last_words(tmp_path: Path, behave: Any) -> None:
    behave(dies="CUDA out of memory.\x1b[31m Tried to allocate 9 GiB")
    with pytest.raises(UsageError) as ended:
        list(opened(weights(tmp_path / "base"), "sft").generate(questions(3)))
    said = str(ended.value)
    assert said.startswith(
        "model 'sft': vLLM ended before it was ready: RuntimeError: CUDA out of memory. [31m Tried to allocate 9 GiB "
        "... RuntimeError: Engine core initialization failed. See root cause above. (log: "
    )
    assert "\n" not in said
    log = Path(said.rpartition("(log: ")[2].rstrip(")"))
    assert "loading weights" in log.read_text(), "the log stays where it is named"


def test_a_server_that_dies_half_way_costs_what_is_not_answered_and_is_started_again(
    tmp_path: Path, behave: Any
) -> None:
    behave(dies_after=20)
    model = opened(weights(tmp_path / "base"), concurrency=4)
    replies = []
    with pytest.raises(Incomplete, match=r"vLLM ended: .*illegal memory.* \(log: "):  # noqa: PT012  the replies are kept
        for reply in model.generate(questions(60)):
            replies.append(reply)
    assert sum(reply.status == "ok" for reply in replies) >= 15
    wait_until_gone(told(tmp_path)[0]["pids"])
    behave()
    assert len(list(model.generate(questions(4)))) == 4


def test_an_interpreter_that_is_not_there_or_has_no_vllm_is_told_before_anything_is_started(
    tmp_path: Path, behave: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = weights(tmp_path / "base")
    with pytest.raises(UsageError, match="model 'm': python: no interpreter at /nowhere/python; name one whose"):
        check_ready(opened(base, python="/nowhere/python"))
    monkeypatch.delenv("PYTHONPATH")
    with pytest.raises(UsageError, match=r"has no vLLM; in an environment of its own: .* -m pip install vllm"):
        check_ready(opened(base))


def test_weights_that_cannot_be_read_are_told_before_anything_is_started(tmp_path: Path, behave: Any) -> None:
    base = weights(tmp_path / "base")
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(UsageError, match="as pickle"):
        check_ready(opened(base))
    with pytest.raises(UsageError, match="vLLM does not quantize to int8"):
        opened(weights(tmp_path / "other"), quantization="int8")
    with pytest.raises(UsageError, match="no such folder"):
        opened(tmp_path / "nowhere")
    assert told(tmp_path) == []


def test_a_rank_that_vllm_has_no_room_for_is_told(tmp_path: Path, behave: Any) -> None:
    model = opened(weights(tmp_path / "base"), adapter=str(adapter(tmp_path / "wide", rank=1024)))
    with pytest.raises(UsageError, match="a rank of 1024 is more than vLLM's 512; merge it"):
        list(model.generate(questions(1)))


def test_a_server_that_is_never_ready_is_given_up(tmp_path: Path, behave: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(load=600)
    monkeypatch.setattr(vllm_server, "READY", 0.8)
    with pytest.raises(UsageError, match=r"was not ready after 0.8 s: INFO loading weights \(log: "):
        list(opened(weights(tmp_path / "base")).generate(questions(1)))


def test_stop_while_weights_are_loaded_ends_the_waiting(tmp_path: Path, behave: Any) -> None:
    behave(load=600)
    model: Any = opened(weights(tmp_path / "base"))
    threading.Timer(0.5, model.stop).start()
    assert list(model.generate(questions(3))) == []


# --- how it ends ----------------------------------------------------------------------------------------------------

ASKING = """
import json, os, sys, time
from sciexam.models import open_model
from sciexam.models.settings import Vllm
from sciexam.types import Conversation, Generation, Message

model = open_model("m", Vllm(backend="vllm", weights=sys.argv[1], python=sys.executable), Generation())
said = Message(role="user", content="Why?")
for reply in model.generate(Conversation(f"k{n}", (said,)) for n in range(10**6)):
    print(reply.key, flush=True)
    match sys.argv[2]:
        case "return":
            break
        case "error":
            raise RuntimeError("a fault of ours")
        case "exit":
            os._exit(7)
"""


SELDOM = [pytest.param(ending, marks=pytest.mark.slow) for ending in ("return", "error", "exit", "SIGTERM")]


@pytest.mark.parametrize("ending", ["SIGINT", "SIGKILL", "while loading", *SELDOM])
def test_no_process_is_left_however_sciexam_ends(tmp_path: Path, behave: Any, ending: str) -> None:
    if ending == "while loading":
        behave(load=600)
    asked = [sys.executable, "-c", ASKING, str(weights(tmp_path / "base")), ending]
    process = subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path)
    assert process.stdout is not None
    if ending == "while loading":
        latest = time.monotonic() + 30
        while not told(tmp_path) and time.monotonic() < latest:
            time.sleep(0.02)
    else:
        assert process.stdout.readline().startswith(b"k")
    [server] = told(tmp_path)
    if ending.startswith("SIG") or ending == "while loading":
        process.send_signal(getattr(signal, ending, signal.SIGKILL))
    process.wait(30)
    process.stdout.close()
    wait_until_gone(server["pids"])


def test_a_server_that_does_not_heed_the_request_to_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    watched = Path(vllm_server.watchdog.__file__).read_text().replace("GRACE = 10.0", "GRACE = 0.3")
    (tmp_path / "watchdog.py").write_text(watched)
    asked = [sys.executable, "-I", "-S", str(tmp_path / "watchdog.py"), sys.executable, "-c", script]
    process = subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"1\n"
    [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.stdin.close()
    assert process.wait(10) == 128 + signal.SIGKILL
    process.stdout.close()
    assert not is_alive(int(child))


def test_the_command_is_what_vllm_serve_takes(tmp_path: Path) -> None:
    launch = Launch("/w", "org/w", "/t", "/venv/bin/python", "none", "fp16", 2, 0.5, None)
    said = vllm_server.command(launch, 8123, {})
    assert " ".join(said) == (
        "/venv/bin/python -m vllm.entrypoints.cli.main serve /w --host 127.0.0.1 --port 8123 --served-model-name org/w "
        "--tokenizer /t --dtype float16 --generation-config vllm --tensor-parallel-size 2 --gpu-memory-utilization 0.5 "
        "--load-format safetensors --trust-request-chat-template --chat-template-content-format string"
    )
