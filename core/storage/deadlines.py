"""What is to be done at a time, also after a restart, by whichever process comes first: ends of bans, checks, raids."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from core.storage import keys
from core.storage.client import Store

CLAIM_SECONDS = 30.0
"""Whoever takes one has so long to do it; then another process does. It may be done twice, so it must not matter."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Something to be done."""

    id: str
    """The same id is the same deadline: setting it again moves it."""
    at: float
    """Unix seconds."""
    what: str
    """Which handler does it (``core/moderation/timers.py``)."""
    about: str
    """For the handler; ids and numbers, no texts of people."""

    @property
    def text(self) -> str:
        return json.dumps([self.at, self.what, self.about], ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def parse(cls, id: str, text: str) -> Deadline:
        """The inverse; raises ValueError or TypeError."""
        at, what, about = json.loads(text)
        return cls(id, float(at), str(what), str(about))


class Deadlines:
    """All of them. Every method raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def set(self, deadline: Deadline) -> None:
        await self._run("set", deadline.id, deadline.at, deadline.text)

    async def drop(self, id: str) -> bool:
        """Whether it was still to be done."""
        return (await self._run("drop", id)) == ["1"]

    async def take(self, most: int) -> list[Deadline]:
        """Those that are due, oldest first; nobody else gets them for :data:`CLAIM_SECONDS`."""
        now = time.time()
        found = await self._run("take", now, most, now + CLAIM_SECONDS)
        return [Deadline.parse(id, text) for id, text in zip(found[::2], found[1::2], strict=True)]

    async def done(self, deadline: Deadline) -> None:
        """It is done, unless it was set anew meanwhile."""
        await self._run("done", deadline.id, deadline.text, deadline.at)

    async def _run(self, *arguments: str | int | float) -> list[str]:
        return await self._store.run("deadline", [keys.DEADLINES, keys.DEADLINE_TEXTS], list(arguments))
