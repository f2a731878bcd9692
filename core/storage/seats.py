"""The places at a model server that several processes ask, counted over all of them.

Who dies with a place loses it after some seconds; while Redis is away everybody has one, and the server's own line is
what is left.
"""

from __future__ import annotations

import asyncio
import secrets

import structlog

from core.errors import StorageError
from core.storage import keys
from core.storage.client import Store

log = structlog.get_logger()

LEASE_SECONDS = 8.0
"""As soon as a dead worker's turns go on elsewhere, so do its places."""
RENEW_SECONDS = 2.5
PATIENCE_SECONDS = 1.0


class SharedSeats:
    """All that this process has. ``run`` keeps them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._taken: dict[str, tuple[str, int]] = {}
        """Token -> server and its places."""

    async def take(self, server: str, most: int) -> str:
        """A token for a place; empty where all are taken."""
        token = secrets.token_hex(8)
        try:
            if not await self._keep(token, server, most):
                return ""
        except StorageError as error:
            log.warning("places at a model server are not counted", server=server, cause=str(error))
        self._taken[token] = server, most
        return token

    async def give_back(self, token: str) -> None:
        """Never fails: at the latest it comes back by itself."""
        if (found := self._taken.pop(token, None)) is None:
            return
        name, redis = keys.seats(found[0]), self._store.redis
        try:
            await self._store.attempt(lambda: redis.zrem(name, token), PATIENCE_SECONDS)
        except StorageError as error:
            log.warning("a place was not given back", server=found[0], cause=str(error))

    async def run(self) -> None:
        """Keeps what was taken, until cancelled."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            for token, (server, most) in list(self._taken.items()):
                try:
                    if token in self._taken:
                        await self._keep(token, server, most)
                except StorageError as error:
                    log.warning("places were not kept", cause=str(error))
                    break

    async def close(self) -> None:
        """Gives back what is left."""
        for token in list(self._taken):
            await self.give_back(token)

    async def _keep(self, token: str, server: str, most: int) -> bool:
        arguments = (token, most, int(LEASE_SECONDS * 1000))
        return bool(await self._store.run("seats", [keys.seats(server)], arguments, patience=PATIENCE_SECONDS))
