"""The real adapter against the fake Discord and a real store, with an inbox and a memory that are plain lists."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr

from bots.discord_bot.adapter import DiscordAdapter
from bots.discord_bot.interaction_intake import InteractionIntake
from bots.discord_bot.interactions import Deferrals
from bots.discord_bot.outbound import DiscordOutbound
from bots.discord_bot.pressing import Pressing
from bots.discord_bot.rest import Rest
from bots.pressing import Presses
from core.commands.row import Command
from core.commands.suggesting import Suggestions
from core.commands.table import BY_NAME
from core.conversation.history import History
from core.errors import StorageError
from core.message import (
    Arrival,
    ConversationKey,
    Incoming,
    Lasting,
    Message,
    Platform,
    Reacted,
    Reaction,
    Seen,
    Sighting,
)
from core.models.catalog import Catalog
from core.people.community import Community
from core.settings import DiscordSettings, Settings
from core.storage.client import Store
from core.storage.forms import Forms
from core.storage.leases import SECONDS, Leases
from core.storage.shared import Place
from core.storage.spaces_seen import SpacesSeen
from core.tasks import end
from tests.platforms.discord_server import TOKEN, FakeDiscord

ROWS = (BY_NAME["chat"], BY_NAME["help"])
PATIENCE = 8.0
"""Seconds after which a test gives up; nothing here takes a tenth of it."""


@dataclass(slots=True)
class ListInbox:
    """Keeps what it accepts, refusing what it has seen, as the mailbox does. Several may share their lists."""

    accepted: list[Lasting] = field(default_factory=list[Lasting])
    owner: str = ""
    brought: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Owner and text of every message, also of what was refused."""
    batches: list[int] = field(default_factory=list[int])
    votes: list[Reaction] = field(default_factory=list[Reaction])
    seen: list[Seen] = field(default_factory=list[Seen])
    """For the rules."""
    refused: int = 0
    """Second deliveries of the same update."""
    failures: int = 0
    """The next calls that fail."""

    async def accept(self, incoming: Sequence[Incoming]) -> None:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise StorageError("no connection")
        seen = {value.update for value in self.accepted}
        for value in incoming:
            if isinstance(value, Reaction):
                self.votes.append(value)
                continue
            if isinstance(value, Sighting | Arrival | Reacted):
                self.seen.append(value)
                continue
            assert isinstance(value, Lasting)
            if value.update in seen:
                self.refused += 1
            else:
                seen.add(value.update)
                self.accepted.append(value)
        self.brought += [(self.owner, value.text) for value in incoming if isinstance(value, Message)]
        self.batches.append(len(incoming))

    @property
    def texts(self) -> list[str]:
        return [value.text for value in self.accepted if isinstance(value, Message)]


@dataclass(slots=True)
class Notebook:
    """Implements ``commands.Memory``."""

    pages: dict[str, str] = field(default_factory=dict[str, str])

    async def remember(self, key: str, value: str) -> None:
        self.pages[key] = value

    async def recall(self, key: str) -> str | None:
        return self.pages.get(key)


@dataclass(slots=True)
class Running:
    """A connected bot."""

    discord: FakeDiscord
    inbox: ListInbox
    rest: Rest
    adapter: DiscordAdapter
    outbound: DiscordOutbound
    task: asyncio.Task[None]

    def key(self, channel: str) -> ConversationKey:
        return ConversationKey(Platform.DISCORD, self.discord.world.bot, channel)

    async def accepted(self, count: int) -> list[Lasting]:
        """Waits for so many values in the inbox."""
        await until(lambda: len(self.inbox.accepted) >= count)
        return self.inbox.accepted


async def until(true: Callable[[], bool]) -> None:
    """Waits until something is so; AssertionError after a while."""
    give_up = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < give_up, "it did not come to that"
        await asyncio.sleep(0.005)


def settings_for(discord: FakeDiscord, **more: object) -> DiscordSettings:
    given: dict[str, object] = {
        "token": SecretStr(TOKEN),
        "api_base": discord.api_base,
        "gateway": discord.gateway_url,
        "cdn": discord.cdn,
        **more,
    }
    return DiscordSettings.model_validate(given)


@asynccontextmanager
async def connected(
    discord: FakeDiscord,
    store: Store,
    *,
    inbox: ListInbox | None = None,
    recent: Sequence[Place] | ValueError = (),
    notebook: Notebook | None = None,
    owner: str = "one",
    lease_seconds: float = SECONDS,
    identify_seconds: float = 0.001,
    rows: Sequence[Command] = ROWS,
    silence: float = 60.0,
    catalog: Catalog | None = None,
    **settings: object,
) -> AsyncGenerator[Running]:
    """A bot that is ready; stopped at the end."""
    chosen = settings_for(discord, identify_seconds=identify_seconds, **settings)
    rest = Rest(chosen.api_base, chosen.token.get_secret_value())
    deferrals = Deferrals(rest)

    history = History(store, keep_days=1, max_messages=100)
    models = catalog or Catalog((), ())
    pressing = Pressing(
        rest, deferrals, Presses(history, models, Community.of(Settings(), store), buttons=True, votes=True)
    )
    interactions = InteractionIntake(rest, deferrals, pressing, rows, Forms(store), Suggestions(models))

    async def recall_recent(_bot: str) -> Sequence[Place]:
        if isinstance(recent, ValueError):
            raise recent
        return recent

    adapter = DiscordAdapter(
        chosen,
        rest,
        rows=rows,
        store=store,
        leases=Leases(store, owner, seconds=lease_seconds),
        memory=notebook or Notebook(),
        recent=recall_recent,
        interactions=interactions,
        spaces=SpacesSeen(store),
        silence=silence,
    )
    kept = inbox or ListInbox()
    task = asyncio.create_task(adapter.run(kept))
    running = Running(discord, kept, rest, adapter, DiscordOutbound(chosen, rest, deferrals), task)
    ready = asyncio.create_task(adapter.ready())
    try:
        await asyncio.wait([ready, task], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        assert ready.done(), "never ready"
        yield running
    finally:
        await end((ready, task))
        await rest.close()
