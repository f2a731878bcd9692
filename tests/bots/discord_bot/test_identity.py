"""Whom a token speaks for, without a receiver that would be told at login."""

from __future__ import annotations

import base64
import time

import pytest

from bots.discord_bot import rest as rest_module
from bots.discord_bot.identity import bot_id
from bots.discord_bot.rest import Rest
from core.errors import SettingsError
from tests.platforms.discord_server import TOKEN, FakeDiscord


async def test_the_tokens_first_part_tells_without_a_call() -> None:
    token = base64.urlsafe_b64encode(b"123456789012345678").decode().rstrip("=") + ".Gabcde.secret"
    rest = Rest("http://127.0.0.1:9", token)
    assert await bot_id(rest, token) == "123456789012345678"
    await rest.close()


async def test_otherwise_discord_is_asked() -> None:
    async with FakeDiscord() as discord:
        rest = Rest(discord.api_base, TOKEN)
        assert await bot_id(rest, TOKEN) == discord.world.bot
        await rest.close()


async def test_a_token_that_discord_refuses_ends_the_start() -> None:
    async with FakeDiscord() as discord:
        rest = Rest(discord.api_base, "WRONG.TOKEN")
        with pytest.raises(SettingsError, match="DISCORD_TOKEN is wrong"):
            await bot_id(rest, "WRONG.TOKEN")
        await rest.close()


async def test_the_time_is_discords_however_wrong_the_machines_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeDiscord() as discord:
        rest = Rest(discord.api_base, TOKEN)
        right = time.time
        monkeypatch.setattr(rest_module.time, "time", lambda: right() + 7200)
        assert rest.now() - right() > 7000
        # The server's own clock is right.
        monkeypatch.undo()
        await rest.call("GET", "/users/@me")
        monkeypatch.setattr(rest_module.time, "time", lambda: right() + 7200)
        assert abs(rest.now() - right()) < 60
        await rest.close()
