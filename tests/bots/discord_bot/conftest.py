from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from core.storage.client import Store
from tests.bots.discord_bot.running import Running, connected
from tests.platforms.discord_server import FakeDiscord


@pytest.fixture
async def discord() -> AsyncGenerator[FakeDiscord]:
    """Every test also proves that the bot did nothing that Discord would block or ignore."""
    async with FakeDiscord() as server:
        yield server
    assert server.violations == []


@pytest.fixture
async def bot(discord: FakeDiscord, store: Store) -> AsyncGenerator[Running]:
    async with connected(discord, store) as running:
        yield running
