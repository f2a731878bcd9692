"""Many receivers of one bot: shards are shared out, handed over, taken over; nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bots.discord_bot.shards import share
from bots.discord_bot.starts import KEPT
from core.errors import SettingsError
from core.message import ConversationKey, Platform
from core.storage.client import Store
from core.storage.shared import Place
from core.tasks import end
from tests.bots.discord_bot.running import ListInbox, Notebook, Running, connected, until
from tests.chaos.proxy import Proxy
from tests.platforms.discord_server import FakeDiscord

LEASE_SECONDS = 0.6


@dataclass(slots=True)
class Town:
    """A Discord with one guild on each of its shards, and the receivers in it."""

    discord: FakeDiscord
    store: Store
    count: int
    square: ListInbox = field(default_factory=ListInbox)
    """Where all receivers bring their messages to."""
    rooms: list[str] = field(default_factory=list[str])
    """A channel on each shard."""
    notebook: Notebook = field(default_factory=Notebook)

    @asynccontextmanager
    async def receiver(self, owner: str, store: Store | None = None, **more: Any) -> AsyncGenerator[Running]:
        given: dict[str, Any] = {
            "recent": self.places,
            "notebook": self.notebook,
            "lease_seconds": LEASE_SECONDS,
            **more,
        }
        inbox = ListInbox(self.square.accepted, owner, self.square.brought)
        async with connected(self.discord, store or self.store, inbox=inbox, owner=owner, **given) as running:
            yield running

    @property
    def places(self) -> list[Place]:
        channels = self.discord.world.channels
        rooms = [*self.rooms, self.discord.world.direct(self.discord.world.alice)]
        return [Place(self.key(room), "0", channels[room].get("guild_id", "")) for room in rooms]

    def key(self, channel: str) -> ConversationKey:
        return ConversationKey(Platform.DISCORD, self.discord.world.bot, channel)

    def by(self, text: str) -> set[str]:
        """Who brought a message."""
        return {owner for owner, brought in self.square.brought if brought == text}

    async def holders(self) -> dict[int, str]:
        """Who has the lease of each shard."""
        prefix = f"parley:lease:discord:{self.discord.world.bot}:shard:"
        names = [f"{prefix}{shard}/{self.count}" for shard in range(self.count)]
        values = await self.store.redis.mget(names)
        return {shard: owner for shard, owner in enumerate(values) if owner}

    async def shared_out(self, **shares: int) -> None:
        """Waits until each has so many of the shards, all of them connected once."""
        give_up = time.monotonic() + 8
        while True:
            holders = list((await self.holders()).values())
            once = all(len(self.discord.gateway.serving(n, self.count)) == 1 for n in range(self.count))
            if once and {owner: holders.count(owner) for owner in set(holders)} == shares:
                return
            assert time.monotonic() < give_up, (holders, self.discord.gateway.log)
            await asyncio.sleep(0.01)

    async def say_everywhere(self, text: str) -> None:
        """Each guild and somebody in private; each comes to the square exactly once."""
        for shard, room in enumerate(self.rooms):
            self.discord.say(f"{text} {shard}", room, mention=True)
        self.discord.say(f"{text} in private")
        await self.heard(text)

    async def heard(self, text: str) -> None:
        said = [f"{text} {shard}" for shard in range(self.count)] + [f"{text} in private"]
        await until(lambda: all(line in self.square.texts for line in said))
        assert all(self.square.texts.count(line) == 1 for line in said)


@pytest.fixture
async def town(discord: FakeDiscord, store: Store) -> Town:
    """Four shards, as Discord recommends."""
    return _town(discord, store, 4)


def _town(discord: FakeDiscord, store: Store, count: int) -> Town:
    discord.world.sharding.recommended = count
    made = Town(discord, store, count)
    for shard in range(count):
        guild = discord.world.add_guild(f"Guild {shard}", shard=shard, of=count)
        made.rooms.append(discord.world.add_channel(guild["id"], "general"))
    return made


# ---------------------------------------------------------------------- sharing
def test_a_fair_share() -> None:
    assert [share(16, processes, 0) for processes in (1, 2, 3, 16, 20)] == [16, 8, 6, 1, 1]
    assert share(16, 3, 4) == 4


async def test_one_process_runs_all_shards(town: Town) -> None:
    async with town.receiver("one") as one:
        await town.shared_out(one=4)
        await until(lambda: len(town.discord.wire.made("/messages")) == len(town.places))
        await asyncio.sleep(0.05)
        await town.say_everywhere("hello")
        assert one.inbox.refused == 0
    assert await town.holders() == {}
    assert await town.store.redis.keys("parley:lease:*") == []


async def test_two_share_the_shards_and_a_third_gets_its_part(discord: FakeDiscord, store: Store) -> None:
    town = _town(discord, store, 6)
    async with town.receiver("one"), AsyncExitStack() as stack:
        await town.shared_out(one=6)
        await stack.enter_async_context(town.receiver("two"))
        await town.shared_out(one=3, two=3)
        await town.say_everywhere("hello")
        await stack.enter_async_context(town.receiver("three"))
        await town.shared_out(one=2, two=2, three=2)
        await town.say_everywhere("again")
        holders = await town.holders()
        for shard in range(6):
            assert town.by(f"again {shard}") == {holders[shard]}
        assert town.by("again in private") == {holders[0]}


async def test_a_process_with_nothing_to_do_is_ready(discord: FakeDiscord, store: Store) -> None:
    town = _town(discord, store, 1)
    async with town.receiver("one"), town.receiver("two"):
        await town.shared_out(one=1)
        await town.say_everywhere("hello")
        assert discord.gateway.count("identify") == 1


async def test_a_process_takes_no_more_than_it_is_told(town: Town) -> None:
    with capture_logs() as logs:
        async with town.receiver("one", shards_per_process=3):
            await until(lambda: len(town.discord.gateway.sessions) == 3)
            assert [line["shards"] for line in logs if "without a process" in line["event"]] == [[3]]
            async with town.receiver("two", shards_per_process=3):
                await town.shared_out(one=3, two=1)


async def test_given_back_first_is_what_is_not_connected_yet(town: Town) -> None:
    town.discord.world.sharding.identify_seconds = 0.3
    async with AsyncExitStack() as stack:
        both = [town.receiver(owner, identify_seconds=0.4) for owner in ("one", "two")]
        await asyncio.gather(*map(stack.enter_async_context, both))
        await town.shared_out(one=2, two=2)
    assert town.discord.gateway.count("too early") == 0
    assert town.discord.gateway.count("ready") <= 5


async def test_shards_of_other_buckets_begin_side_by_side(town: Town) -> None:
    town.discord.world.sharding.identify_seconds = 60.0
    town.discord.world.sharding.side_by_side = 4
    async with town.receiver("one", identify_seconds=60.0), town.receiver("two", identify_seconds=60.0):
        await until(lambda: town.discord.gateway.count("ready") == 4)
    assert town.discord.gateway.count("too early") == 0


# ---------------------------------------------------------------------- handing over
async def test_a_stop_hands_over_at_once_and_nothing_is_lost(town: Town) -> None:
    async with town.receiver("two"):
        async with town.receiver("one", lease_seconds=6.0):
            await town.shared_out(one=2, two=2)
            await town.say_everywhere("before")
        town.square.brought.clear()
        said = asyncio.create_task(town.say_everywhere("meanwhile"))
        async with asyncio.timeout(4.0):  # sooner than leases of 6 seconds, renewed every 2, would have run out
            await town.shared_out(two=4)
        await said
        await town.say_everywhere("after")
    assert {owner for owner, _ in town.square.brought} == {"two"}


async def test_what_was_missed_is_looked_up_once_and_by_whom_it_concerns(town: Town) -> None:
    world = town.discord.world
    for shard, room in enumerate(town.rooms):
        world.post(room, world.alice, f"<@{world.bot}> missed {shard}")
    world.post(world.direct(world.alice), world.alice, "missed in private")

    def looked() -> int:
        return len(town.discord.wire.made("/messages"))

    async with town.receiver("one"), town.receiver("two"):
        await town.heard("missed")
        await town.shared_out(one=2, two=2)
        sessions = town.discord.gateway.count("ready")
        await until(lambda: looked() > sessions)
        await asyncio.sleep(0.2)
    assert looked() == sessions + 1
    assert sessions <= 6


async def test_whoever_cannot_reach_the_storage_accepts_nothing_more(town: Town, valkey_socket: Path) -> None:
    async with Proxy(valkey_socket) as detour:
        cut = Store(f"redis://127.0.0.1:{detour.port}")
        async with town.receiver("one", cut, recent=()), town.receiver("two"):
            await town.shared_out(one=2, two=2)
            before = town.discord.gateway.count("ready")
            detour.stalls = True
            await until(lambda: town.discord.gateway.count("ready") == before + 2)
            # Both connections of a shard get the message.
            await town.say_everywhere("hello")
            assert [len(town.discord.gateway.serving(shard, 4)) for shard in range(4)] == [2, 2, 1, 1]
            assert {owner for owner, text in town.square.brought if text.startswith("hello")} == {"two"}
            detour.stalls = False
            await town.shared_out(one=2, two=2)
            await town.say_everywhere("after")
        await cut.close()


async def test_alone_the_connection_outlives_the_storage(town: Town, valkey_socket: Path) -> None:
    async with Proxy(valkey_socket) as detour:
        cut = Store(f"redis://127.0.0.1:{detour.port}")
        async with town.receiver("one", cut, recent=()):
            await town.shared_out(one=4)
            detour.stalls = True
            while await town.holders():
                await asyncio.sleep(0.02)
            said = asyncio.create_task(town.say_everywhere("hello"))
            await asyncio.sleep(0.2)
            assert town.square.brought == []
            detour.stalls = False
            await said
            await town.shared_out(one=4)
            assert town.discord.gateway.count("identify") == 4
        await cut.close()


# ---------------------------------------------------------------------- the number
async def test_a_running_number_holds_until_all_want_another(town: Town) -> None:
    with capture_logs() as logs:
        async with town.receiver("one", shards=4), AsyncExitStack() as stack:
            await town.shared_out(one=4)
            await stack.enter_async_context(town.receiver("two", shards=2))
            await town.shared_out(one=2, two=2)
            assert {session.count for session in town.discord.gateway.sessions.values()} == {4}
            assert [line["running"] for line in logs if "waits until every process" in line["event"]] == [4]


# ---------------------------------------------------------------------- shards of one's own
async def test_a_process_runs_the_shards_that_it_is_told_and_no_others(town: Town) -> None:
    with capture_logs() as logs:
        async with town.receiver("one", shard_range="0-2/4"):
            await until(lambda: town.discord.gateway.count("ready") == 3)
            assert set(await town.holders()) == {0, 1, 2}
            assert [line["shards"] for line in logs if "no --shards names them" in line["event"]] == [[3]]
            async with town.receiver("two", shard_range="3/4"):
                await town.shared_out(one=3, two=1)
                await town.say_everywhere("hello")
                assert (await town.holders())[3] == "two"


async def test_two_processes_never_run_the_same_shard(town: Town) -> None:
    async with town.receiver("two", shard_range="1-3/4"), AsyncExitStack() as stack:
        await until(lambda: town.discord.gateway.count("ready") == 3)
        with capture_logs() as logs:
            async with town.receiver("one", shard_range="0-1/4") as one:
                await town.shared_out(one=1, two=3)
                await asyncio.sleep(0.2)
                told = [(line["shard"], line["by"]) for line in logs if "held by another process" in line["event"]]
                assert told == [(1, "two")]
                await end([one.task])
        await stack.enter_async_context(town.receiver("one", shard_range="0-1/4"))
        await town.shared_out(one=1, two=3)
        await town.say_everywhere("hello")
        assert town.discord.gateway.count("ready") == 5


async def test_what_a_dead_process_had_goes_to_the_one_that_waits_for_it(town: Town) -> None:
    async with town.receiver("one", shard_range="0-3/4"):
        async with town.receiver("two", shard_range="2-3/4") as two:
            await town.shared_out(one=4)
            assert not two.task.done()
        async with town.receiver("two", shard_range="2-3/4"), AsyncExitStack():
            await asyncio.sleep(0.1)
            assert set((await town.holders()).values()) == {"one"}
    async with town.receiver("two", shard_range="0-3/4"):
        await town.shared_out(two=4)


async def test_processes_without_shards_of_their_own_share_the_rest(town: Town) -> None:
    async with town.receiver("any", shards=4), town.receiver("other", shards=4):
        await town.shared_out(any=2, other=2)
        async with town.receiver("one", shard_range="0-1/4"):
            await town.shared_out(any=1, other=1, one=2)
            assert {shard for shard, owner in (await town.holders()).items() if owner == "one"} == {0, 1}
            await town.say_everywhere("hello")
        # While it is away, nobody has to do without an answer.
        await town.shared_out(any=2, other=2)
        await town.say_everywhere("again")


async def test_shards_of_another_number_wait(town: Town) -> None:
    async with town.receiver("any"):
        await town.shared_out(any=4)
        with capture_logs() as logs:
            waiting = asyncio.create_task(_briefly(town, "one", shard_range="0-7/16"))
            await until(lambda: any("waits until every process has this number" in line["event"] for line in logs))
            await asyncio.sleep(0.1)
            assert set((await town.holders()).values()) == {"any"}
            await end([waiting])
        await town.say_everywhere("hello")
        assert town.discord.gateway.count("ready") == 4


async def _briefly(town: Town, owner: str, **settings: Any) -> None:
    async with town.receiver(owner, **settings):
        pass


async def test_a_number_that_all_want_is_followed(town: Town) -> None:
    async with town.receiver("two", shards=4) as old, AsyncExitStack() as stack:
        await town.shared_out(two=4)
        await stack.enter_async_context(town.receiver("new", shards=2))
        await town.shared_out(new=2, two=2)
        await end([old.task])
        both = Town(town.discord, town.store, 2)
        await both.shared_out(new=2)
        town.discord.say("hello", town.rooms[3], mention=True)
        await until(lambda: "hello" in town.square.texts)
        assert town.by("hello") == {"new"}


async def test_discord_wants_more_shards(town: Town) -> None:
    town.discord.world.sharding.recommended = 2
    async with town.receiver("one") as one, town.receiver("two"):
        await Town(town.discord, town.store, 2).shared_out(one=1, two=1)
        town.discord.world.sharding.recommended = town.discord.world.sharding.required = 4
        town.discord.gateway.invalidate()
        await town.shared_out(one=2, two=2)
        await town.say_everywhere("hello")
        assert not one.task.done()


async def test_a_fixed_number_that_is_too_small(town: Town) -> None:
    town.discord.world.sharding.required = 4
    with pytest.raises(SettingsError, match=r"discord\.shards is wrong: found 2"):
        async with town.receiver("one", shards=2):
            pass


# ---------------------------------------------------------------------- beginnings
async def test_connections_are_not_begun_when_few_are_left(town: Town) -> None:
    sharding = town.discord.world.sharding
    sharding.left, sharding.reset_seconds = KEPT + 2, 0.0

    async def grant_more() -> None:
        await until(lambda: sum("too many connections" in line["event"] for line in logs) == 2)
        assert sharding.left == KEPT
        assert sum("few connections" in line["event"] for line in logs) == 2
        sharding.left = 1000

    with capture_logs() as logs:
        more = asyncio.create_task(grant_more())
        async with town.receiver("one", identify_seconds=0.05):
            await town.shared_out(one=4)
        await more


async def test_commands_are_registered_once_by_all(town: Town) -> None:
    async with town.receiver("one"), town.receiver("two"):
        await town.shared_out(one=2, two=2)
        await until(lambda: bool(town.discord.wire.made("PUT /applications")))
        await asyncio.sleep(0.3)
        assert len(town.discord.wire.made("PUT /applications")) == 1
