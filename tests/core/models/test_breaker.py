from __future__ import annotations

import asyncio
from collections.abc import Mapping

from core.errors import StorageError
from core.models.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Board:
    """What Redis is to the processes."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self.is_down = False

    async def load(self) -> Mapping[str, float]:
        if self.is_down:
            raise StorageError("down")
        return self.times

    async def store(self, provider: str, open_until: float) -> None:
        if self.is_down:
            raise StorageError("down")
        self.times[provider] = open_until


def failing(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        assert breaker.admits("p")
        breaker.failed("p")


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker(3, 20, Clock())
    failing(breaker, 2)
    breaker.succeeded("p")
    failing(breaker, 2)
    assert breaker.admits("p")
    breaker.failed("p")
    assert not breaker.admits("p")
    assert breaker.is_open("p")
    assert breaker.admits("other")


def test_one_trial_after_the_pause_closes_it() -> None:
    clock = Clock()
    breaker = Breaker(1, 20, clock)
    failing(breaker, 1)
    clock.now += 19.9
    assert not breaker.admits("p")
    clock.now += 0.2
    assert [breaker.admits("p") for _ in range(3)] == [True, False, False]
    breaker.succeeded("p")
    assert breaker.admits("p")
    assert breaker.admits("p")


def test_a_failed_trial_opens_it_again_at_once() -> None:
    clock = Clock()
    breaker = Breaker(5, 20, clock)
    failing(breaker, 5)
    clock.now += 20
    failing(breaker, 1)
    clock.now += 19.9
    assert not breaker.admits("p")
    clock.now += 0.2
    assert breaker.admits("p")


def test_a_trial_that_is_withdrawn_or_lost_makes_room_for_another() -> None:
    clock = Clock()
    breaker = Breaker(1, 20, clock)
    failing(breaker, 1)
    clock.now += 20
    assert breaker.admits("p")
    breaker.withdrawn("p")
    assert breaker.admits("p")
    assert not breaker.admits("p")
    clock.now += 20
    assert breaker.admits("p")


def test_calls_that_fail_while_it_is_open_do_not_prolong_it() -> None:
    clock = Clock()
    breaker = Breaker(1, 20, clock)
    failing(breaker, 1)
    clock.now += 10
    breaker.failed("p")
    clock.now += 10
    assert breaker.admits("p")


async def test_what_opens_here_opens_everywhere() -> None:
    clock, board = Clock(), Board()
    here, there = Breaker(1, 20, clock), Breaker(1, 20, clock)
    failing(here, 1)
    await here.synchronise(board)
    assert board.times == {"p": clock.now + 20}
    await there.synchronise(board)
    assert not there.admits("p")
    clock.now += 20
    assert there.admits("p")
    there.succeeded("p")
    await there.synchronise(board)
    assert there.admits("p")


def test_it_opens_at_once_where_asked_to() -> None:
    breaker = Breaker(5, 20, Clock())
    assert breaker.is_closed("p")
    breaker.failed("p", at_once=True)
    assert not breaker.is_closed("p")
    assert not breaker.would_admit("p")


def test_asking_whether_it_would_admit_does_not_take_the_trial() -> None:
    clock = Clock()
    breaker = Breaker(1, 20, clock)
    failing(breaker, 1)
    clock.now += 20
    assert [breaker.would_admit("p") for _ in range(2)] == [True, True]
    assert [breaker.admits("p"), breaker.would_admit("p")] == [True, False]


def test_what_is_looked_at_and_found_dead_stays_out() -> None:
    clock = Clock()
    breaker = Breaker(1, 20, clock)
    breaker.prolong("p")
    assert breaker.admits("p")
    failing(breaker, 1)
    clock.now += 15
    breaker.prolong("p")
    clock.now += 15
    assert not breaker.admits("p")


async def test_what_is_looked_at_and_found_alive_is_back_everywhere_on_parole() -> None:
    clock, board = Clock(), Board()
    here, there = Breaker(3, 20, clock), Breaker(3, 20, clock)
    failing(here, 3)
    await here.synchronise(board)
    await there.synchronise(board)
    here.recovered("p")
    assert here.admits("p")
    await here.synchronise(board)
    await there.synchronise(board)
    assert there.is_closed("p")
    assert here.is_closed("p")
    there.failed("p")
    assert not there.admits("p")
    await there.synchronise(board)
    await here.synchronise(board)
    assert not here.admits("p")


async def test_a_wrong_clock_elsewhere_takes_nothing_out_for_long() -> None:
    breaker, board = Breaker(1, 20, Clock()), Board()
    board.times["p"] = 9_000_000.0
    await breaker.synchronise(board)
    assert breaker.admits("p")


async def test_it_works_alone_and_publishes_later_while_the_store_is_down() -> None:
    clock, board = Clock(), Board()
    breaker = Breaker(1, 20, clock)
    board.is_down = True
    task = asyncio.create_task(breaker.run(board, refresh_seconds=0.02))
    await asyncio.sleep(0.03)
    failing(breaker, 1)
    assert not breaker.admits("p")
    await asyncio.sleep(0.03)
    board.is_down = False
    async with asyncio.timeout(5):
        while not board.times:
            await asyncio.sleep(0.01)
    task.cancel()
    assert board.times == {"p": clock.now + 20}


async def test_opening_is_published_at_once() -> None:
    board = Board()
    breaker = Breaker(1, 20)
    task = asyncio.create_task(breaker.run(board, refresh_seconds=600))
    await asyncio.sleep(0.01)
    failing(breaker, 1)
    async with asyncio.timeout(5):
        while not board.times:
            await asyncio.sleep(0.01)
    task.cancel()
