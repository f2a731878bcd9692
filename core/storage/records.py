"""Versioned records that every process keeps in memory: what people and communities chose.

A message must not cost a round trip for what hardly ever changes. So what was read is kept in memory, and each process
looks once a second at a feed of changes. A change says which version it is about: of two at once the second is told
that there was another (:class:`Conflict`), and nothing is half done.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from core import clock
from core.errors import ParleyError, StorageError, UnreadableError
from core.storage import keys
from core.storage.client import Store

log = structlog.get_logger()

LOOK_SECONDS = 1.0
"""Between two looks at the feed: so soon a change holds in every process."""
FRESH_SECONDS = 60.0
"""What was read is believed for so long at most, should the feed have told nothing of a change."""
PATIENCE_SECONDS = 2.0
MOST_KNOWN = 10_000
"""Records kept in memory."""
MOST_CHANGES = 10_000
FEED_SECONDS = 86_400
TRIES = 30
"""How often a change is computed anew where another one came between."""
PAUSE_SECONDS = 0.02
"""Longest pause before that, growing with each time."""


class Conflict(ParleyError):
    """A record was changed by somebody else since it was looked at."""


class Record(BaseModel):
    """What is kept: frozen. Fields of a newer program are kept along, so that a rolling update loses nothing."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)


Value = TypeVar("Value", bound=Record)


@dataclass(frozen=True, slots=True)
class Kept(Generic[Value]):
    """A record as it was read."""

    id: str
    value: Value
    version: int = 0
    """0: there is none, and ``value`` is the empty one."""


@dataclass(frozen=True, slots=True)
class Change(Generic[Value]):
    """What is to become of a record. ``value`` None: it is removed."""

    before: Kept[Value]
    value: Value | None


@dataclass(frozen=True, slots=True)
class Logged:
    """What is kept in a record's log about a change of it, written with the change or not at all."""

    text: str
    most: int
    """Entries that are kept."""
    seconds: int
    """How long the log is kept after its last entry."""


