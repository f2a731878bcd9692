"""Where the bot may not write, and where it has just come in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bots.adapter import Target
from bots.discord_bot import joining
from bots.discord_bot.rest import Rest
from bots.discord_bot.rights import Rights
from bots.discord_bot.standing import DAY, Standing
from bots.discord_bot.telling import Telling
from bots.discord_bot.threads import Threads
from bots.pacing import Limits, Pacer
from core.commands.greeting import SLASH, USERNAME
from core.conversation.moving import GREETING
from core.conversation.turn import Turn
from core.message import CommandCall, ConversationKey, Platform
from core.storage.client import Store
from core.storage.shared import Once
from core.texts import say
from tests.bots.discord_bot.running import Running, until
from tests.builders import message
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.discord_world import Posted


class Place:
    """A guild of Alice's, and two processes of a bot that may not write everywhere in it."""

    def __init__(self, discord: FakeDiscord, store: Store) -> None:
        self.discord, self.world = discord, discord.world
        self.guild: str = self.world.guild["id"]
        self.channel = self.world.add_channel(self.guild, "quiet")
        self.bob = self.world.add_user("bob")
        self.rest = Rest(discord.api_base, TOKEN)
        self.processes = [self._process(store) for _ in range(2)]

    def _process(self, store: Store) -> Standing:
        return Standing(Rights(self.rest), Telling(self.rest, Pacer(Limits())), Once(store), self.bot)

    async def bot(self) -> str:
        return self.world.bot

    async def ask(self, channel: str = "", process: int = 0, *, opens: str = "") -> None:
        key = ConversationKey(Platform.DISCORD, self.world.bot, channel or self.channel)
        asked = message(private=False, place="#quiet in Chess Club", space=self.guild, opens=opens)
        asked = replace(asked, conversation=key)
        await self.processes[process].tell(Turn(key, asked.id, "1", asked))

    def deny(self, *permissions: May, channel: str = "") -> None:
        denied = int(sum(permissions))
        self.world.permissions.overwrite(channel or self.channel, self.guild, deny=denied)

    def told(self, user: str = "") -> list[Posted]:
        return self.discord.by_bot(self.world.direct(user or self.world.alice))


@pytest.fixture
async def place(discord: FakeDiscord, store: Store) -> AsyncIterator[Place]:
    place = Place(discord, store)
    yield place
    for process in place.processes:
        await process.close()
    await place.rest.close()


@pytest.mark.parametrize("permission", [May.SEND_MESSAGES, May.VIEW_CHANNEL])
async def test_the_owner_is_told_once_what_is_missing(place: Place, permission: May) -> None:
    place.deny(permission)
    for process in (0, 1, 0):
        await place.ask(process=process)
    [told] = place.told()
    name = {May.SEND_MESSAGES: "Send Messages", May.VIEW_CHANNEL: "View Channel"}[permission]
    words = say("no_right_here", channel=f"<#{place.channel}>", place="Chess Club", permission=name)
    assert told.text == words
    assert place.told(place.bob) == []


async def test_each_channel_and_each_day_anew(place: Place, store: Store) -> None:
    other = place.world.add_channel(place.guild, "other")
    place.deny(May.SEND_MESSAGES)
    place.deny(May.SEND_MESSAGES, channel=other)
    for channel in (place.channel, other, place.channel):
        await place.ask(channel)
    assert len(place.told()) == 2
    [name] = [key async for key in store.redis.scan_iter(f"parley:recently:*no_right:{other}")]
    assert DAY - 60 < await store.redis.ttl(name) <= DAY
    await store.redis.delete(name)
    await place.ask(other)
    assert len(place.told()) == 3


async def test_a_thread_needs_a_permission_of_its_own(place: Place) -> None:
    place.world.guilds[place.guild]["preferred_locale"] = "zh-CN"
    thread = place.discord.open_thread("an opening", parent=place.channel)
    place.deny(May.SEND_MESSAGES_IN_THREADS)
    await place.ask(thread)
    [told] = place.told()
    assert "在子区内发送消息" in told.text
    await place.ask(place.discord.open_thread("an ending", parent=place.channel), process=1)
    assert len(place.told()) == 1, "it is the same permission of the same channel"


@pytest.mark.parametrize("permission", [May.SEND_MESSAGES_IN_THREADS, May.SEND_MESSAGES])
async def test_a_thread_that_was_opened_for_an_answer_cannot_be_written_in(place: Place, permission: May) -> None:
    """Where none could be opened, the channel cannot be written in either."""
    place.deny(permission)
    await place.ask(place.discord.open_thread("an opening", parent=place.channel), opens=place.channel)
    [told] = place.told()
    name = {May.SEND_MESSAGES: "Send Messages", May.SEND_MESSAGES_IN_THREADS: "Send Messages in Threads"}[permission]
    assert f"“{name}”" in told.text


