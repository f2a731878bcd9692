"""Discord on many processes: receivers that are restarted, killed and paused while people write."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.end_to_end.running import DiscordChat, until
from tests.platforms.openai_server import Fault
from tests.scale.fleet import Fleet, fleet

SHARDS = 4
EVERY_SECONDS = 0.3
"""A channel's turn comes every 1.5 seconds: within what Discord lets a bot write."""
ALONE = {"TELEGRAM_TOKEN": "", "PARLEY__DISCORD__IDENTIFY_SECONDS": "5.5"}


def asked(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"]).rpartition(": ")[2].rpartition("\n")[2]


@asynccontextmanager
async def town_of(folder: Path) -> AsyncGenerator[Fleet]:
    """A guild on each of the shards. The gateway wants five seconds between two beginnings in a bucket."""
    async with fleet(folder) as town:
        sharding = town.discord.world.sharding
        sharding.recommended = sharding.side_by_side = SHARDS
        sharding.identify_seconds = 5.0
        town.models.reply = lambda body: f"re {asked(body)}."
        yield town
        assert town.discord.violations == []
        assert town.discord.gateway.count("too early") == 0


class People:
    """They write into a channel of each guild and in private, one after another."""

    def __init__(self, town: Fleet) -> None:
        world = town.discord.world
        self._town = town
        self.rooms = [world.direct(world.alice)]
        for shard in range(SHARDS):
            guild = world.add_guild(f"Guild {shard}", shard=shard, of=SHARDS)
            self.rooms.append(world.add_channel(guild["id"], "general"))
        self.said: dict[str, list[str]] = {room: [] for room in self.rooms}
        self._writing: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        number = 0
        while True:
            for room in self.rooms:
                number += 1
                self._town.discord.say(f"m{number}", room, mention=room != self.rooms[0])
                self.said[room].append(f"re m{number}.")
                await asyncio.sleep(EVERY_SECONDS)

    def shown(self, room: str) -> list[str]:
        return [posted.text for posted in self._town.discord.by_bot(room)]

    async def are_answered(self) -> None:
        """They stop; every message has one answer, in order."""
        assert self._writing
        self._writing.cancel()
        await until(lambda: all(len(self.shown(room)) >= len(said) for room, said in self.said.items()), "all answers")
        await asyncio.sleep(1.0)  # time for a second answer to show itself
        assert {room: self.shown(room) for room in self.rooms} == self.said


async def shared_out(town: Fleet) -> None:
    """Each shard has one session."""
    gateway = town.discord.gateway
    await until(lambda: all(len(gateway.serving(n, SHARDS)) == 1 for n in range(SHARDS)), "all shards run once")


async def test_receivers_come_and_go(tmp_path: Path) -> None:
    async with town_of(tmp_path) as town:
        people = People(town)
        one = await town.start("one", "receive", "discord", **ALONE)
        two = await town.start("two", "receive", "discord", **ALONE)
        await town.start("worker", "work", **ALONE)
        await shared_out(town)
        people.begin()
        await until(lambda: all(people.shown(room) for room in people.rooms), "first answers")

        assert await one.stop() == 0
        await shared_out(town)
        await one.start()
        await shared_out(town)

        await two.stop(signal.SIGKILL)
        await asyncio.sleep(7)  # what the dead one's connections had is only known from the history
        await shared_out(town)
        await two.start()
        await shared_out(town)

        assert one.process
        one.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(9)
        one.process.send_signal(signal.SIGCONT)
        await shared_out(town)
        await town.start("three", "receive", "discord", **ALONE)
        await shared_out(town)
        await people.are_answered()
        assert len(town.discord.wire.made("PUT /applications")) == 1


async def test_commands_and_buttons_reach_the_worker_in_another_process(tmp_path: Path) -> None:
    async with town_of(tmp_path) as town:
        await town.start("receiver", "receive", "discord", **ALONE)
        await town.start("worker", "work", **ALONE)
        chat: DiscordChat = town.discord_chat()
        discord, world = town.discord, town.discord.world

        helped = discord.slash("help", channel=chat.channel)
        await until(lambda: bool(helped.original and world.find(helped.original).text), "an answer")
        assert world.find(helped.original).ephemeral

        town.models.reply = "word " * 2000
        town.models.tokens_per_second = 20
        chat.say("a long one")
        await until(lambda: chat.shown[-1].startswith("word"), "it has begun")
        stopped = discord.slash("stop", channel=chat.channel)
        await until(lambda: bool(stopped.original and world.find(stopped.original).text), "an answer to the stop")
        assert len(chat.shown[1]) < 2000

        town.models.tokens_per_second = 5000
        town.models.fail(Fault.LENGTH)
        town.models.reply = "short"
        chat.say("cut")
        await until(lambda: "continue" in chat.buttons(), "a button")
        pressed = discord.press(chat.ids[-1], "continue")
        await until(lambda: chat.shown[-1] == "short", "the rest")
        assert pressed.answered
        town.models.reply = "word " * 700
        asked_for = discord.slash("chat", {"text": "two pages"}, chat.channel)
        await until(lambda: len(asked_for.followups) == 1, "a second page")
        whole = "".join(world.find(m).text for m in (asked_for.original, *asked_for.followups))
        assert whole.count("word") == 700


async def test_processes_with_shards_of_their_own(tmp_path: Path) -> None:
    """None runs what another has. What was missed of a killed one is answered, also where nobody had spoken before."""
    async with town_of(tmp_path) as town:
        people = People(town)
        await town.start("one", "receive", "discord", "--shards", "0-1/4", **ALONE)
        two = await town.start("two", "receive", "discord", "--shards", "2-3/4", **ALONE)
        await town.start("worker", "work", **ALONE)
        await shared_out(town)
        three = await town.start("three", "receive", "discord", "--shards", "1-2/4", **ALONE)
        held = [line for line in three.events if "held by another process" in line["event"]]
        assert [line["shard"] for line in held] == [1, 2]
        await shared_out(town)

        await asyncio.sleep(6)  # until when it heard everything is noted every 5 seconds
        await two.stop(signal.SIGKILL)
        world, room = town.discord.world, people.rooms[4]
        assert not people.shown(room)
        world.post(room, world.alice, f"<@{world.bot}> m1")
        await two.start()
        await until(lambda: people.shown(room) == ["re m1."], "an answer to what was missed")
        await until(lambda: len(town.discord.gateway.serving(3, SHARDS)) == 1, "the shard is back")
        await asyncio.sleep(1.0)  # time for a second answer to show itself
        assert people.shown(room) == ["re m1."]
        await three.stop()
        await shared_out(town)
