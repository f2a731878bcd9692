"""A count of what all processes of a bot did in the last while."""

from __future__ import annotations

from core.storage import keys
from core.storage.client import Store

SLICES = 20
"""Parts into which the time is cut: the oldest of them counts whole, so the count is a little high, never low."""


class Tally:
    """What happened in the last ``seconds``, over all processes that name it alike."""

    def __init__(self, store: Store, name: str, seconds: int) -> None:
        self._store = store
        self._key = keys.tally(name)
        self._slice = max(1, seconds // SLICES)
        self._slices = seconds // self._slice

    async def add(self, more: int) -> int:
        """Counts so many more (0: only asks). The sum over all processes. Raises StorageError."""
        return int(await self._store.run("tally", [self._key], (more, self._slice, self._slices), patience=2.0))
