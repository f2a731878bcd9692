"""Tells, at the start and in ``parley doctor``, that a key is missing which sealed what lies in Redis.

Of each key that ever sealed something a word is kept that it sealed. Nothing stops where one is missing: what it sealed
cannot be read, and everything else goes on.
"""

from __future__ import annotations

import structlog

from core.storage import keys
from core.storage.client import Store
from core.storage.sealing import SealedError, Sealing

log = structlog.get_logger()

WORD = "parley"
PURPOSE = "check"
PATIENCE_SECONDS = 3.0


async def check(store: Store, sealing: Sealing) -> str:
    """One sentence about what is wrong with the keys; empty where nothing is. The newest key is noted. Raises
    StorageError."""
    name, redis = keys.sealed_by(), store.redis
    noted: dict[str, str] = await store.attempt(lambda: redis.hgetall(name), PATIENCE_SECONDS)
    if sealing.is_on and sealing.newest not in noted:
        sealed = sealing.seal(WORD, PURPOSE)
        await store.attempt(lambda: redis.hset(name, sealing.newest, sealed), PATIENCE_SECONDS)
    missing = sorted(id for id, sealed in noted.items() if not _opens(sealing, sealed))
    if not missing:
        return ""
    return (
        f"PARLEY_KEYS lacks a key that sealed what lies in Redis ({', '.join(missing)}): what it sealed cannot be read."
        " Put it back behind the others; once `parley keys rotate` finds nothing more of it, it may go."
    )


async def tell(store: Store) -> None:
    """A line in the log where a key is missing. Raises StorageError."""
    if wrong := await check(store, store.texts.sealing):
        log.error("a key is missing", cause=wrong)


async def forget_others(store: Store, sealing: Sealing) -> None:
    """After everything was sealed anew: only the newest key is needed. Raises StorageError."""
    name, redis = keys.sealed_by(), store.redis
    noted: list[str] = await store.attempt(lambda: redis.hkeys(name))
    if gone := [id for id in noted if id != sealing.newest]:
        await store.attempt(lambda: redis.hdel(name, *gone))


def _opens(sealing: Sealing, sealed: str) -> bool:
    try:
        return sealing.open(sealed, PURPOSE) == WORD
    except SealedError:
        return False
