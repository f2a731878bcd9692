"""Places at a model server are counted over all processes, also when one dies, and are open while Redis is away."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from core.models import pool as pools
from core.models.breaker import Breaker
from core.models.model import LOCAL, Endpoint
from core.models.openai_api import OpenAIApi
from core.models.pool import Busy, Pool, Seat
from core.parts import InLine
from core.storage import keys, seats
from core.storage.client import Store
from core.storage.seats import SharedSeats

SERVER = Endpoint(LOCAL, "http://127.0.0.1:9/v1", max_concurrent=2, circuit="local@here:9", model="m")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(pools, "TOLD_AFTER_SECONDS", 0.05)


def pool(shared: SharedSeats) -> Pool:
    """As one process sees the server."""
    pool = Pool(Breaker(5, 20), OpenAIApi, max_waiting=100, max_wait_seconds=60, seats=shared)
    pool.update((SERVER,))
    return pool


def soon(seconds: float = 10.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_no_more_than_there_are_over_processes(store: Store, quick: None) -> None:
    processes = [pool(SharedSeats(store)) for _ in range(3)]
    under_way, most = 0, 0

    async def ask(process: Pool) -> None:
        nonlocal under_way, most
        seat = await process.take("", set(), soon())
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        process.withdrawn(seat)

    await asyncio.gather(*(ask(processes[number % 3]) for number in range(24)))
    assert most == 2
    for process in processes:
        await process.aclose()


async def test_who_waits_for_another_process_is_told_and_may_leave(store: Store, quick: None) -> None:
    one, two = pool(SharedSeats(store)), pool(SharedSeats(store))
    held = [await one.take("", set(), soon()) for _ in range(2)]
    leaving = two.queue("", set(), soon())
    assert await anext(leaving) == InLine(1, 0)
    await leaving.aclose()
    with pytest.raises(Busy):
        await two.take("", set(), soon(0.1))
    async with aclosing(two.queue("", set(), soon())) as steps:
        assert isinstance(await anext(steps), InLine)
        one.withdrawn(held[0])
        seat = await anext(steps)
        while isinstance(seat, InLine):
            seat = await anext(steps)
        assert isinstance(seat, Seat)
        two.withdrawn(seat)
    one.withdrawn(held[1])
    async with asyncio.timeout(5):
        while await store.redis.zcard(keys.seats(SERVER.circuit)):
            await asyncio.sleep(0.01)
    await one.aclose()
    await two.aclose()


async def test_a_dead_processs_places_come_back_and_a_living_ones_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seats, "LEASE_SECONDS", 0.3)
    monkeypatch.setattr(seats, "RENEW_SECONDS", 0.05)
    dead, living, next_one = (SharedSeats(store) for _ in range(3))
    assert await dead.take("s", 2)
    assert await living.take("s", 2)
    assert await next_one.take("s", 2) == ""
    running = asyncio.create_task(living.run())
    await asyncio.sleep(0.5)
    assert await next_one.take("s", 2)
    assert await next_one.take("s", 2) == ""
    running.cancel()
    await living.close()
    assert await next_one.take("s", 2)


async def test_a_clock_that_was_set_back_takes_no_places_away(store: Store) -> None:
    shared = SharedSeats(store)
    await store.redis.zadd(keys.seats("s"), {"of another time": 4_000_000_000_000})
    assert await shared.take("s", 1)


async def test_while_redis_is_away_everybody_has_one() -> None:
    away = Store("redis://127.0.0.1:1")
    shared = SharedSeats(away)
    token = await shared.take("s", 1)
    assert token
    await shared.give_back(token)
    await away.close()
