"""What came while the bot was away: found within bounds, in order, answered once however often it is found."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bots.discord_bot import catch_up, endpoints, shards
from bots.discord_bot.catch_up import CatchUp
from bots.discord_bot.intake import Intake
from bots.discord_bot.rest import Rest
from bots.discord_bot.snowflake import at, moment
from core.message import ConversationKey, Incoming, Platform
from core.settings import DiscordSettings
from core.storage import keys
from core.storage.client import Store
from core.storage.shared import Place
from tests.bots.discord_bot.running import connected, settings_for, until
from tests.bots.discord_bot.whole import parley
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.openai_server import OpenAIServer


def place(discord: FakeDiscord, channel: str, last_seen: str = "0") -> Place:
    key = ConversationKey(Platform.DISCORD, discord.world.bot, channel)
    return Place(key, last_seen, discord.world.channels[channel].get("guild_id", ""))


def asked(discord: FakeDiscord, channel: str = "") -> int:
    """How often a history was read."""
    return len(discord.wire.made(f"GET /channels/{channel}"))


# ---------------------------------------------------------------------- answered once
async def test_a_message_that_is_found_after_24_restarts_in_12_hours_is_answered_once(
    discord: FakeDiscord, store: Store, valkey_url: str, tmp_path: Path
) -> None:
    """As it happened to a known bot. Nothing in the channel tells that the message was answered: the answer is no reply
    to it. The mark of the last message seen is lost each time, so each catch-up finds it again."""
    world = discord.world
    async with OpenAIServer() as models:
        models.reply = "the answer"
        day = {"PARLEY__DISCORD__CATCH_UP_MINUTES": "1440"}
        world.unreadable.add(world.general)  # so the bot may not reply
        async with parley(discord, models, valkey_url, tmp_path, **day):
            said = discord.say("hello", world.general, mention=True)
            await until(lambda: [m.text for m in discord.by_bot(world.general)] == ["the answer"])
        world.unreadable.clear()
        (answer,) = discord.by_bot(world.general)
        assert not answer.replies_to
        found = 0
        mark, known = keys.last_seen("discord", world.bot), str(place(discord, world.general).conversation)
        for restart in range(24):
            await store.redis.hset(mark, known, f"0 {world.guild['id']}")
            discord.wire.ahead = (restart + 1) * 1800.0
            before = asked(discord, world.general)
            with capture_logs() as logs:
                async with parley(discord, models, valkey_url, tmp_path, **day):
                    await until(lambda: any("caught up" in line["event"] for line in logs))
                    if restart % 8 == 0:
                        discord.gateway.invalidate()
                        await until(lambda: sum("caught up" in line["event"] for line in logs) == 2)
            found += sum(line["messages"] for line in logs if "caught up" in line["event"])
            assert asked(discord, world.general) > before
        assert found >= 24
        assert len(models.requests) == 1
    assert [m.id for m in discord.by_bot()] == [answer.id]
    assert moment(said.id) > time.time() - 120


def test_what_was_seen_is_remembered_longer_than_anything_is_caught_up() -> None:
    longest = max(m.le for m in DiscordSettings.model_fields["catch_up_minutes"].metadata if hasattr(m, "le"))
    assert longest * 60 * 2 <= keys.SEEN_SECONDS


# ---------------------------------------------------------------------- bounds
async def test_more_than_a_page_is_read_and_the_rest_is_told(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    for number in range(260):
        world.post(world.general, world.alice, f"<@{world.bot}> {number}" if number % 20 == 0 else "chatter")
    with capture_logs() as logs:
        async with connected(discord, store, recent=[place(discord, world.general)], catch_up_messages=250) as bot:
            await bot.accepted(13)
            await until(lambda: any("caught up" in line["event"] for line in logs))
    assert bot.inbox.texts == [str(number) for number in range(0, 250, 20)]
    assert asked(discord) == 3
    assert [line["read"] for line in logs if "the rest is left out" in line["event"]] == [250]


async def test_no_more_channels_than_so_many(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "MAX_CHANNELS", 5)
    world = discord.world
    rooms = [world.add_channel(world.guild["id"], f"c{number}") for number in range(8)]
    for room in rooms:
        world.post(room, world.alice, f"<@{world.bot}> hello")
    async with connected(discord, store, recent=[place(discord, room) for room in rooms]) as bot:
        await bot.accepted(5)
        await asyncio.sleep(0.1)
        assert len(bot.inbox.accepted) == asked(discord) == 5


async def test_discords_clock_counts_not_this_machines(discord: FakeDiscord, store: Store) -> None:
    discord.wire.ahead = -6 * 3600.0
    async with connected(discord, store, recent=[place(discord, discord.world.general)], catch_up_minutes=10):
        await until(lambda: asked(discord) == 1)
    after = moment(discord.wire.made("GET /channels")[0].query["after"])
    assert abs(after - (time.time() - 6 * 3600 - 600)) < 30


async def test_a_channel_that_was_closed_to_the_bot_is_refused_once(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    hidden = world.add_channel(world.guild["id"], "hidden")
    world.permissions.overwrite(hidden, world.guild["id"], deny=May.VIEW_CHANNEL)
    recent = [place(discord, hidden), place(discord, world.general)]
    world.post(world.general, world.alice, f"<@{world.bot}> hello")
    async with connected(discord, store, recent=recent) as bot:
        await bot.accepted(1)
        discord.gateway.invalidate()
        await until(lambda: discord.gateway.count("ready") == 2 and asked(discord, world.general) == 2)
        await asyncio.sleep(0.05)
    assert [call.status for call in discord.wire.made(f"GET /channels/{hidden}")] == [403]


async def test_channels_of_a_guild_that_the_bot_has_left_are_not_asked_for(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    left = Place(ConversationKey(Platform.DISCORD, world.bot, "77"), "0", "78")
    world.post(world.general, world.alice, f"<@{world.bot}> hello")
    async with connected(discord, store, recent=[left, place(discord, world.general)]) as bot:
        await bot.accepted(1)
    assert asked(discord) == asked(discord, world.general) == 1


async def test_what_was_edited_or_deleted_meanwhile_is_read_as_it_is_now(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    edited = world.post(world.general, world.alice, f"<@{world.bot}> first")
    gone = world.post(world.general, world.alice, f"<@{world.bot}> gone")
    discord.edit(edited.id, f"<@{world.bot}> second")
    discord.delete(gone.id)
    async with connected(discord, store, recent=[place(discord, world.general)]) as bot:
        await bot.accepted(2)
        await asyncio.sleep(0.05)
    assert bot.inbox.texts == ["second", "second"]  # as a message and as an edit: the mailbox makes one of them


# ---------------------------------------------------------------------- where the bot was never spoken to
async def test_a_mention_in_a_channel_of_which_nothing_is_known_is_found(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an invalid session, and after a restart."""
    monkeypatch.setattr(shards, "ALIVE_SECONDS", 0.05)
    world = discord.world
    quiet = world.add_channel(world.guild["id"], "quiet")
    world.post(quiet, world.alice, "before anything was heard")
    async with connected(discord, store) as bot:
        discord.say("heard", world.general, mention=True)
        await bot.accepted(1)
        discord.gateway.invalidate()
        discord.say("missed", quiet, mention=True)
        discord.say("not for the bot", quiet)
        await bot.accepted(2)
        await noted(store)
    world.post(quiet, world.alice, f"<@{world.bot}> while it was down")
    async with connected(discord, store, inbox=bot.inbox) as again:
        await again.accepted(3)
    assert bot.inbox.texts == ["heard", "missed", "while it was down"]


