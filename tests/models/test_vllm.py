"""vLLM at an address: what it is asked, in its own words, and what becomes of what it says."""

from __future__ import annotations

import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from endpoint import Body, prompt_of
from sciexam.errors import EndpointRefused, Incomplete, UsageError
from sciexam.judges import open_grader
from sciexam.judges.settings import VllmJudge
from sciexam.models import calls, open_model, vllm_wire
from sciexam.models.scoring import RewardModel
from sciexam.models.settings import Endpoint, Vllm
from sciexam.models.spending import Budget, Price
from sciexam.models.terms import Terms
from sciexam.models.vllm_replies import parted
from sciexam.models.wire import seed_of
from sciexam.rubric import Rubric
from sciexam.types import Conversation, Generation, Message, Model, Prompt, Reply, Submission
from vllm_server import PoolingServer, VllmServer, draws

KEY = "sk-of-the-replicas"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BACKOFF", 0.005)
    monkeypatch.setattr(calls, "BACKOFF_MOST", 0.05)


def opened(
    *servers: VllmServer, generation: Generation | None = None, terms: Terms | None = None, **more: Any
) -> Model:
    urls = tuple(server.url for server in servers)
    settings = Vllm(**{"backend": "vllm", "weights": "base", "base_url": urls, "timeout": 20.0, **more})
    return open_model("m", settings, generation or Generation(), terms or Terms(max_wait=5.0))


def questions(count: int, **fields: Any) -> Iterator[Conversation]:
    for number in range(count):
        yield Conversation(f"k{number}", (Message(role="user", content=f"question {number}"),), **fields)


def ask(model: Model, count: int = 1, **fields: Any) -> list[Reply]:
    return list(model.generate(questions(count, **fields)))


def says(text: str, **more: Any) -> VllmServer:
    return VllmServer(reply=lambda body: text, **more)


# --- what it is asked -----------------------------------------------------------------------------------------------


def test_everything_that_a_file_on_the_server_could_decide_is_said() -> None:
    with VllmServer() as server:
        ask(opened(server, generation=Generation(max_tokens=9, stop=("END",)), system="Be brief."), sample=2)
    [body] = server.received
    seed = seed_of(Conversation("k0", (), sample=2))
    assert body == {
        "model": "base",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "question 0"}],
        "max_tokens": 9,
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "stop": ["END"],
        "seed": seed,
    }


def test_what_the_suite_says_of_sampling_is_sent_and_a_second_attempt_has_its_own_length_and_seed() -> None:
    with VllmServer() as server:
        model = opened(server, generation=Generation(max_tokens=9, temperature=0.7, top_p=0.9))
        ask(model)
        ask(model, attempt=1, max_tokens=18)
    first, second = server.received
    assert (first["temperature"], first["top_p"], first["max_tokens"], second["max_tokens"]) == (0.7, 0.9, 9, 18)
    assert first["seed"] != second["seed"]


def test_a_verdict_of_one_word_is_guided_and_its_probabilities_come_back() -> None:
    with says("I would say B, because") as server:
        [reply] = ask(opened(server), choices=("A", "B", "="), top_logprobs=5)
    assert server.received[0]["structured_outputs"] == {"choice": ["A", "B", "="]}
    assert (server.received[0]["logprobs"], server.received[0]["top_logprobs"]) == (True, 5)
    assert reply.text == "B"
    assert reply.logprobs is not None
    assert next(iter(reply.logprobs[0])) == "B"
    assert {"A", "B", "="} <= set(reply.logprobs[0])


def test_weights_are_fetched_only_where_a_command_asks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Vllm(backend="vllm", weights="nobody/has-these", python=sys.executable)
    monkeypatch.setattr("sciexam.models.checkpoint_files._fetched", lambda *_: pytest.fail("it was fetched"))
    with pytest.raises(UsageError, match="base: weights: nobody/has-these is not in the local cache"):
        open_model("base", asked, Generation(), Terms(fetch=False))


