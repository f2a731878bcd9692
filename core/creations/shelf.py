"""Files that a run of an order lays by for the next one, should it break off: a process that dies costs none twice."""

from __future__ import annotations

import structlog

from core.errors import StorageFull
from core.storage.orders import Orders

log = structlog.get_logger()

MAX_LAID_BYTES = 16_000_000
"""Of all of them: for what is more it is not worth the memory of Redis, where the result needs as much again."""


class Shelf:
    """The files of one run, and of those before it."""

    def __init__(self, orders: Orders, id: str) -> None:
        self._orders = orders
        self._id = id
        self._names: set[str] = set()
        self._room = MAX_LAID_BYTES

    async def lay(self, name: str, data: bytes) -> bool:
        """Keeps a file for the next run; False where there is no room for it. Raises StorageError."""
        if len(data) > self._room:
            return False
        self._names.add(_kept(name))
        try:
            await self._orders.put_file(self._id, _kept(name), data)
        except StorageFull as error:
            log.warning("no room for what is done of an order", order=self._id, cause=str(error))
            return False
        self._room -= len(data)
        return True

    async def take(self, name: str) -> bytes | None:
        """A file that was laid by; None for none. Raises StorageError."""
        data = await self._orders.file(self._id, _kept(name))
        if data is not None:
            self._names.add(_kept(name))
            self._room -= len(data)
        return data

    async def clear(self) -> None:
        """There is no next run. Raises StorageError."""
        await self._orders.clear(self._id, sorted(self._names))


def _kept(name: str) -> str:
    return f"laid.{name}"
