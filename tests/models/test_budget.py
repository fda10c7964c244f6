"""A budget is never exceeded: many calls at once, several models, and an endpoint that fails and bills all the same."""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoint import Body, prompt_of
from endpoint import Endpoint as Server
from sciexam.errors import UsageError
from sciexam.models import calls, open_model
from sciexam.models.openai import OpenAIModel
from sciexam.models.replies import Fault
from sciexam.models.settings import Endpoint
from sciexam.models.spending import TOKENS_A_MESSAGE, TOKENS_A_REQUEST, Account, Budget, Price, bills_nothing
from sciexam.models.terms import Terms
from sciexam.types import Conversation, Generation, Message, Reply

PRICE = Price(input=100.0, output=1000.0)  # USD per million tokens


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BACKOFF", 0.005)
    monkeypatch.setattr(calls, "BACKOFF_MOST", 0.05)
    monkeypatch.setattr(calls, "GIVE_UP", 10**6)


def opened(server: Server | str, budget: Budget, name: str = "m-1", price: Price = PRICE, **more: Any) -> OpenAIModel:
    generation = more.pop("generation", Generation(max_tokens=more.pop("max_tokens", 100)))
    url = server if isinstance(server, str) else server.url
    record = Endpoint(**{"backend": "openai", "model": name, "base_url": url, "api_key_env": None, **more})
    model = open_model(name, record, generation, Terms(max_wait=5.0, prices={name: price}, budget=budget))
    assert isinstance(model, OpenAIModel)
    return model


def questions(count: int, **fields: Any) -> Iterator[Conversation]:
    for number in range(count):
        yield Conversation(f"k{number}", (Message(role="user", content=f"question {number:4d}"),), **fields)


WORST = PRICE.at_most([{"role": "user", "content": "question    0"}], 100)  # of one of `questions`


def spent_at(server: Server, price: Price = PRICE) -> float:
    """USD that the server counted as billed."""
    return sum(price.of(*tokens) or 0.0 for tokens in server.billed.values())


# --- the account ----------------------------------------------------------------------------------------------------


def test_the_worst_case_is_every_byte_a_token_and_every_token_allowed_written() -> None:
    said = [{"role": "user", "content": "größer"}]  # 4 bytes of role, 8 of text
    tokens = TOKENS_A_REQUEST + TOKENS_A_MESSAGE + 12
    assert PRICE.at_most(said, 50) == pytest.approx((tokens * 100 + 50 * 1000) / 1e6)
    assert PRICE.at_most("größer", 50) == pytest.approx(((TOKENS_A_REQUEST + 8) * 100 + 50 * 1000) / 1e6)


