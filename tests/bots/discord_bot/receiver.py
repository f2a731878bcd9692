"""A receiver as a process of its own, to be killed and stopped: ``python -m tests.bots.discord_bot.receiver OWNER``.

What it accepts it writes into a list in Redis, which the test reads.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from bots.discord_bot.adapter import DiscordAdapter
from bots.discord_bot.interactions import Deferrals
from bots.discord_bot.rest import Rest
from core.message import Incoming, Message
from core.settings import DiscordSettings
from core.storage.client import Store
from core.storage.leases import Leases
from core.storage.shared import Memory, Place
from tests.bots.discord_bot.running import PATIENCE, settings_for
from tests.platforms.discord_server import TOKEN, FakeDiscord

ACCEPTED = "test:accepted"
LEASE_SECONDS = 1.2
IDENTIFY_PAUSE = 0.1


@dataclass(slots=True)
class RedisInbox:
    """Writes ``owner text`` down."""

    owner: str
    store: Store

    async def accept(self, incoming: Sequence[Incoming]) -> None:
        for value in incoming:
            if isinstance(value, Message):
                await self.store.redis.rpush(ACCEPTED, f"{self.owner} {value.text}")


async def receive(owner: str, settings: DiscordSettings, url: str) -> None:
    store = Store(url)
    rest = Rest(settings.api_base, settings.token.get_secret_value())

    async def nowhere(_bot: str) -> Sequence[Place]:
        return ()

    adapter = DiscordAdapter(
        settings,
        rest,
        Deferrals(rest),
        rows=(),
        store=store,
        leases=Leases(store, owner, seconds=LEASE_SECONDS),
        memory=Memory(store),
        recent=nowhere,
        identify_pause=IDENTIFY_PAUSE,
    )
    running = asyncio.create_task(adapter.run(RedisInbox(owner, store)))
    await asyncio.wait((running, asyncio.create_task(adapter.ready())), return_when=asyncio.FIRST_COMPLETED)
    print("ready", flush=True)
    await running


@asynccontextmanager
async def process(owner: str, discord: FakeDiscord, url: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """One that is ready; killed at the end, whatever it does."""
    settings = settings_for(discord).model_dump(exclude={"token"})
    made = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bots.discord_bot.receiver", owner, url, json.dumps(settings)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    try:
        assert made.stdout
        async with asyncio.timeout(3 * PATIENCE):
            # Its log goes there, too.
            while (line := await made.stdout.readline()) != b"ready\n":
                assert line, "it ended"
        yield made
    finally:
        if made.returncode is None:
            made.send_signal(signal.SIGKILL)
        await made.wait()


if __name__ == "__main__":
    chosen = DiscordSettings.model_validate({**json.loads(sys.argv[3]), "token": SecretStr(TOKEN)})
    asyncio.run(receive(sys.argv[1], chosen, sys.argv[2]))
