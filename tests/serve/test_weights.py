"""What is served is what the suite's contestant is: streamed, merged, and through every kind of endpoint."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import httpx2
import openai

import checkpoints
from conftest import clean_environment, write_suite
from sciexam.models.huggingface import HuggingFaceModel
from sciexam.models.settings import Weights
from sciexam.models.streaming import Sampling, TokenStream
from sciexam.serve.engine import Stopping
from sciexam.types import Conversation, Generation, Message
from served import QUIET, Start

QUESTIONS = ("Why is the sky blue?", "Say “ä€𝄞” twice.", "What does <|im_end|> mean?", "A\n\nB: c, and then?")


@pytest.fixture(scope="module", autouse=True)
def _offline() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        yield


def streamed(name: str, settings: Weights, generation: Generation, text: str) -> str:
    """The answer as the endpoint sends it, piece by piece."""
    model = TokenStream(name, settings)
    model.open()
    stopping = Stopping((*generation.stop, *model.stops), trims=model.is_plain)
    tokens = model.encode((Message(role="user", content=text),))
    pieces = []
    for token in model.stream(tokens, Sampling(generation.max_tokens)):
        pieces.append(stopping.push(token) if token.text or not token.ends else None)
        if stopping.stopped:
            return "".join(piece.text for piece in pieces if piece)
    pieces.append(stopping.rest())
    return "".join(piece.text for piece in pieces if piece)


def answered(name: str, settings: Weights, generation: Generation, text: str) -> str:
    """The answer of the suite's contestant."""
    asked = Conversation("0" * 64, (Message(role="user", content=text),))
    [reply] = HuggingFaceModel(name, settings, generation).generate([asked])
    return reply.text


@pytest.mark.parametrize("template", [checkpoints.CHATML, None], ids=["chat", "plain"])
def test_what_is_streamed_is_what_the_contestant_answers(tmp_path: Path, template: str | None) -> None:
    folder = checkpoints.causal(tmp_path / "m", seed=3, chat_template=template)
    # Drawn weights say </think> now and then, and what they said before it was streamed by then.
    settings = Weights(weights=str(folder), thinking=("<never>", "</never>"))
    for stop in ((), ("u", "wa")):  # letters that no special token has
        generation = Generation(max_tokens=48, stop=stop)
        for text in QUESTIONS:
            whole = answered("m", settings, generation, text)
            assert streamed("m", settings, generation, text) == whole
            assert whole or stop or not template


def test_a_thought_is_no_part_of_what_is_streamed(tmp_path: Path) -> None:
    """The words of a thought are made of what the model says anyhow: its third and its tenth token."""
    folder = checkpoints.causal(tmp_path / "m", seed=5)
    generation = Generation(max_tokens=40)
    plain = TokenStream("m", Weights(weights=str(folder)))
    plain.open()
    tokens = plain.encode((Message(role="user", content=QUESTIONS[0]),))
    pieces = [token.piece for token in plain.stream(tokens, Sampling(40))]
    first = pieces[0].strip() or pieces[0] + pieces[1]
    closing = next(piece for piece in pieces[1:] if piece not in pieces[0] and piece.strip())
    thinking = Weights(weights=str(folder), thinking=(first, closing))
    whole = answered("m", thinking, generation, QUESTIONS[0])
    assert streamed("m", thinking, generation, QUESTIONS[0]) == whole != "".join(pieces)


