"""Who runs, and where bots are, on a real server."""

from __future__ import annotations

import asyncio

from core.message import Platform
from core.models.measured import Figures
from core.storage import keys
from core.storage.client import Store
from core.storage.processes import Process, Processes, keep_saying
from core.storage.spaces_seen import SpacesSeen
from core.tasks import end

ONE = Process("one", "work", "Parley 1", 5.0, {"telegram": True}, {"m": Figures(3, 1)}, 2, "why", ("web.port",))


async def test_what_a_process_says_is_heard_until_it_leaves(store: Store) -> None:
    processes, news = Processes(store), asyncio.Event()
    saying = asyncio.create_task(keep_saying(processes, lambda: ONE, news))
    while not (alive := await processes.alive()):
        await asyncio.sleep(0.01)
    assert alive == [ONE]
    await end([saying])
    assert await processes.alive() == []
    assert await store.redis.smembers(keys.processes()) == set()


async def test_who_died_is_not_alive_and_what_another_program_says_hides_nobody(store: Store) -> None:
    processes = Processes(store)
    await processes.say(ONE)
    await store.redis.sadd(keys.processes(), "dead", "newer")
    await store.redis.set(keys.process("newer"), '{"role": []}')
    assert [process.name for process in await processes.alive()] == ["newer", "one"]
    assert await store.redis.smembers(keys.processes()) == {"one", "newer"}


async def test_spaces_are_written_once_a_day_and_forgotten_when_left(store: Store) -> None:
    spaces = SpacesSeen(store)
    spaces.saw(Platform.DISCORD, "1", "20", "Chess\n  Club\u202e", members=7, channel="9")
    spaces.saw(Platform.TELEGRAM, "4", "-5", "Tea")
    before = store.calls
    await spaces.flush()
    spaces.saw(Platform.DISCORD, "1", "20", "Chess\n  Club\u202e", members=8, channel="9")
    await spaces.flush()
    assert store.calls == before + 1
    first, second = await SpacesSeen(store).all()
    assert (first.name, first.members, first.channel, first.space_id) == ("Chess Club\u202e", 7, "9", "discord:1:20")
    assert (second.name, second.space_id) == ("Tea", "telegram:4:-5")
    spaces.saw(Platform.DISCORD, "1", "20", "Chess Society")
    await spaces.flush()
    assert [space.name for space in await spaces.of(Platform.DISCORD, "1")] == ["Chess Society"]
    await spaces.left(Platform.DISCORD, "1", "20")
    await spaces.left(Platform.DISCORD, "1", "unheard of")
    assert [space.id for space in await spaces.all()] == ["-5"]