def test_an_adapter_is_asked_by_its_name() -> None:
    with VllmServer(adapters={"sft": "/runs/sft"}) as server:
        [reply] = ask(opened(server, adapter="sft"))
    assert (server.received[0]["model"], reply.model) == ("sft", "sft")


def test_weights_and_adapters_are_known_by_their_folders_as_well() -> None:
    with VllmServer("served", root="/weights/base", adapters={"x": "/runs/sft"}) as server:
        ask(opened(server, weights="/weights/base"))
        ask(opened(server, weights="/weights/base", adapter="/runs/sft"))
    assert [body["model"] for body in server.received] == ["served", "x"]


@pytest.mark.parametrize("adapter", [None, "sft"])
def test_a_server_of_another_model_is_refused_and_says_what_it_serves(adapter: str | None) -> None:
    with VllmServer("other", adapters={"dpo": "/runs/dpo"}) as server, pytest.raises(EndpointRefused) as refused:
        ask(opened(server, adapter=adapter), 20)
    assert str(refused.value) == (
        f"127.0.0.1:{server.port}/v1 serves 'other', 'dpo', and not {adapter or 'base'!r}; write one of these names "
        "(as `weights:`, or as `adapter:`), or start it with --served-model-name, or with --lora-modules NAME=FOLDER "
        "for an adapter"
    )
    assert server.requests == 0, "nothing was asked of it"


def test_an_address_may_be_written_without_its_path() -> None:
    with VllmServer() as server:
        [reply] = ask(opened(server, base_url=server.url.removesuffix("/v1")))
    assert reply.text == "question 0"


def test_the_key_of_the_replicas_is_that_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    with VllmServer(key=KEY) as server:
        with pytest.raises(EndpointRefused, match="refuses \\(401\\)"):
            ask(opened(server))
        monkeypatch.setenv("REPLICAS", KEY)
        [reply] = ask(opened(server, api_key_env="REPLICAS"))
    assert reply.status == "ok"


# --- chat templates -------------------------------------------------------------------------------------------------


def test_a_template_of_ones_own_is_sent_to_a_server_that_takes_it() -> None:
    with VllmServer(template=None, trusts_template=True) as server:
        [reply] = ask(opened(server, chat_template="{{ messages }}"))
    assert (server.received[0]["chat_template"], reply.status) == ("{{ messages }}", "ok")


def test_a_server_that_takes_no_template_ends_the_run_and_is_told_the_flag() -> None:
    with (
        VllmServer() as server,
        pytest.raises(EndpointRefused, match="start it with --trust-request-chat"),
    ):
        ask(opened(server, chat_template="{{ messages }}"), 20)
    assert server.answered.total() == 0


def test_weights_without_a_template_end_the_run() -> None:
    with (
        VllmServer(template=None) as server,
        pytest.raises(EndpointRefused, match="'base' has no chat template"),
    ):
        ask(opened(server), 20)


# --- what comes back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "text", "thought"),
    [
        ("<think> one two three</think> So yes.", "So yes.", 5),
        ("one two</think> So yes.", "So yes.", 3),
        ("So yes.", "So yes.", None),
        ("The tag <think> is one.", "The tag <think> is one.", None),
    ],
)
def test_a_thought_is_no_part_of_an_answer_and_is_counted(said: str, text: str, thought: int | None) -> None:
    with says(said) as server:
        [reply] = ask(opened(server))
    assert (reply.text, reply.reasoning_tokens, reply.status) == (text, thought, "ok")


def test_a_thought_between_other_words() -> None:
    words = ("[BEGIN]", "[END]")
    with says("[BEGIN] a b [END] So.") as server:
        [reply] = ask(opened(server, thinking=words))
    assert (reply.text, reply.reasoning_tokens) == ("So.", 4)
    assert parted("[BEGIN] a [END] [BEGIN] b [END] So.", words) == "So."
    assert parted("[BEGIN] a", words) == ""
    assert parted("a [END] So.", words) == "So."
    assert parted("Plain.", words) == "Plain."
    assert parted("Say [BEGIN] or [END].", words) == "Say [BEGIN] or [END]."


