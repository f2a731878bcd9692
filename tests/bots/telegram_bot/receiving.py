"""What tests of the receiving side share: an inbox that can be looked into, and an adapter that runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from bots.pacing import TELEGRAM, Pacer
from bots.telegram_bot.adapter import TelegramAdapter
from bots.telegram_bot.admins import Admins
from bots.telegram_bot.api import Api
from bots.telegram_bot.inline import InlineMode
from bots.telegram_bot.menu import BotMenu
from bots.telegram_bot.pressing import Pressing
from bots.telegram_bot.seen import Seen
from bots.telegram_bot.standing import Standing
from core.commands.table import COMMANDS
from core.conversation.history import History
from core.errors import StorageError
from core.message import Incoming, Message, Platform
from core.models.catalog import Catalog
from core.people.community import Community
from core.people.hearing import Hearing
from core.people.spaces import Spaces
from core.settings import ChatSettings, Settings, TelegramSettings
from core.storage.client import Store
from core.storage.inline import InlineQuestions
from core.storage.leases import Leases
from core.storage.shared import Memory, Once
from core.storage.spaces_seen import SpacesSeen
from core.tasks import end
from tests.platforms.telegram_server import TelegramServer

NO_MODELS = Catalog((), ())
CHAT = ChatSettings()


def adapter_of(
    settings: TelegramSettings,
    api: Api,
    seen: Seen,
    store: Store,
    leases: Leases,
    owners: Sequence[str] = (),
    catalog: Catalog = NO_MODELS,
) -> TelegramAdapter:
    """The receiving side as the composition root builds it."""
    memory = Memory(store)
    history = History(store, keep_days=1, max_messages=100)
    pressing = Pressing(
        api, history, catalog, Community.of(Settings(), store), Admins(api).is_admin, Pacer(TELEGRAM), buttons=True
    )
    menu, inline = BotMenu(api, memory, COMMANDS, owners), InlineMode(api, catalog, InlineQuestions(store), CHAT)
    number = settings.token.get_secret_value().partition(":")[0]
    standing = Standing(api, memory, Once(store), number)
    spaces, hearing = SpacesSeen(store), Hearing(Spaces(store), Platform.TELEGRAM, number)
    return TelegramAdapter(settings, api, seen, leases, memory, pressing, menu, inline, standing, spaces, hearing)


def menus_set(server: TelegramServer) -> list[tuple[str, str]]:
    """For which places and languages commands were set."""
    return [(c.fields["scope"]["type"], c.fields["language_code"]) for c in server.named("setMyCommands")]


class Receivers(Protocol):
    """Makes the receiving side of a process named ``owner``, whose leases last ``seconds``."""

    def __call__(
        self,
        owner: str = "one",
        *,
        settings: TelegramSettings | None = None,
        api: Api | None = None,
        seconds: float = 6.0,
    ) -> TelegramAdapter: ...


class Kept:
    """An inbox that keeps what it gets. ``closed``: storage is away; ``gate``: it takes its time."""

    def __init__(self) -> None:
        self.batches: list[list[Incoming]] = []
        self.closed = False
        self.refused = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def accept(self, incoming: Sequence[Incoming]) -> None:
        await self.gate.wait()
        if self.closed:
            self.refused += 1
            raise StorageError("no connection")
        self.batches.append(list(incoming))

    @property
    def all(self) -> list[Incoming]:
        return [value for batch in self.batches for value in batch]

    @property
    def texts(self) -> list[str]:
        return [value.text for value in self.all if isinstance(value, Message)]


@asynccontextmanager
async def running(adapter: TelegramAdapter, inbox: Kept) -> AsyncGenerator[asyncio.Task[None]]:
    task = asyncio.create_task(adapter.run(inbox))
    ready = asyncio.create_task(adapter.ready())
    try:
        await asyncio.wait((task, ready), timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield task
    finally:
        await end((ready, task))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)
