"""The spaces that a bot is in, as its receivers see them: for the owner's list and for announcements.

Seeing costs nothing: what is seen is written now and then, each space once a day by each process, and when its name
changes.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from dataclasses import dataclass

from core.errors import StorageError
from core.message import Platform, clean_text
from core.storage import keys
from core.storage.client import Store
from core.storage.scanning import scan

DAY = 86400
KEEP_DAYS = 400
"""A bot whose receivers told of no space for so long has none."""
LEFT_DAYS = 30
"""What a space that the bot has left chose and taught is forgotten then."""
SLACK_SECONDS = 2 * DAY
"""So much longer its documents' texts wait than the record that names them: by that they are told from those that are
just being learned, which have a day."""
KINDS = ("spaces", "faq", "personas", "rules", "raids")
"""Of records that go with a space, besides that of its documents."""
MOST_SEEN = 20_000
"""Spaces that a process remembers to have told of."""
MAX_NAME = 100
PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class SeenSpace:
    """A space as it was last seen."""

    platform: Platform
    bot: str
    id: str
    name: str = ""
    at: float = 0.0
    """Unix seconds."""
    members: int = 0
    """0: not known."""
    channel: str = ""
    """Id of the channel for the platform's own notes, where there is one: where to say what is for all."""

    @property
    def space_id(self) -> str:
        """Its name among those of all bots, as ``core.people.spaces.space_id`` gives it."""
        return f"{self.platform}:{self.bot}:{self.id}"


class SpacesSeen:
    """All bots' spaces. One for the whole process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: OrderedDict[str, tuple[int, str, str]] = OrderedDict()
        """Space -> day, name and channel that were last written."""
        self._fresh: dict[str, SeenSpace] = {}

    def saw(self, platform: Platform, bot: str, space: str, name: str, *, members: int = 0, channel: str = "") -> None:
        """Notes that the bot is in a space. Costs no round trip: ``flush`` writes it."""
        seen = SeenSpace(
            platform, bot, space, " ".join(clean_text(name).split())[:MAX_NAME], time.time(), members, channel
        )
        mark = (int(seen.at // DAY), seen.name, channel)
        if self._told.get(seen.space_id) == mark:
            return
        self._told[seen.space_id] = mark
        self._told.move_to_end(seen.space_id)
        if len(self._told) > MOST_SEEN:
            self._told.popitem(last=False)
        self._fresh[seen.space_id] = seen

    async def flush(self) -> None:
        """Writes what was seen since the last time. Raises StorageError: the next time then writes it."""
        fresh, self._fresh = self._fresh, {}
        if not fresh:
            return

        async def work() -> list[str]:
            pipe = self._store.redis.pipeline(transaction=False)
            for seen in fresh.values():
                key = keys.spaces_seen(seen.platform, seen.bot)
                pipe.hset(key, seen.id, _written(seen))
                pipe.expire(key, KEEP_DAYS * DAY)
                # It may have been left before.
                pipe.delete(keys.space_left(seen.space_id))
                for kind in KINDS:
                    pipe.persist(keys.record(kind, seen.space_id))
                pipe.ttl(_library(seen.space_id))
            # The last of the commands for each space.
            said = await pipe.execute()
            waits = said[len(said) // len(fresh) - 1 :: len(said) // len(fresh)]
            return [id for id, seconds in zip(fresh, waits, strict=True) if seconds >= 0]

        try:
            for id in await self._store.attempt(work, PATIENCE_SECONDS):
                await self._stay(id)
        except StorageError:
            self._fresh = {**fresh, **self._fresh}
            raise

    async def left(self, platform: Platform, bot: str, space: str) -> None:
        """The bot is in that space no more: its settings wait for a while that it comes back. Raises StorageError."""
        id = SeenSpace(platform, bot, space).space_id
        self._told.pop(id, None)
        self._fresh.pop(id, None)

        # Who blocks the bot in private is told of like a space, and leaves no trace by that.
        was_seen = await self._store.attempt(lambda: self._store.redis.hexists(keys.spaces_seen(platform, bot), space))

        async def work() -> bool:
            pipe = self._store.redis.pipeline(transaction=False)
            if was_seen:
                pipe.set(keys.space_left(id), "1", ex=LEFT_DAYS * DAY)
            pipe.hdel(keys.spaces_seen(platform, bot), space)
            for name in (*(keys.record(kind, id) for kind in KINDS), _library(id)):
                pipe.expire(name, LEFT_DAYS * DAY)
            return bool((await pipe.execute())[-1])

        if await self._store.attempt(work):
            redis, seconds = self._store.redis, LEFT_DAYS * DAY + SLACK_SECONDS
            for name in await scan(self._store, keys.document(keys.space_documents(id), "*")):
                if await self._store.attempt(lambda name=name: redis.ttl(name)) == -1:
                    await self._store.attempt(lambda name=name: redis.expire(name, seconds))

    async def is_left(self, space: str) -> bool:
        """Whether the bot left that space (its id among those of all bots) and did not come back. Raises
        StorageError."""
        return bool(await self._store.attempt(lambda: self._store.redis.exists(keys.space_left(space))))

    async def _stay(self, id: str) -> None:
        """Has the documents of a space stay to which the bot came back; the record that names them last."""
        redis = self._store.redis
        for name in await scan(self._store, keys.document(keys.space_documents(id), "*")):
            if await self._store.attempt(lambda name=name: redis.ttl(name)) >= SLACK_SECONDS:
                await self._store.attempt(lambda name=name: redis.persist(name))
        await self._store.attempt(lambda: redis.persist(_library(id)))

    async def of(self, platform: Platform, bot: str) -> list[SeenSpace]:
        """One bot's spaces, by their ids. Raises StorageError."""
        key = keys.spaces_seen(platform, bot)
        raw: dict[str, str] = await self._store.attempt(lambda: self._store.redis.hgetall(key))
        return [_read(platform, bot, id, text) for id, text in sorted(raw.items())]

    async def all(self) -> list[SeenSpace]:
        """Those of all bots, by platform, bot and id. Raises StorageError."""
        prefix = keys.spaces_seen("", "").removesuffix(":")
        names: list[str] = await self._store.attempt(lambda: self._scan(f"{prefix}*"))
        found: list[SeenSpace] = []
        for name in sorted(set(names)):
            platform, _, bot = name.removeprefix(prefix).partition(":")
            if platform in list(Platform):
                found += await self.of(Platform(platform), bot)
        return found

    async def _scan(self, pattern: str) -> list[str]:
        return [name async for name in self._store.redis.scan_iter(match=pattern, count=1000)]


def _library(id: str) -> str:
    return keys.record("documents", keys.space_documents(id))


def _written(seen: SeenSpace) -> str:
    values = {"name": seen.name, "at": round(seen.at), "members": seen.members, "channel": seen.channel}
    return json.dumps({name: value for name, value in values.items() if value}, ensure_ascii=False)


def _read(platform: Platform, bot: str, id: str, text: str) -> SeenSpace:
    kept = json.loads(text)
    return SeenSpace(
        platform,
        bot,
        id,
        str(kept.get("name", "")),
        float(kept.get("at", 0)),
        int(kept.get("members", 0)),
        str(kept.get("channel", "")),
    )
