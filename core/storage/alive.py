"""Until when a receiver had heard everything: where its successor begins to look for what was missed."""

from __future__ import annotations

from collections.abc import Mapping

from core.storage import keys
from core.storage.client import Store

SECONDS = 2 * 86400
"""How long it is kept; longer than anything is caught up."""


class Alive:
    """The last words of the connections of one bot."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    async def note(self, until: Mapping[str, float]) -> None:
        """Connection -> unix seconds until which everything that it brought is stored. Raises StorageError."""

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            for connection, seconds in until.items():
                pipe.set(keys.alive(f"{self._name}:{connection}"), f"{seconds:.3f}", ex=SECONDS)
            await pipe.execute()

        await self._store.attempt(work, 2.0)

    async def until(self, connection: str) -> float:
        """What was noted last, in unix seconds; 0.0 when nothing was. Raises StorageError."""
        key = keys.alive(f"{self._name}:{connection}")
        found = await self._store.attempt(lambda: self._store.redis.get(key), 2.0)
        return float(found) if found else 0.0
