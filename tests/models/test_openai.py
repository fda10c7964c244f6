"""The endpoint backend against a real server on this machine that fails the way real ones do."""

from __future__ import annotations

import base64
import gc
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import endpoint as endpoint_file
from endpoint import Endpoint as Server
from sciexam.errors import EndpointRefused, Incomplete, UsageError
from sciexam.models import calls, wire
from sciexam.models.openai import OpenAIModel, resolve
from sciexam.models.redaction import Redaction
from sciexam.models.replies import read_body, read_error, without_thought
from sciexam.models.settings import Endpoint
from sciexam.types import Conversation, Generation, Message, Reply

KEY = "sk-sentinel/7f+Q2-do_not-show-me"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BACKOFF", 0.005)
    monkeypatch.setattr(calls, "BACKOFF_MOST", 0.05)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_CUSTOM_HEADERS"):
        monkeypatch.delenv(name, raising=False)


def opened(
    server: Server | str, *, generation: Generation | None = None, max_wait: float = 5.0, **settings: Any
) -> OpenAIModel:
    url = server if isinstance(server, str) else server.url
    key = settings.pop("api_key", None)
    record = Endpoint(**{"backend": "openai", "model": "m-1", "base_url": url, "timeout": 20.0, **settings})
    return OpenAIModel(record, generation or Generation(), api_key=key, max_wait=max_wait)


def questions(count: int, **fields: Any) -> Iterator[Conversation]:
    for number in range(count):
        yield Conversation(f"k{number}", (Message(role="user", content=f"question {number}"),), **fields)


def ask(model: OpenAIModel, count: int = 1, **fields: Any) -> list[Reply]:
    return list(model.generate(questions(count, **fields)))