class Records(Generic[Value]):
    """All records of one kind. They lie in one slot, so that several can be changed at once."""

    def __init__(self, store: Store, kind: str, empty: Value, *, keep_seconds: int = 0) -> None:
        """``empty`` is what stands for one that was never written. ``keep_seconds`` after its last change a record is
        forgotten; 0: never."""
        self._store = store
        self._kind = kind
        self._empty = empty
        self._keep_seconds = keep_seconds
        self._known: OrderedDict[str, tuple[float, Kept[Value]]] = OrderedDict()
        self._heard = ""
        """Where the feed is to be read from: after the newest change that is known here."""

    async def get(self, id: str) -> Kept[Value]:
        """A record as this process knows it, a second old at most while the feed is followed. Raises StorageError."""
        read_at, kept = self._known.get(id, (0.0, None))
        if kept is not None and clock.seconds() < read_at + FRESH_SECONDS:
            return kept
        return await self.fresh(id)

    async def fresh(self, id: str) -> Kept[Value]:
        """A record as it is now. Raises StorageError."""
        name, redis = keys.record(self._kind, id), self._store.redis
        version, text = await self._store.attempt(lambda: redis.hmget(name, ["v", "json"]))
        return self._remember(self._read(id, version, text))

    async def change(self, id: str, change: Callable[[Value], Value | None], *, seen: int | None = None) -> Kept[Value]:
        """Changes a record; ``change`` may be called several times, and gives back the same value to change nothing.

        With ``seen``, the version that somebody looked at, it raises Conflict where there has been a change since.
        Raises Conflict as well when others change it all the time, StorageError.
        """
        for number in range(TRIES):
            before = await self.fresh(id)
            if seen is not None and before.version != seen:
                raise Conflict(f"{self._kind} {id}: version {before.version} instead of {seen}")
            value = change(before.value)
            if value is not None and value == before.value:
                return before
            if (written := await self.write([Change(before, value)])) is not None:
                return written[0]
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS * (number + 1)))
        raise Conflict(f"{self._kind} {id}: changed by others {TRIES} times in a row")

    async def write(self, changes: Sequence[Change[Value]], logged: Logged | None = None) -> list[Kept[Value]] | None:
        """Writes several records, all or none: None where one of them was changed since. ``logged`` goes to the log of
        the first of them. Raises StorageError."""
        names = [keys.record(self._kind, change.before.id) for change in changes]
        feed = keys.record_changes(self._kind)
        kept_log = keys.record_log(self._kind, changes[0].before.id) if logged else feed
        arguments: list[str | int] = [secrets.token_hex(8), MOST_CHANGES, FEED_SECONDS]
        arguments += [logged.text, logged.most, logged.seconds] if logged else ["", 0, 0]
        for change in changes:
            text = "" if change.value is None else change.value.model_dump_json(exclude_defaults=True)
            arguments += [change.before.id, change.before.version, text, self._keep_seconds]
        versions = await self._store.run("record", [feed, kept_log, *names], arguments)
        if not versions:
            for change in changes:
                self._known.pop(change.before.id, None)
            return None
        return [
            self._remember(Kept(change.before.id, self._empty if change.value is None else change.value, int(version)))
            for change, version in zip(changes, versions, strict=True)
        ]

    async def log(self, id: str, most: int) -> list[tuple[float, str]]:
        """The newest entries of a record's log, newest first, with their times (Unix seconds by Redis' clock). Raises
        StorageError."""
        name, redis = keys.record_log(self._kind, id), self._store.redis
        found: list[str] = await self._store.attempt(lambda: redis.lrange(name, 0, most - 1))
        return [(float(at), text) for at, _, text in (entry.partition(" ") for entry in found)]

    async def move(self, old: str, new: str) -> None:
        """Gives a record and its log to another id, however often it is told. Where that one has a record of its own,
        that one holds. Raises StorageError."""
        while True:
            before, there = await self.fresh(old), await self.fresh(new)
            changes = [Change(before, None)] if there.version else [Change(there, before.value), Change(before, None)]
            if not before.version or await self.write(changes) is not None:
                break
        redis, here, there_too = self._store.redis, keys.record_log(self._kind, old), keys.record_log(self._kind, new)
        # Redis refuses to rename what is not there.
        if await self._store.attempt(lambda: redis.exists(here)):
            await self._store.attempt(lambda: redis.renamenx(here, there_too))

    async def ids(self) -> list[str]:
        """All there are, in no order: for the owner's lists. Raises StorageError."""
        prefix = keys.record(self._kind, "")
        found: list[str] = await self._store.attempt(lambda: self._scan(f"{prefix}*"))
        return sorted(name.removeprefix(prefix) for name in set(found))

    async def refresh(self) -> None:
        """Forgets what the feed says was changed. Raises StorageError."""
        is_first = not self._heard
        self._heard, changed = await self.changed_since(self._heard)
        if is_first:
            self._known.clear()
        for id in changed:
            self._known.pop(id, None)

    async def changed_since(self, heard: str) -> tuple[str, list[str]]:
        """The newest change of any, to be given here the next time, and ids of the records that were changed since
        ``heard``; where that is empty, no ids. Raises StorageError."""
        feed, redis = keys.record_changes(self._kind), self._store.redis
        if not heard:
            newest = await self._store.attempt(lambda: redis.xrevrange(feed, count=1), PATIENCE_SECONDS)
            return (f"({newest[0][0]}" if newest else "-"), []
        said: list[tuple[str, Mapping[str, str]]] = await self._store.attempt(
            lambda: redis.xrange(feed, heard), PATIENCE_SECONDS
        )
        return (f"({said[-1][0]}" if said else heard), [fields["id"] for _, fields in said]

    async def follow(self) -> None:
        """Keeps up with changes, until cancelled; while the storage is away, what was known holds."""
        while True:
            try:
                await self.refresh()
            except StorageError as error:
                log.warning("changes could not be read", kind=self._kind, cause=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    def _remember(self, kept: Kept[Value]) -> Kept[Value]:
        self._known[kept.id] = clock.seconds(), kept
        self._known.move_to_end(kept.id)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return kept

    def _read(self, id: str, version: str | None, text: str | None) -> Kept[Value]:
        if not version or not text:
            return Kept(id, self._empty)
        try:
            value = type(self._empty).model_validate_json(text)
        except ValidationError as error:
            # Nothing is written over it: a newer program may read it.
            told = f"The record {self._kind} {id} cannot be read: {error.error_count()} errors."
            raise UnreadableError(told) from error
        return Kept(id, value, int(version))

    async def _scan(self, pattern: str) -> list[str]:
        return [name async for name in self._store.redis.scan_iter(match=pattern, count=1000)]
