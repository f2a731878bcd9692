"""All of Parley in the test's own process, on the fake Discord."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bots.run import serve
from core.loading import load
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.openai_server import OpenAIServer


@asynccontextmanager
async def parley(
    discord: FakeDiscord, models: OpenAIServer, url: str, folder: Path, **environment: str
) -> AsyncGenerator[asyncio.Task[None]]:
    """It is ready, and stopped at the end; its task, which raises what ended it before."""
    given = {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_BASE": discord.api_base,
        "DISCORD_GATEWAY": discord.gateway_url,
        "DISCORD_CDN": discord.cdn,
        "PARLEY__DISCORD__IDENTIFY_SECONDS": "0.001",
        "OPENAI_BASE_URL": models.url,
        "OPENAI_MODEL": "stub",
        "PARLEY_DATA": str(folder),
        "PARLEY_WEB_PORT": "0",
        "PARLEY_LOCAL_MODEL": "none",
        "PARLEY__ENGINES__ON": "false",
    }
    stop, ready = asyncio.Event(), asyncio.Event()
    async with AsyncExitStack() as stack:
        running = asyncio.create_task(serve(load(folder, {**given, **environment}), url, stack, stop, ready))
        try:
            async with asyncio.timeout(10.0):
                await ready.wait()
            yield running
        finally:
            stop.set()
            await asyncio.wait([running])
