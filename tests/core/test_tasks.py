"""Ending tasks for sure, and what they still do."""

from __future__ import annotations

import asyncio

import pytest

from core.tasks import end, to_the_end


async def test_last_work_is_done_however_often_its_task_is_cancelled() -> None:
    done: list[str] = []
    proceed = asyncio.Event()

    async def last_work() -> None:
        await proceed.wait()
        done.append("last")

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await to_the_end(last_work(), 10)

    task = asyncio.create_task(work())
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    proceed.set()
    await end([task])
    assert task.cancelled()
    assert done == ["last"]


async def test_last_work_has_its_time_and_no_more() -> None:
    ended = asyncio.Event()

    async def for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await to_the_end(for_ever(), 0.01)
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_cancellation_meanwhile_is_not_lost() -> None:
    task = asyncio.create_task(to_the_end(asyncio.sleep(0.05), 10))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_goes_wrong_is_told() -> None:
    async def wrong() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await to_the_end(wrong(), 10)


async def test_who_ends_others_ends_them_though_it_is_cancelled_itself() -> None:
    cancellations = 0

    async def loses_some() -> None:
        """As a library does: the first two come at a bad moment."""
        nonlocal cancellations
        while cancellations < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancellations += 1

    async def work() -> None:
        inner = asyncio.create_task(loses_some())
        await asyncio.sleep(0)
        try:
            await asyncio.Event().wait()
        finally:
            await end([inner])

    task = asyncio.create_task(work())
    for _ in range(3):
        await asyncio.sleep(0.01)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert cancellations == 3
