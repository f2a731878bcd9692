"""Small things that processes share through Redis: breakers, permits, an adapter's memory, the places it lives in."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from core.errors import StorageError
from core.message import ConversationKey, Platform
from core.storage import keys
from core.storage.client import Store

BREAKER_SECONDS = 3600
MEMORY_SECONDS = 90 * 86400
PLACES = 1000
MOST_KNOWN = 10_000


class SharedBreakers:
    """The circuit breakers' state."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> dict[str, float]:
        """Provider -> unix seconds until which it is out of service."""
        raw: Mapping[str, str] = await self._store.attempt(lambda: self._store.redis.hgetall(keys.breaker()), 2.0)
        return {provider: float(until) for provider, until in raw.items()}

    async def store(self, provider: str, open_until: float) -> None:
        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.hset(keys.breaker(), provider, str(open_until))
            pipe.expire(keys.breaker(), BREAKER_SECONDS)
            await pipe.execute()

        await self._store.attempt(work, 2.0)


class SharedPermits:
    """Permits for calls, shared by all processes of a bot in the order of asking."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(
        self, bucket: str, most: int, seconds: float, needed: int, spare: int, late: int
    ) -> tuple[int, float]:
        """Permits, and seconds until they hold: at most ``most`` in any ``seconds`` over all processes.

        Of the ``needed`` at least one is granted, however long that takes; ``spare`` ones beyond are granted only when
        they are free now. ``late`` ones of an earlier time were used just now.
        """
        arguments = (most, math.ceil(seconds * 1000), needed, spare, late)
        granted, wait = await self._store.run("permits", [keys.permits(bucket)], arguments)
        return int(granted), int(wait) / 1000


class Memory:
    """Small facts that an adapter keeps over restarts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def recall(self, key: str) -> str | None:
        """What was remembered, or None."""
        return await self._store.attempt(lambda: self._store.redis.get(keys.memory(key)))

    async def remember(self, key: str, value: str) -> None:
        await self._store.attempt(lambda: self._store.redis.set(keys.memory(key), value, ex=MEMORY_SECONDS))


class Places:
    """The conversations a bot lives in, with the last message seen in each: where to look after being away."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._fresh: dict[ConversationKey, str] = {}
        self._known: set[ConversationKey] = set()

    async def saw(self, conversation: ConversationKey, message_id: str) -> None:
        """Notes a message. Only a new place costs a round trip; ``flush`` writes the rest now and then."""
        self._fresh[conversation] = message_id
        if conversation not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known.add(conversation)
            await self.flush()

    async def flush(self) -> None:
        """Writes what was seen since the last time. What a crash loses of it is only looked at twice.

        Raises StorageError: the next time then writes it.
        """
        fresh, self._fresh = self._fresh, {}
        try:
            for platform in {conversation.platform for conversation in fresh}:
                await self._write(platform, {str(c): id for c, id in fresh.items() if c.platform is platform})
        except StorageError:
            self._fresh = {**fresh, **self._fresh}
            raise

    async def _write(self, platform: Platform, last: dict[str, str]) -> None:
        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.hset(keys.last_seen(platform), mapping=last)
            pipe.zadd(keys.places(platform), dict.fromkeys(last, time.time()))
            pipe.expire(keys.last_seen(platform), MEMORY_SECONDS)
            pipe.expire(keys.places(platform), MEMORY_SECONDS)
            await pipe.execute()

        await self._store.attempt(work)

    async def recent(self, platform: Platform) -> list[tuple[ConversationKey, str]]:
        """Conversations and their last message ids, the liveliest first."""
        key, last = keys.places(platform), keys.last_seen(platform)
        names: list[str] = await self._store.attempt(lambda: self._store.redis.zrevrange(key, 0, PLACES - 1))
        if not names:
            return []
        ids: list[str | None] = await self._store.attempt(lambda: self._store.redis.hmget(last, names))
        return [(ConversationKey.parse(name), id) for name, id in zip(names, ids, strict=True) if id]
