"""Token probabilities: asked for in the words of each kind of completion, read in both shapes, never left out."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint import Body
from endpoint import Endpoint as Server
from sciexam.errors import EndpointRefused
from sciexam.models.openai import OpenAIModel
from sciexam.models.replies import NEVER, Fault, read_body, read_logprobs
from sciexam.models.settings import Endpoint
from sciexam.types import Conversation, Generation, Message, Reply

TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"
TOP = {"A": -0.25, "B": -1.75, " A": -3.5}


def chat(*places: dict[str, float]) -> dict[str, Any]:
    """The `logprobs` of a chat completion; the first token of each place is the one taken."""
    content = []
    for place in places:
        listed = [{"token": token, "logprob": value, "bytes": None} for token, value in place.items()]
        content.append({**listed[0], "top_logprobs": sorted(listed, key=lambda one: -one["logprob"])})  # type: ignore[arg-type, operator]
    return {"content": content, "refusal": None}


def plain(*places: dict[str, float]) -> dict[str, Any]:
    """The `logprobs` of a plain completion."""
    return {
        "tokens": [next(iter(place)) for place in places],
        "token_logprobs": [next(iter(place.values())) for place in places],
        "top_logprobs": list(places),
        "text_offset": [0] * len(places),
    }


def opened(server: Server, **settings: Any) -> OpenAIModel:
    given = {"backend": "openai", "model": "m-1", "base_url": server.url, "timeout": 20.0, "api_key_env": None}
    return OpenAIModel(Endpoint(**given | settings), Generation(max_tokens=4))


def ask(server: Server, count: int = 1, top: int = 5, **settings: Any) -> list[Reply]:
    asked = [Conversation(f"k{i}", (Message(role="user", content=f"{i}"),), top_logprobs=top) for i in range(count)]
    return list(opened(server, **settings).generate(asked))


def telling(shape: str, logprobs: Any, text: str = "A") -> Any:
    """A server's reply of `text` with `logprobs` as given."""

    def reply(body: Body) -> Body:
        choice: Body = {"index": 0, "finish_reason": "stop", "logprobs": logprobs}
        choice |= {"message": {"role": "assistant", "content": text}} if shape == "chat" else {"text": text}
        return {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}

    return reply


# ---------------------------------------------------------------- what is asked


def test_chat_completions_are_asked_with_both_arguments_and_plain_ones_with_a_number() -> None:
    for shape, template, told, sent in (
        ("chat", None, chat(TOP), {"logprobs": True, "top_logprobs": 5}),
        ("plain", TEMPLATE, plain(TOP), {"logprobs": 5}),
    ):
        with Server(telling(shape, told)) as server:
            (reply,) = ask(server, chat_template=template)
        (received,) = server.received
        assert {name: received[name] for name in received if "logprobs" in name} == sent
        assert received["max_tokens"] == 4
        assert reply.logprobs == (TOP,)


def test_who_asks_for_none_sends_no_argument_and_needs_none() -> None:
    with Server() as server:
        (reply,) = ask(server, top=0)
    assert not [name for name in server.received[0] if "logprobs" in name]
    assert (reply.status, reply.logprobs) == ("ok", None)


# ---------------------------------------------------------------- what is refused

TODO = "; write `probabilities: false` for this judge, or name another endpoint"


@pytest.mark.parametrize("argument", ["logprobs", "top_logprobs"])
def test_an_endpoint_that_refuses_the_argument_ends_the_run_and_is_asked_no_more(argument: str) -> None:
    with Server(telling("chat", chat(TOP)), refuses=[argument]) as server:
        with pytest.raises(EndpointRefused) as caught:
            ask(server, 40, concurrency=2)
        requests = server.requests
    said = f"Unsupported value: '{argument}' does not support this value with this model."
    where = server.url.removeprefix("http://")
    assert str(caught.value) == f"{where}: the model 'm-1' gives no token probabilities: {said}{TODO}"
    assert requests <= 2
    assert all("logprobs" in body for body in server.received), "never dropped"


