"""A model asked through a batch API: the same replies as direct calls, and killed anywhere, nothing is paid twice."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from endpoint import Endpoint as Server
from endpoint import Provider as Bank
from postgres import SLOWLY, place
from sciexam.errors import EndpointRefused, Incomplete, UsageError
from sciexam.judges import open_judge
from sciexam.judges.settings import EndpointJudge
from sciexam.models import batch as batch_file
from sciexam.models import calls, open_model, provider, results
from sciexam.models.batch import BatchModel
from sciexam.models.openai import OpenAIModel
from sciexam.models.provider import Provider
from sciexam.models.results import read_line, read_lines
from sciexam.models.settings import Endpoint
from sciexam.models.spending import Account, Budget, Price
from sciexam.models.terms import Terms
from sciexam.models.wire import Wire
from sciexam.rubric import Rubric
from sciexam.store import Store
from sciexam.store.batches import Batches
from sciexam.types import Conversation, Generation, Message, Presentation, Prompt, Reply

RUBRIC = Rubric.model_validate(
    {
        "rubric": "r",
        "criteria": [
            {
                "name": "c",
                "question": "Is it good?",
                "levels": [{"label": "no", "anchor": "x"}, {"label": "yes", "anchor": "y"}],
            }
        ],
    }
)
KEY = "sk-sentinel/7f+Q2-do_not-show-me"
PRICE = Price(input=100.0, output=1000.0)
WORST = PRICE.at_most([{"role": "user", "content": "question    0 – größer?"}], 100)
SOON = (0.02, 0.1)  # seconds between two looks


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BACKOFF", 0.005)
    monkeypatch.setattr(calls, "BACKOFF_MOST", 0.05)
    monkeypatch.setattr(batch_file, "POLLS", SOON)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=SLOWLY)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store(place(request, tmp_path)) as made:
        yield made


def key_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def questions(numbers: int | Sequence[int], **fields: Any) -> Iterator[Conversation]:
    for number in range(numbers) if isinstance(numbers, int) else numbers:
        yield Conversation(key_of(number), (Message(role="user", content=f"question {number:4d} – größer?"),), **fields)


def opened(server: Server, store: Store | None, budget: Budget | None = None, **more: Any) -> OpenAIModel:
    """Through batches that are written down in `store`, or by direct calls without one."""
    key, generation = more.pop("api_key", None), more.pop("generation", Generation(max_tokens=100))
    record = Endpoint(**{"backend": "openai", "model": "m-1", "base_url": server.url, "api_key_env": None, **more})
    account = None if budget is None else Account(budget, PRICE)
    if store is None:
        return OpenAIModel(record, generation, api_key=key, max_wait=5.0, account=account)
    return BatchModel(record, generation, api_key=key, max_wait=5.0, account=account, journal=store.batches)


def bank(server: Server) -> Bank:
    assert server.provider is not None
    return server.provider


def stop_at_a_look(server: Server, model: BatchModel) -> None:
    """Stop the model as soon as it has asked how its batch is: whatever a machine is busy with, it knows it by then."""
    bank(server).told = lambda what: model.stop() if what == "looked" else None


def by_key(replies: Sequence[Reply]) -> dict[str, Reply]:
    """The replies without what a clock says."""
    assert len({reply.key for reply in replies}) == len(replies)
    return {reply.key: replace(reply, seconds=0.0) for reply in replies}


# --- the same as direct calls ---------------------------------------------------------------------------------------


def test_fifty_replies_and_fifty_requests_are_the_same_as_direct_ones(store: Store) -> None:
    generation = Generation(max_tokens=9, temperature=0.5, top_p=0.9, stop=("END",), effort="low")
    faults = {"length": 0.2, "refusal": 0.1, "empty": 0.1, "content_filter": 0.1}
    found, sent = [], []
    for journal in (None, store):
        with Server(batches=True, faults=faults, seed=3) as server:
            model = opened(server, journal, generation=generation, system="Be brief.")
            found.append(by_key(list(model.generate(questions(50, attempt=2, sample=1)))))
            sent.append(sorted(json.dumps(body, sort_keys=True) for body in server.received))
    assert len(found[0]) == 50
    assert {reply.status for reply in found[0].values()} == {"ok", "invalid"}
    assert found[0] == found[1]
    assert sent[0] == sent[1]


def test_both_have_the_same_digest_and_so_the_same_facts(store: Store) -> None:
    with Server(batches=True) as server:
        assert opened(server, store).digest == opened(server, None).digest


def test_a_chat_template_goes_to_the_plain_completions(store: Store) -> None:
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    with Server(batches=True) as server:
        [reply] = opened(server, store, chat_template=template).generate(questions(1))
        [made] = bank(server).batches.values()
    assert made["endpoint"] == "/v1/completions"
    assert reply.text == "<user>question    0 – größer?"


def test_a_judge_gives_the_same_verdicts_and_a_cut_one_its_second_attempt(store: Store) -> None:
    prompt = Prompt(id="p", messages=(Message(role="user", content="Why?"),))
    shown = [
        Presentation(prompt, "x" * n, "y" * 10, "ab", key=key_of(n), seal=key_of(n)[:32], subject=key_of(0))
        for n in range(20)
    ]
    found = []
    for journal in (None, store.batches):
        with Server("judge-longer", batches=True, faults={"length": 0.4}, seed=5) as server:
            spec = {"backend": "openai", "model": "m-1", "base_url": server.url, "api_key_env": None}
            [judge] = open_judge("j", EndpointJudge.model_validate(spec), RUBRIC, Terms(journal=journal))
            verdicts = [replace(v, reply=None, key=v.key) for v in judge.judge(shown)]
            found.append(sorted(verdicts, key=str))
    assert found[0] == found[1]
    assert len(bank(server).batches) == 2
    assert len(found[0]) == 20 + sum(body["max_tokens"] == 2048 for body in server.received) > 20
    assert {v.preferred for v in found[0]} >= {"first", "second", None}


def test_nothing_asked_is_no_request(store: Store) -> None:
    with Server(batches=True) as server:
        assert list(opened(server, store).generate(iter(()))) == []
        assert (server.requests, bank(server).files) == (0, {})


def test_a_batch_is_split_where_the_provider_takes_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_file, "MAX_REQUESTS", 7)
    with Server(batches=True) as server:
        assert len(by_key(list(opened(server, store).generate(questions(20))))) == 20
        assert [bank(server).files[b["input_file_id"]].count(b"\n") for b in bank(server).batches.values()] == [7, 7, 6]
    monkeypatch.setattr(batch_file, "MAX_BYTES", 1000)
    with Server(batches=True) as server:
        assert len(by_key(list(opened(server, store).generate(questions(20, attempt=1))))) == 20
        sizes = [len(bank(server).files[b["input_file_id"]]) for b in bank(server).batches.values()]
    assert len(sizes) > 3
    assert max(sizes) <= 1000


def test_an_argument_that_is_not_taken_is_left_out_in_a_second_batch(store: Store) -> None:
    with Server(batches=True, refuses=("max_tokens", "temperature")) as server:
        model = opened(server, store)
        replies = by_key(list(model.generate(questions(3))))
    assert all(reply.status == "ok" for reply in replies.values())
    assert set(server.received[-1]) == {"model", "messages", "max_completion_tokens", "seed"}
    assert len(model.notes) == 2
    assert all(count == 1 for count in bank(server).answered.values())


def test_of_an_earlier_commands_batch_every_line_that_refuses_an_argument_is_asked_again(store: Store) -> None:
    with Server(batches=True, batch_delay=60, refuses=("max_tokens", "temperature")) as server:
        model = opened(server, store)
        stop_at_a_look(server, model)
        assert list(model.generate(questions(3))) == []
        bank(server).delay = 0
        replies = list(opened(server, store).generate(questions(3)))
    assert [reply.status for reply in replies] == ["ok"] * 3
    assert all(count == 1 for count in bank(server).answered.values())


def test_a_request_with_two_lines_is_one_reply_and_a_line_that_is_none_is_passed_over(store: Store) -> None:
    with Server(batches=True) as server:
        read, files = bank(server)._advanced, bank(server).files

        def doubled(name: str) -> Any:
            if file := (batch := read(name)).get("output_file_id"):
                files[file] = b'{"custom_id": \n[]\n\n{"custom_id": 1}\n' + 2 * files[file].splitlines(True)[0]
            return batch

        bank(server)._advanced = doubled  # type: ignore[method-assign]
        replies = by_key(list(opened(server, store).generate(questions(2))))
    assert sorted(reply.status for reply in replies.values()) == ["failed", "ok"]
    assert {reply.failure for reply in replies.values()} == {"", "batch completed without an answer"}


# --- what the provider does not answer ------------------------------------------------------------------------------


def test_a_line_that_failed_is_a_failed_reply_and_is_asked_for_again(store: Store) -> None:
    with Server(batches=True, faults={"429": 0.3, "500": 0.3, "too_long": 0.2}, seed=1) as server:
        model = opened(server, store)
        first = by_key(list(model.generate(questions(30))))
        failed = {key: reply for key, reply in first.items() if reply.status == "failed"}
        assert {reply.failure.split(":")[0] for reply in failed.values()} == {
            "Rate limit reached for requests.",
            "500",
            "too-long",
        }
        server.faults = ()
        again = [one for one in questions(30, attempt=1) if one.key in failed]
        second = by_key(list(model.generate(again)))
    assert all(reply.status == "ok" and reply.attempt == 1 for reply in second.values())
    assert len(second) == len(failed)
    assert len(bank(server).batches) == 2


def test_of_an_expired_batch_what_was_answered_is_kept_and_the_rest_is_owed(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    budget = Budget(100.0)
    with Server(batches=True, batch_expires=6) as server:
        replies = list(opened(server, store, budget).generate(questions(10)))
    assert sorted(reply.status for reply in replies) == ["failed"] * 4 + ["ok"] * 6
    [why] = {reply.failure for reply in replies if reply.status == "failed"}
    assert why == "This request could not be executed before the completion window expired."
    assert "batch batch_0 ended as expired" in caplog.text
    told = sum(PRICE.of(r.input_tokens, r.output_tokens) or 0.0 for r in replies if r.status == "ok")
    assert (budget.spent, budget.reserved) == (pytest.approx(told), 0.0)


def test_a_batch_that_failed_as_a_whole_says_why(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(batches=True) as server:
        model = opened(server, store)
        monkeypatch.setattr(batch_file._Round, "_url", "/v1/embeddings")  # not what the lines' endpoint is
        monkeypatch.setattr(bank(server), "_do", failing(bank(server)))
        replies = list(model.generate(questions(3)))
    assert {reply.failure for reply in replies} == {"batch failed without an answer: Enqueued token limit reached."}


def failing(provider: Bank) -> Callable[..., tuple[str, int, Any]]:
    does = provider._do

    def do(handler: Any, method: str, body: bytes) -> tuple[str, int, Any]:
        done, status, value = does(handler, method, body)
        if done == "looked":
            told = {"object": "list", "data": [{"code": "token_limit", "message": "Enqueued token limit reached."}]}
            value = value | {"status": "failed", "errors": told, "output_file_id": None, "error_file_id": None}
        return done, status, value

    return do


def test_results_that_are_no_longer_kept_are_failed_replies(store: Store) -> None:
    with Server(batches=True) as server:
        model = opened(server, store)
        bank(server).told = lambda done: bank(server).files.clear() if done == "looked" else None
        [reply] = model.generate(questions(1))
    assert reply.status == "failed"
    assert reply.failure.startswith("the results of batch batch_0 are no longer kept: No such object")


def test_an_endpoint_without_a_batch_api_says_so_and_what_to_leave_out(store: Store) -> None:
    with Server() as server, pytest.raises(UsageError) as refused:
        list(opened(server, store).generate(questions(3)))
    where = server.url.removeprefix("http://")
    assert str(refused.value) == f"{where} has no batch API (404: no such path: /v1/files); leave out --batch"
    assert store.batches.open_batches(opened(server, store).digest) == []


def test_a_wrong_key_is_refused_and_not_shown(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Server(batches=True, key="another") as server, pytest.raises(EndpointRefused) as refused:
        list(opened(server, store, api_key=KEY).generate(questions(3)))
    assert "refuses (401): Incorrect API key provided: [key]" in str(refused.value)
    said = str(refused.value) + "".join(r.getMessage() for r in caplog.records if r.name.startswith("sciexam"))
    assert KEY not in said
    assert KEY[:8] not in said


def test_the_key_is_in_no_reply_however_the_provider_repeats_it(store: Store) -> None:
    with Server(lambda body: f"your key is {KEY}", batches=True, key=KEY) as server:
        replies = list(opened(server, store, api_key=KEY).generate(questions(3)))
    assert {reply.text for reply in replies} == {"your key is [key]"}
    assert all(KEY.encode() not in reply.raw for reply in replies)


def test_a_key_that_is_spelled_in_escapes_is_in_no_text_either() -> None:
    wire = Wire(Endpoint(backend="openai", model="m-1"), Generation(), "http://127.0.0.1:9", KEY)
    body = '{"choices": [{"message": {"content": "It is \\u0073' + KEY[1:] + '."}, "finish_reason": "stop"}]}'
    found = read_line({"response": {"status_code": 200, "body": body}}, wire, {})
    assert isinstance(found, Reply)
    assert found.text == "It is [key]."


def test_a_model_that_is_not_there_is_refused_after_the_replies(store: Store) -> None:
    with Server(batches=True, models=("other",)) as server:
        replies = opened(server, store).generate(questions(2))
        assert [next(replies).status, next(replies).status] == ["failed", "failed"]
        with pytest.raises(EndpointRefused, match="check model: 'm-1'"):
            next(replies)


def test_a_redirect_is_not_followed(store: Store) -> None:
    with Server(batches=True, batch_faults=["302"]) as server, pytest.raises(EndpointRefused, match="not followed"):
        list(opened(server, store, api_key=KEY).generate(questions(2)))


def test_what_passes_by_itself_is_asked_again(store: Store) -> None:
    faults = ["500", "429", None, "429", None, "503", "lost", None, "500", "lost"]
    with Server(batches=True, batch_faults=faults) as server:
        replies = list(opened(server, store).generate(questions(3)))
    assert [reply.status for reply in replies] == ["ok"] * 3
    assert len(bank(server).batches) == 1


def test_a_creation_that_was_lost_on_its_way_is_found_and_not_repeated(store: Store) -> None:
    with Server(batches=True, batch_faults=[None, "lost"]) as server:
        replies = list(opened(server, store).generate(questions(3)))
    assert [reply.status for reply in replies] == ["ok"] * 3
    assert len(bank(server).batches) == 1


def test_a_creation_that_nobody_knows_the_end_of_is_left_to_the_next_command(store: Store) -> None:
    with Server(batches=True, batch_faults=[None, "500"]) as server:
        with pytest.raises(Incomplete, match="a batch was sent and no answer came; run the same command to look"):
            list(opened(server, store).generate(questions(3)))
        assert bank(server).batches == {}
        assert len(list(opened(server, store).generate(questions(3)))) == 3
    assert len(bank(server).batches) == 1


def test_a_batch_that_the_provider_lists_late_is_found_by_the_next_command(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, looks = Provider.find, []

    def late(*arguments: Any) -> Any:
        looks.append(arguments)
        return find(*arguments) if len(looks) == 3 else None

    with Server(batches=True) as server:
        model = opened(server, store)
        monkeypatch.setattr(store.batches.__class__, "name", lambda *_: None)  # killed before it could be noted
        assert len(list(model.generate(questions(3)))) == 3
        monkeypatch.undo()
        monkeypatch.setattr(batch_file, "POLLS", SOON)
        monkeypatch.setattr(Provider, "find", late)
        assert len(list(opened(server, store).generate(questions(3)))) == 3
    assert len(looks) == 3
    assert len(bank(server).batches) == 1


def test_a_list_of_batches_that_does_not_go_on_ends_the_search_and_nothing_is_made(store: Store) -> None:
    page = {"object": "list", "data": [{"id": "b", "status": "completed", "created_at": time.time()}], "has_more": True}
    with Server(batches=True, batch_faults=[None, "500"]) as server:
        with pytest.raises(Incomplete):
            list(opened(server, store).generate(questions(3)))
        bank(server)._list = lambda query: page  # type: ignore[method-assign]
        with pytest.raises(Incomplete, match="its list of batches does not go on"):
            list(opened(server, store).generate(questions(3)))
    assert bank(server).batches == {}


def test_a_provider_that_falls_silent_while_one_waits_keeps_what_it_holds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_file, "MISSES", 2)
    with Server(batches=True, batch_faults=[None, None, *["503"] * 12]) as server:
        with pytest.raises(Incomplete, match=r"cannot look at batch batch_0: 503.*run the same command to collect it"):
            list(opened(server, store).generate(questions(3)))
        assert len(list(opened(server, store).generate(questions(3)))) == 3
    assert len(bank(server).batches) == 1


def test_a_batch_that_the_key_does_not_know_is_not_paid_for_again(store: Store) -> None:
    with Server(batches=True, batch_delay=60) as server:
        model = opened(server, store)
        stop_at_a_look(server, model)
        assert list(model.generate(questions(3))) == []
        bank(server).batches.clear()
        with pytest.raises(Incomplete, match=r"does not know batch batch_0: .*use the key of the account that made it"):
            list(opened(server, store).generate(questions(3)))
        assert bank(server).batches == {}


# --- stopped, killed, and collected ---------------------------------------------------------------------------------


def test_stop_leaves_the_batch_at_the_provider_and_the_same_command_collects_it(store: Store) -> None:
    budget = Budget(100.0)
    with Server(batches=True, batch_delay=60) as server:
        model = opened(server, store, budget)
        stop_at_a_look(server, model)
        assert list(model.generate(questions(3))) == []
        assert bank(server).batches["batch_0"]["status"] != "completed"
        bank(server).delay = 0
        where = server.url.removeprefix("http://")
        assert model.notes == [f"batch batch_0 goes on at {where}; the same command collects it"]
        assert budget.reserved == 0.0
        assert budget.spent == pytest.approx(3 * WORST), "what goes on is counted in full"
        assert len(list(opened(server, store).generate(questions(3)))) == 3
        assert len(bank(server).batches) == 1
        assert bank(server).batches["batch_0"]["status"] == "completed"


def test_a_wider_command_asks_only_for_what_is_in_no_batch(store: Store) -> None:
    with Server(batches=True) as server:
        model = opened(server, store)
        assert len(list(model.generate(questions(3)))) == 3
        assert len(list(opened(server, store).generate(questions([2, 3, 4])))) == 3
    assert bank(server).answered == {key_of(number): 1 for number in range(5)}


def test_another_model_does_not_collect_it(store: Store) -> None:
    with Server(batches=True) as server:
        list(opened(server, store).generate(questions(3)))
        list(opened(server, store, generation=Generation(max_tokens=7)).generate(questions(3)))
    assert len(bank(server).batches) == 2


def test_a_batch_is_forgotten_when_all_of_it_is_stored(store: Store) -> None:
    with Server(batches=True) as server:
        model = opened(server, store)
        replies = list(model.generate(questions(3)))
        store.append(replies[:2])
        [one] = store.batches.open_batches(model.digest)
        assert one.id == "batch_0"
        assert one.requests == {key_of(number): 0 for number in range(3)}
        store.append(replies[2:])
        assert store.batches.open_batches(model.digest) == []


def test_a_journal_is_opened_before_its_ledger(tmp_path: Path) -> None:
    journal = Batches()
    with Server(batches=True) as server:
        record = Endpoint(backend="openai", model="m-1", base_url=server.url, api_key_env=None)
        model = open_model("m", record, Generation(), Terms(journal=journal))
        with Store(tmp_path / "ledger.sqlite") as store:
            journal.keep_in(store)
            assert len(list(model.generate(questions(2)))) == 2
            assert len(store.batches.open_batches(model.digest)) == 1


CHILD = """
import os, signal, sys
from pathlib import Path
from sciexam.models import batch, open_model
from sciexam.models.settings import Endpoint
from sciexam.models.terms import Terms
from sciexam.store import Store
from sciexam.types import Generation
from models.test_batch import questions

