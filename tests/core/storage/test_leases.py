"""Named leases over a real server."""

from __future__ import annotations

import asyncio
import time

from core.storage.client import Store
from core.storage.leases import Leases


async def test_one_process_at_a_time_has_a_lease(store: Store) -> None:
    one, two = Leases(store, "one"), Leases(store, "two")
    held = await one.take("poll")
    assert held is not None
    assert held.is_ours
    assert await two.take("poll") is None
    other = await two.take("another")
    assert other is not None
    await other.release()
    await held.release()
    assert not held.is_ours
    mine = await two.take("poll")
    assert mine is not None
    await mine.release()
    assert await store.redis.keys("parley:lease:*") == []


async def test_a_lease_lives_as_long_as_it_is_renewed(store: Store) -> None:
    one, two = Leases(store, "one", seconds=0.6), Leases(store, "two", seconds=0.6)
    held = await one.take("poll")
    assert held is not None
    waiting = asyncio.create_task(two.wait("poll"))
    await asyncio.sleep(1.3)
    assert held.is_ours
    assert not waiting.done()
    await held.release()
    await (await asyncio.wait_for(waiting, 5)).release()


async def test_whoever_lost_it_is_told(store: Store) -> None:
    one, two = Leases(store, "one", seconds=0.3), Leases(store, "two", seconds=5)
    held = await one.take("poll")
    assert held is not None
    time.sleep(0.4)  # the process stands still, and the lease runs out
    assert not held.is_ours
    taken = await two.take("poll")
    assert taken is not None
    await asyncio.wait_for(held.lost.wait(), 5)
    await held.release()
    assert taken.is_ours, "giving back what was lost takes nothing from the new holder"
    assert await one.take("poll") is None
    await taken.release()


async def test_the_same_process_started_again_has_its_own_at_once(store: Store) -> None:
    dead = await Leases(store, "one").take("poll")
    again = await Leases(store, "one").take("poll")
    assert dead is not None
    assert again is not None
    await again.release()
    await dead.release()
