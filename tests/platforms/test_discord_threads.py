"""Threads in the fake Discord are refused as in the real one."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp
import pytest

from tests.platforms import discord_threads as threads
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import TOKEN, FakeDiscord

HEADERS = {"Authorization": f"Bot {TOKEN}", "User-Agent": "DiscordBot (https://parley.invalid, 1)"}


@pytest.fixture
async def discord() -> AsyncGenerator[FakeDiscord]:
    async with FakeDiscord() as server:
        yield server


@pytest.fixture
async def client() -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        yield session


async def test_a_thread_is_opened_once_where_it_may(discord: FakeDiscord, client: aiohttp.ClientSession) -> None:
    world = discord.world
    closed = world.add_channel(world.guild["id"], "closed")
    voice = world.add_channel(world.guild["id"], "Lounge", 2)
    world.permissions.overwrite(closed, world.guild["id"], deny=May.CREATE_PUBLIC_THREADS)

    async def open_on(channel: str, message: str = "", **more: object) -> tuple[int, int]:
        on = message or discord.say("hi", channel).id
        path = f"{discord.api_base}/channels/{channel}/messages/{on}/threads"
        async with client.post(path, json={"name": "a", **more}) as response:
            return response.status, (await response.json()).get("code", 0)

    question = discord.say("hi", world.general).id
    assert await open_on(world.general, question) == (201, 0)
    assert await open_on(world.general, question) == (400, 160004)
    assert await open_on(world.general, "5") == (404, 10008)
    assert await open_on(closed) == (403, 50013)
    assert await open_on(voice) == (400, 50024)
    assert await open_on(world.general, name="x" * 101) == (400, 50035)
    assert await open_on(world.general, auto_archive_duration=5) == (400, 50035)
    assert len(discord.pardon()) <= 2
    async with client.post(f"{discord.api_base}/channels/{question}/messages", json={"content": "hi"}) as response:
        assert response.status == 200
    threads.archive(discord, question, locked=True)
    async with client.post(f"{discord.api_base}/channels/{question}/messages", json={"content": "hi"}) as response:
        assert (response.status, (await response.json())["code"]) == (403, 160005)
