"""The connection to the gateway with the real discord.py: every way it breaks, and what ends it for good."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from bots.discord_bot import endpoints
from core.errors import SettingsError
from core.storage.client import Store
from tests.bots.discord_bot.running import Running, connected, until
from tests.platforms.discord_server import FakeDiscord


async def goes_on(bot: Running, text: str = "still here") -> None:
    """A message comes through, once."""
    bot.discord.say(text)
    await until(lambda: text in bot.inbox.texts)
    assert bot.inbox.texts.count(text) == 1


# ---------------------------------------------------------------------- going on with a session
async def test_a_session_is_resumed_where_discord_says(bot: Running) -> None:
    gateway = bot.discord.gateway
    gateway.drop()
    await until(lambda: gateway.count("resumed") == 1)
    assert gateway.addresses == ["/gateway/", "/resume/"]
    await goes_on(bot)


async def test_a_new_session_begins_at_the_general_address(bot: Running) -> None:
    gateway = bot.discord.gateway
    gateway.drop()
    await until(lambda: gateway.count("resumed") == 1)
    gateway.invalidate()
    await until(lambda: gateway.count("ready") == 2)
    assert gateway.addresses == ["/gateway/", "/resume/", "/gateway/"]
    await goes_on(bot)


async def test_an_address_to_resume_at_that_is_gone_is_given_up_but_not_the_session(
    bot: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "FIRST_PAUSE", 0.001)
    gateway = bot.discord.gateway
    for session in gateway.sessions.values():
        assert session.connection
    gateway.resume_url = "ws://127.0.0.1:1/"
    gateway.invalidate()
    await until(lambda: gateway.count("ready") == 2)
    gateway.drop()
    bot.discord.say("meanwhile")
    await until(lambda: gateway.count("resumed") == 1)
    assert gateway.addresses == ["/gateway/"] * 3
    await goes_on(bot)
    assert bot.inbox.texts == ["meanwhile", "still here"]


async def test_a_session_that_breaks_each_connection_is_given_up(bot: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "FIRST_PAUSE", 0.001)
    gateway = bot.discord.gateway
    gateway.refuses = [4000] * endpoints.MAX_STUCK
    gateway.drop()
    await until(lambda: gateway.count("ready") == 2)
    assert gateway.count("resume") == endpoints.MAX_STUCK
    await goes_on(bot)


async def test_a_line_that_is_cut_all_the_time_costs_no_session(bot: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "FIRST_PAUSE", 0.001)
    gateway = bot.discord.gateway
    for number in range(endpoints.MAX_STUCK + 2):
        bot.discord.say(str(number))
        gateway.drop()
        await until(lambda done=number + 1: gateway.count("resumed") == done)
    await goes_on(bot)
    assert bot.inbox.texts[:-1] == [str(number) for number in range(endpoints.MAX_STUCK + 2)]
    assert gateway.count("identify") == 1


@pytest.mark.parametrize("code", [4000, 4001, 4002, 4003, 4005, 4008])
async def test_close_codes_after_which_the_session_goes_on(bot: Running, code: int) -> None:
    gateway = bot.discord.gateway
    gateway.close(code)
    await until(lambda: gateway.count("resumed") == 1)
    await goes_on(bot)
    assert gateway.count("identify") == 1


@pytest.mark.parametrize("code", [4007, 4009])
async def test_close_codes_after_which_a_new_session_begins(bot: Running, code: int) -> None:
    gateway = bot.discord.gateway
    gateway.close(code)
    await until(lambda: gateway.count("ready") == 2)
    await goes_on(bot)
    assert gateway.count("resume") == 0


# ---------------------------------------------------------------------- what ends it for good
@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (4004, "DISCORD_TOKEN is wrong"),
        (4010, r"does not take this version's way of connecting.*4010"),
        (4012, r"does not take this version's way of connecting.*4012"),
        (4013, r"does not take this version's way of connecting.*4013"),
        (4014, "Message Content Intent"),
    ],
)
async def test_close_codes_that_end_it(discord: FakeDiscord, store: Store, code: int, sentence: str) -> None:
    async with connected(discord, store) as bot:
        discord.gateway.close(code)
        with pytest.raises(SettingsError, match=sentence):
            await bot.task
    assert discord.gateway.count("identify") == 1


async def test_too_few_shards_of_ones_own(discord: FakeDiscord, store: Store) -> None:
    discord.world.sharding.required = 4
    with pytest.raises(SettingsError, match=r"found 2.*with --shards, write that number"):
        async with connected(discord, store, shard_range="0-1/2"):
            pass


# ---------------------------------------------------------------------- a server that does not answer
async def test_a_hello_that_never_comes(discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "OPEN_SECONDS", 0.1)
    discord.gateway.silent = 2
    async with connected(discord, store) as bot:
        await goes_on(bot)
    assert discord.gateway.count("connect") == 3
    assert discord.gateway.count("identify") == 1


async def test_a_hello_that_never_comes_while_resuming(bot: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "OPEN_SECONDS", 0.1)
    gateway = bot.discord.gateway
    gateway.silent = 1
    gateway.drop()
    bot.discord.say("meanwhile")
    await until(lambda: gateway.count("resumed") == 1)
    await goes_on(bot)
    assert bot.inbox.texts == ["meanwhile", "still here"]


async def test_a_gateway_that_is_away_at_the_start(discord: FakeDiscord, store: Store) -> None:
    discord.gateway.open = False

    async def come_back() -> None:
        await until(lambda: len(discord.gateway.addresses) > 2)
        discord.gateway.open = True

    coming = asyncio.create_task(come_back())
    async with connected(discord, store) as bot:
        await goes_on(bot)
    await coming
    assert discord.gateway.count("identify") == 1


async def test_a_gateway_that_is_away_for_a_while_costs_no_session(
    bot: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "FIRST_PAUSE", 0.01)
    gateway = bot.discord.gateway
    gateway.open = False
    gateway.drop()
    bot.discord.say("meanwhile")
    await until(lambda: len(gateway.addresses) > endpoints.MAX_STUCK)
    gateway.open = True
    await until(lambda: gateway.count("resumed") == 1)
    await goes_on(bot)
    assert bot.inbox.texts == ["meanwhile", "still here"]
    assert gateway.count("identify") == 1


async def test_a_zombie_is_left_and_its_session_goes_on(discord: FakeDiscord, store: Store) -> None:
    """Heartbeats are not answered any more: discord.py waits for ``silence`` seconds."""
    discord.gateway.heartbeat_seconds = 0.1
    async with connected(discord, store, silence=0.4) as bot:
        await goes_on(bot, "before")
        discord.gateway.zombie = True
        await until(lambda: discord.gateway.count("resumed") >= 1)
        discord.gateway.zombie = False
        await goes_on(bot, "after")
        assert discord.gateway.count("identify") == 1


# ---------------------------------------------------------------------- beginnings
async def test_an_address_that_is_blocked_is_no_wrong_token(discord: FakeDiscord, store: Store) -> None:
    discord.fail("403 cloudflare", "GET /gateway/bot")
    async with connected(discord, store) as bot:
        discord.say("hello")
        await bot.accepted(1)


async def test_beginnings_that_are_used_up_are_waited_for_and_told(discord: FakeDiscord, store: Store) -> None:
    sharding = discord.world.sharding
    sharding.left, sharding.reset_seconds = 0, 1.0

    async def grant() -> None:
        await until(lambda: any("too many connections" in line["event"] for line in logs))
        assert discord.gateway.count("identify") == 0
        sharding.left = 1000

    with capture_logs() as logs:
        granting = asyncio.create_task(grant())
        async with connected(discord, store) as bot:
            await goes_on(bot)
        await granting
    (line,) = [line for line in logs if "too many connections" in line["event"]]
    assert line["granted_again_seconds"] == 1


async def test_an_identify_that_comes_too_early_is_made_again(discord: FakeDiscord, store: Store) -> None:
    discord.world.sharding.identify_seconds = 0.3
    discord.gateway.identified[0] = asyncio.get_running_loop().time()
    async with connected(discord, store, identify_seconds=0.4) as bot:
        await goes_on(bot)
    assert discord.gateway.count("too early") <= 1


async def test_a_guild_that_comes_late_is_heard(discord: FakeDiscord, store: Store) -> None:
    """READY names all guilds as unavailable; a GUILD_CREATE follows for each."""
    world = discord.world
    away = world.add_guild("Away")["id"]
    room = world.add_channel(away, "general")
    discord.gateway.withheld.add(away)
    async with connected(discord, store) as bot:
        await goes_on(bot, "in private")
        discord.gateway.tell_of(away)
        discord.say("there", room, mention=True)
        await until(lambda: "there" in bot.inbox.texts)
        found = next(value for value in bot.inbox.accepted if getattr(value, "text", "") == "there")
        assert getattr(found, "place", "") == "#general in Away"
