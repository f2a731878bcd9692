"""Small things that processes share through Redis: breakers, permits, an adapter's memory, the places it lives in."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import StorageError
from core.message import ConversationKey, Platform
from core.storage import keys
from core.storage.client import Store

BREAKER_SECONDS = 3600
MEMORY_SECONDS = 90 * 86400
PLACES = 1000
"""The most that are looked at after being away."""
MOST_PLACES = 5000
"""The most that are kept for a bot; the ones that were quiet longest go first."""
MOST_KNOWN = 10_000
SIGHTINGS = 2000
"""Tellings kept: of ten busy processes, those of the last minutes."""
SIGHTING_SECONDS = 3600


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
        self, bucket: str, most: int, seconds: float, needed: int, spare: int, to_come: int, late: int
    ) -> tuple[float, Sequence[float]]:
        """Permits: at most ``most`` in any ``seconds`` over all processes. Raises StorageError.

        Seconds until one more is free, and for each permit granted those until it holds. Of what is ``needed`` up to
        ``to_come`` are granted for a time to come; ``spare`` ones beyond only when they are free now. ``late`` ones
        of an earlier time were used just now.
        """
        arguments = (most, math.ceil(seconds * 1000), needed, spare, to_come, late)
        following, *waits = await self._store.run("permits", [keys.permits(bucket)], arguments)
        return int(following) / 1000, [int(wait) / 1000 for wait in waits]


class Memory:
    """Small facts that an adapter keeps over restarts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def recall(self, key: str) -> str | None:
        """What was remembered, or None."""
        return await self._store.attempt(lambda: self._store.redis.get(keys.memory(key)))

    async def remember(self, key: str, value: str) -> None:
        await self._store.attempt(lambda: self._store.redis.set(keys.memory(key), value, ex=MEMORY_SECONDS))


class Once:
    """Things that are done once in a time, by one of all processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def may(self, what: str, seconds: int) -> bool:
        """True for the first that asks in so many seconds. A lost reply may cost the one time. Raises StorageError."""
        key = keys.recently(what)
        return bool(await self._store.attempt(lambda: self._store.redis.set(key, "1", nx=True, ex=seconds)))

    async def give_back(self, what: str) -> None:
        """It was not done: the next that asks may. Raises StorageError."""
        await self._store.attempt(lambda: self._store.redis.delete(keys.recently(what)))


class Sightings:
    """What the processes of one bot tell each other of what they see, for a while. Each hears all, its own too."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._key = keys.sightings(name)
        self._heard = "-"

    async def tell(self, text: str) -> None:
        """Raises StorageError. What is told twice does no harm."""

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.xadd(self._key, {"said": text}, maxlen=SIGHTINGS, approximate=True)
            pipe.expire(self._key, SIGHTING_SECONDS)
            await pipe.execute()

        await self._store.attempt(work, 2.0)

    async def hear(self) -> list[str]:
        """What was told since the last time. Raises StorageError."""
        read: list[tuple[str, dict[str, str]]] = await self._store.attempt(
            lambda: self._store.redis.xrange(self._key, self._heard)
        )
        if read:
            self._heard = f"({read[-1][0]}"
        return [fields["said"] for _, fields in read]


@dataclass(frozen=True, slots=True)
class Place:
    """A conversation that a bot lives in."""

    conversation: ConversationKey
    last_seen: str
    """Id of the last message seen there."""
    space: str
    """Empty for a private chat."""


class Places:
    """The conversations a bot lives in, with the last message seen in each: where to look after being away."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._fresh: dict[ConversationKey, str] = {}
        self._known: set[ConversationKey] = set()

    async def saw(self, conversation: ConversationKey, message_id: str, space: str) -> None:
        """Notes a message. Only a new private chat costs a round trip, as nothing else tells of it later; ``flush``
        writes the rest now and then."""
        fresh = self._fresh.get(conversation, "").partition(" ")[0]
        # Of an edit it is an older one.
        newest = max(fresh, message_id, key=lambda id: (len(id), id))
        self._fresh[conversation] = f"{newest} {space}"
        if conversation not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known.add(conversation)
            if not space:
                await self.flush()

    async def flush(self) -> None:
        """Writes what was seen since the last time. What a crash loses of it is only looked at twice.

        Raises StorageError: the next time then writes it.
        """
        fresh, self._fresh = self._fresh, {}
        bots: dict[tuple[Platform, str], list[str]] = {}
        for conversation, record in fresh.items():
            bots.setdefault((conversation.platform, conversation.bot), []).extend((str(conversation), record))
        try:
            for (platform, bot), records in bots.items():
                names = [keys.places(platform, bot), keys.last_seen(platform, bot)]
                await self._store.run("places", names, (f"{time.time():.3f}", MOST_PLACES, MEMORY_SECONDS, *records))
        except StorageError:
            self._fresh = {**fresh, **self._fresh}
            raise

    async def recent(self, platform: Platform, bot: str) -> list[Place]:
        """The bot's places, the liveliest first."""
        key, last = keys.places(platform, bot), keys.last_seen(platform, bot)
        names: list[str] = await self._store.attempt(lambda: self._store.redis.zrevrange(key, 0, PLACES - 1))
        if not names:
            return []
        records: list[str | None] = await self._store.attempt(lambda: self._store.redis.hmget(last, names))
        return [_place(name, record) for name, record in zip(names, records, strict=True) if record]


def _place(name: str, record: str) -> Place:
    last_seen, _, space = record.partition(" ")
    return Place(ConversationKey.parse(name), last_seen, space)