@pytest.mark.parametrize("usd", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_is_an_amount_above_zero(usd: float) -> None:
    with pytest.raises(UsageError, match="budget: must be an amount in USD above 0, not"):
        Budget(usd)


def test_what_does_not_fit_at_once_reaches_the_budget() -> None:
    budget = Budget(1.0)
    first = budget.reserve_now(0.6)
    assert first is not None
    assert (budget.spent, budget.reserved, budget.reached) == (0.0, 0.6, False)
    assert budget.reserve_now(0.5) is None
    assert budget.reached
    first.settle(0.1)
    first.settle(None)  # a second settlement changes nothing
    assert (budget.spent, budget.reserved) == (0.1, 0.0)
    assert budget.reserve_now(0.1) is None, "a budget that was reached stays so"


def test_a_million_settlements_do_not_drift() -> None:
    budget = Budget(1.0)
    for _ in range(10_000):
        reservation = budget.reserve_now(0.0001)
        assert reservation is not None
        reservation.settle(None)
    assert (budget.spent, budget.reserved, budget.reached) == (1.0, 0.0, True)


def test_one_that_waits_gets_room_when_another_costs_less_than_its_worst_case() -> None:
    async def scene() -> tuple[bool, float]:
        budget = Budget(1.0)
        first = await budget.reserve(0.7)
        second = asyncio.create_task(budget.reserve(0.7))
        await asyncio.sleep(0.01)
        waited = not second.done() and not budget.reached
        assert first is not None
        first.settle(0.2)
        assert await second is not None
        return waited, budget.reserved

    assert asyncio.run(scene()) == (True, 0.7)


def test_one_that_waits_is_turned_away_when_what_is_spent_leaves_too_little() -> None:
    async def scene() -> None:
        budget = Budget(1.0)
        first = await budget.reserve(0.7)
        dear, cheap = (asyncio.create_task(budget.reserve(usd)) for usd in (0.7, 0.01))
        await asyncio.sleep(0.01)
        assert not cheap.done(), "the first to come is not overtaken for ever"
        assert first is not None
        first.settle(0.4)
        assert await dear is None
        assert await cheap is None
        assert budget.reached

    asyncio.run(scene())


def test_one_that_gives_up_waiting_holds_nobody_back_and_nothing_reserved() -> None:
    async def scene() -> None:
        budget = Budget(1.0)
        first = await budget.reserve(0.5)
        dear, cheap = (asyncio.create_task(budget.reserve(usd)) for usd in (0.9, 0.5))
        await asyncio.sleep(0.01)
        dear.cancel()
        granted = await asyncio.wait_for(cheap, 10)
        assert first is not None
        assert granted is not None
        first.settle(0.0)
        granted.settle(0.0)
        assert (budget.spent, budget.reserved, budget.reached) == (0.0, 0.0, False)

    asyncio.run(scene())


def test_a_bill_above_the_worst_case_is_entered_as_it_is_and_ends_the_budget() -> None:
    budget = Budget(1.0)
    reservation = budget.reserve_now(0.5)
    assert reservation is not None
    reservation.settle(1.25)
    assert (budget.spent, budget.reached) == (1.25, True)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_whatever_is_asked_for_in_whatever_order_the_limit_holds(
    asked: list[tuple[float, float]], chance: random.Random
) -> None:
    """Each asks for a worst case, holds it for some turns of the loop, and then costs a share of it."""

    async def one(budget: Budget, worst: float, share: float) -> None:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        reservation = await budget.reserve(worst)
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
            assert budget.spent + budget.reserved <= 2.0 + 1e-9
        if reservation is not None:
            reservation.settle(None if share > 0.9 else worst * share)
        assert budget.spent + budget.reserved <= 2.0 + 1e-9

    async def all_of_them() -> None:
        budget = Budget(2.0)
        await asyncio.gather(*(one(budget, worst, share) for worst, share in asked))
        assert budget.reserved == 0.0
        if budget.reached:  # what is left over is less than the dearest request
            assert 2.0 - budget.spent <= max(worst for worst, _ in asked) + 1e-9

    asyncio.run(all_of_them())


# --- what a request cost --------------------------------------------------------------------------------------------

ERROR = b'{"error": {"message": "busy"}}'


@pytest.mark.parametrize(
    ("fault", "free"),
    [
        (Fault("rate", "429", raw=ERROR, status=429), True),
        (Fault("final", "400", raw=b"", status=400), True),
        (Fault("refused", "302", status=302), True),
        (Fault("again", "500", raw=ERROR, status=500), True),
        (Fault("again", "refused", unreachable=True, outage=True), True),
        (Fault("again", "502", raw=b"<html>Bad gateway</html>", status=502), False),
        (Fault("again", "504", raw=ERROR, status=504), False),
        (Fault("again", "408", raw=ERROR, status=408), False),
        (Fault("again", "timeout", timeout=True, outage=True), False),
        (Fault("again", "connection lost", outage=True), False),
        (Fault("again", "the reply is cut", raw=b'{"choices"', outage=True), False),
        (Fault("refused", "holds no token probabilities", raw=b"{}", status=200), False),
    ],
)
def test_only_what_certainly_cost_nothing_is_free(fault: Fault, free: bool) -> None:
    assert bills_nothing(fault) is free
    assert Account(Budget(1.0), PRICE).cost(fault) == (0.0 if free else None)


@pytest.mark.parametrize(
    ("fault", "cost"),
    [
        (None, "told"),
        ("length", "told"),
        ("500", "nothing"),
        ("400", "nothing"),
        ("reset", "worst"),
        ("half", "worst"),
        ("truncated", "worst"),
        ("html", "worst"),
        ("hang", "worst"),
    ],
)
def test_each_try_is_entered_at_what_it_may_have_cost(fault: str | None, cost: str) -> None:
    budget = Budget(1.0)
    with Server(faults=[fault] * 20) as server:
        [reply] = opened(server, budget, timeout=0.3 if fault == "hang" else 20.0).generate(questions(1))
    told = PRICE.of(reply.input_tokens, reply.output_tokens)
    worst = WORST * server.requests
    assert budget.reserved == 0.0
    assert budget.spent == pytest.approx({"told": told, "nothing": 0.0, "worst": worst}[cost])
    assert spent_at(server) <= budget.spent + 1e-12


def test_refusals_for_the_rate_cost_nothing_and_the_reply_after_them_what_it_says() -> None:
    budget = Budget(1.5 * WORST)
    with Server(faults=["429", "429", "429"]) as server:
        [reply] = opened(server, budget).generate(questions(1))
    assert (reply.tries, reply.status) == (4, "ok")
    assert budget.spent == pytest.approx(PRICE.of(reply.input_tokens, reply.output_tokens))


def test_a_reply_without_usage_counts_in_full() -> None:
    budget = Budget(1.0)
    with Server(reply=lambda body: {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}) as server:
        [reply] = opened(server, budget).generate(questions(1))
    assert reply.status == "ok"
    assert budget.spent == pytest.approx(WORST)


def test_a_reply_that_counts_no_tokens_at_all_counts_in_full() -> None:
    account = Account(Budget(1.0), Price(input=100.0, output=1000.0))
    assert account.cost(Reply("k", "Because.", input_tokens=0, output_tokens=0)) is None
    assert account.cost(Reply("k", "1.5", input_tokens=7, output_tokens=0)) == pytest.approx(7e-4)


def test_an_endpoint_that_is_not_there_costs_nothing() -> None:
    budget = Budget(1.0)
    [reply] = opened("http://127.0.0.1:9/v1", budget).generate(questions(1))
    assert reply.failure.startswith("endpoint unreachable")
    assert (budget.spent, budget.reserved) == (0.0, 0.0)


def test_what_is_given_up_on_the_wire_counts_in_full() -> None:
    budget = Budget(1.0)
    with Server(latency=5.0) as server:
        model = opened(server, budget, concurrency=2)
        replies = model.generate(questions(2))

        def stop_when_both_are_on_the_wire() -> None:
            while server.requests < 2:
                time.sleep(0.01)
            model.stop(0.0)

        threading.Thread(target=stop_when_both_are_on_the_wire).start()
        assert list(replies) == []
    assert budget.reserved == 0.0
    assert budget.spent == pytest.approx(2 * WORST)


# --- a model at the limit -------------------------------------------------------------------------------------------


def test_at_the_limit_what_came_back_is_yielded_and_nothing_raises() -> None:
    budget = Budget(10.5 * WORST)
    with Server(reply=lambda body: {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}) as server:
        model = opened(server, budget, concurrency=4)
        replies = list(model.generate(questions(100)))
        pulled: list[int] = []
        assert list(model.generate(pulled.append(1) or one for one in questions(3))) == []  # type: ignore[func-returns-value]
    assert len(replies) == server.requests == 10
    assert all(reply.status == "ok" for reply in replies)
    assert budget.reached
    assert budget.spent == pytest.approx(10 * WORST)
    assert pulled == [], "a model that is at the limit pulls nothing"


def test_a_second_attempt_reserves_its_doubled_tokens() -> None:
    budget = Budget(1.5 * WORST)
    with Server() as server:
        model = opened(server, budget, price=Price(input=0.0, output=WORST * 1e6 / 100))
        assert len(list(model.generate(questions(1)))) == 1
        assert list(model.generate(questions(1, max_tokens=200))) == []
    assert (server.requests, budget.reached) == (1, True)


def test_a_budget_without_a_price_is_refused_with_what_to_add() -> None:
    record = Endpoint(backend="openai", model="gpt-x", base_url="http://127.0.0.1:9/v1", api_key_env=None)
    with pytest.raises(UsageError) as refused:
        open_model("judge", record, Generation(), Terms(budget=Budget(1.0)))
    assert str(refused.value) == (
        "model 'judge': a budget needs its price; add to the suite, in USD per million tokens: "
        "prices: {gpt-x: {input: .., output: ..}}; files of answers alone have none: "
        "`sciexam init DIR old.jsonl new.jsonl` writes a suite around them"
    )


# --- everything at once ---------------------------------------------------------------------------------------------


def by_hash(body: Body, salt: str) -> float:
    """A number in [0, 1) that is the same for the same request."""
    return int.from_bytes(hashlib.sha256(f"{salt}{body}".encode()).digest()[:6]) / 2**48


def billed_reply(body: Body) -> Body:
    """An endpoint that keeps its word: at most a token for each byte and 16 for the chat format, at most max_tokens."""
    usage = {
        "prompt_tokens": round(by_hash(body, "in") * (len(prompt_of(body).encode()) + 16)),
        "completion_tokens": round(by_hash(body, "out") * body["max_tokens"]),
    }
    return {
        "model": body["model"],
        "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
        "usage": usage,
    }


@pytest.mark.parametrize("seed", range(4))
def test_the_endpoints_own_count_never_exceeds_the_budget(seed: int) -> None:
    """Three models with their own prices and threads share one budget, at 32 calls each and with every kind of fault.

    Faults that break off a reply are billed by the server as if it had arrived.
    """
    prices = {"cheap": Price(input=10, output=30), "dear": Price(input=100, output=900), "m-1": PRICE}
    chance = random.Random(seed)
    budget = Budget(chance.uniform(10.0, 30.0))
    faults = {"429": 0.1, "500": 0.08, "hang": 0.02, "reset": 0.05, "length": 0.1, "half": 0.03, "502": 0.03}
    with Server(
        billed_reply, latency=lambda body: 0.02 * by_hash(body, "wait"), faults=faults, seed=seed, capacity=64
    ) as server:
        models = [
            opened(server, budget, name, price, concurrency=32, timeout=0.5, max_tokens=200)
            for name, price in prices.items()
        ]
        found: list[Reply] = []
        asked = [threading.Thread(target=lambda m=model: found.extend(m.generate(questions(400)))) for model in models]
        for thread in asked:
            thread.start()
        for thread in asked:
            thread.join()
        billed = sum(prices[name].of(*tokens) or 0.0 for name, tokens in server.billed.items())
    assert budget.reached
    assert budget.reserved == 0.0
    assert billed <= budget.spent <= budget.usd
    dearest = max(price.at_most([{"role": "user", "content": "question    0"}], 200) for price in prices.values())
    assert budget.usd - budget.spent < dearest, "less than one request's worst case is left over"
    assert len({(reply.key, reply.model) for reply in found if reply.status == "ok"}) > 100
