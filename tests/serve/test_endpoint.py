"""The endpoint, asked by OpenAI's own client: what it answers, what it refuses by name, and who has to wait."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx2
import openai
import pytest

from served import Server, Start

NOT_TAKEN: tuple[tuple[dict[str, Any], str], ...] = (
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"frequency_penalty": 0.5}, "frequency_penalty"),
    ({"presence_penalty": 1}, "presence_penalty"),
    ({"logit_bias": {"5": -100}}, "logit_bias"),
    ({"reasoning_effort": "low"}, "reasoning_effort"),
    ({"user": "somebody"}, "user"),
    ({"best_of": 3}, "best_of"),
    ({"echo": True}, "echo"),
    ({"guided_choice": ["A", "B"]}, "guided_choice"),
    ({"tempreature": 0.5}, "tempreature"),
    ({"temperature": 2.5}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"n": 9}, "n"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 2_001}, "max_tokens"),
    ({"max_completion_tokens": 2_001}, "max_completion_tokens"),
    ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens"),
    ({"stop": ["a"] * 17}, "stop"),
    ({"stop": ""}, "stop"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"seed": 1.5}, "seed"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "user", "content": "x", "name": "me"}]}, "messages.0.name"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "messages.0.content",
    ),
)


@pytest.fixture(scope="module")
def server(speaking: Start) -> Server:
    return speaking("--delay", "0.005")


@pytest.fixture(scope="module")
def slow(speaking: Start) -> Server:
    """One answer at a time, and room for one that waits."""
    return speaking("--delay", "0.05", "--at-once", "1", "--waiting", "1")


def said(server: Server, text: str, **more: Any) -> Any:
    asked = [{"role": "user", "content": text}]
    return server.client().chat.completions.create(model="sft", messages=asked, **more)


def test_a_conversation_is_answered_with_its_usage(server: Server) -> None:
    answer = said(server, "say: two words")
    assert answer.choices[0].message.content == "two words"
    assert (answer.choices[0].message.role, answer.choices[0].finish_reason) == ("assistant", "stop")
    assert (answer.model, answer.object, answer.usage.completion_tokens) == ("sft", "chat.completion", 3)
    assert answer.usage.prompt_tokens == len("user: say: two words")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 3


def test_an_answer_is_streamed_piece_by_piece_and_its_pieces_are_the_whole(server: Server) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(said(server, "count 20", max_tokens=10, **options))
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert pieces[:3] == ["0", " 1", " 2"]
    assert "".join(filter(None, pieces)) == "0 1 2 3 4 5 6 7 8 9"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-2:] == [None, "length"]
    assert chunks[-1].usage.completion_tokens == 10
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_piece_arrives_before_the_last_one_is_written(slow: Server) -> None:
    with said(slow, "count 2000", max_tokens=2_000, stream=True) as stream:
        assert next(iter(stream)).choices[0].delta.content == "0"
    assert is_given_up(slow)


def is_given_up(server: Server) -> bool:
    """Whether the server stopped writing an answer before its end. A look at it makes it forget."""
    told = server.folder / "given-up.txt"
    for _ in range(100):
        if told.exists():
            told.unlink()
            return True
        time.sleep(0.05)
    return False


def test_a_plain_completion_continues_a_text(server: Server) -> None:
    answer = server.client().completions.create(model="sft", prompt="say: a b", logprobs=2)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("a b", "stop")
    told = answer.choices[0].logprobs
    assert (told.tokens, told.text_offset) == (["a", " b"], [0, 1])
    assert told.top_logprobs[0] == {"a": -0.25, "other": -2.0}
    streamed = server.client().completions.create(model="sft", prompt="say: a b", logprobs=1, stream=True)
    places = [chunk.choices[0].logprobs.text_offset for chunk in streamed if chunk.choices[0].logprobs]
    assert places == [[0], [1]]


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_come_for_every_token_that_was_sent(server: Server, stream: bool) -> None:
    asked = {"logprobs": True, "top_logprobs": 2, "stream": stream}
    answer = said(server, "say: a b c", stop=["c"], **asked)
    chunks = list(answer) if stream else [answer]
    told = [one for chunk in chunks if chunk.choices[0].logprobs for one in chunk.choices[0].logprobs.content]
    assert [one.token for one in told] == ["a", " b", " c"]  # " c" gave the blank before the stop
    assert told[0].logprob == -0.25
    assert [(top.token, top.logprob) for top in told[0].top_logprobs] == [("a", -0.25), ("other", -2.0)]
    assert bytes(told[1].bytes).decode() == " b"
    assert said(server, "say: a", logprobs=True).choices[0].logprobs.content[0].top_logprobs == []
    assert said(server, "say: a").choices[0].logprobs is None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("stop", "text"),
    [("cd", "ab "), (["b cd e"], "a"), (["x", "cd e"], "ab "), (["none"], "ab cd efgh"), ("h", "ab cd efg")],
)
def test_an_answer_ends_before_the_first_stop(server: Server, stop: Any, text: str, stream: bool) -> None:
    answer = said(server, "say: ab cd efgh", stop=stop, stream=stream)
    if stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in answer) == text
    else:
        assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (text, "stop")


def test_several_answers_are_drawn_with_seeds_of_their_own_and_the_same_seed_draws_the_same(server: Server) -> None:
    drawn = [
        [choice.message.content for choice in said(server, "weather", n=8, temperature=1.0, seed=5).choices]
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 1
    streamed: dict[int, str] = {}
    for chunk in said(server, "weather", n=8, temperature=1.0, seed=5, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] = streamed.get(choice.index, "") + (choice.delta.content or "")
    assert [streamed[index] for index in range(8)] == drawn[0]


def test_what_a_request_leaves_out_is_as_in_the_exam(server: Server) -> None:
    assert said(server, "count 500").usage.completion_tokens == 64
    assert said(server, "count 500", max_completion_tokens=3).usage.completion_tokens == 3
    assert said(server, "weather").choices[0].message.content == "It follows from weather, I think."


def test_fields_that_ask_for_nothing_are_taken(server: Server) -> None:
    nothing: dict[str, Any] = {"frequency_penalty": 0, "presence_penalty": 0.0, "n": 1, "tools": [], "user": None}
    answer = said(server, "say: a", response_format={"type": "text"}, extra_body=nothing)
    assert answer.choices[0].message.content == "a"


@pytest.mark.parametrize(("body", "name"), NOT_TAKEN, ids=[f"{name}-{i}" for i, (_, name) in enumerate(NOT_TAKEN)])
def test_what_is_not_done_here_is_refused_by_its_name(server: Server, body: dict[str, Any], name: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        said(server, "say: a", extra_body=body)
    assert isinstance(refused.value.body, dict)
    assert str(refused.value.body["param"]).startswith(name)
    assert name.rpartition(".")[2] in refused.value.body["message"]
    assert refused.value.body["type"] == "invalid_request_error"


def test_another_model_is_refused_with_the_nearest_name(server: Server) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        server.client().chat.completions.create(model="sff", messages=[{"role": "user", "content": "x"}])
    assert refused.value.code == "model_not_found"
    assert "did you mean 'sft'" in refused.value.message
    assert [model.id for model in server.client().models.list()] == ["sft", "base"]
    assert server.client().models.retrieve("base").owned_by == "sciexam"


def test_a_prompt_without_room_for_an_answer_is_refused_and_so_is_one_that_streams(server: Server) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            said(server, "x" * 6_000, stream=stream)
        assert refused.value.code == "context_length_exceeded"


def test_what_fails_in_a_model_is_told_by_its_kind_and_written_nowhere(server: Server) -> None:
    with pytest.raises(openai.InternalServerError) as failed:
        said(server, "fail with my secret")
    assert "secret" not in failed.value.message
    assert said(server, "say: still here").choices[0].message.content == "still here"
    assert "secret" not in server.output
    assert "RuntimeError" in server.output


def test_what_is_no_request_is_refused(server: Server) -> None:
    url = f"{server.url}/v1/chat/completions"
    kinds = {"content-type": "application/json"}
    assert httpx2.post(url, content=b"{", headers=kinds).json()["error"]["message"] == "the body is not JSON"
    assert httpx2.post(url, content=b"[1]", headers=kinds).status_code == 400
    assert httpx2.post(url, content=b"[" * 100_000, headers=kinds).status_code == 400
    assert httpx2.post(url, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert httpx2.post(url, content=b" " * 4_000_001, headers=kinds).status_code == 413
    assert httpx2.get(url).status_code == 405
    assert httpx2.get(f"{server.url}/v1/embeddings").json()["error"]["type"] == "invalid_request_error"
    assert httpx2.get(f"{server.url}/health").json() == {"status": "ok"}


def test_a_foreign_host_and_a_page_of_another_site_get_nothing(server: Server) -> None:
    url = f"{server.url}/v1/models"
    assert httpx2.get(url, headers={"host": "evil.example"}).json()["error"]["type"] == "invalid_request_error"
    asked = {"model": "sft", "messages": [{"role": "user", "content": "say: a"}]}
    foreign = httpx2.post(f"{server.url}/v1/chat/completions", json=asked, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    preflight = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    allowed = httpx2.options(f"{server.url}/v1/chat/completions", headers=preflight)
    assert allowed.status_code == 405
    assert not [name for name in (*allowed.headers, *foreign.headers) if name.startswith("access-control")]


def test_a_server_with_a_token_asks_for_it_everywhere_but_for_its_health_and_the_empty_page(speaking: Start) -> None:
    server = speaking("--token", "a-token-of-some-length", "--system", "Be brief.")
    assert said(server, "say: a").choices[0].message.content == "a"
    for given in ("", "Bearer wrong", "Bearer a-token-of-some-lengt", "Basic a-token-of-some-length", "Bearer \xff"):
        headers = {"authorization": given.encode("latin-1")} if given else {}
        for path in ("/v1/models", "/chat/about"):
            answer = httpx2.get(server.url + path, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    wrong = openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        wrong.models.list()
    page = httpx2.get(f"{server.url}/").text
    assert "sft" not in page
    assert httpx2.get(f"{server.url}/health").status_code == 200
    # The model's own system message goes before a conversation that has none.
    assert said(server, "system?").choices[0].message.content == "system: Be brief."
    asked: Any = [{"role": "developer", "content": "Be long."}, {"role": "user", "content": "system?"}]
    answer = server.client().chat.completions.create(model="sft", messages=asked)
    assert answer.choices[0].message.content == "system: Be long."


def test_several_are_answered_at_once_each_a_token_in_turn(server: Server) -> None:
    order: list[int] = []

    def read(number: int) -> None:
        for _ in said(server, "count 20", stream=True):
            order.append(number)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(read, range(2)))
    both = order[order.index(1 - order[0]) :]  # from where the second one began
    assert max(len(run) for run in "".join(map(str, both[:20])).replace("01", "0 1").replace("10", "1 0").split()) <= 4


def test_who_comes_when_every_place_is_taken_is_told_to_come_again(slow: Server) -> None:
    server = slow
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(said, server, "count 20") for _ in range(6)]
        answers = [one.exception() or one.result() for one in asked]
    refused = [one for one in answers if isinstance(one, openai.RateLimitError)]
    assert len(refused) == 4
    assert all(one.response.headers["retry-after"] == "2" for one in refused)
    assert all(one.type == "rate_limit_error" for one in refused)
    with pytest.raises(openai.RateLimitError):
        said(server, "count 5", n=3, stream=True)
    assert said(server, "say: a").choices[0].message.content == "a"


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_stops_what_is_written_for_them(slow: Server, stream: bool) -> None:
    messages = [{"role": "user", "content": "count 2000"}]
    body = json.dumps({"model": "sft", "messages": messages, "max_tokens": 2000, "stream": stream})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {slow.url[7:]}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", int(slow.url.rpartition(":")[2]))) as line:
        line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        time.sleep(0.5)
    assert is_given_up(slow)
    assert said(slow, "say: a").choices[0].message.content == "a"


def test_a_server_that_is_stopped_ends_what_it_writes(slow: Server) -> None:
    reading = threading.Thread(target=lambda: list(_until_it_ends(slow)))
    reading.start()
    time.sleep(0.3)
    assert slow.stop() == 0
    reading.join(10)
    assert "Traceback" not in slow.output  # as uvicorn writes when it cuts an answer off
    assert is_given_up(slow)


def _until_it_ends(server: Server) -> Any:
    with suppress(openai.APIError, httpx2.HTTPError):
        yield from said(server, "count 2000", max_tokens=2000, stream=True)
