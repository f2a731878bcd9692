"""Announcements of whoever runs Parley to all spaces: asked for, confirmed, sent once to each, with a result.

What became of one in each space stands in a hash of its own, so that a sender that dies is followed by another one that
knows where it stopped.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from core.errors import ParleyError
from core.message import ConversationKey
from core.people.spaces import Spaces
from core.storage import keys
from core.storage.client import Store
from core.storage.records import PAUSE_SECONDS, TRIES, Change, Conflict, Record, Records
from core.storage.spaces_seen import SeenSpace, SpacesSeen
from core.texts import say

MAX_TEXT = 1500
"""Characters: one message on every platform."""
KEEP_SECONDS = 30 * 86400
CONFIRM_SECONDS = 3600
"""So long one that was asked for may be confirmed."""
RUNNING = "running"
"""The record that names the announcement under way: one at a time."""
MAX_WHY = 80


class NotConfirmed(ParleyError):
    """There is no such announcement to be sent any more."""


class OneRuns(ParleyError):
    """Another announcement is under way."""


class Broadcast(Record):
    """An announcement."""

    text: str = ""
    by: str = ""
    """The account that asked for it."""
    tell: str = ""
    """The private conversation in which the result is told; empty: nowhere by itself."""
    language: str = ""
    at: float = 0.0
    """Unix seconds."""
    state: Literal["asked", "running", "done", "cancelled"] = "asked"
    current: str = ""
    """Of the record :data:`RUNNING`: the id of the one under way; all else is empty there."""


class Fate(StrEnum):
    """What became of an announcement in a space."""

    SENT = "sent"
    OPTED_OUT = "opted_out"
    FAILED = "failed"
    BEGUN = "begun"
    """It may have been sent: whoever comes next looks for it."""


@dataclass(frozen=True, slots=True)
class Told:
    """A fate with what belongs to it: the message's id, why it failed, or where to look for the message."""

    fate: Fate
    detail: str = ""

    def to_text(self) -> str:
        return f"{self.fate} {self.detail[:MAX_WHY]}".rstrip()

    @classmethod
    def of(cls, text: str) -> Told:
        fate, _, detail = text.partition(" ")
        return cls(Fate(fate), detail)


@dataclass(frozen=True, slots=True)
class Result:
    """How far an announcement has come."""

    broadcast: Broadcast
    sent: int
    opted_out: int
    failed: Mapping[str, int]
    """Why -> in how many spaces."""


