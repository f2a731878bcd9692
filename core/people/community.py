"""What everybody's commands and answers go by: people, spaces and what they share. One for the whole process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from core.people.identity import People
from core.people.spaces import Spaces
from core.settings import Settings
from core.storage.client import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    """All that is known of people and spaces, and may be changed by commands."""

    settings: Settings
    store: Store
    people: People
    spaces: Spaces

    @classmethod
    def of(cls, settings: Settings, store: Store) -> Community:
        return cls(settings=settings, store=store, people=People(store), spaces=Spaces(store))

    async def follow(self) -> None:
        """Keeps up with what other processes change, until cancelled."""
        await asyncio.gather(self.people.records.follow(), self.spaces.records.follow())
