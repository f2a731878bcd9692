from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp
import pytest

from tests.platforms.discord_calls import HEADERS
from tests.platforms.discord_server import FakeDiscord


@pytest.fixture
async def discord() -> AsyncGenerator[FakeDiscord]:
    async with FakeDiscord() as server:
        yield server


@pytest.fixture
async def client() -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        yield session