batch.POLLS = (0.02, 0.1)
url, ledger, dies_after = sys.argv[1], sys.argv[2], int(sys.argv[3])
record = Endpoint(backend="openai", model="m-1", base_url=url, api_key_env=None)
with Store(ledger) as store:
    model = open_model("m", record, Generation(max_tokens=100), Terms(journal=store.batches))
    stored = store.replies([one.key for one in questions(20)])
    owed = [one for one in questions(20) if one.key not in stored]
    for number, reply in enumerate(model.generate(owed), 1):
        store.append([reply])
        if number == dies_after:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["uploaded", "created", "looked", "read", "stored"])
def test_killed_at_any_moment_nothing_is_handed_over_twice(moment: str, tmp_path: Path) -> None:
    """The server kills the client (`kill -9`) after it did what the request said and before it answers."""
    child: list[subprocess.Popen[str]] = []
    killed = threading.Event()

    def told(done: str) -> None:
        if done == moment and not killed.is_set():
            killed.set()
            os.kill(child[0].pid, signal.SIGKILL)
            child[0].wait()

    with Server(batches=True, batch_delay=0.1, told=told) as server:
        for run in range(2):
            dies_after = 5 if moment == "stored" and run == 0 else 0
            arguments = [server.url, str(tmp_path / "ledger.sqlite"), str(dies_after)]
            child[:] = [start(arguments)]
            _, said = child[0].communicate(timeout=30)
            assert child[0].returncode == (0 if run else -signal.SIGKILL), said
        counts = bank(server).answered
        assert len(bank(server).batches) == 1
    assert counts == {key_of(number): 1 for number in range(20)}
    with Store(tmp_path / "ledger.sqlite") as store:
        assert sum(reply.status == "ok" for reply in store.replies(list(counts)).values()) == 20


