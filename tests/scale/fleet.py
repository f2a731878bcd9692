"""Several processes of Parley over one Valkey, against fakes of every server around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.storage.client import Store
from core.storage.embedded import EmbeddedServer
from tests.end_to_end.running import DiscordChat, Parley, TelegramChat, variables
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TelegramServer


@dataclass
class Fleet:
    """The processes, by name, and everything around them."""

    folder: Path
    url: str
    telegram: TelegramServer
    discord: FakeDiscord
    models: OpenAIServer
    store: Store
    processes: dict[str, Parley] = field(default_factory=dict[str, Parley])

    async def start(self, name: str, *command: str, **environment: str) -> Parley:
        """A process with a data folder of its own; returns once it is ready. The same name again starts it anew."""
        parley = self.processes.get(name)
        if parley is None:
            around = variables(self.folder, self.telegram, self.discord, self.models)
            own = {"REDIS_URL": self.url, "PARLEY_DATA": str(self.folder / name)}
            parley = self.processes[name] = Parley(self.folder, {**around, **own, **environment}, command)
        await parley.start()
        return parley

    def telegram_chat(self, chat: int = 77) -> TelegramChat:
        return TelegramChat(self, chat)

    def discord_chat(self) -> DiscordChat:
        return DiscordChat(self)


@asynccontextmanager
async def fleet(folder: Path) -> AsyncGenerator[Fleet]:
    """Nothing runs yet but the Valkey and the fakes. What was started is ended at the end."""
    async with (
        EmbeddedServer(folder / "store") as url,
        TelegramServer() as telegram,
        FakeDiscord() as discord,
        OpenAIServer() as models,
    ):
        store = Store(url)
        running = Fleet(folder, url, telegram, discord, models, store)
        try:
            yield running
        finally:
            await asyncio.gather(*(p.stop() for p in running.processes.values() if p.process is not None))
            await store.close()
