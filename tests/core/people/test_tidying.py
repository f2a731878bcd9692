"""How long conversations of a space are kept, by what it chose."""

from __future__ import annotations

import time
from typing import Any

import pytest

from core.errors import StorageError
from core.message import ConversationKey, Platform
from core.people import tidying
from core.people.changing import Actor, change_space
from core.people.spaces import SpaceSettings, kept_days
from core.storage.client import Store
from core.storage.keys import ConversationKeys, record, to_retain, to_tidy
from tests.builders import message
from tests.core.people.everything import ADA, World

DAY = 86400
SPACE = "telegram:1:-500"
PLACE = ConversationKey(Platform.TELEGRAM, "1", "-500", "7")
OTHER = ConversationKey(Platform.TELEGRAM, "1", "-600")


async def asked(world: World, place: ConversationKey, days_ago: float = 0) -> ConversationKeys:
    """A conversation with an answer, the last message so long ago; its keys."""
    await world.ask(
        message("hello", conversation=place, author=ADA.telegram, private=False, space=place.chat), "hello yourself"
    )
    keys = ConversationKeys.of(place)
    at = (time.time() - days_ago * DAY) * 1000
    for id in await world.store.redis.zrange(keys.order, 0, -1):
        await world.store.redis.zadd(keys.order, {id: at})
    return keys


async def choose(world: World, days: int | None) -> None:
    def change(now: SpaceSettings) -> SpaceSettings:
        return now.model_copy(update={"keep_days": days})

    await change_space(world.community, SPACE, Actor(ADA.id, "Ada"), change)


async def tidy(world: World, keep_days: int = 30) -> None:
    await tidying.tidy(world.store, world.community.spaces, keep_days, time.time())


async def left(store: Store, keys: ConversationKeys) -> list[float]:
    """Days that each of its keys still has."""
    return [await store.redis.ttl(key) / DAY for key in (keys.order, keys.tree, keys.state)]


@pytest.mark.parametrize(("chosen", "kept"), [(None, 30), (1, 1), (30, 30), (3650, 30), (0, 1), (-5, 1), (10**12, 30)])
def test_no_space_keeps_anything_for_longer_than_whoever_runs_it(chosen: int | None, kept: int) -> None:
    assert kept_days(SpaceSettings(keep_days=chosen), 30) == kept


async def test_what_is_said_in_a_space_has_its_lifetime(store: Store) -> None:
    world = World(store)
    asked_there = message("hello", conversation=PLACE, author=ADA.telegram, private=False, space="-500")
    await world.mailbox.post([asked_there])
    turn = await world.mailbox.take(PLACE)
    assert turn is not None
    turn.space = SpaceSettings(keep_days=2)
    await world.answer(turn, asked_there, "hello yourself")
    keys = ConversationKeys.of(PLACE)
    assert await left(store, keys) == pytest.approx([2, 2, 2], abs=0.01)
    await world.vote(PLACE, ADA.telegram)
    assert await store.redis.ttl(keys.votes) / DAY == pytest.approx(2, abs=0.01)


async def test_another_choice_holds_for_what_is_there_counted_from_its_last_message(store: Store) -> None:
    world = World(store)
    keys, other = await asked(world, PLACE, days_ago=3), await asked(world, OTHER, days_ago=3)
    await choose(world, 10)
    await tidy(world)
    assert await left(store, keys) == pytest.approx([7, 7, 7], abs=0.01)
    await choose(world, 20)
    await tidy(world)
    assert await left(store, keys) == pytest.approx([17, 17, 17], abs=0.01)
    await choose(world, 2)
    await tidy(world)
    assert await store.redis.exists(keys.tree, keys.order) == 0
    # The next question begins anew, with the state that a worker goes by.
    assert await store.redis.hget(keys.state, "newest") is None
    assert await store.redis.hget(keys.state, "turns") == "1"
    assert await left(store, other) == pytest.approx([30, 30, 30], abs=0.01)
    await world.ask(message("again", conversation=PLACE, author=ADA.telegram, private=False, space="-500"), "yes")
    assert [node.said.text async for node in world.history.all(PLACE)] != []


async def test_a_choice_made_while_another_is_applied_is_applied_as_well(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(store)
    keys = await asked(world, PLACE, days_ago=3)
    await choose(world, 10)
    run = store.run

    async def meanwhile(name: str, *values: Any) -> Any:
        if name == "retain":
            monkeypatch.undo()
            await choose(world, 6)
        return await run(name, *values)

    monkeypatch.setattr(store, "run", meanwhile)
    await tidy(world)
    assert await store.redis.zcard(to_retain()) == 1
    await tidy(world)
    assert await left(store, keys) == pytest.approx([3, 3, 3], abs=0.01)
    assert await store.redis.zcard(to_retain()) == 0


async def test_a_choice_whose_maker_died_is_applied_as_well(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(store)
    keys = await asked(world, PLACE, days_ago=3)
    records = world.community.spaces.records
    write = records.write

    async def dying(*values: Any) -> Any:
        await write(*values)
        raise StorageError("the process died")

    monkeypatch.setattr(records, "write", dying)
    with pytest.raises(StorageError, match="the process died"):
        await choose(world, 10)
    await tidying.tidy(store, world.community.spaces, 30, time.time() + 60)
    assert await left(store, keys) == pytest.approx([7, 7, 7], abs=0.01)
    assert await store.redis.zcard(to_retain()) == 0


async def test_what_cannot_be_read_holds_nothing_up(store: Store) -> None:
    world = World(store)
    keys = await asked(world, PLACE, days_ago=3)
    for text in (
        "no JSON",
        "[]",
        "{}",
        '{"accounts": [], "conversations": []}',
        '{"accounts": ["a:1"], "conversations": ["?"]}',
    ):
        await store.redis.zadd(to_tidy(), {text: 1})
    await store.redis.zadd(to_retain(), {"garbage": 1})
    await store.redis.hset(record("spaces", "telegram:1:-9"), mapping={"v": 1, "json": "of a newer program"})
    await store.redis.zadd(to_retain(), {"telegram:1:-9": 1})
    await choose(world, 10)
    await tidy(world)
    assert await left(store, keys) == pytest.approx([7, 7, 7], abs=0.01)
    assert await store.redis.zrange(to_retain(), 0, -1) == ["garbage", "telegram:1:-9"]
    assert await store.redis.zcard(to_tidy()) == 5
