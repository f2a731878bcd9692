"""One whole Parley in this process, with fakes of every server around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bots.pacing import Limits
from bots.run import serve
from core.loading import load
from core.storage.client import Store
from tests.end_to_end.running import DiscordChat, TelegramChat, variables
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TelegramServer


@dataclass
class Village:
    """Parley and its surroundings, in one process."""

    telegram: TelegramServer
    discord: FakeDiscord
    models: OpenAIServer
    store: Store

    def telegram_chat(self, chat: int = 77) -> TelegramChat:
        return TelegramChat(self, chat)

    def discord_chat(self) -> DiscordChat:
        return DiscordChat(self)


@asynccontextmanager
async def village(store: Store, url: str, folder: Path, **environment: str) -> AsyncGenerator[Village]:
    """Starts all of it, and ends it in good order."""
    async with (
        TelegramServer() as telegram,
        FakeDiscord() as discord,
        OpenAIServer() as models,
        AsyncExitStack() as stack,
    ):
        settings = load(folder, {**variables(folder, telegram, discord, models), **environment})
        stop, ready = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(serve(settings, url, stack, stop, ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED, timeout=20)
        waiting.cancel()
        try:
            if running.done():
                running.result()
            yield Village(telegram, discord, models, store)
        finally:
            stop.set()
            await running


@pytest.fixture
async def place(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    """With default settings, but quick to give up on a model."""
    quick = {
        "PARLEY__ROUTING__FIRST_TOKEN_SECONDS": "0.5",
        "PARLEY__ROUTING__STALL_SECONDS": "0.5",
        "PARLEY__ROUTING__BREAKER_SECONDS": "0.2",
    }
    async with village(store, valkey_url, tmp_path, **quick) as running:
        yield running


@pytest.fixture
def no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """For presses that come faster than any person's."""
    monkeypatch.setattr("bots.pacing.TELEGRAM", Limits())


@pytest.fixture
async def on_telegram(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    """Without Discord."""
    async with village(store, valkey_url, tmp_path, DISCORD_TOKEN="") as running:
        yield running


def models_file(url: str, *names: str) -> str:
    """A settings file with models of these names, the first one being the fake's ``stub``."""
    lines = [f'[[providers]]\nname = "p"\nbase_url = "{url}"\n']
    for number, name in enumerate(names):
        lines.append(f'[[models]]\nname = "{name}"\nprovider = "p"\n' + ('id = "stub"\n' if number == 0 else ""))
    return "\n".join(lines)