def start(arguments: Sequence[str]) -> subprocess.Popen[str]:
    tests = Path(__file__).parent.parent
    environment = os.environ | {"PYTHONPATH": f"{tests}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], env=environment, stderr=subprocess.PIPE, text=True
    )


# --- under a budget -------------------------------------------------------------------------------------------------


def test_only_what_the_budget_has_room_for_is_handed_over(store: Store) -> None:
    budget = Budget(4.5 * WORST)
    with Server(batches=True) as server:
        replies = list(opened(server, store, budget).generate(questions(10)))
        billed = sum(PRICE.of(*tokens) or 0.0 for tokens in server.billed.values())
    assert len(replies) == 4
    assert budget.reached
    assert budget.reserved == 0.0
    assert 0 < billed == pytest.approx(budget.spent)
    assert budget.spent <= budget.usd


def test_what_an_earlier_command_handed_over_is_collected_whatever_the_budget_and_nothing_is_added(
    store: Store,
) -> None:
    with Server(batches=True) as server:
        list(opened(server, store).generate(questions(5)))
        budget = Budget(1e-6)
        replies = list(opened(server, store, budget).generate(questions(8)))
    assert len(replies) == 5
    assert len(bank(server).batches) == 1
    assert budget.reached
    assert budget.spent > budget.usd, "it says what was spent, though it was decided on before"


