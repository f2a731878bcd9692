"""The line before a pool's places: fair between communities and between the people of one, told, and left at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from core.errors import ModelFault
from core.models import pool as pools
from core.models.breaker import Breaker
from core.models.model import Endpoint
from core.models.openai_api import OpenAIApi
from core.models.pool import Busy, Pool, Seat
from core.parts import InLine

FAR = 10_000.0


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    """One server with one place. Nobody is asked anything."""
    pool = Pool(Breaker(5, 20), OpenAIApi, max_waiting=100, max_wait_seconds=60)
    pool.update((Endpoint("p", "http://127.0.0.1:9/v1", max_concurrent=1, circuit="p"),))
    yield pool
    await pool.aclose()


def deadline() -> float:
    return asyncio.get_running_loop().time() + FAR


async def served(pool: Pool, asked: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The order in which they get the one place, when it is taken and all of them wait."""
    held = await pool.take("", set(), deadline())
    order: list[tuple[str, str]] = []

    async def wait(space: str, person: str) -> None:
        seat = await pool.take(space, set(), deadline(), person)
        order.append((space, person))
        pool.withdrawn(seat)

    tasks: list[asyncio.Task[None]] = []
    for space, person in asked:
        tasks.append(asyncio.create_task(wait(space, person)))
        await asyncio.sleep(0)
    pool.withdrawn(held)
    await asyncio.gather(*tasks)
    return order


async def test_neither_a_space_nor_one_of_its_people_takes_all_places(pool: Pool) -> None:
    flood = [("a", "x")] * 4
    order = await served(pool, [*flood, ("a", "y"), ("b", "z"), ("a", "y")])
    assert order == [
        ("a", "x"),
        ("b", "z"),
        ("a", "y"),
        ("a", "x"),
        ("a", "y"),
        ("a", "x"),
        ("a", "x"),
    ]


async def test_the_place_is_told_while_it_changes(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "TOLD_AFTER_SECONDS", 0.01)
    monkeypatch.setattr(pools, "TOLD_AGAIN_SECONDS", 0.01)
    held = await pool.take("", set(), deadline())
    first = pool.queue("a", set(), deadline(), "x")
    second = pool.queue("a", set(), deadline(), "x")
    async with aclosing(first), aclosing(second):
        assert await anext(first) == InLine(1, 0)
        assert await anext(second) == InLine(2, 0)
        # A call that has ended tells how long they take.
        held.is_alive = True
        held.began -= 7.5
        pool.succeeded(held)
        seat = await anext(first)
        assert isinstance(seat, Seat)
        assert await anext(second) == InLine(1, 8)
        pool.withdrawn(seat)
        taken = await anext(second)
        assert isinstance(taken, Seat)
        pool.withdrawn(taken)
    assert (await pool.take("b", set(), deadline())).server.calls == 1


async def test_who_leaves_the_line_frees_their_place_at_once(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "TOLD_AFTER_SECONDS", 0.01)
    held = await pool.take("", set(), deadline())
    leaving, staying = (pool.queue(space, set(), deadline()) for space in "ab")
    assert await anext(leaving) == InLine(1, 0)
    waiting = asyncio.create_task(anext(staying))
    await asyncio.sleep(0)
    await leaving.aclose()
    assert await waiting == InLine(1, 0)
    # So it does with the place that it is given while it leaves.
    pool.withdrawn(held)
    seat = await anext(staying)
    assert isinstance(seat, Seat)
    last = pool.queue("c", set(), deadline())
    assert await anext(last) == InLine(1, 0)
    pool.withdrawn(seat)
    await last.aclose()
    await staying.aclose()
    free = await pool.take("d", set(), asyncio.get_running_loop().time() + 1)
    assert free.server.calls == 1


async def test_a_line_ends_in_time_and_when_the_server_goes(pool: Pool) -> None:
    held = await pool.take("", set(), deadline())
    with pytest.raises(Busy):
        await pool.take("a", set(), asyncio.get_running_loop().time() + 0.02)
    waiting = asyncio.create_task(pool.take("a", set(), deadline()))
    await asyncio.sleep(0)
    pool.update(())
    with pytest.raises(Exception, match="its server does not run"):
        await waiting
    pool.failed(held, ModelFault.UNREACHABLE)