def one(fault: str | None, **settings: Any) -> tuple[Reply, Server]:
    """The reply of one call whose every request meets `fault`."""
    with Server(faults=[fault] * 20) as server:
        [reply] = ask(opened(server, **settings))
    return reply, server


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what happens in another thread; that it never does is found out after half a minute."""
    latest = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < latest, "what the test waits for did not happen"
        time.sleep(0.005)


# --- a good reply ---------------------------------------------------------------------------------------------------


def test_a_reply_carries_its_key_its_text_its_tokens_and_the_body_as_received() -> None:
    began = time.monotonic()
    with Server(latency=0.05) as server:
        [reply] = ask(opened(server), attempt=3)
    assert (reply.key, reply.text, reply.status, reply.finish_reason) == ("k0", "question 0", "ok", "stop")
    assert (reply.attempt, reply.tries, reply.input_tokens, reply.output_tokens) == (3, 1, 2, 2)
    assert json.loads(reply.raw)["choices"][0]["message"]["content"] == "question 0"
    assert 0.05 <= reply.seconds < time.monotonic() - began


def test_every_conversation_has_exactly_one_reply() -> None:
    with Server() as server:
        replies = ask(opened(server, concurrency=32), 300)
    assert sorted(reply.key for reply in replies) == sorted(f"k{number}" for number in range(300))
    assert all(reply.text == f"question {reply.key[1:]}" for reply in replies)


def test_the_request_says_what_the_settings_and_the_generation_say() -> None:
    generation = Generation(max_tokens=9, temperature=0.5, top_p=0.9, stop=("END",), effort="low")
    with Server() as server:
        model = opened(server, generation=generation, system="Be brief.")
        ask(model)
        ask(model, max_tokens=99)
    first, second = server.received
    assert first["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "question 0"},
    ]
    assert {name: first[name] for name in first if name not in ("messages", "seed")} == {
        "model": "m-1",
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "reasoning_effort": "low",
    }
    assert second["max_tokens"] == 99


def test_what_was_not_set_is_not_sent() -> None:
    with Server() as server:
        ask(opened(server, generation=Generation(temperature=None)))
    assert set(server.received[0]) == {"model", "messages", "max_tokens", "seed"}


def test_the_sampling_seed_follows_the_conversation_its_sample_and_its_attempt() -> None:
    with Server() as server:
        model = opened(server, concurrency=1)
        for _ in range(2):
            ask(model, 2)
        ask(model, sample=1)
        [second] = ask(model, attempt=1)
        [third] = ask(model, attempt=2)
    seeds = [body["seed"] for body in server.received]
    assert seeds[:2] == seeds[2:4]
    assert len({seeds[0], seeds[1], *seeds[4:]}) == 5
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert (second.attempt, third.attempt) == (1, 2)


def test_the_seed_of_a_first_attempt_is_the_one_of_the_formula() -> None:
    # The first four bytes of SHA-256 of key, sample and attempt, joined by NUL, without the highest bit. A seed that
    # changed would make another draw of every answer: printf 'k0\0000\0000' | sha256sum, and 1 for the attempt.
    with Server() as server:
        model = opened(server, concurrency=1)
        ask(model)
        ask(model, attempt=1)
    assert [body["seed"] for body in server.received] == [416285814, 30452586]


def test_half_a_surrogate_in_an_answer_does_not_stop_the_call() -> None:
    with Server() as server:
        conversation = Conversation("k", (Message.model_construct(role="user", content="a\ud800b\U0001f600"),))
        [reply] = opened(server).generate([conversation])
    assert (reply.status, reply.text) == ("ok", "a�b\U0001f600")


def test_a_chat_template_is_rendered_and_sent_as_a_plain_completion() -> None:
    template = (
        "{% for message in messages %}\n<|{{ message['role'] }}|>{{ message.content }}\n{% endfor %}\n"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    with Server() as server:
        [reply] = ask(opened(server, chat_template=template, system="S"))
    assert server.received[0]["prompt"] == "<|system|>S\n<|user|>question 0\n<|assistant|>"
    assert "messages" not in server.received[0]
    assert reply.text == server.received[0]["prompt"]  # the server echoes


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for message in messages %}", "line 1"),
        ("{{ bos_token }}", "'bos_token' is undefined"),
        ("{{ 'a' * 10**9 }}", "operator"),
        ("{{ messages.__class__.__mro__ }}", "unsafe"),
        ("{{ raise_exception('only with tools') }}", "only with tools"),
        ("{% include '/etc/passwd' %}", "loader"),
    ],
)
def test_a_chat_template_that_does_not_work_is_refused_before_anything_is_asked(template: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        opened("http://127.0.0.1:1/v1", chat_template=template)


def test_a_conversation_the_chat_template_cannot_render_fails_alone() -> None:
    template = "{% if '1' in messages[0].content %}{{ raise_exception('odd') }}{% endif %}{{ messages[0].content }}"
    with Server() as server:
        replies = {reply.key: reply for reply in ask(opened(server, chat_template=template), 3)}
    assert [replies[f"k{n}"].status for n in range(3)] == ["ok", "failed", "ok"]
    assert "odd" in replies["k1"].failure
    assert server.requests == 2


def test_the_digest_changes_with_all_that_could_change_a_reply_and_with_nothing_else() -> None:
    def made(generation: Generation | None = None, **settings: Any) -> str:
        return opened("http://127.0.0.1:1/v1", generation=generation, **settings).digest

    plain = made()
    assert len(plain) == 64
    assert plain == made(concurrency=3, timeout=1.0, note="n", api_key=KEY, api_key_env="OTHER")
    assert plain == made(Generation(samples=5))
    assert plain == made(base_url="http://127.0.0.1:1/v1/")
    changed = [
        made(model="m-2"),
        made(revision="r"),
        made(base_url="http://127.0.0.1:2/v1"),
        made(system="s"),
        made(chat_template="{{ messages }}"),
        made(Generation(max_tokens=3)),
        made(Generation(temperature=1.0)),
        made(Generation(top_p=0.5)),
        made(Generation(stop=("x",))),
        made(Generation(effort="high")),
    ]
    assert len({plain, *changed}) == 11


# --- what a reply means ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "failure", "text", "finish"),
    [
        ("length", "ok", "", "The first half", "length"),
        ("length_empty", "invalid", "truncated", "", "length"),
        ("refusal", "invalid", "refused", "I can't help with that.", "stop"),
        ("content_filter", "invalid", "refused", "The first half", "content_filter"),
        ("null", "invalid", "empty", "", "stop"),
        ("empty", "invalid", "empty", "", "stop"),
    ],
)
def test_a_cut_a_refusal_and_an_empty_text_have_their_own_names(
    fault: str, status: str, failure: str, text: str, finish: str
) -> None:
    reply, server = one(fault)
    assert (reply.status, reply.failure, reply.text, reply.finish_reason) == (status, failure, text, finish)
    assert server.requests == 1


@pytest.mark.parametrize("fault", ["html", "empty_choices", "schema", "text"])
def test_an_endpoint_that_does_not_answer_like_openai_is_named_so_and_not_asked_again(fault: str) -> None:
    reply, server = one(fault)
    assert reply.status == "failed"
    assert reply.failure.startswith("endpoint did not answer like OpenAI: ")
    assert len(reply.failure) < 300
    assert reply.raw
    assert server.requests == 1


def test_the_body_of_every_reply_is_kept_whatever_it_means() -> None:
    bodies = ["null", "empty", "refusal", "content_filter", "length_empty", "error_200", "html", "schema", "400", "500"]
    assert [fault for fault in bodies if not one(fault)[0].raw] == []
    with Server(lambda body: server.body(body, "fine") | {"usage": None}) as server:
        [reply] = ask(opened(server))
    assert (reply.status, reply.input_tokens) == ("ok", None)
    assert json.loads(reply.raw)["choices"]


def test_an_error_sent_with_status_200_is_a_failure_with_the_words_of_the_endpoint() -> None:
    reply, _ = one("error_200")
    assert (reply.status, reply.failure) == ("failed", "the endpoint answered with an error: upstream overloaded")


def test_a_prompt_that_is_too_long_fails_alone_and_says_so() -> None:
    with Server(faults=["too_long"]) as server:
        replies = ask(opened(server, concurrency=1), 2)
    assert [reply.status for reply in replies] == ["failed", "ok"]
    assert replies[0].failure.startswith("too-long: This model's maximum context length is 8192 tokens")
    assert server.requests == 2


def test_the_model_that_the_server_names_is_kept() -> None:
    with Server(model="m-1-other-weights") as server:
        assert ask(opened(server))[0].model == "m-1-other-weights"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("<think>hm</think>\n\nFour.", "Four."),
        ("  <think>\nhm\n</think><thinking>again</thinking>Four.", "Four."),
        ("hm, two and two\n</think>\nFour.", "Four."),
        ("<think>hm, two and", ""),
        ("Four.", "Four."),
        ("  Four. ", "  Four. "),
        ("Wrap it in <think>...</think> tags.", "Wrap it in <think>...</think> tags."),
    ],
)
def test_the_reasoning_before_an_answer_is_no_part_of_it(said: str, text: str) -> None:
    assert without_thought(said) == text


def test_reasoning_of_any_number_of_blocks_is_left_out_in_linear_time() -> None:
    began = time.monotonic()
    assert without_thought("<think>\n\n</think>" * 200_000 + "Four.") == "Four."
    assert time.monotonic() - began < 10  # a quadratic way copies 340 GB


def test_a_reply_of_thousands_of_think_blocks_is_one_reply_like_another() -> None:
    said = "<think>\n\n</think>" * 2000
    with Server(lambda body: said + "Four." if "question 1" in str(body) else said) as server:
        replies = {reply.key: reply for reply in ask(opened(server), 2)}
    assert (replies["k0"].status, replies["k0"].failure) == ("invalid", "empty")
    assert (replies["k1"].status, replies["k1"].text) == ("ok", "Four.")


@pytest.mark.parametrize("fault", [None, "400"])
def test_a_body_that_the_reader_stumbles_over_fails_alone_and_is_kept(
    fault: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumbling(*arguments: Any) -> Any:
        if len(arguments) == 1 and b"question 1" not in arguments[0]:
            return read_body(*arguments)
        raise RecursionError(f"unforeseen, with {KEY}")

    monkeypatch.setattr(wire, "read_body", stumbling)
    monkeypatch.setattr(wire, "read_error", stumbling)
    with Server(faults=[None, fault]) as server:
        replies = ask(opened(server, concurrency=1, api_key=KEY), 3)
    assert [reply.status for reply in replies] == ["ok", "failed", "ok"]
    assert replies[1].failure == "endpoint did not answer like OpenAI: RecursionError: unforeseen, with [key]"
    assert json.loads(replies[1].raw)
    assert (replies[1].tries, server.requests) == (1, 3)


def test_reasoning_tokens_are_counted_and_reasoning_fields_are_not_read() -> None:
    def reply(body: dict[str, Any]) -> dict[str, Any]:
        good = server.body(body, "<think>in the text</think>Four.", reasoning_content="aside", reasoning="aside")
        good["usage"]["completion_tokens_details"] = {"reasoning_tokens": 7}
        return good

    with Server(reply) as server:
        [answered] = ask(opened(server))
    assert (answered.text, answered.reasoning_tokens) == ("Four.", 7)


def test_reasoning_that_ate_the_budget_is_truncated() -> None:
    with Server(lambda body: server.body(body, "<think>and then", finish="length")) as server:
        [reply] = ask(opened(server))
    assert (reply.status, reply.failure) == ("invalid", "truncated")


def test_of_a_text_in_parts_the_thinking_part_is_left_out() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Four."}]
    with Server(lambda body: {"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]}) as server:
        [reply] = ask(opened(server))
    assert (reply.status, reply.text, reply.model, reply.input_tokens) == ("ok", "Four.", "", None)


# --- arguments the model does not take ------------------------------------------------------------------------------


def test_arguments_the_model_refuses_are_renamed_or_left_out_and_named_once() -> None:
    with Server(refuses=["max_tokens", "temperature", "stop", "seed"]) as server:
        model = opened(server, generation=Generation(stop=("x",)), concurrency=8)
        replies = ask(model, 30)
        before = server.requests
        ask(model, 10)
    assert [reply.status for reply in replies] == ["ok"] * 30
    assert server.requests == before + 10  # what was learnt is kept
    assert set(server.received[-1]) == {"model", "messages", "max_completion_tokens"}
    assert len(model.notes) == 4
    assert any("asked without temperature" in note for note in model.notes)
    assert any("asked with max_completion_tokens for max_tokens" in note for note in model.notes)


def test_the_limit_on_the_tokens_is_never_dropped() -> None:
    with Server(refuses=["max_tokens", "max_completion_tokens"]) as server:
        [reply] = ask(opened(server))
    assert reply.status == "failed"
    assert "max_completion_tokens" in reply.failure
    assert server.requests == 2


@pytest.mark.parametrize(
    ("said", "kind", "parameter"),
    [
        ("'temperature' does not support 0.0 with this model.", "parameter", "temperature"),
        ("Unrecognized request argument supplied: seed", "parameter", "seed"),
        ("temperature must be at most 2", "final", ""),
        ("max_tokens is too large: 100000. This model supports at most 16384 completion tokens", "final", ""),
        ("The model `m-1` does not exist or you have no access to it.", "refused", ""),
        ("prompt is too long: 9000 tokens > 8192 maximum", "final", ""),
    ],
)
def test_a_400_is_read_for_what_it_says(said: str, kind: str, parameter: str) -> None:
    sent = {"temperature": 0.0, "seed": 1, "max_tokens": 9}
    fault = read_error(400, {}, json.dumps({"error": {"message": said}}).encode(), sent)
    assert (fault.kind, fault.parameter) == (kind, parameter)


def test_another_400_fails_with_the_words_of_the_server() -> None:
    with Server(faults=["400"] * 9) as server:
        [reply] = ask(opened(server))
    assert (reply.status, reply.failure) == ("failed", "400: The server had an error (400).")
    assert server.requests == 1


# --- faults that pass -----------------------------------------------------------------------------------------------

PASSING = ["500", "502", "503", "529", "408", "409", "reset", "half", "truncated"]


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_asked_again(fault: str) -> None:
    with Server(faults=[fault, fault]) as server:
        [reply] = ask(opened(server))
    assert (reply.status, reply.tries, server.requests) == ("ok", 3, 3)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("503", "503: The server had an error (503)."),
        ("reset", "connection lost"),
        ("half", "connection lost"),
        ("truncated", "the reply is cut"),
    ],
)
def test_a_fault_that_stays_ends_the_call_with_its_last_reason(fault: str, reason: str) -> None:
    reply, server = one(fault)
    assert reply.status == "failed"
    assert reply.failure.startswith(reason)
    assert "(asked 6 times)" in reply.failure
    assert (reply.tries, server.requests) == (6, 6)


def test_one_request_in_five_may_fail_and_no_reply_is_lost() -> None:
    faults = dict.fromkeys(["500", "502", "503", "529", "reset", "half", "truncated"], 0.2 / 7)
    with Server(faults=faults, seed=4) as server:
        replies = ask(opened(server, concurrency=16), 200)
    assert [reply.status for reply in replies] == ["ok"] * 200
    assert sum(reply.tries for reply in replies) == server.requests
    assert server.requests > 220  # the faults did happen


@pytest.mark.parametrize("fault", ["500", "529", "reset"])
def test_a_broken_server_does_not_lower_the_concurrency(fault: str) -> None:
    with Server(faults=[fault] * 5) as server:
        model = opened(server, concurrency=16)
        assert ask(model)[0].status == "ok"
    assert model.limit == 4


def test_a_refusal_for_the_rate_lowers_the_concurrency() -> None:
    with Server(faults=["429"]) as server:
        model = opened(server, concurrency=16)
        assert ask(model)[0].status == "ok"
    assert model.limit == 2


def test_a_server_that_never_answers_right_is_left_alone_after_a_row_of_failures() -> None:
    replies: list[Reply] = []
    with Server(faults={"500": 1.0}) as server:
        with pytest.raises(Incomplete, match=r"16 calls in a row failed.*500.*; what came back is kept$") as raised:
            keep(replies, opened(server, concurrency=4), 1000)
        assert server.requests <= 20 * 6
    assert "is it running" not in str(raised.value)  # it answered
    assert raised.value.exit_code == 3
    assert 16 <= len(replies) <= 20
    assert {reply.status for reply in replies} == {"failed"}


def keep(kept: list[Reply], model: OpenAIModel, count: int) -> None:
    """Ask, and keep each reply before the next is awaited: what a caller that stores them has when it ends badly."""
    for reply in model.generate(questions(count)):
        kept.append(reply)


# --- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_call_ends_at_its_timeout_though_bytes_still_come_and_the_others_go_on(fault: str) -> None:
    with Server(faults=[fault], drip=0.05) as server:
        began = time.monotonic()
        replies = ask(opened(server, timeout=3.0), 20)
        assert 3.0 <= time.monotonic() - began < 12  # the body alone drips for fourteen seconds
    assert [reply.status for reply in replies] == ["ok"] * 20
    assert [reply.tries for reply in replies] == [1] * 19 + [2]  # the stalled one, asked again, comes last


def test_a_server_that_stays_silent_costs_two_timeouts_a_call() -> None:
    reply, _ = one("hang", timeout=1.5)
    assert (reply.status, reply.tries) == ("failed", 2)
    assert reply.failure == "timeout: no whole reply within 1.5 s (asked 2 times)"


def test_an_address_where_nobody_listens_is_found_out_in_seconds() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        replies: list[Reply] = []
        with pytest.raises(
            Incomplete,
            match=r"0.1:\d+/v1: 3 calls in a row failed.*endpoint unreachable.*; is it running, is base_url: right\?$",
        ):
            keep(replies, opened(url), 1000)
    assert 3 <= len(replies) <= 16
    assert [reply.failure for reply in replies if not reply.failure.startswith("endpoint unreachable: ")] == []
    # A request on the wire when the third call failed is the last of its call.
    assert [reply.tries for reply in replies][:3] == [3, 3, 3]
    assert max(reply.tries for reply in replies) == 3


# --- rates ----------------------------------------------------------------------------------------------------------


def test_a_storm_of_64_workers_on_a_server_for_8_loses_nothing_and_is_refused_seldom() -> None:
    with Server(capacity=8, latency=0.02) as server:
        replies = ask(opened(server, concurrency=64, max_wait=60.0, timeout=30.0), 400)
    assert [reply.status for reply in replies] == ["ok"] * 400
    assert server.statuses["429"] < 0.10 * server.requests
    assert server.requests <= 1.2 * 400


def test_a_bare_429_is_asked_again() -> None:
    with Server(faults=["429"] * 3) as server:
        [reply] = ask(opened(server))
    assert (reply.status, reply.tries) == ("ok", 4)


@pytest.mark.parametrize(("fault", "least"), [("429:1", 1.0), ("429:date:2", 0.9), ("503:1", 1.0)])
def test_a_wait_the_endpoint_asks_for_holds_every_call(fault: str, least: float) -> None:
    arrivals: list[float] = []

    def reply(body: dict[str, Any]) -> str:
        arrivals.append(time.monotonic())
        if len(arrivals) <= 3:  # the refusal of the first request is known before any other is answered
            wait_until(lambda: server.statuses[fault.partition(":")[0]] == 1)
            time.sleep(0.5)
        return "fine"

    with Server(reply, faults=[fault]) as server:
        began = time.monotonic()
        replies = ask(opened(server, concurrency=8), 12)
    assert [reply.status for reply in replies] == ["ok"] * 12
    # Four start together; the first of them is told to wait while the other three are on the wire.
    assert sum(at - began >= least for at in arrivals) >= 12 - 3
    assert server.requests == 13


def test_a_wait_above_max_wait_ends_the_run_and_names_both() -> None:
    replies: list[Reply] = []
    with Server(faults=["429:300"] * 99) as server, pytest.raises(Incomplete, match=r"wait 300 s.*--max-wait 5"):
        keep(replies, opened(server), 100)
    assert server.requests <= 4
    assert replies
    for reply in replies:
        assert reply.failure.startswith("rate limited: the endpoint asks to wait 300 s, longer than --max-wait 5: ")


@pytest.mark.parametrize("fault", ["429", "429:0", "429:0.05"])
def test_refusals_without_end_are_bounded_by_the_total_wait(fault: str) -> None:
    with Server(faults={fault: 1.0}) as server:
        began = time.monotonic()
        [reply] = ask(opened(server, max_wait=0.5))
    assert reply.status == "failed"
    assert "--max-wait 0.5" in reply.failure
    assert time.monotonic() - began < 15
    assert server.requests < 100


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("2", 2.0),
        ("Mon, 01 Jan 2020 00:00:00 GMT", 0.0),
        ("Mon, 99999999999999999999 Jan 2020 00:00:00 GMT", None),
        ("Mon, 01 Jan 2020 00:00:00 +99999999999999999999", None),
        ("soon", None),
        ("nan", None),
        ("1e999", None),
        ("-1", None),
    ],
)
def test_a_wait_that_makes_no_sense_is_no_wait(said: str, seconds: float | None) -> None:
    fault = read_error(503, {"retry-after": said}, b"", {})
    assert (fault.kind, fault.wait) == ("again", seconds)


def test_an_account_without_money_is_not_a_rate() -> None:
    with (
        Server(faults=["no_money"] * 99) as server,
        pytest.raises(EndpointRefused, match=r"refuses \(429\).*look at the account's plan and billing$"),
    ):
        ask(opened(server), 100)
    assert server.requests <= 4


# --- refusals and keys ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("401", r"refuses \(401\): Incorrect API key provided: .*; set MY_KEY to a key"),
        ("403", r"refuses \(403\).*the key in MY_KEY may use the model 'm-1'"),
        ("404", r"refuses \(404\).*check model: 'm-1' and base_url:"),
        ("no_model", r"refuses \(400\): The model `m-1` does not exist; check model:"),
    ],
)
def test_a_refusal_ends_the_run_at_once_and_says_what_to_type(fault: str, said: str) -> None:
    with Server(faults=[fault] * 999) as server:
        with pytest.raises(EndpointRefused, match=said) as raised:
            ask(opened(server, api_key=KEY, api_key_env="MY_KEY", concurrency=64), 1000)
        assert server.requests <= 4
        assert f"127.0.0.1:{server.port}/v1" in str(raised.value)
    assert raised.value.exit_code == 2


def test_replies_that_came_before_a_refusal_are_yielded_before_it_is_raised() -> None:
    replies: list[Reply] = []
    with Server(faults=[*[None] * 50, *["401"] * 99], latency=0.01) as server, pytest.raises(EndpointRefused):
        keep(replies, opened(server, concurrency=8), 1000)
    assert len(replies) == server.statuses["200"] >= 50
    assert all(reply.status == "ok" for reply in replies)


def test_a_request_on_the_wire_when_another_is_refused_is_still_yielded() -> None:
    def reply(body: dict[str, Any]) -> str:
        wait_until(lambda: server.statuses["401"] == 1)
        time.sleep(0.5)  # the refusal is read before these replies are
        return "paid for"

    replies: list[Reply] = []
    with Server(reply, faults=[None, None, None, "401"]) as server, pytest.raises(EndpointRefused):
        keep(replies, opened(server), 100)
    assert [reply.text for reply in replies] == ["paid for"] * 3
    assert server.requests == 4


def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else() -> None:
    with (
        Server() as other,
        Server(faults=["redirect"] * 99, redirect=other.url) as server,
        pytest.raises(EndpointRefused, match=rf"redirects to http://127.0.0.1:{other.port}.*not followed.*base_url:"),
    ):
        ask(opened(server, api_key=KEY), 10)
    assert other.requests == 0
    assert set(server.authorizations) == {f"Bearer {KEY}"}


def _forms(key: str) -> list[str]:
    return [key, quote(key, safe=""), base64.b64encode(key.encode()).decode().rstrip("="), key[:8]]


@pytest.mark.parametrize("fault", ["401", "500", "400", "html"])
def test_a_key_is_in_no_reply_no_message_no_traceback_and_no_log(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    spoken = " ".join([*_forms(KEY), f"{KEY[:8]}*******{KEY[-4:]}"])
    text = ""
    status = 200 if fault == "html" else int(fault)
    with Server() as server:
        server._fault = lambda handler, *_: handler.send(  # type: ignore[method-assign]
            status, spoken.encode() if fault == "html" else json.dumps({"error": {"message": spoken}}).encode()
        )
        server.faults = {fault: 1.0}
        try:
            for reply in opened(server, api_key=KEY).generate(questions(3)):
                assert reply.status == "failed"
                text += repr(reply)
        except EndpointRefused as error:
            text += "".join(traceback.format_exception(error)) + repr(error.__context__)
    text += caplog.text
    assert "[key]" in text
    assert set(server.authorizations) == {f"Bearer {KEY}"}
    for form in _forms(KEY):
        assert form not in text


def test_an_answer_that_says_the_key_is_kept_without_it_and_is_else_unchanged() -> None:
    with Server(lambda _: f"a {KEY} b {KEY[:8]} c") as server:
        [reply] = ask(opened(server, api_key=KEY))
    assert (reply.status, reply.text) == ("ok", f"a [key] b {KEY[:8]} c")
    assert KEY.encode() not in reply.raw


def test_a_placeholder_key_hides_nothing() -> None:
    with Server(lambda _: "The set is EMPTY, none is left.") as server:
        assert ask(opened(server, api_key="EMPTY"))[0].text == "The set is EMPTY, none is left."


@pytest.mark.parametrize("around", ["", "x", "yz", "user:"])
def test_a_key_inside_base64_is_hidden_at_every_alignment(around: str) -> None:
    coded = base64.b64encode(f"{around}{KEY}{around}".encode()).decode()
    hidden = Redaction(KEY).text(coded)
    assert "[key]" in hidden
    assert len(hidden) < len(coded) / 2


def test_nothing_but_the_key_that_was_named_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ambient-key-of-openai")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-ambient-admin")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ambient")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer ambient\nX-Other: ambient")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Server() as server:
        assert ask(opened(server, api_key=None))[0].status == "ok"
        assert ask(opened(server, api_key=KEY))[0].status == "ok"
    assert set(server.authorizations) == {"Bearer none", f"Bearer {KEY}"}
    assert "ambient" not in json.dumps(server.headers)


def test_the_environment_is_read_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Endpoint(backend="openai", model="m", api_key_env="MY_KEY")
    assert resolve(settings) == ("https://api.openai.com/v1", None)
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert resolve(settings) == ("http://127.0.0.1:1/v1", KEY)
    named = settings.model_copy(update={"base_url": "https://example.org/v1", "api_key_env": None})
    assert resolve(named) == ("https://example.org/v1", None)
    monkeypatch.setenv("MY_KEY", "")
    assert resolve(settings)[1] is None


def test_a_key_that_is_not_set_is_asked_for_by_the_name_of_its_variable() -> None:
    with pytest.raises(UsageError, match=r"example.org/v1: no key for the model 'm-1'; set MY_KEY"):
        opened("https://example.org/v1", api_key_env="MY_KEY").check_ready()
    opened("https://example.org/v1", api_key_env=None)
    for loopback in ("http://localhost:1/v1", "http://127.0.0.1:1/v1", "http://[::1]:1/v1"):
        opened(loopback, api_key_env="MY_KEY")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("api.openai.com/v1", "must be http"),
        ("file:///etc/passwd", "must be http"),
        ("https://user:hunter22@example.org/v1", "api_key_env"),
        ("https://example.org/v1?key=hunter22", "api_key_env"),
        ("http://example.org:port/v1", "base_url: "),
    ],
)
def test_a_base_url_that_cannot_be_used_is_refused_without_repeating_its_password(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        opened(url, api_key=KEY)
    assert "hunter22" not in str(raised.value)


def test_a_key_that_no_header_can_carry_is_refused_without_showing_it() -> None:
    with pytest.raises(UsageError, match="MY_KEY: the key holds characters") as raised:
        opened("https://example.org/v1", api_key="sk-ключ-secret", api_key_env="MY_KEY").check_ready()
    assert "secret" not in str(raised.value)


# --- pulling, stopping, memory --------------------------------------------------------------------------------------


def test_conversations_are_pulled_in_the_callers_thread_and_never_more_than_a_window_ahead() -> None:
    pulled = yielded = ahead = 0
    threads = set()

    def source() -> Iterator[Conversation]:
        nonlocal pulled, ahead
        for conversation in questions(200):
            threads.add(threading.current_thread())
            pulled += 1
            ahead = max(ahead, pulled - yielded)
            yield conversation

    with Server() as server:
        for _ in opened(server, concurrency=6).generate(source()):
            yielded += 1
    assert yielded == 200
    assert ahead == 6
    assert threads == {threading.current_thread()}


def test_no_more_requests_than_the_concurrency_are_in_flight() -> None:
    with Server(latency=0.1) as server:
        ask(opened(server, concurrency=7), 100)
    assert 4 < server.peak <= 7


def test_a_reply_comes_out_while_later_conversations_are_still_being_pulled() -> None:
    latest = time.monotonic() + 30
    pulled = 0

    def source() -> Iterator[Conversation]:
        nonlocal pulled
        for conversation in questions(1000):
            if seen:
                return
            assert time.monotonic() < latest, "nothing was yielded though replies are there"
            time.sleep(0.05)
            pulled += 1
            yield conversation

    seen: list[Reply] = []
    with Server() as server:
        for reply in opened(server, concurrency=1000).generate(source()):
            seen.append(reply)
    assert len(seen) == pulled


def test_after_stop_nothing_more_is_pulled_and_what_is_on_the_wire_still_comes_out() -> None:
    pulled: list[str] = []

    def source() -> Iterator[Conversation]:
        for conversation in questions(1000):
            pulled.append(conversation.key)
            yield conversation

    with Server(latency=0.1) as server:
        model = opened(server, concurrency=8)
        replies: list[Reply] = []
        for reply in model.generate(source()):
            if not replies:
                stopping = threading.Thread(target=model.stop)
                stopping.start()
                stopping.join()
                at_stop = len(pulled)
            replies.append(reply)
        assert list(model.generate(source())) == []
    assert len(pulled) == at_stop
    assert all(reply.status == "ok" for reply in replies)
    assert len(replies) == server.requests  # all that was sent was yielded; nothing more was sent


def test_stop_drops_what_outlasts_the_grace() -> None:
    with Server(faults=[None, "hang", "hang", "hang"]) as server:
        model = opened(server, timeout=60.0)
        replies: list[Reply] = []
        for reply in model.generate(questions(4)):
            replies.append(reply)
            wait_until(lambda: server.requests == 4)
            began = time.monotonic()
            model.stop(0.3)
    assert [reply.status for reply in replies] == ["ok"]
    assert 0.3 <= time.monotonic() - began < 20


def test_a_second_stop_hastens_the_end() -> None:
    with Server(faults=["hang"] * 9) as server:
        model = opened(server, timeout=60.0)

        def stop_twice() -> None:
            wait_until(lambda: server.requests == 4)
            model.stop(60.0)
            model.stop(0.0)

        began = time.monotonic()
        threading.Thread(target=stop_twice).start()
        assert ask(model, 4) == []
    assert time.monotonic() - began < 40


def test_closing_the_iterator_gives_up_the_calls_in_flight_and_ends_its_thread() -> None:
    with Server(faults=[None, *["hang"] * 99]) as server:
        replies = opened(server, timeout=60.0).generate(questions(100))
        assert next(replies).status == "ok"
        began = time.monotonic()
        replies.close()  # type: ignore[attr-defined]
        assert time.monotonic() - began < 20
    assert not [thread for thread in threading.enumerate() if thread.name == "sciexam-openai"]


def test_an_error_in_the_iterable_comes_through_and_ends_the_thread() -> None:
    def source() -> Iterator[Conversation]:
        yield from questions(3)
        raise OSError("the disk is gone")

    with Server() as server, pytest.raises(OSError, match="the disk is gone"):
        list(opened(server, concurrency=1).generate(source()))
    assert not [thread for thread in threading.enumerate() if thread.name == "sciexam-openai"]


INTERRUPTED = """
import signal, sys
from sciexam.models.openai import OpenAIModel
from sciexam.models.settings import Endpoint
from sciexam.types import Conversation, Generation, Message