@pytest.mark.parametrize(
    ("line", "cost"),
    [
        (None, WORST),  # the batch was completed, and may be billed whole
        ({"response": None, "error": None}, WORST),
        ({"response": None, "error": {"code": "batch_expired"}}, 0.0),
        ({"response": {"status_code": 429, "body": {"error": {"message": "too many"}}}, "error": None}, 0.0),
        ({"response": {"status_code": 200, "body": {"choices": []}}, "error": None}, WORST),
    ],
)
def test_what_is_not_answered_costs_nothing_only_where_the_provider_says_so(
    store: Store, line: Any, cost: float
) -> None:
    budget = Budget(10 * WORST)
    told = b"" if line is None else json.dumps({"custom_id": key_of(0), **line}).encode()
    with Server(batches=True) as server:
        read, files = bank(server)._advanced, bank(server).files

        def without_an_answer(name: str) -> Any:
            if file := (batch := read(name)).get("output_file_id"):
                files[file] = told
            return batch

        bank(server)._advanced = without_an_answer  # type: ignore[method-assign]
        [reply] = opened(server, store, budget).generate(questions(1))
    assert (reply.status, budget.reserved) == ("failed", 0.0)
    assert budget.spent == pytest.approx(cost)


# --- large results --------------------------------------------------------------------------------------------------


