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

DAY = 86400
KEEP_DAYS = 400
"""A bot whose receivers told of no space for so long has none."""
LEFT_DAYS = 30
"""Settings of a space that the bot has left are forgotten then."""
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

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            for seen in fresh.values():
                key = keys.spaces_seen(seen.platform, seen.bot)
                pipe.hset(key, seen.id, _written(seen))
                pipe.expire(key, KEEP_DAYS * DAY)
                # It may have been left before.
                pipe.persist(keys.record("spaces", seen.space_id))
            await pipe.execute()

        try:
            await self._store.attempt(work, PATIENCE_SECONDS)
        except StorageError:
            self._fresh = {**fresh, **self._fresh}
            raise

    async def left(self, platform: Platform, bot: str, space: str) -> None:
        """The bot is in that space no more: its settings wait for a while that it comes back. Raises StorageError."""
        id = SeenSpace(platform, bot, space).space_id
        self._told.pop(id, None)
        self._fresh.pop(id, None)

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.hdel(keys.spaces_seen(platform, bot), space)
            pipe.expire(keys.record("spaces", id), LEFT_DAYS * DAY)
            await pipe.execute()

        await self._store.attempt(work)

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