def test_what_a_reasoning_parser_took_out_is_counted() -> None:
    def parsed(body: Body) -> dict[str, Any]:
        whole = server.completed(body, "So yes.")
        whole["choices"][0]["message"]["reasoning"] = "one two three"
        return whole

    with VllmServer(reply=parsed) as server:
        [reply] = ask(opened(server))
    assert (reply.text, reply.reasoning_tokens) == ("So yes.", 3)


@pytest.mark.parametrize(("opens", "status"), [("<think>\n", "invalid"), ("<think>\n\n</think>", "ok"), ("", "ok")])
def test_a_thought_that_the_prompt_began_and_the_limit_cut_off_is_no_answer(opens: str, status: str) -> None:
    with says("well let me think of it", opens=opens) as server:
        replies = ask(opened(server, generation=Generation(max_tokens=3)), 3)
    assert {reply.status for reply in replies} == {status}
    if status == "invalid":
        assert {(reply.text, reply.failure, reply.reasoning_tokens) for reply in replies} == {("", "truncated", 3)}


def test_a_prompt_that_leaves_less_room_than_was_asked_for_gets_what_there_is() -> None:
    with says("one two three four five six seven eight", max_model_len=10) as server:
        [reply] = ask(opened(server, generation=Generation(max_tokens=8)))
        [other] = ask(opened(server, generation=Generation(max_tokens=512)))
    assert (reply.text, reply.finish_reason, reply.input_tokens) == ("one two three four five", "length", 5)
    assert other.text == reply.text
    assert [body["max_tokens"] for body in server.received] == [8, 5, 512, 5]


def test_a_prompt_that_leaves_no_room_fails_alone_with_the_numbers() -> None:
    long = Conversation("long", (Message(role="user", content=" ".join(["word"] * 37)),))
    with VllmServer(max_model_len=40) as server:
        model = opened(server, generation=Generation(max_tokens=8))
        replies = {reply.key: reply for reply in model.generate([*questions(3), long])}
    assert {key: reply.status for key, reply in replies.items()} == {
        "k0": "ok",
        "k1": "ok",
        "k2": "ok",
        "long": "failed",
    }
    assert replies["long"].failure == "too-long: the prompt has 40 tokens, and the model reads and writes 40 in all"


def test_an_answer_that_the_server_gave_up_half_way_is_asked_for_again() -> None:
    with VllmServer(faults=["abort"]) as server:
        [reply] = ask(opened(server))
    assert (reply.text, reply.tries, server.statuses["abort"]) == ("question 0", 2, 1)


def test_a_stop_and_an_unknown_field_are_as_the_server_has_them() -> None:
    with says("one two END three") as server:
        [reply] = ask(opened(server, generation=Generation(stop=("END",))))
    assert (reply.text.strip(), reply.finish_reason) == ("one two", "stop")


def test_half_a_character_in_a_thought_is_counted_and_does_not_end_the_run() -> None:
    with says("<think>it is \ud83d</think>Four.") as server:
        replies = ask(opened(server), 2)
    assert [(reply.status, reply.text) for reply in replies] == [("ok", "Four.")] * 2
    assert all(reply.reasoning_tokens for reply in replies)


# --- replicas -------------------------------------------------------------------------------------------------------


def test_replicas_share_the_conversations_and_each_is_looked_at_once() -> None:
    with VllmServer(latency=0.01) as one, VllmServer(latency=0.01) as two:
        replies = ask(opened(one, two, concurrency=8), 60)
    assert len({reply.key for reply in replies}) == 60
    assert one.requests + two.requests == 60
    assert min(one.requests, two.requests) > 20
    assert (one.looked, two.looked) == (1, 1)


def test_a_slow_replica_is_asked_less() -> None:
    with VllmServer(latency=0.2) as slow, VllmServer(latency=0.005) as fast:
        ask(opened(slow, fast, concurrency=4), 60)
    assert slow.requests < fast.requests / 3