async def noted(store: Store) -> None:
    """Until it is kept until when the shard was heard."""
    give_up = time.monotonic() + 8
    while not await store.redis.keys("parley:alive:*"):
        assert time.monotonic() < give_up
        await asyncio.sleep(0.02)


async def test_as_soon_as_anything_is_heard_it_is_kept_until_when(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may die within its first seconds."""
    monkeypatch.setattr(shards, "ALIVE_SECONDS", 1000.0)
    async with connected(discord, store):
        await noted(store)


async def test_the_first_start_looks_into_no_channel(discord: FakeDiscord, store: Store) -> None:
    discord.world.post(discord.world.general, discord.world.alice, "old")
    async with connected(discord, store) as bot:
        discord.say("live", discord.world.general, mention=True)
        await bot.accepted(1)
        await asyncio.sleep(0.1)
    assert asked(discord) == 0


async def heard_until(discord: FakeDiscord, store: Store, seconds: float) -> None:
    """As an earlier process left it."""
    await store.redis.set(keys.alive(f"discord:{discord.world.bot}:0/1"), str(seconds))


async def test_other_channels_are_bounded_in_number_and_the_newest_go_first(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "MAX_OTHERS", 3)
    world = discord.world
    await heard_until(discord, store, time.time() - 60)
    rooms = [world.add_channel(world.guild["id"], f"c{number}") for number in range(6)]
    for number, room in enumerate(rooms):
        world.post(room, world.alice, f"<@{world.bot}> {number}")
    async with connected(discord, store) as bot:
        await bot.accepted(3)
        await asyncio.sleep(0.1)
    assert bot.inbox.texts == ["5", "4", "3"]
    assert asked(discord) == 3


async def test_other_channels_are_bounded_in_age(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    await heard_until(discord, store, time.time() - 7200)
    world.post(world.general, world.alice, f"<@{world.bot}> hello")
    async with connected(discord, store, catch_up_minutes=10) as bot:
        await bot.accepted(1)
    after = moment(discord.wire.made("GET /channels")[0].query["after"])
    assert abs(after - (time.time() - 600)) < 30


async def test_channels_without_news_or_rights_are_not_asked_for(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    old = world.add_channel(world.guild["id"], "old")
    world.channels[old]["last_message_id"] = at(time.time() - 3600)
    hidden = world.add_channel(world.guild["id"], "hidden")
    world.post(hidden, world.alice, f"<@{world.bot}> hello")
    world.permissions.overwrite(hidden, world.guild["id"], deny=May.VIEW_CHANNEL)
    below = world.add_thread(hidden, "below", world.alice)["id"]
    world.post(below, world.alice, f"<@{world.bot}> hello")
    world.post(world.general, world.alice, f"<@{world.bot}> found")
    await heard_until(discord, store, time.time() - 60)
    async with connected(discord, store) as bot:
        await bot.accepted(1)
        await asyncio.sleep(0.1)
    assert bot.inbox.texts == ["found"]
    assert asked(discord) == asked(discord, world.general) == 1


async def test_a_thread_that_was_opened_meanwhile(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    await heard_until(discord, store, time.time() - 60)
    thread = world.add_thread(world.general, "New", world.alice)["id"]
    world.post(thread, world.alice, f"<@{world.bot}> in a thread")
    async with connected(discord, store, recent=[place(discord, world.general)]) as bot:
        await bot.accepted(1)
    assert bot.inbox.texts == ["in a thread"]


# ---------------------------------------------------------------------- guilds that come late
async def test_an_own_thread_is_known_before_its_history_is_read(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    thread = world.add_thread(world.general, "Talk", world.bot)["id"]
    world.post(thread, world.alice, "no mention is needed here")
    discord.gateway.withheld.add(world.guild["id"])
    async with connected(discord, store, recent=[place(discord, thread)]) as bot:
        await asyncio.sleep(0.1)
        assert asked(discord) == 0
        discord.gateway.tell_of(world.guild["id"])
        await bot.accepted(1)
    assert bot.inbox.texts == ["no mention is needed here"]


async def test_an_unavailable_guild_holds_nobody_up_and_is_looked_at_when_it_comes(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "QUIET_SECONDS", 0.05)
    world = discord.world
    away = world.add_guild("Away")["id"]
    theirs = world.add_channel(away, "general")
    world.post(theirs, world.alice, f"<@{world.bot}> late")
    world.post(world.general, world.alice, f"<@{world.bot}> at once")
    discord.gateway.withheld.add(away)
    await heard_until(discord, store, time.time() - 60)
    async with connected(discord, store) as bot:
        await bot.accepted(1)
        discord.say("live", world.general, mention=True)
        await bot.accepted(2)
        discord.gateway.tell_of(away)
        await bot.accepted(3)
    assert bot.inbox.texts == ["at once", "live", "late"]


async def test_until_all_is_looked_up_the_next_one_begins_where_this_one_did(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies in the middle of its catch-up leaves nothing out."""
    world = discord.world
    before = time.time() - 60
    await heard_until(discord, store, before)
    world.post(world.general, world.alice, f"<@{world.bot}> missed")
    discord.fail("502", "GET /channels", times=100)
    async with connected(discord, store):
        await until(lambda: asked(discord) > 1)
    discord.wire.faults.clear()
    async with connected(discord, store) as bot:
        await bot.accepted(1)


async def test_switched_off_nothing_is_looked_up(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    await heard_until(discord, store, time.time() - 60)
    world.post(world.general, world.alice, f"<@{world.bot}> missed")
    async with connected(discord, store, recent=[place(discord, world.general)], catch_up=False) as bot:
        discord.say("live", world.general, mention=True)
        await bot.accepted(1)
    assert asked(discord) == 0


def test_which_shard_looks_where(discord: FakeDiscord) -> None:
    guild = str(5 << 22)
    there = ConversationKey(Platform.DISCORD, "9", "1")
    places: Sequence[Place] = [Place(there, "0", guild), Place(there, "0", "")]
    assert catch_up.of_shard(places, 1, 4) == [places[0]]
    assert catch_up.of_shard(places, 0, 4) == [places[1]]


async def as_it_is(payloads: Sequence[dict[str, Any]]) -> None:
    """Nobody watches these guilds."""


async def test_an_overflow_does_not_end_what_a_new_session_began(discord: FakeDiscord) -> None:
    """What is still to be looked up is looked up also when the intake has to drop something meanwhile."""
    world = discord.world
    settings, rest = settings_for(discord), Rest(discord.api_base, TOKEN)
    intake, read = Intake(lambda: None, 10), list[str]()

    async def recent(_bot: str) -> list[Place]:
        return []

    def take(payload: dict[str, Any]) -> list[Incoming]:
        read.append(payload["content"])
        return []

    world.post(world.general, world.alice, "missed")
    catching_up = CatchUp(0, 1, world.bot, settings, rest, recent, take, asyncio.Lock(), as_it_is)
    try:
        catching_up.start(intake, time.time() - 60, [world.guild["id"]])
        assert catching_up.owes < time.time() - 50
        catching_up.again(intake)
        catching_up.arrived(world.guild_create(world.guild["id"]))
        await until(lambda: read == ["missed"])
        await until(lambda: catching_up.owes == math.inf)
        catching_up.again(intake)
        await until(lambda: catching_up.owes == math.inf)
        assert read == ["missed"]
    finally:
        await catching_up.close()
        await rest.close()


async def test_a_new_session_in_the_middle_owes_what_the_one_before_it_did(discord: FakeDiscord) -> None:
    world = discord.world
    settings, rest = settings_for(discord), Rest(discord.api_base, TOKEN)
    intake, read = Intake(lambda: None, 10), list[str]()

    async def recent(_bot: str) -> list[Place]:
        return []

    def take(payload: dict[str, Any]) -> list[Incoming]:
        read.append(payload["content"])
        return []

    world.post(world.general, world.alice, "missed")
    world.channels[world.general]["last_message_id"] = at(time.time() - 30)
    catching_up = CatchUp(0, 1, world.bot, settings, rest, recent, take, asyncio.Lock(), as_it_is)
    try:
        catching_up.start(intake, time.time() - 60, [world.guild["id"]])
        catching_up.start(intake, time.time(), [world.guild["id"]])
        assert catching_up.owes < time.time() - 50
        catching_up.arrived(world.guild_create(world.guild["id"]))
        await until(lambda: read == ["missed"])
    finally:
        await catching_up.close()
        await rest.close()


async def test_a_heartbeat_before_a_refused_resumption_does_not_tell_that_all_was_heard(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discord answers the heartbeat of a new connection before it says that the session is over."""
    monkeypatch.setattr(catch_up, "SLACK", 0.0)
    monkeypatch.setattr(endpoints, "LONGEST_PAUSE", 0.1)
    world, gateway = discord.world, discord.gateway
    quiet = world.add_channel(world.guild["id"], "quiet")
    async with connected(discord, store) as bot:
        discord.say("heard", world.general, mention=True)
        await bot.accepted(1)
        gateway.open = False
        gateway.forget_sessions()
        world.post(quiet, world.alice, f"<@{world.bot}> missed")
        await asyncio.sleep(1.2)  # Discord tells its time in whole seconds
        gateway.open = True
        await until(lambda: gateway.count("refused") == 1)
        await bot.accepted(2)
    assert bot.inbox.texts == ["heard", "missed"]


async def test_an_end_before_the_history_was_read_leaves_what_was_missed_to_be_found(
    discord: FakeDiscord, store: Store
) -> None:
    """Were the newer message stored, the mark of the last one seen would be behind what was missed."""
    world = discord.world
    recent = [place(discord, world.general)]
    world.post(world.general, world.alice, f"<@{world.bot}> missed")
    discord.fail("502", "GET /channels", times=100)
    async with connected(discord, store, recent=recent) as bot:
        await until(lambda: asked(discord) > 1)
        discord.say("live", world.general, mention=True)
        discord.say("in private")
        await bot.accepted(1)
    assert bot.inbox.texts == ["in private"]
    discord.wire.faults.clear()
    async with connected(discord, store, recent=recent) as bot:
        await bot.accepted(2)
    assert bot.inbox.texts == ["missed", "live"]


async def test_a_channel_with_news_since_it_was_heard_is_looked_at_from_there(
    discord: FakeDiscord, store: Store
) -> None:
    """A process that died in its catch-up had accepted what was new, and not yet what was missed before it."""
    world = discord.world
    await heard_until(discord, store, time.time() - 60)
    world.post(world.general, world.alice, f"<@{world.bot}> missed")
    newer = world.post(world.general, world.alice, f"<@{world.bot}> accepted")
    async with connected(discord, store, recent=[place(discord, world.general, newer.id)]) as bot:
        await bot.accepted(2)
    assert bot.inbox.texts == ["missed", "accepted"]


@pytest.mark.parametrize("heard", [True, False])
async def test_what_is_answered_in_threads_is_looked_up_when_its_guild_is_there(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch, *, heard: bool
) -> None:
    """Without its guild it would seem to be for the channel itself, and be answered there, and then once more."""
    monkeypatch.setattr(catch_up, "QUIET_SECONDS", 0.05)
    world = discord.world
    if heard:
        await heard_until(discord, store, time.time() - 60)
    asked_there = world.post(world.general, world.alice, f"<@{world.bot}> late")
    discord.gateway.withheld.add(world.guild["id"])
    async with connected(discord, store, recent=[place(discord, world.general)], threads=True) as bot:
        discord.say("in private")
        await bot.accepted(1)
        await asyncio.sleep(0.15)
        assert asked(discord) == 0
        discord.gateway.tell_of(world.guild["id"])
        await bot.accepted(2)
        await asyncio.sleep(0.1)
    assert [(value.conversation.chat, value.update) for value in bot.inbox.accepted[1:]] == [(asked_there.id,) * 2]


# ---------------------------------------------------------------------- edits
async def test_a_question_that_an_edit_put_to_the_bot_is_answered_once(
    discord: FakeDiscord, store: Store, valkey_url: str, tmp_path: Path
) -> None:
    """Only the edit was for the bot; the history does not tell it from a message that was so from the beginning."""
    world = discord.world
    async with OpenAIServer() as models:
        models.reply = "the answer"
        async with parley(discord, models, valkey_url, tmp_path):
            said = discord.say("hello", world.general)
            discord.edit(said.id, f"<@{world.bot}> hello")
            await until(lambda: len(discord.by_bot()) == 1)
        conversation = str(place(discord, world.general).conversation)
        await store.redis.hset(keys.last_seen("discord", world.bot), conversation, f"0 {world.guild['id']}")
        async with parley(discord, models, valkey_url, tmp_path):
            discord.say("another", world.general, mention=True)
            await until(lambda: len(discord.by_bot()) >= 2 and len(models.requests) >= 2)
            await asyncio.sleep(0.2)
        assert len(models.requests) == len(discord.by_bot()) == 2


async def test_an_edit_made_meanwhile_of_the_last_question_is_answered_in_its_place(
    discord: FakeDiscord, store: Store, valkey_url: str, tmp_path: Path
) -> None:
    world = discord.world
    async with OpenAIServer() as models:
        models.reply = "the first answer"
        async with parley(discord, models, valkey_url, tmp_path):
            said = discord.say("first", world.general, mention=True)
            await until(lambda: [m.text for m in discord.by_bot()] == ["the first answer"])
        (answer,) = discord.by_bot()
        discord.edit(said.id, f"<@{world.bot}> second")
        models.reply = "the second answer"
        for _ in range(2):
            async with parley(discord, models, valkey_url, tmp_path):
                await until(lambda: [(m.id, m.text) for m in discord.by_bot()] == [(answer.id, "the second answer")])
        assert len(models.requests) == 2
        new = world.post(world.general, world.alice, f"<@{world.bot}> third")
        discord.edit(new.id, f"<@{world.bot}> fourth")
        async with parley(discord, models, valkey_url, tmp_path):
            await until(lambda: len(discord.by_bot()) == 2)
            discord.say("fifth", world.general, mention=True)
            await until(lambda: len(discord.by_bot()) >= 3)
        assert len(models.requests) == 4
