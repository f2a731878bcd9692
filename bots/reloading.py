"""Settings that are read anew while Parley runs (docs/decisions/0016).

A section of the settings is one object for the life of a process, and whoever uses it holds the section, never a copy
of a value in it. So what is read anew is put into the sections that are there, and holds from the next look on. What is
built from a value at the start stays as it is: :data:`RESTART` names those, and people are told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from core.errors import ParleyError, SettingsError, StorageError
from core.people.house import Houses
from core.section import Section
from core.settings import Settings
from core.tasks import end

log = structlog.get_logger()

LOOK_SECONDS = 1.0

WHOLE: frozenset[str] = frozenset(("owners", "providers", "models"))
"""Settings outside the sections that are taken over."""
RESTART: Mapping[str, frozenset[str]] = {
    "chat": frozenset(
        (
            "buttons",
            "currency",
            "max_concurrent",
            "max_image_bytes",
            "max_pages",
            "max_waiting",
            "max_waiting_all",
            "max_waiting_space",
            "time_zone",
        )
    ),
    "routing": frozenset(("breaker_failures", "breaker_seconds", "max_wait_seconds")),
    "moderation": frozenset(("keep_days",)),
    "budgets": frozenset(("told_percent",)),
    "safety": frozenset(),
}
"""Sections that are taken over -> what in them is not. All other sections need a restart."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of reading the settings anew."""

    problem: str = ""
    """Why nothing was taken over; empty: all was that can be."""
    restart: tuple[str, ...] = ()
    """What was changed and holds after a restart, like ``telegram.token``."""
    number: int = 0
    """The time of reading anew (``core/people/house.py``)."""


def take_over(settings: Settings, fresh: Settings) -> tuple[str, ...]:
    """Puts fresh values into the settings in use; the names of those that need a restart."""
    restart: list[str] = []
    for name in type(settings).model_fields:
        old, new = getattr(settings, name), getattr(fresh, name)
        if old == new:
            continue
        if name in WHOLE:
            _put(settings, name, new)
        elif isinstance(old, Section):
            restart += _take_section(name, old, new)
        else:
            restart.append(name)
    return tuple(restart)


def _take_section(name: str, old: Section, new: Section) -> list[str]:
    stays = RESTART.get(name)
    restart: list[str] = []
    for field_name in type(old).model_fields:
        value = getattr(new, field_name)
        if getattr(old, field_name) == value:
            continue
        if stays is None or field_name in stays:
            restart.append(f"{name}.{field_name}")
        else:
            _put(old, field_name, value)
    return restart


def _put(section: Section, name: str, value: Any) -> None:
    # Frozen for everybody else.
    object.__setattr__(section, name, value)


@dataclass(slots=True)
class Reloading:
    """One process's reading anew: when it is asked to here (SIGHUP), and when any process was."""

    settings: Settings
    read: Callable[[], Settings]
    """Reads what the owner wrote. Raises SettingsError."""
    houses: Houses
    taken: Callable[[], None]
    """Called when the settings have changed."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """To be set by a signal: all processes are to read anew, this one in any case."""
    last: Reloaded = Reloaded()
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after each time."""

    def reload(self, number: int = 0) -> Reloaded:
        """Reads and takes over, all or nothing."""
        number = number or self.last.number
        try:
            restart = take_over(self.settings, self.read())
        except SettingsError as error:
            log.error("settings not read anew", cause=str(error))
            self.last = Reloaded(str(error), number=number)
        except (ParleyError, OSError) as error:
            log.error("settings not read anew", cause=type(error).__name__)
            self.last = Reloaded("The configuration could not be read.", number=number)
        else:
            self.taken()
            log.info("settings read anew", needs_a_restart=list(restart))
            self.last = Reloaded(restart=restart, number=number)
        self.news.set()
        return self.last

    async def run(self) -> None:
        """Until cancelled."""
        seen: int | None = None
        while True:
            if self.asked.is_set():
                self.asked.clear()
                await self._announce()
            try:
                number = (await self.houses.now()).reloads
            except StorageError as error:
                log.warning("nobody tells whether settings are to be read anew", cause=str(error))
            else:
                if seen is not None and number != seen:
                    self.reload(number)
                seen = number
            await self._rest()

    async def _announce(self) -> None:
        try:
            await self.houses.reload()
        except (ParleyError, StorageError) as error:
            log.warning("other processes were not told to read their settings anew", cause=str(error))
            self.reload()

    async def _rest(self) -> None:
        asked = asyncio.ensure_future(self.asked.wait())
        try:
            await asyncio.wait((asked,), timeout=LOOK_SECONDS)
        finally:
            await end((asked,))