def test_another_argument_that_is_refused_is_still_left_out() -> None:
    with Server(telling("chat", chat(TOP)), refuses=["temperature"]) as server:
        (reply,) = ask(server)
    assert reply.logprobs == (TOP,)
    assert set(server.received[-1]) == {"model", "messages", "max_tokens", "seed", "logprobs", "top_logprobs"}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, {"error": {"message": "You are not allowed to request logprobs from this model.", "param": None}}),
        (400, {"error": {"message": "Requested sample logprobs of 5, which is greater than max allowed: 3"}}),
        (400, {"object": "error", "message": "log probabilities are not enabled"}),
        (422, {"detail": [{"loc": ["body", "top_logprobs"], "msg": "Extra inputs are not permitted"}]}),
        (501, {"error": {"message": "logprobs is not implemented"}}),
    ],
)
def test_in_whatever_words_it_is_refused_the_message_says_what_to_type(
    status: int, error: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(faults=["any"] * 9) as server:
        monkeypatch.setattr(server, "_fault", lambda handler, *_: handler.answer(status, error))
        with pytest.raises(EndpointRefused, match=r"gives no token probabilities: .*; write `probabilities: false`"):
            ask(server)
    assert server.requests == 1


def test_an_error_about_something_else_is_what_it_was() -> None:
    with Server(faults=["400"]) as server:
        (reply,) = ask(server)
    assert (reply.status, reply.failure) == ("failed", "400: The server had an error (400).")
    with Server(faults=["404"]) as server, pytest.raises(EndpointRefused, match="check model: 'm-1'"):
        ask(server)


TAKEN_ONLY = {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": []}]}


@pytest.mark.parametrize(
    "told", [None, {}, {"content": None}, {"content": []}, TAKEN_ONLY, chat({"A": 0.0}), {"content": [{"token": "A"}]}]
)
def test_an_endpoint_that_answers_without_them_gives_a_reply_without_them(told: Any) -> None:
    with Server(telling("chat", told)) as server:
        replies = ask(server)
    assert replies
    assert all(reply.status == "ok" and reply.logprobs is None for reply in replies)


def test_a_reply_without_a_text_has_no_probabilities_and_fails_alone() -> None:
    with Server(faults=["refusal", "empty", "content_filter"]) as server:
        replies = ask(server, 3, concurrency=1)
    assert [(reply.status, reply.failure) for reply in replies] == [
        ("invalid", "refused"),
        ("invalid", "empty"),
        ("invalid", "refused"),
    ]


# ---------------------------------------------------------------- the two shapes


def test_both_shapes_say_the_same_and_the_token_taken_comes_first() -> None:
    places = ({"\n": -2.0, "A": -0.5}, {"B": -1.0, "A": -0.5, "C": -9.0})
    for told in (chat(*places), plain(*places)):
        found = read_logprobs(told)
        assert found == places
        assert [next(iter(place)) for place in found or ()] == ["\n", "B"]


def test_the_token_taken_is_listed_though_it_is_not_among_the_likeliest() -> None:
    told = chat({"A": -0.1, "B": -2.4})
    told["content"][0] |= {"token": "Z", "logprob": -7.0}
    assert read_logprobs(told) == ({"Z": -7.0, "A": -0.1, "B": -2.4},)


def test_a_probability_of_zero_is_told_in_several_ways() -> None:
    body = json.dumps({"choices": [{"message": {"content": "A"}, "logprobs": chat({"A": 0.0, "B": -math.inf})}]})
    assert "-Infinity" in body
    reply = read_body(body.encode())
    assert isinstance(reply, Reply)
    assert reply.logprobs == ({"A": 0.0, "B": NEVER},)
    assert read_logprobs(chat({"A": 0.0, "B": -9999.0})) == ({"A": 0.0, "B": -9999.0},)
    assert math.exp(NEVER) == 0


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1, "A", [], {}, {"content": "A"}, {"content": [1]}, {"content": [{}]}, {"tokens": ["A"]}),
        chat({"A": math.nan, "B": -1.0}),
        chat({"A": 0.5, "B": -1.0}),
        chat({"A": -1.0, "B": math.inf}),
        {"content": [{"token": "A", "logprob": -1.0, "top_logprobs": 5}]},
        {"content": [{"token": "A", "logprob": -1.0, "top_logprobs": [5]}]},
        {"content": [{"token": "A", "logprob": True, "top_logprobs": [{"token": "B", "logprob": -1}]}]},
        {"content": [{"token": 7, "logprob": -1.0, "top_logprobs": [{"token": "B", "logprob": -1}]}]},
        {"content": [{"token": "A", "logprob": "-1", "top_logprobs": [{"token": "B", "logprob": -1}]}]},
        {"tokens": ["A"], "token_logprobs": [-1.0], "top_logprobs": None},
        {"tokens": ["A"], "token_logprobs": [-1.0], "top_logprobs": [None]},
        {"tokens": ["A", "B"], "token_logprobs": [-1.0], "top_logprobs": [{"A": -1.0, "B": -1.0}]},
    ],
)
def test_another_shape_is_none(value: Any) -> None:
    assert read_logprobs(value) is None


def test_a_whole_number_of_any_length_is_a_number() -> None:
    assert read_logprobs(chat({"A": 0, "B": -(10**400)})) == ({"A": 0.0, "B": NEVER},)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
names = st.sampled_from(["content", "tokens", "token_logprobs", "top_logprobs", "token", "logprob", "A"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)


@given(values)
def test_no_shape_whatever_costs_a_reply(value: Any) -> None:
    found = read_logprobs(value)
    assert found is None or all(logprob <= 1e-3 for place in found for logprob in place.values())
    outcome = read_body(json.dumps({"choices": [{"message": {"content": "x"}, "logprobs": value}]}).encode())
    assert not isinstance(outcome, Fault)
    assert outcome.text == "x"