async def test_where_the_owner_takes_no_messages_a_channel_is_told(place: Place) -> None:
    place.deny(May.SEND_MESSAGES)
    place.world.forbidden.add(place.world.direct(place.world.alice))
    system = place.world.add_channel(place.guild, "system")
    place.world.guilds[place.guild]["system_channel_id"] = system
    await place.ask()
    assert [len(place.discord.by_bot(one)) for one in (place.world.general, system)] == [0, 1]
    place.deny(May.SEND_MESSAGES, channel=system)
    other = place.world.add_channel(place.guild, "other")
    place.deny(May.SEND_MESSAGES, channel=other)
    await place.ask(other)
    assert len(place.discord.by_bot(place.world.general)) == 1
    place.deny(May.SEND_MESSAGES, channel=place.world.general)
    await place.ask(system)
    assert len(place.discord.by_bot()) == 2, "there is nowhere left: only the log tells"


async def test_what_was_granted_meanwhile_is_not_told(place: Place) -> None:
    await place.ask()
    assert place.told() == []


async def test_nothing_is_told_of_direct_messages(place: Place) -> None:
    key = ConversationKey(Platform.DISCORD, place.world.bot, place.world.direct(place.bob))
    asked = replace(message(), conversation=key)
    await place.processes[0].tell(Turn(key, asked.id, "1", asked))
    assert place.discord.calls == []


async def test_a_discord_that_does_not_answer_costs_no_answer(place: Place) -> None:
    place.discord.fail("500", "guilds", times=9)
    place.deny(May.SEND_MESSAGES)
    await place.ask()
    assert place.told() == []


async def test_threads_that_cannot_be_opened_are_told_of_once(place: Place) -> None:
    place.deny(May.CREATE_PUBLIC_THREADS)
    for process in place.processes:
        opened = Threads(place.rest, process.no_threads)
        asked = place.discord.say("one", place.channel)
        key = ConversationKey(Platform.DISCORD, place.world.bot, asked.id)
        there = await opened.ensure(Target(key, private=False, question=asked.id, opens=place.channel))
        assert there.conversation.chat == place.channel
    await until(lambda: bool(place.told()))
    [told] = place.told()
    assert told.text == say(
        "no_threads_here", channel=f"<#{place.channel}>", permission=say("permission.create_public_threads")
    )


# ---------------------------------------------------------------------- coming in


def joined(discord: FakeDiscord, guild: str, *, ago: float = 5.0) -> CommandCall | None:
    world = discord.world
    payload = world.guild_create(guild)
    seconds = Rest("", "").now()
    return joining.greeting(payload, world.bot, seconds + ago)


async def test_a_guild_is_greeted_where_the_bot_may_write(discord: FakeDiscord) -> None:
    guild = discord.invite("Go Club", locale="zh-CN")
    world = discord.world
    first = next(one["id"] for one in world.channels.values() if one.get("guild_id") == guild["id"])
    call = joined(discord, guild["id"])
    assert call is not None
    assert (call.conversation.chat, call.update, call.name) == (first, GREETING, "greeting")
    assert call.options == {USERNAME: "parley", SLASH: "on"}
    assert (call.space, call.place, call.author.language) == (guild["id"], "#welcome in Go Club", "zh-CN")
    second = world.add_channel(guild["id"], "chat")
    world.permissions.overwrite(first, guild["id"], deny=May.SEND_MESSAGES)
    call = joined(discord, guild["id"])
    assert call is not None
    assert call.conversation.chat == second
    world.permissions.overwrite(second, guild["id"], deny=May.VIEW_CHANNEL)
    assert joined(discord, guild["id"]) is None
    world.permissions.overwrite(second, world.bot_role(guild["id"]), allow=May.VIEW_CHANNEL)
    world.guilds[guild["id"]]["system_channel_id"] = first
    world.permissions.overwrite(first, world.bot, allow=May.SEND_MESSAGES, member=True)
    call = joined(discord, guild["id"])
    assert call is not None
    assert call.conversation.chat == first


async def test_guilds_of_old_are_not_greeted(discord: FakeDiscord) -> None:
    guild = discord.invite()
    assert joined(discord, guild["id"], ago=joining.RECENT_SECONDS + 5) is None
    assert joined(discord, discord.world.guild["id"]) is None


async def test_the_greeting_comes_with_the_real_event(bot: Running) -> None:
    guild = bot.discord.invite()
    [call] = await bot.accepted(1)
    assert isinstance(call, CommandCall)
    assert (call.name, call.space) == ("greeting", guild["id"])
    bot.discord.gateway.dispatch("GUILD_CREATE", bot.discord.world.guild_create(guild["id"]), guild["id"])
    bot.discord.say("hello")
    await bot.accepted(2)
    assert bot.inbox.refused == 1, "a second greeting is refused as one that came before"
