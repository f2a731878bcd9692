"""What the fake Discord refuses a bot that moderates, as Discord does."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from tests.platforms.discord_calls import call
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import FakeDiscord

RIGHTS = (
    May.BAN_MEMBERS,
    May.KICK_MEMBERS,
    May.MODERATE_MEMBERS,
    May.MANAGE_ROLES,
    May.MANAGE_MESSAGES,
    May.MANAGE_GUILD,
)


@pytest.fixture
def bob(discord: FakeDiscord) -> str:
    world = discord.world
    world.permissions.give(world.guild["id"], world.bot, *RIGHTS, position=5)
    return world.add_user("bob")


def in_days(days: float) -> str:
    return datetime.fromtimestamp(time.time() + days * 86400, UTC).isoformat()


async def refused(client: aiohttp.ClientSession, discord: FakeDiscord, method: str, path: str, body: Any = None) -> int:
    """Discord's code, 0 when it was done."""
    status, answer, _ = await call(client, discord, method, path, body)
    return int(answer["code"]) if status >= 400 else 0


async def test_time_outs(client: aiohttp.ClientSession, discord: FakeDiscord, bob: str) -> None:
    world, guild = discord.world, discord.world.guild["id"]
    path = f"/guilds/{guild}/members/{bob}"
    assert await refused(client, discord, "PATCH", path, {"communication_disabled_until": in_days(27.9)}) == 0
    assert await refused(client, discord, "PATCH", path, {"communication_disabled_until": in_days(28.1)}) == 50035
    world.permissions.give(guild, bob, May.ADMINISTRATOR, position=2)
    assert await refused(client, discord, "PATCH", path, {"communication_disabled_until": in_days(1)}) == 50013
    owner = f"/guilds/{guild}/members/{world.alice}"
    assert await refused(client, discord, "PATCH", owner, {"communication_disabled_until": in_days(1)}) == 50013


async def test_heights(client: aiohttp.ClientSession, discord: FakeDiscord, bob: str) -> None:
    world, guild = discord.world, discord.world.guild["id"]
    high = world.permissions.give(guild, bob, position=6)
    assert await refused(client, discord, "DELETE", f"/guilds/{guild}/members/{bob}") == 50013
    assert await refused(client, discord, "PUT", f"/guilds/{guild}/bans/{bob}", {}) == 50013
    assert await refused(client, discord, "PATCH", f"/guilds/{guild}/members/{bob}", {"roles": []}) == 50013
    assert await refused(client, discord, "PATCH", f"/guilds/{guild}/members/{bob}", {"roles": [high]}) == 0
    managed = world.bot_role(guild)
    assert (
        await refused(client, discord, "PATCH", f"/guilds/{guild}/members/{bob}", {"roles": [high, managed]}) == 50028
    )


async def test_who_is_not_there(client: aiohttp.ClientSession, discord: FakeDiscord, bob: str) -> None:
    world, guild = discord.world, discord.world.guild["id"]
    assert await refused(client, discord, "DELETE", f"/guilds/{guild}/bans/{bob}") == 10026
    assert await refused(client, discord, "PUT", f"/guilds/{guild}/bans/1", {}) == 10013
    assert await refused(client, discord, "PUT", f"/guilds/{guild}/bans/{bob}", {}) == 0
    assert await refused(client, discord, "DELETE", f"/guilds/{guild}/members/{bob}") == 10007
    assert world.audit[-1]["action"] == 22


async def test_messages_that_are_too_old_or_named_twice(
    client: aiohttp.ClientSession, discord: FakeDiscord, bob: str
) -> None:
    room = discord.world.general
    new = [discord.world.post(room, bob, str(number)).id for number in range(2)]
    path, old = f"/channels/{room}/messages/bulk-delete", str(int(new[0]) - (15 * 86_400_000 << 22))
    assert await refused(client, discord, "POST", path, {"messages": [new[0], old]}) == 50034
    assert await refused(client, discord, "POST", path, {"messages": [new[0], new[0]]}) == 50035
    assert await refused(client, discord, "POST", path, {"messages": new[:1]}) == 50035
    assert discord.pardon()
    assert await refused(client, discord, "POST", path, {"messages": new}) == 0


async def test_rights_that_the_bot_has_not_itself_it_gives_and_takes_nobody(
    client: aiohttp.ClientSession, discord: FakeDiscord, bob: str
) -> None:
    guild, room = discord.world.guild["id"], discord.world.general
    path = f"/channels/{room}/permissions/{guild}"
    assert await refused(client, discord, "PUT", path, {"type": 0, "deny": int(May.MANAGE_WEBHOOKS)}) == 50013
    assert await refused(client, discord, "PUT", path, {"type": 0, "deny": int(May.SEND_MESSAGES)}) == 0
    assert await refused(client, discord, "DELETE", path) == 0
    assert await refused(client, discord, "DELETE", path) == 10009


async def test_a_seventh_rule_with_words(client: aiohttp.ClientSession, discord: FakeDiscord, bob: str) -> None:
    path = f"/guilds/{discord.world.guild['id']}/auto-moderation/rules"
    body = {"name": "x", "event_type": 1, "trigger_type": 1, "trigger_metadata": {"keyword_filter": ["a"]}}
    found = [await refused(client, discord, "POST", path, body) for _ in range(7)]
    assert found == [0] * 6 + [50035]
    assert await refused(client, discord, "POST", path, {**body, "trigger_metadata": {"keyword_filter": ["a" * 61]}})
    assert discord.pardon()


async def test_reasons_are_no_longer_than_discord_takes_them(
    client: aiohttp.ClientSession, discord: FakeDiscord, bob: str
) -> None:
    path = f"{discord.api_base}/guilds/{discord.world.guild['id']}/bans/{bob}"
    async with client.put(path, json={}, headers={"X-Audit-Log-Reason": "x" * 513}) as response:
        assert response.status == 204
    assert discord.pardon() == ["the reason for the audit log is 513 characters long"]
