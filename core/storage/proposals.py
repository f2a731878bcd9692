"""What was shown and not done yet: settings in a file, acts. It is kept for whoever presses the button below."""

from __future__ import annotations

import json
import secrets

from core.storage import keys
from core.storage.client import Store

SECONDS = 3600


class Proposals:
    """Every method raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, space: str, text: str, *, seconds: int = SECONDS) -> str:
        """Keeps it for a space; its id."""
        id = secrets.token_urlsafe(9)
        kept = json.dumps([space, text], ensure_ascii=False)
        await self._store.attempt(lambda: self._store.redis.set(keys.proposal(id), kept, ex=seconds))
        return id

    async def find(self, space: str, id: str) -> str | None:
        """What has that id; None where there is none any more, or it is for another space."""
        kept: str | None = await self._store.attempt(lambda: self._store.redis.get(keys.proposal(id)))
        if kept is None:
            return None
        meant, text = json.loads(kept)
        return text if meant == space else None