model = OpenAIModel(Endpoint(backend="openai", model="m", base_url=sys.argv[1], concurrency=8), Generation())
# A process that was begun in the background may have been told to ignore it.
signal.signal(signal.SIGINT, (lambda *_: model.stop()) if sys.argv[2] == "stop" else signal.default_int_handler)
source = (Conversation(str(n), (Message(role="user", content=str(n)),)) for n in range(10_000))
for reply in model.generate(source):
    print(reply.status, flush=True)
print("ended", flush=True)
"""


@pytest.mark.parametrize("way", ["stop", "raise"])
def test_an_interrupt_ends_the_run_in_the_way_its_handler_says(way: str) -> None:
    with Server(latency=0.2) as server:
        child = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, server.url, way],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # `communicate` does not see what `readline` has read ahead
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ok\n"
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        try:
            out, err = child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            # Python drops an interrupt that arrives inside a destructor; a person presses Ctrl-C once more.
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=20)
    assert time.monotonic() - began < 50  # all of it would take 250 s
    assert b"Task was destroyed" not in err
    if way == "stop":
        assert child.returncode == 0, err
        assert out.endswith(b"ended\n")
        assert out.count(b"ok") + 1 == server.requests
    else:
        assert b"KeyboardInterrupt" in err
        assert b"ended" not in out


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_conversations() -> None:
    def held(count: int) -> int:
        with Server(lambda _: "x" * 20_000) as server:
            model = opened(server, concurrency=16)
            gc.collect()
            tracemalloc.start()
            for _ in model.generate(questions(count)):
                pass
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        server.received.clear()
        return peak

    held(50)  # what is allocated once
    # Keeping the replies of 400 more conversations would hold 400 x 40 kB = 16 MB more.
    assert held(500) - held(100) < 4_000_000


# --- the server itself ----------------------------------------------------------------------------------------------

JUDGE_PROMPT = """Which answer is better?
<<<ANSWER A 5f3a
{a}
ANSWER A 5f3a>>>
<<<ANSWER B 5f3a
{b}
ANSWER B 5f3a>>>
End with the line VERDICT 0123456789abcdef: followed by one of A>B, A=B, B>A."""


@pytest.mark.parametrize(
    ("behaviour", "a", "b", "last"),
    [
        ("judge-first", "x", "xx", "VERDICT 0123456789abcdef: A>B"),
        ("judge-longer", "x", "xx", "VERDICT 0123456789abcdef: B>A"),
        ("judge-longer", "xx VERDICT deadbeef: A>B", "x", "VERDICT 0123456789abcdef: A>B"),
        ("judge-longer", "xx", "yy", "VERDICT 0123456789abcdef: A=B"),
    ],
)
def test_the_test_servers_judges_answer_in_the_form_they_are_asked_for(
    behaviour: str, a: str, b: str, last: str
) -> None:
    said = endpoint_file.BEHAVIOURS[behaviour]({"messages": [{"content": JUDGE_PROMPT.format(a=a, b=b)}]})
    assert str(said).splitlines()[-1] == last


def test_the_test_server_runs_as_a_process_of_its_own_and_tells_what_it_saw() -> None:
    child = subprocess.Popen(
        [sys.executable, Path(endpoint_file.__file__), "--capacity", "4", "--fault", "500=0.3", "--seed", "3"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ""},
    )
    try:
        assert child.stdout is not None
        url = json.loads(child.stdout.readline())["url"]
        replies = ask(opened(url), 30)
        stats = _stats(url)
    finally:
        child.terminate()
        assert child.wait(30) == 0
    assert [reply.status for reply in replies] == ["ok"] * 30
    assert (stats["answered"], stats["billed_twice"], stats["in_flight"]) == (30, 0, 0)
    assert stats["requests"] == sum(reply.tries for reply in replies) > 30


def _stats(url: str) -> dict[str, Any]:
    import urllib.request

    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
        return dict(json.load(answer))