def test_a_replica_that_dies_costs_what_it_had_in_flight_and_nothing_is_lost_or_doubled() -> None:
    with VllmServer(reply=draws, latency=0.01) as one, VllmServer(reply=draws, latency=0.01) as two:
        expected = {reply.key: reply.text for reply in ask(opened(two), 80)}
        before = two.requests
        replies = []
        for reply in opened(one, two, concurrency=8).generate(questions(80)):
            replies.append(reply)
            if len(replies) == 20:
                one.die()
    assert Counter(reply.key for reply in replies) == Counter(expected.keys())
    assert {reply.key: reply.text for reply in replies} == expected, "seeds do not depend on who is asked"
    again = [reply for reply in replies if reply.tries > 1]
    assert len(again) <= 8
    assert two.requests - before <= 80
    assert max(two.answered.values()) == 2, "once before, and once at most here"


def test_a_replica_that_is_not_there_at_first_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    with VllmServer() as dead:
        dead.die()
    with VllmServer() as two:
        replies = ask(opened(dead, two, concurrency=8), 40)
    assert {reply.status for reply in replies} == {"ok"}
    assert sum(reply.tries - 1 for reply in replies) <= 4, "as many as were sent at first"


def test_a_replica_that_comes_back_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_wire, "REST", 0.02)
    with VllmServer(latency=0.01) as one, VllmServer(latency=0.01) as two:
        one.asleep = True
        replies = []
        for reply in opened(one, two, concurrency=4).generate(questions(100)):
            replies.append(reply)
            if len(replies) == 50:
                one.asleep = False
    assert {reply.status for reply in replies} == {"ok"}
    assert one.answered.total() > 5


def test_a_replica_that_comes_back_with_another_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_wire, "REST", 0.02)
    with VllmServer(latency=0.01) as one, VllmServer(latency=0.01) as two:
        replies = opened(one, two, concurrency=4).generate(questions(400))
        next(replies)
        one.asleep = True
        for _ in range(40):
            next(replies)
        one.serves = one.root = "other"
        one.asleep = False
        with pytest.raises(EndpointRefused, match=f":{one.port}/v1 serves 'other', and not 'base'"):
            list(replies)


def test_when_all_replicas_are_dead_the_rest_is_for_another_day() -> None:
    replies = []
    with VllmServer(latency=0.01) as one, VllmServer(latency=0.01) as two:
        model = opened(one, two, concurrency=4)
        with pytest.raises(Incomplete) as ended:  # noqa: PT012  what came before is kept
            for reply in model.generate(questions(100)):
                replies.append(reply)
                if len(replies) == 20:
                    one.die()
                    two.die()
    assert f"127.0.0.1:{one.port}/v1, 127.0.0.1:{two.port}/v1: " in str(ended.value)
    assert "what came back is kept" in str(ended.value)
    assert sum(reply.status == "ok" for reply in replies) >= 20


def test_replicas_of_different_models_are_refused() -> None:
    with (
        VllmServer() as one,
        VllmServer("other") as two,
        pytest.raises(EndpointRefused, match=f":{two.port}/v1 serves"),
    ):
        ask(opened(one, two, concurrency=8), 60)


def test_a_replica_that_refuses_for_its_rate_lowers_the_concurrency() -> None:
    with VllmServer(capacity=2, latency=0.01) as one, VllmServer(capacity=2, latency=0.01) as two:
        model = opened(one, two, concurrency=32)
        replies = ask(model, 100)
    assert {reply.status for reply in replies} == {"ok"}
    assert model.limit < 16  # type: ignore[attr-defined]


