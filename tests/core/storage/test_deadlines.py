"""What is to be done at a time."""

from __future__ import annotations

import asyncio
import time

import pytest

from core.errors import StorageError
from core.moderation import timers
from core.moderation.timers import Timers
from core.storage.client import Store
from core.storage.deadlines import Deadline, Deadlines
from core.tasks import end


async def test_what_is_due_is_taken_by_one_and_done_once(store: Store) -> None:
    deadlines, now = Deadlines(store), time.time()
    first, second = Deadline("a", now - 2, "unban", "1"), Deadline("b", now - 1, "unban", "2")
    for deadline in (second, first, Deadline("c", now + 60, "unban", "3")):
        await deadlines.set(deadline)
    assert await deadlines.take(10) == [first, second]
    assert await deadlines.take(10) == []
    await deadlines.done(first)
    assert not await deadlines.drop("a")
    assert await deadlines.drop("b")
    assert await deadlines.drop("c")


async def test_one_that_was_set_anew_while_it_was_done_stays(store: Store) -> None:
    deadlines, now = Deadlines(store), time.time()
    await deadlines.set(Deadline("a", now - 1, "unban", "1"))
    (taken,) = await deadlines.take(10)
    later = Deadline("a", now - 0.5, "unban", "1")
    await deadlines.set(later)
    await deadlines.done(taken)
    assert await deadlines.take(10) == [later]


async def test_what_takes_long_holds_up_nothing_else(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "LOOK_SECONDS", 0.01)
    deadlines, now, done = Deadlines(store), time.time(), asyncio.Event()
    begun = list[str]()

    async def raid(deadline: Deadline) -> None:
        begun.append(deadline.id)
        await asyncio.Event().wait()

    async def unban(deadline: Deadline) -> None:
        done.set()

    await deadlines.set(Deadline("a", now - 2, "raid", ""))
    running = asyncio.create_task(Timers(deadlines, {"raid": raid, "unban": unban}).run())
    try:
        async with asyncio.timeout(10):
            while not begun:
                await asyncio.sleep(0.01)
            await deadlines.set(Deadline("b", now - 1, "unban", ""))
            await done.wait()
    finally:
        await end([running])
    assert begun == ["a"]


async def test_what_could_not_be_done_stays_and_a_mistake_does_not(store: Store) -> None:
    deadlines, done = Deadlines(store), list[str]()

    async def handle(deadline: Deadline) -> None:
        done.append(deadline.id)
        if deadline.about == "away":
            raise StorageError("away")
        if deadline.about == "wrong":
            raise ValueError("wrong")

    for about in ("well", "away", "wrong"):
        await deadlines.set(Deadline(about, time.time() - 1, "do", about))
    await deadlines.set(Deadline("newer", time.time() - 1, "of another version", ""))
    assert await Timers(deadlines, {"do": handle}).step() == 4
    assert sorted(done) == ["away", "well", "wrong"]
    assert [await deadlines.drop(id) for id in ("well", "away", "wrong", "newer")] == [False, True, False, True]
