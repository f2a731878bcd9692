"""Looking through all that there is: slow, for what somebody asks for once."""

from __future__ import annotations

from collections.abc import AsyncIterator

from core.storage.client import Store

PAGE = 500
"""Fields of a large hash that are read in one round trip."""


async def scan(store: Store, pattern: str) -> list[str]:
    """All keys like ``pattern``; as slow as there are many of any kind. Raises StorageError."""

    async def work() -> list[str]:
        return sorted({key async for key in store.redis.scan_iter(match=pattern, count=1000)})

    return await store.attempt(work)


async def fields_of(store: Store, key: str) -> AsyncIterator[tuple[str, str]]:
    """All fields of a large hash. Raises StorageError."""
    cursor = 0
    while True:
        at = cursor
        cursor, page = await store.attempt(lambda at=at: store.redis.hscan(key, at, count=PAGE))
        for field, value in page.items():
            yield field, value
        if not int(cursor):
            return
