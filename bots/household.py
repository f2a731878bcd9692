"""What every process does beside its work: it follows what others change, says that it runs, reads settings anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from bots.broadcasting import Broadcasting
from bots.platforms import Connection, Receiver, Shared
from bots.reloading import Reloaded, Reloading
from bots.roles import Role
from core.errors import StorageError
from core.message import Platform
from core.models.measured import Figures, Measured
from core.people import tidying
from core.settings import Settings
from core.storage import schema
from core.storage.processes import Process, keep_saying

log = structlog.get_logger()

FLUSH_SECONDS = 2.0
Start = Callable[[Coroutine[Any, Any, None], str], object]
"""Starts a part of the process under a name."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings are read anew."""

    read: Callable[[], Settings]
    """Raises SettingsError."""
    asked: asyncio.Event
    """Set when it is to be done."""


@dataclass(frozen=True, slots=True)
class Household:
    """One process among all."""

    shared: Shared
    name: str
    """Among all processes, the same after a restart."""
    role: Role
    connections: Mapping[Platform, Connection]
    receivers: Mapping[Platform, Receiver]
    measured: Measured | None
    """How models did; None where none are asked."""
    source: Source | None = None
    connected: set[Platform] = field(default_factory=set[Platform])
    started: float = field(default_factory=time.time)

    def start(self, start: Start) -> None:
        """Starts all of it."""
        community = self.shared.community
        reloading = self._reloading()
        start(community.follow(), "community")
        start(_flush(self.shared.places.flush), "places")
        start(_flush(community.seen.flush), "spaces")
        start(self.shared.mover.run(), "moves")
        keep_days = self.shared.settings.storage.keep_days
        start(tidying.run(self.shared.store, community.spaces, keep_days), "tidying")
        start(schema.run(self.shared.store, self.shared.leases), "schema")
        if self.role.works:
            sender = Broadcasting(
                community.broadcasts, community.spaces, community.seen, self.shared.leases, self.connections
            )
            start(sender.run(), "announcements")
        news = asyncio.Event() if reloading is None else reloading.news
        for platform, receiver in self.receivers.items():
            start(self._watch(platform, receiver, news), f"connection {platform}")

        def now() -> Process:
            return self._now(Reloaded() if reloading is None else reloading.last)

        start(keep_saying(community.processes, now, news), "processes")
        if reloading is not None:
            start(reloading.run(), "settings")

    def _reloading(self) -> Reloading | None:
        if self.source is None:
            return None
        return Reloading(
            self.shared.settings, self.source.read, self.shared.community.houses, self._taken, self.source.asked
        )

    def _taken(self) -> None:
        settings, community = self.shared.settings, self.shared.community
        self.shared.catalog.replace(settings)
        community.budgets.update(settings.budgets)
        community.personas.instructions = settings.chat.persona

    async def _watch(self, platform: Platform, receiver: Receiver, news: asyncio.Event) -> None:
        await receiver.adapter.ready()
        self.connected.add(platform)
        news.set()
        await asyncio.Event().wait()

    def _now(self, reloaded: Reloaded) -> Process:
        figures: dict[str, Figures] = self.measured.hour() if self.measured is not None else {}
        return Process(
            self.name,
            _word(self.role),
            schema.program(),
            self.started,
            {platform.value: platform in self.connected for platform in self.receivers},
            figures,
            reloaded.number,
            reloaded.problem,
            reloaded.restart,
        )


async def _flush(flush: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        try:
            await flush()
        except StorageError as error:
            log.warning("places not kept", cause=str(error))


def _word(role: Role) -> str:
    """The command that starts a process of the role."""
    if role.works or role.queues is not None:
        return "up" if role.receives else "work"
    return "receive"
