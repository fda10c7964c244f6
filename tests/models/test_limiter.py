"""The concurrency limiter: what raises it, what cuts it, what holds it."""

from __future__ import annotations

import asyncio
import time

import pytest

from sciexam.models.limiter import Limiter


async def _take(limiter: Limiter, count: int) -> list[int]:
    return [await limiter.acquire() for _ in range(count)]


def test_slow_start_doubles_the_limit_in_a_round_trip() -> None:
    async def scenario() -> None:
        limiter = Limiter(64)
        for expected in (8, 16, 32, 64, 64):
            taken = int(limiter.limit)
            await _take(limiter, taken)
            for _ in range(taken):
                limiter.in_flight = max(limiter.in_flight, int(limiter.limit))  # the next one waits already
                limiter.succeeded()
            limiter.in_flight = 0
            assert limiter.limit == expected

    asyncio.run(scenario())


def test_who_allows_a_thousand_requests_begins_with_a_sixteenth_of_them() -> None:
    assert [Limiter(ceiling).limit for ceiling in (1, 4, 64, 65, 1000)] == [1, 4, 4, 65 / 16, 62.5]


def test_after_a_refusal_the_limit_grows_by_one_in_a_round_trip() -> None:
    async def scenario() -> None:
        limiter = Limiter(64, start=16)
        limiter.refused(0)
        assert limiter.limit == 8
        limiter.in_flight = 99
        for _ in range(8):
            limiter.succeeded()
        # 8 steps of 1/limit, the limit growing meanwhile: between 8.9 and 9
        assert 8.9 < limiter.limit < 9

    asyncio.run(scenario())


def test_an_episode_of_refusals_cuts_once() -> None:
    async def scenario() -> None:
        limiter = Limiter(64, start=32)
        episodes = await _take(limiter, 32)
        for episode in episodes:
            limiter.refused(episode)
            limiter.release()
        assert limiter.limit == 16
        limiter.refused(await limiter.acquire())
        assert limiter.limit == 8

    asyncio.run(scenario())


def test_the_limit_never_falls_below_one_nor_rises_above_the_ceiling() -> None:
    async def scenario() -> None:
        limiter = Limiter(2)
        assert limiter.limit == 2
        for episode in range(5):
            limiter.refused(episode)
        assert limiter.limit == 1
        limiter.in_flight = 9
        for _ in range(50):
            limiter.succeeded()
        assert limiter.limit == 2

    asyncio.run(scenario())


def test_an_unused_limit_is_not_raised() -> None:
    async def scenario() -> None:
        limiter = Limiter(64)
        await limiter.acquire()
        limiter.succeeded()
        assert limiter.limit == 4

    asyncio.run(scenario())


def test_no_more_than_the_limit_are_let_through_and_the_first_to_ask_is_the_first_served() -> None:
    async def scenario() -> list[int]:
        limiter, running, peak, order = Limiter(3), 0, 0, []

        async def call(number: int) -> None:
            nonlocal running, peak
            await limiter.acquire()
            order.append(number)
            running += 1
            peak = max(peak, running)
            await asyncio.sleep(0.001)
            running -= 1
            limiter.release()

        await asyncio.gather(*(call(number) for number in range(30)))
        assert peak == 3
        assert limiter.in_flight == 0
        return order

    assert asyncio.run(scenario()) == list(range(30))


def test_a_hold_keeps_every_request_back_and_the_longer_hold_wins() -> None:
    async def scenario() -> float:
        limiter = Limiter(8)
        limiter.hold(0.15)
        limiter.hold(0.01)
        began = time.monotonic()
        await asyncio.gather(*(limiter.acquire() for _ in range(4)))
        return time.monotonic() - began

    assert asyncio.run(scenario()) >= 0.14


def test_a_hold_that_is_extended_while_requests_wait_holds_them_longer() -> None:
    async def scenario() -> float:
        limiter = Limiter(8)
        limiter.hold(0.05)
        began = time.monotonic()
        waiting = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(0.02)
        limiter.hold(0.15)
        await waiting
        return time.monotonic() - began

    assert asyncio.run(scenario()) >= 0.15


@pytest.mark.parametrize("granted", [True, False])
def test_a_cancelled_request_leaves_no_slot_behind(granted: bool) -> None:
    async def scenario() -> None:
        limiter = Limiter(1)
        await limiter.acquire()
        waiting = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(0)
        if granted:
            limiter.release()  # the slot is given to the one that waits, in the same turn as it is cancelled
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        if not granted:
            limiter.release()
        assert limiter.in_flight == 0
        await asyncio.wait_for(limiter.acquire(), 1)

    asyncio.run(scenario())