class Broadcasts:
    """All announcements."""

    def __init__(self, store: Store, spaces: Spaces, seen: SpacesSeen) -> None:
        self._store = store
        self._spaces = spaces
        self._seen = seen
        self.records = Records(store, "broadcasts", Broadcast(), keep_seconds=KEEP_SECONDS)

    async def ask(self, broadcast: Broadcast) -> tuple[str, list[SeenSpace]]:
        """Keeps it until it is confirmed: its id, and the spaces that it would go to. Raises StorageError."""
        id = secrets.token_hex(4)
        kept = broadcast.model_copy(update={"at": time.time(), "state": "asked", "text": broadcast.text[:MAX_TEXT]})
        await self.records.change(id, lambda _: kept)
        return id, [space for space in await self._seen.all() if await self.takes(space)]

    async def takes(self, space: SeenSpace) -> bool:
        """Whether announcements come to a space. Raises StorageError."""
        return (await self._spaces.of(space.space_id)).broadcasts is not False

    async def confirm(self, id: str, by: str) -> None:
        """Has it sent; one that is under way is so already. Raises NotConfirmed, OneRuns, Conflict, StorageError."""
        for number in range(TRIES):
            kept, running = await self.records.fresh(id), await self.records.fresh(RUNNING)
            if not kept.version or kept.value.by != by or id == RUNNING:
                raise NotConfirmed(id)
            if kept.value.state == "running":
                return
            if kept.value.state != "asked" or time.time() > kept.value.at + CONFIRM_SECONDS:
                raise NotConfirmed(id)
            if running.value.current:
                raise OneRuns(running.value.current)
            # Both at once: a sender ends what is named as under way and is not.
            begun = kept.value.model_copy(update={"state": "running"})
            if await self.records.write([Change(running, Broadcast(current=id)), Change(kept, begun)]) is not None:
                return
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS * (number + 1)))
        raise Conflict(f"{id}: changed by others {TRIES} times in a row")

    async def cancel(self, by_id: str = "") -> bool:
        """Ends the one under way, or one that was only asked for; whether there was one. Raises Conflict,
        StorageError."""
        id = by_id or (await self.records.fresh(RUNNING)).value.current
        if not id or id == RUNNING:
            return False
        was = (await self.records.fresh(id)).value.state
        if was not in ("asked", "running"):
            return False
        await self.records.change(id, lambda value: value.model_copy(update={"state": "cancelled"}))
        return True

    async def is_any(self) -> bool:
        """Whether one is under way, as this process knows it: costs nothing while there is none. Raises
        StorageError."""
        return bool((await self.records.get(RUNNING)).value.current)

    async def current(self) -> tuple[str, Broadcast] | None:
        """The one under way. Raises StorageError."""
        id = (await self.records.fresh(RUNNING)).value.current
        return (id, (await self.records.fresh(id)).value) if id else None

    async def finish(self, id: str) -> None:
        """It went everywhere, or was cancelled. Raises Conflict, StorageError."""

        def done(value: Broadcast) -> Broadcast:
            return value if value.state == "cancelled" else value.model_copy(update={"state": "done"})

        await self.records.change(id, done)
        await self.records.change(RUNNING, lambda value: Broadcast() if value.current == id else value)

    async def newest(self) -> tuple[str, Broadcast] | None:
        """The last one that was confirmed. Raises StorageError."""
        kept = [(id, (await self.records.fresh(id)).value) for id in await self.records.ids() if id != RUNNING]
        begun = [(id, value) for id, value in kept if value.state != "asked"]
        return max(begun, key=lambda one: one[1].at, default=None)

    # ---- what became of it

    async def told(self, id: str) -> dict[str, Told]:
        """By space. Raises StorageError."""
        raw: dict[str, str] = await self._store.attempt(lambda: self._store.redis.hgetall(keys.broadcast(id)))
        return {space: Told.of(text) for space, text in raw.items()}

    async def tell(self, id: str, space: str, told: Told) -> None:
        """Raises StorageError."""

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.hset(keys.broadcast(id), space, told.to_text())
            pipe.expire(keys.broadcast(id), KEEP_SECONDS)
            await pipe.execute()

        await self._store.attempt(work)

    async def newest_message(self, conversation: ConversationKey) -> str:
        """Id of a late message there: what comes after it is newer. Empty where none is known. Raises StorageError."""
        names = keys.ConversationKeys.of(conversation)

        async def work() -> list[list[str]]:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.zrevrange(names.order, 0, 0)
            pipe.lrange(names.notices, 0, 0)
            return await pipe.execute()

        found = [id for ids in await self._store.attempt(work) for id in ids]
        return max(found, key=lambda id: (len(id), id), default="")

    async def result(self, id: str) -> Result:
        """Raises StorageError."""
        told = (await self.told(id)).values()
        fates = Counter(one.fate for one in told)
        failed = Counter(one.detail for one in told if one.fate is Fate.FAILED)
        broadcast = (await self.records.fresh(id)).value
        return Result(broadcast, fates[Fate.SENT], fates[Fate.OPTED_OUT], dict(failed))


def lines_of(result: Result) -> list[str]:
    """A result in lines of Markdown."""
    language = result.broadcast.language
    head = say(f"broadcast_{result.broadcast.state}", language, count=result.sent)
    lines = [head]
    if result.opted_out:
        lines.append(say("broadcast_opted_out", language, count=result.opted_out))
    for why, count in sorted(result.failed.items()):
        lines.append(say("broadcast_failed", language, count=count, why=say(f"broadcast.{why}", language)))
    return lines
