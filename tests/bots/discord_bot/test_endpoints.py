"""discord.py's undocumented places: each must still be there, and must still have the effect."""

from __future__ import annotations

import discord
import pytest
import yarl
from discord.asset import Asset
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bots.discord_bot.endpoints import hook, parser, point
from core.settings import DiscordSettings

EVENTS = (
    *("READY", "MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK", "INTERACTION_CREATE"),
    *("GUILD_CREATE", "THREAD_CREATE"),
)


def test_the_defaults_are_discord_itself() -> None:
    settings = DiscordSettings()
    point(settings)
    assert Route.BASE == "https://discord.com/api/v10"
    assert yarl.URL("wss://gateway.discord.gg/") == DiscordWebSocket.DEFAULT_GATEWAY
    assert Asset.BASE == "https://cdn.discordapp.com"


def test_every_address_can_be_set() -> None:
    other = DiscordSettings(api_base="http://a/api/v10", gateway="ws://b/", cdn="http://c")
    try:
        point(other)
        assert Route("GET", "/users/@me").url == "http://a/api/v10/users/@me"
        assert yarl.URL("ws://b/") == DiscordWebSocket.DEFAULT_GATEWAY
        assert Asset.BASE == "http://c"
    finally:
        point(DiscordSettings())


@pytest.mark.parametrize("name", ["BASE", "DEFAULT_GATEWAY", "warn_nacl", "warn_dave"])
def test_the_attributes_are_still_there(name: str) -> None:
    """``point`` would set them just as happily where nothing reads them any more."""
    owners = {"BASE": (Route, Asset), "DEFAULT_GATEWAY": (DiscordWebSocket,)}
    for owner in owners.get(name, (discord.VoiceClient,)):
        assert name in vars(owner)


async def test_events_can_be_taken_over() -> None:
    client = discord.Client(intents=discord.Intents.none())
    for event in EVENTS:
        assert callable(parser(client, event))
    seen: list[object] = []
    hook(client, {"MESSAGE_CREATE": seen.append})
    parser(client, "MESSAGE_CREATE")({"id": "1"})
    assert seen == [{"id": "1"}]
    await client.close()