# ---------------------------------------------------------------- the real command


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite with a base, an adapter on it, and the same adapter asked for in 4 bits."""
    folder = tmp_path_factory.mktemp("world")
    checkpoints.causal(folder / "base", seed=1)
    checkpoints.adapter(folder / "base", folder / "lora", seed=2)
    models = {"base": {"weights": "./base"}, "sft": {"weights": "./base", "adapter": "./lora"}}
    write_suite(folder, 6, models, generation={"max_tokens": 40})
    return folder


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "sciexam"), *args]
    env = clean_environment() | QUIET
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)


def answers_of(folder: Path, suite: str) -> dict[str, list[str]]:
    """The answers of each contestant in the one report of a suite."""
    [report] = (folder / "results" / suite).glob("*/report.json")
    found: dict[str, list[str]] = {}
    for item in json.loads(report.read_text(encoding="utf-8"))["items"]:
        for answer in item["answers"]:
            found.setdefault(answer["contestant"], []).append(answer["text"])
    return found


def compared(folder: Path, suite: str, models: dict[str, Any]) -> dict[str, list[str]]:
    """A whole `sciexam compare` of these models, which answer greedily; their answers."""
    write_suite(folder, 6, models, suite=suite, generation={"max_tokens": 40})
    done = run(folder, "compare", *models, "--suite", "exam.yaml", "--judge", "measures")
    assert done.returncode == 0, done.stderr
    return answers_of(folder, suite)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_answers_through_the_endpoint_are_those_of_the_contestant(world: Path, served: Start) -> None:
    pytest.importorskip("peft")
    server = served(world, "sft", "--suite", "exam.yaml")
    assert "To try it" in server.output
    asked: list[Any] = [{"role": "user", "content": "Why?"}]
    client = server.client()
    whole = client.chat.completions.create(model="sft", messages=asked, logprobs=True, top_logprobs=3)
    pieces = list(client.chat.completions.create(model="sft", messages=asked, stream=True))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == whole.choices[0].message.content
    assert len(pieces) > 10
    for place in whole.choices[0].logprobs.content:
        assert len(place.top_logprobs) == 3
        assert place.logprob == place.top_logprobs[0].logprob  # greedily the likeliest is taken
    through = {"backend": "openai", "base_url": f"{server.url}/v1", "api_key_env": None}
    models = {
        "sft": {"weights": "./base", "adapter": "./lora"},
        "through": {**through, "model": "sft"},
        "base": {"weights": "./base"},
        "base-through": {**through, "model": "base"},
    }
    found = compared(world, "through", models)
    assert found["sft"] == found["through"] != found["base"]
    assert found["base"] == found["base-through"]
    assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_an_adapter_is_merged_into_unquantised_weights(world: Path, tmp_path: Path, quantization: Any) -> None:
    """In fp32 the merged logits are the adapter's within 1e-4; with 4 bits asked for, the merged weights are the same.

    The files of a merged model lie there once: the second call makes none.
    """
    pytest.importorskip("peft")
    import torch

    from sciexam.models.checkpoint import LocalCheckpoint
    from sciexam.models.merging import merged

    own = Weights(weights=str(world / "base"), adapter=str(world / "lora"), dtype="fp32")
    asked = own.model_copy(update={"quantization": quantization})
    found = merged("sft", asked, tmp_path)
    assert (found.adapter, found.quantization) == (None, quantization)
    made = Path(found.weights).stat().st_mtime_ns
    assert merged("sft", asked, tmp_path) == found
    assert Path(found.weights).stat().st_mtime_ns == made
    assert [path.name for path in tmp_path.iterdir()] == [Path(found.weights).name]
    ids = torch.tensor([checkpoints.tokenizer()("Why is the sky blue?")["input_ids"]])
    logits = []
    for settings in (own, found.model_copy(update={"quantization": "none"}), Weights(weights=str(world / "base"))):
        with LocalCheckpoint("m", settings, "causal", "cpu").use() as loaded, torch.inference_mode():
            logits.append(loaded.model(input_ids=ids).logits)
    assert (logits[0] - logits[1]).abs().max() < 1e-4
    assert (logits[0] - logits[2]).abs().max() > 0.01


@contextmanager
def transformers_serve(folder: Path) -> Iterator[str]:
    """`transformers serve` of a checkpoint, with a cache of its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "transformers"), "serve", str(folder), "--host", "127.0.0.1"]
    (folder.parent / "home" / "hub").mkdir(parents=True, exist_ok=True)
    env = clean_environment() | QUIET | {"HF_HOME": str(folder.parent / "home")}
    with (folder.parent / "serve.txt").open("w") as out:
        server = subprocess.Popen([*command, "--port", str(port), "--device", "cpu"], env=env, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with suppress(httpx2.HTTPError):
                if httpx2.get(f"{url}/health").status_code == 200:
                    break
            assert server.poll() is None, (folder.parent / "serve.txt").read_text()
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_transformers_serve_is_an_endpoint_like_others(world: Path) -> None:
    pytest.importorskip("fastapi")
    if not os.access(Path(sys.executable).parent / "transformers", os.X_OK):
        pytest.skip("no transformers command beside this interpreter")
    with transformers_serve(world / "base") as url:
        model = str(world / "base")
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=2)
        asked: list[Any] = [{"role": "user", "content": "Why?"}]
        whole = client.chat.completions.create(model=model, messages=asked, max_tokens=8)
        pieces = client.chat.completions.create(model=model, messages=asked, max_tokens=8, stream=True)
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        # It streams no half character that an answer ends with.
        assert text.rstrip("\ufffd") == whole.choices[0].message.content.rstrip("\ufffd")
        through = {"backend": "openai", "base_url": f"{url}/v1", "api_key_env": None, "model": model, "concurrency": 1}
        found = compared(world, "transformers", {"base": {"weights": "./base"}, "served": through})
    assert found["base"] == found["served"]
