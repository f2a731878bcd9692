"""One call, one answer or one error; and what refusals teach for the calls that follow."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bots.discord_bot import refusals
from bots.discord_bot.identity import until_disowned
from bots.discord_bot.refusals import Need, Refusals
from bots.discord_bot.rest import CallFailed, Rest, Upload
from core.errors import OutboundError, OutboundFault, SettingsError, StorageError
from core.storage import keys
from core.storage.client import Store
from core.storage.tally import SLICES, Tally
from tests.bots.discord_bot.running import until
from tests.bots.discord_bot.whole import parley
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.openai_server import OpenAIServer


@dataclass(slots=True)
class Sum:
    """What all processes counted."""

    total: int = 0
    asked: int = 0
    is_away: bool = False

    async def add(self, more: int) -> int:
        self.asked += 1
        if self.is_away:
            raise StorageError("away")
        self.total += more
        return self.total


@dataclass(slots=True)
class Line:
    discord: FakeDiscord
    rest: Rest
    sum: Sum
    refusals: Refusals

    @property
    def made(self) -> int:
        return len(self.discord.calls)

    async def refused(self, method: str, path: str, body: dict[str, Any] | None = None) -> OutboundError:
        with pytest.raises(OutboundError) as caught:
            await self.rest.call(method, path, body)
        return caught.value


@pytest.fixture
async def line(discord: FakeDiscord, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Line]:
    """A limit of 20 refused calls, looked at often."""
    monkeypatch.setattr(refusals, "SHARE_SECONDS", 0.02)
    total = Sum()
    counted = Refusals(total, most=20)
    rest = Rest(discord.api_base, TOKEN, counted)
    yield Line(discord, rest, total, counted)
    await rest.close()


def typing(channel: str) -> tuple[str, str]:
    return "POST", f"/channels/{channel}/typing"


# ---------------------------------------------------------------------- limits
async def test_a_limit_of_one_channel_comes_back_at_once_and_holds_for_it_alone(line: Line) -> None:
    world = line.discord.world
    other = world.add_channel(world.guild["id"], "other")
    line.discord.fail("429", "typing", seconds=0.3)
    error = await line.refused(*typing(world.general))
    assert (error.fault, error.retry_after, error.everywhere) == (OutboundFault.RATE_LIMITED, 0.3, False)
    await line.rest.call(*typing(other))


async def test_a_shared_limit_is_not_ours_to_count(line: Line) -> None:
    line.discord.fail("429 shared", "typing")
    await line.refused(*typing(line.discord.world.general))
    await asyncio.sleep(0.05)
    assert (line.sum.total, line.sum.asked) == (0, 0)


@pytest.mark.parametrize("fault", ["429 global", "429 cloudflare"])
async def test_a_limit_of_everything_stops_all_calls(line: Line, fault: str) -> None:
    general = line.discord.world.general
    line.discord.fail(fault, "typing", seconds=5.0)
    error = await line.refused(*typing(general))
    assert error.everywhere
    assert error.retry_after >= 5.0
    held = await line.refused("GET", f"/channels/{general}")
    assert held.everywhere
    assert 4.0 < held.retry_after <= 7.0
    assert line.made == 1


# ---------------------------------------------------------------------- counting
async def test_what_is_refused_is_counted_and_then_fewer_calls_are_made(line: Line) -> None:
    general = line.discord.world.general
    for number in range(16):
        # Each in a channel of its own: nothing that was remembered keeps a call back.
        channel = line.discord.world.add_channel(line.discord.world.guild["id"], f"c{number}")
        line.discord.world.forbidden.add(channel)
        await line.refused("POST", f"/channels/{channel}/messages", {"content": "x"})
        assert line.refusals.is_frugal is (number >= 9)
    assert line.refusals.allows(Need.MUCH)
    made = line.made
    error = await line.refused("GET", f"/channels/{general}/messages")
    assert (error.fault, error.everywhere) == (OutboundFault.RATE_LIMITED, True)
    assert line.made == made
    await line.rest.call("POST", f"/channels/{general}/messages", {"content": "an answer"})
    line.discord.fail("429", "typing", times=3, seconds=0.0)
    await until(lambda: line.sum.total == 16)
    line.sum.total = 19  # by other processes
    await until(lambda: not line.refusals.allows(Need.MUCH))
    made = line.made
    await line.refused("POST", f"/channels/{general}/messages", {"content": "an answer"})
    assert line.made == made
    assert line.refusals.allows(Need.ALL)
    line.discord.wire.faults.clear()
    with capture_logs() as logs:
        line.sum.total = 0
        await until(lambda: not line.refusals.is_frugal)
        assert [entry["event"] for entry in logs] == ["Discord refuses few calls again"]


async def test_a_flood_of_refusals_never_reaches_the_limit(line: Line) -> None:
    """Whatever is tried, by calls that each would be refused."""
    world = line.discord.world
    with capture_logs() as logs:
        for number in range(60):
            channel = world.add_channel(world.guild["id"], f"c{number}")
            world.forbidden.add(channel)
            await line.refused("POST", f"/channels/{channel}/messages", {"content": "x"})
    assert sum(call.status in (401, 403, 429) for call in line.discord.calls) == 19
    assert [entry["refused"] for entry in logs if "shut this address out" in entry["event"]] == [10, 16, 19]


async def test_nothing_is_asked_of_the_storage_while_nothing_is_refused(line: Line) -> None:
    for _ in range(5):
        await line.rest.call("GET", f"/channels/{line.discord.world.general}")
    await line.refused("GET", "/channels/1")  # 404 is no refusal that counts
    await asyncio.sleep(0.05)
    assert line.sum.asked == 0


async def test_it_is_counted_on_while_the_storage_is_away(line: Line) -> None:
    line.sum.is_away = True
    line.discord.fail("429", "typing", times=3, seconds=0.0)
    for _ in range(3):
        await line.refused(*typing(line.discord.world.general))
    await until(lambda: line.sum.asked > 2)
    assert line.refusals.part == 3 / 20
    line.sum.is_away = False
    await until(lambda: line.sum.total == 3)


async def test_all_processes_count_together_and_for_some_time(store: Store) -> None:
    one, two = Tally(store, "bot", 20), Tally(store, "bot", 20)
    assert await one.add(3) == 3
    assert await two.add(4) == 7
    assert await one.add(0) == 7
    assert await Tally(store, "another", 20).add(1) == 1
    long_ago, in_time = int(time.time()) - 22, int(time.time()) - 15
    await store.redis.hset("parley:tally:bot", mapping={str(long_ago): 50, str(in_time): 5})
    assert await one.add(0) == 12
    assert 0 < await store.redis.ttl("parley:tally:bot") <= 21


# ---------------------------------------------------------------------- channels that are closed
async def test_a_forbidden_call_is_not_repeated_in_that_channel(line: Line) -> None:
    world = line.discord.world
    other = world.add_channel(world.guild["id"], "other")
    world.forbidden.add(world.general)
    path = f"/channels/{world.general}/messages"
    for _ in range(5):
        error = await line.refused("POST", path, {"content": "x"})
        assert isinstance(error, CallFailed)
        assert (error.fault, error.status, error.code) == (OutboundFault.FORBIDDEN, 403, 50013)
    assert line.made == 1
    await line.rest.call("GET", path)
    await line.rest.call("POST", f"/channels/{other}/messages", {"content": "x"})


async def test_a_reply_may_be_forbidden_where_the_text_may_go(line: Line) -> None:
    world = line.discord.world
    asked = world.post(world.general, world.alice, "?")
    world.unreadable.add(world.general)
    path = f"/channels/{world.general}/messages"
    reply = {"content": "x", "message_reference": {"message_id": asked.id}}
    for _ in range(2):
        error = await line.refused("POST", path, reply)
        assert isinstance(error, CallFailed)
        assert error.code == 160002
        await line.rest.call("POST", path, {"content": "x"})
    assert [call.status for call in line.discord.calls] == [403, 200, 200]


async def test_a_closed_channel_is_tried_again_after_a_while(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "FIRST_PAUSE", 0.1)
    world = line.discord.world
    world.forbidden.add(world.general)
    for _ in range(2):
        await line.refused(*typing(world.general))
    await asyncio.sleep(0.12)
    await line.refused(*typing(world.general))
    assert line.made == 2
    world.forbidden.clear()
    await asyncio.sleep(0.12)
    await line.refused(*typing(world.general))  # twice as long by now
    assert line.made == 2
    await asyncio.sleep(0.1)
    await line.rest.call(*typing(world.general))
    await line.rest.call(*typing(world.general))
    assert line.made == 4


async def test_a_refusal_of_one_message_closes_nothing(line: Line) -> None:
    world = line.discord.world
    hers = world.post(world.general, world.alice, "mine")
    own = world.post(world.general, world.bot, "own")
    await line.refused("PATCH", f"/channels/{world.general}/messages/{hers.id}", {"content": "x"})
    await line.rest.call("PATCH", f"/channels/{world.general}/messages/{own.id}", {"content": "x"})


# ---------------------------------------------------------------------- a token that was taken away
async def test_a_token_that_was_taken_away_stops_the_bot(line: Line) -> None:
    general = line.discord.world.general
    watch = asyncio.create_task(until_disowned(line.rest))
    line.discord.wire.token = "another"
    await line.refused(*typing(general))
    with pytest.raises(SettingsError, match="DISCORD_TOKEN is wrong"):
        await watch
    made = line.made
    for _ in range(5):
        assert (await line.refused(*typing(general))).fault is OutboundFault.FORBIDDEN
    assert line.made == made == 2


async def test_a_running_bot_ends_with_the_sentence(
    discord: FakeDiscord, store: Store, valkey_url: str, tmp_path: Path
) -> None:
    """Whatever it is doing: here it wants to answer, and the gateway has not noticed yet."""
    async with OpenAIServer() as models, parley(discord, models, valkey_url, tmp_path) as running:
        discord.wire.token = "another"
        discord.say("hello")
        with pytest.raises(SettingsError, match="DISCORD_TOKEN is wrong"):
            await running
    assert await store.redis.keys("parley:lease:*") == []


async def test_a_spent_interaction_says_nothing_about_the_token(line: Line) -> None:
    line.discord.rest.token_seconds = 0.0
    made = line.discord.slash("help")
    line.discord.rest.defer(made, {})
    error = await line.refused("POST", f"/webhooks/{line.discord.world.application_id}/{made.token}", {"content": "x"})
    assert isinstance(error, CallFailed)
    assert error.status == 401
    assert not line.rest.disowned.is_set()
    await line.rest.call(*typing(line.discord.world.general))


async def test_several_files_in_one_call(line: Line) -> None:
    world = line.discord.world
    files = [Upload("a.txt", "text/plain", b"A"), Upload("b", "", b"B")]
    path = f"/channels/{world.general}/messages"
    made = await line.rest.call("POST", path, {"content": "two"}, uploads=files)
    assert [(f["filename"], f["size"]) for f in made["attachments"]] == [("a.txt", 1), ("b", 1)]


async def test_a_bot_that_was_refused_often_leaves_out_what_it_can(
    discord: FakeDiscord, store: Store, valkey_url: str, tmp_path: Path
) -> None:
    """Other processes were refused 6,000 times; this one learns of it by its own first refusal."""
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()[:16]
    now = str(int(time.time()) // (refusals.SECONDS // SLICES))
    await store.redis.hset(keys.tally(f"discord:{digest}:refused"), now, "6000")
    discord.fail("429", "/typing", seconds=0.0)
    async with OpenAIServer() as models, parley(discord, models, valkey_url, tmp_path):
        models.reply, models.first_token = "an answer", 0.8
        for number in (1, 2):
            discord.say("hello", discord.world.general, mention=True)
            await until(lambda done=number: [m.text for m in discord.by_bot()] == ["an answer"] * done)
    assert [call.status for call in discord.wire.made("/typing")] == [429]