class Cutting(BaseHTTPRequestHandler):
    """Serves a file, the first time only the first half of it."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        body = b'{"custom_id": "a"}\n{"custom_id": "b"}\n'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: 20 if self.asked == 1 else len(body)])

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_results_that_were_cut_off_are_fetched_again_from_their_beginning() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Cutting) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        wire = Wire(Endpoint(backend="openai", model="m", base_url=url), Generation(), base_url=url, api_key=KEY)
        with Provider(wire, max_wait=5.0) as asked, asked.content("file-0") as kept:
            assert [key for key, _ in read_lines(kept)] == ["a", "b"]
        server.shutdown()
    assert Cutting.asked == 2


def test_results_without_an_end_are_not_taken_in(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "LARGEST_RESULT", 100)
    with Server(batches=True) as server, pytest.raises(Incomplete, match="the results are larger than 1e-07 GB"):
        list(opened(server, store).generate(questions(3)))


def test_a_line_that_is_larger_than_any_answer_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "LARGEST_ANSWER", 64)
    lines = [
        json.dumps({"custom_id": key, "text": "x" * size})
        for key, size in zip("abcde", (9, 99, 9, 999, 9), strict=True)
    ]
    assert [key for key, _ in read_lines(io.BytesIO("\n".join(lines).encode()))] == ["a", "c", "e"]
