"""Small things that processes share through Redis: breakers, permits, an adapter's memory, the places it lives in."""

from __future__ import annotations

import time
from collections.abc import Mapping

from core.message import ConversationKey, Platform
from core.storage import keys
from core.storage.client import Store

BREAKER_SECONDS = 3600
MEMORY_SECONDS = 90 * 86400
PLACES = 1000


class SharedBreakers:
    """The circuit breakers' state."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> dict[str, float]:
        """Provider -> unix seconds until which it is out of service."""
        raw: Mapping[str, str] = await self._store.attempt(lambda: self._store.redis.hgetall(keys.breaker()), 2.0)
        return {provider: float(until) for provider, until in raw.items()}

    async def store(self, provider: str, open_until: float) -> None:
        pipe = self._store.redis.pipeline(transaction=False)
        pipe.hset(keys.breaker(), provider, str(open_until))
        pipe.expire(keys.breaker(), BREAKER_SECONDS)
        await self._store.attempt(pipe.execute, 2.0)


class SharedPermits:
    """Token buckets over all processes of a bot."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(self, bucket: str, rate: float, burst: float, want: int) -> tuple[int, float]:
        """Permits granted now, and seconds until there is another when none were."""
        granted, wait = await self._store.run("permits", [keys.permits(bucket)], (rate, burst, want))
        return int(granted), int(wait) / 1000


class Memory:
    """Small facts that an adapter keeps over restarts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def recall(self, name: str) -> str:
        """What was remembered, or an empty text."""
        return await self._store.attempt(lambda: self._store.redis.get(keys.memory(name))) or ""

    async def remember(self, name: str, value: str) -> None:
        await self._store.attempt(lambda: self._store.redis.set(keys.memory(name), value, ex=MEMORY_SECONDS))


class Places:
    """The conversations a bot lives in, with the last message seen in each: where to look after being away."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._fresh: dict[ConversationKey, str] = {}

    def saw(self, conversation: ConversationKey, message_id: str) -> None:
        """Notes a message, without a round trip: ``flush`` writes."""
        self._fresh[conversation] = message_id

    async def flush(self) -> None:
        """Writes what was seen since the last time. What a crash loses of it is only looked at twice."""
        fresh, self._fresh = self._fresh, {}
        by_bot: dict[str, dict[str, str]] = {}
        for conversation, message_id in fresh.items():
            by_bot.setdefault(keys.places(conversation.platform, conversation.bot), {})[str(conversation)] = message_id
        for key, members in by_bot.items():
            pipe = self._store.redis.pipeline(transaction=False)
            for member, message_id in members.items():
                pipe.hset(key + ":last", member, message_id)
            pipe.zadd(key, dict.fromkeys(members, time.time()))
            pipe.expire(key, MEMORY_SECONDS)
            pipe.expire(key + ":last", MEMORY_SECONDS)
            await self._store.attempt(pipe.execute)

    async def recent(self, platform: Platform, bot: str) -> list[tuple[ConversationKey, str]]:
        """Conversations and their last message ids, the liveliest first."""
        key = keys.places(platform, bot)
        names: list[str] = await self._store.attempt(lambda: self._store.redis.zrevrange(key, 0, PLACES - 1))
        if not names:
            return []
        ids: list[str | None] = await self._store.attempt(lambda: self._store.redis.hmget(key + ":last", names))
        return [(ConversationKey.parse(name), last) for name, last in zip(names, ids, strict=True) if last]