def test_two_runs_of_one_model_at_once_do_not_meet() -> None:
    with VllmServer(latency=0.01) as one, VllmServer(latency=0.01) as two:
        model = opened(one, two, concurrency=4)
        found: list[list[Reply]] = []
        threads = [threading.Thread(target=lambda: found.append(ask(model, 20))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [len(replies) for replies in found] == [20, 20]


def test_stop_lets_what_is_on_the_wire_come_back() -> None:
    with VllmServer(latency=0.1) as server:
        model = opened(server, concurrency=4)
        replies = []
        for reply in model.generate(questions(50)):
            replies.append(reply)
            model.stop(5.0)  # type: ignore[attr-defined]
    assert 1 <= len(replies) == server.requests <= 8


def test_a_call_that_is_given_up_on_the_wire_does_not_count_as_one_in_flight() -> None:
    with VllmServer(latency=0.2) as server:
        model = opened(server, concurrency=4)
        replies = model.generate(questions(8))
        next(replies)
        replies.close()  # type: ignore[attr-defined]
        assert len(ask(model, 4)) == 4


# --- as a judge -----------------------------------------------------------------------------------------------------


def test_a_judge_that_vllm_serves_marks_answers_one_by_one() -> None:
    rubric = Rubric.model_validate({"rubric": "r", "criteria": [{"name": "tone", "question": "Kind?"}]})

    def marks(body: Body) -> str:
        nonce = re.findall(r"GRADE ([0-9a-f]+) tone", prompt_of(body))[-1]
        return f"<think> hm hm</think>It is kind.\n\nGRADE {nonce} tone: 4"

    with VllmServer("judge", reply=marks) as one, VllmServer("judge", reply=marks) as two:
        spec = VllmJudge(backend="vllm", weights="judge", base_url=(one.url, two.url))
        [grader] = open_grader("kind", spec, rubric)
        shown = Submission(
            Prompt(id="p", messages=(Message(role="user", content="Why?"),)), "So.", key="k", seal="a" * 32
        )
        [grade] = grader.grade([shown])
    assert (grade.status, grade.criteria, grade.rater) == ("ok", {"tone": 4.0}, "kind")
    assert (one.received + two.received)[0]["max_tokens"] == 1024


# --- keys and prices ------------------------------------------------------------------------------------------------


def test_the_digest_says_what_is_asked_and_not_of_whom() -> None:
    def digest(generation: Generation | None = None, **more: Any) -> str:
        settings = Vllm(**{"backend": "vllm", "weights": "base", "base_url": "http://a:1", **more})
        return open_model("m", settings, generation or Generation()).digest

    same = digest()
    assert digest(base_url=("http://b:2/v1", "http://c:3")) == same
    assert digest(concurrency=3, timeout=1.0, gpu_memory=0.5, tensor_parallel=2, max_model_len=99) == same
    assert digest(Generation(samples=4)) == same
    others = [
        digest(weights="other"),
        digest(revision="abc"),
        digest(adapter="sft"),
        digest(quantization="nf4"),
        digest(dtype="bf16"),
        digest(chat_template="{{ messages }}"),
        digest(system="Be brief."),
        digest(thinking=("[", "]")),
        digest(Generation(temperature=0.5)),
    ]
    assert len({same, *others}) == 1 + len(others)


def test_only_a_model_with_a_price_is_counted_in_a_budget() -> None:
    def terms(**prices: Price) -> Terms:
        return Terms(budget=Budget(1e-3), prices=prices)

    with VllmServer() as server:
        assert len(ask(opened(server, terms=terms()), 30)) == 30
        assert ask(opened(server, terms=terms(base=Price(input=0.0, output=100.0))), 30) == []


def test_an_address_that_cannot_be_used_is_refused() -> None:
    settings = Vllm(backend="vllm", weights="base", base_url=("http://ok:1", "ftp://x"))
    with pytest.raises(UsageError, match="base_url: must be http"):
        open_model("m", settings, Generation())


# --- reward models behind /pooling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["classify", "token_classify"])
def test_a_reward_is_the_number_itself_and_not_its_sigmoid(task: Any) -> None:
    asked = (Message(role="user", content="Why?"), Message(role="assistant", content="x" * 7))
    with PoolingServer("rm", lambda text: 0.5 * len(text)) as server:
        url = server.url.removesuffix("/v1")
        model = RewardModel("rm", Endpoint(backend="openai", model="rm", base_url=url, api_key_env=None), task)
        [reply] = model.generate([Conversation("k", asked)])
    assert float(reply.text) == 3.5
    assert (server.received[0]["task"], server.received[0]["use_activation"]) == (task, False)
