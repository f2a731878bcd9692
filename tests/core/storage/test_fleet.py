"""The processes of a fleet and their number of parts, over a real server."""

from __future__ import annotations

import asyncio

from core.storage.client import Store
from core.storage.fleet import Fleet, Member

NONE = frozenset[int]()


def fleet(store: Store, owner: str, seconds: float = 5.0, name: str = "discord:1") -> Fleet:
    return Fleet(store, name, owner, seconds=seconds)


async def test_everybody_knows_what_the_others_hold(store: Store) -> None:
    await fleet(store, "one").join(4, 0, 4, frozenset({0, 3}))
    roll = await fleet(store, "two").join(4, 2, 0, NONE)
    assert roll.number == 4
    assert set(roll.members) == {Member("one", 0, 4, frozenset({0, 3})), Member("two", 2, 4, NONE)}


async def test_the_number_of_a_running_fleet_holds(store: Store) -> None:
    one, two = fleet(store, "one"), fleet(store, "two")
    assert (await one.join(4, 4, 0, NONE)).number == 4
    # Even before the first has taken its parts: it may do so as soon as it has the answer.
    assert (await two.join(2, 2, 0, NONE)).number == 4
    assert (await one.join(4, 4, 4, frozenset({0}))).number == 4
    await one.leave()
    assert (await two.join(2, 2, 4, frozenset({0}))).number == 4
    assert (await two.join(2, 2, 0, NONE)).number == 2


async def test_a_change_waits_for_whoever_still_runs_the_old_number(store: Store) -> None:
    one, two = fleet(store, "one"), fleet(store, "two")
    await one.join(4, 0, 4, frozenset({0}))
    roll = await two.join(8, 0, 0, NONE, change=8)
    assert (roll.number, roll.is_settled) == (8, False)
    assert (await one.join(4, 0, 4, frozenset({0}))).number == 8
    assert not (await two.join(8, 0, 0, NONE)).is_settled
    await one.join(4, 0, 0, NONE)
    assert (await two.join(8, 0, 0, NONE)).is_settled


async def test_the_dead_are_forgotten(store: Store) -> None:
    two = fleet(store, "two", 0.2)
    await fleet(store, "one", 0.2).join(4, 0, 4, frozenset({0}))
    assert len((await two.join(4, 0, 4, NONE)).members) == 2
    await asyncio.sleep(0.3)
    roll = await two.join(2, 0, 0, NONE)
    assert (roll.number, [member.name for member in roll.members]) == (2, ["two"])


async def test_bots_are_apart(store: Store) -> None:
    await fleet(store, "one").join(4, 0, 4, NONE)
    other = fleet(store, "two", name="discord:2")
    assert (await other.join(7, 0, 0, NONE)).number == 7
    assert await fleet(store, "one").may("identify:0", 5.0) == 0.0
    assert await other.may("identify:0", 5.0) == 0.0


async def test_one_process_in_so_many_seconds(store: Store) -> None:
    one, two = fleet(store, "one"), fleet(store, "two")
    assert await one.may("identify:0", 0.2) == 0.0
    wait = await two.may("identify:0", 0.2)
    assert 0 < wait <= 0.2
    assert await two.may("identify:1", 0.2) == 0.0
    await asyncio.sleep(wait + 0.01)
    assert await two.may("identify:0", 0.2) == 0.0


async def test_parts_for_one_alone_are_known_to_all(store: Store) -> None:
    await fleet(store, "one").join(4, 4, 0, NONE, own=range(2))
    roll = await fleet(store, "two").join(4, 0, 0, NONE)
    assert {member.name: member.own for member in roll.members} == {"one": {0, 1}, "two": set()}
