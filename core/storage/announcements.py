"""Model servers that announce themselves, so that workers on other machines need not be told where they are.

What a server says of itself holds the key to it. It lies in Redis in the clear, as do all conversations: whoever reads
Redis may as well ask its models.
"""

from __future__ import annotations

import ipaddress

from core.storage import keys
from core.storage.client import Store

EXPIRY_SECONDS = 10
"""A server that was not renewed for so long is gone."""
EXPECTED_SECONDS = 600
"""For so long after the last sign of any server another one is waited for."""
INDEX_SECONDS = 3600
PATIENCE_SECONDS = 5.0
"""How long one step waits for a Redis that is away: the next comes soon."""


class Announcements:
    """The servers by an id of their own. What they say is text that only models understand."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def renew(self, id: str, text: str) -> None:
        """Says for the next :data:`EXPIRY_SECONDS` that a server is there; an empty text: that it is on its way.

        Raises StorageError, as all of these do.
        """

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.set(keys.models_expected(), "1", ex=EXPECTED_SECONDS)
            if text:
                pipe.set(keys.model_server(id), text, ex=EXPIRY_SECONDS)
                pipe.sadd(keys.model_servers(), id)
                pipe.expire(keys.model_servers(), INDEX_SECONDS)
            else:
                pipe.delete(keys.model_server(id))
            await pipe.execute()

        await self._store.attempt(work, PATIENCE_SECONDS)

    async def withdraw(self, id: str) -> None:
        """The server is no more. Others, or its successor, go on being expected for a while."""
        await self._store.attempt(lambda: self._store.redis.delete(keys.model_server(id)), PATIENCE_SECONDS)

    async def load(self) -> tuple[list[str], bool]:
        """What the servers that are there say, and whether one is to be waited for where there is none."""
        redis = self._store.redis
        found: set[str] = await self._store.attempt(lambda: redis.smembers(keys.model_servers()), PATIENCE_SECONDS)
        ids = sorted(found)
        wanted = [keys.models_expected(), *map(keys.model_server, ids)]
        expected, *texts = await self._store.attempt(lambda: redis.mget(wanted), PATIENCE_SECONDS)
        if gone := [id for id, text in zip(ids, texts, strict=True) if text is None]:
            # Should one of them come back this very moment, it says so again in a few seconds.
            await self._store.attempt(lambda: redis.srem(keys.model_servers(), *gone), PATIENCE_SECONDS)
        return [text for text in texts if text is not None], expected is not None

    async def own_host(self) -> str:
        """This machine's address as Redis sees it, as it stands in a URL; empty on a Unix socket."""
        info: dict[str, str] = await self._store.attempt(self._store.redis.client_info, PATIENCE_SECONDS)
        host = info.get("addr", "").rpartition(":")[0]
        try:
            ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return ""
        return host
