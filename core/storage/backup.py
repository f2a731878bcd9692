"""What a backup holds, read from a store in use and written to an empty one.

The smallest piece is a unit: keys that one script reads in one breath, so that they are as they were at one moment
between the beginning and the end: a conversation with its tree, state, mailbox and open turn; a book of cases; a
record with its log; all budgets. What refers to others is read after them, and records that were changed meanwhile are
read again, all of a kind in one breath.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, cast

from redis.exceptions import RedisError

from core.errors import StorageError
from core.storage import keys
from core.storage.client import Store
from core.storage.key_table import KINDS, KeyKind, KnownKey, UnknownKeyError, glob, known

BATCH = 16
"""Units read in one round trip: a conversation may be some megabytes."""
SCANNED = 500
ROUNDS = 50
"""How often changed records are read again at most; each round is about what was changed in the one before."""
SLACK_MS = 60_000
"""By how much the clocks of a cluster's nodes may differ."""
TYPES = frozenset(("string", "list", "set", "zset", "hash", "none"))


@dataclass(frozen=True, slots=True)
class Row:
    """A key as it was."""

    key: str
    type: str
    """``none``: it was gone."""
    left: int
    """Its time left in ms; -1: it was kept for good."""
    values: tuple[str, ...]
    """Of a hash names and values, of a zset members and scores, in turn."""

    @classmethod
    def of(cls, raw: Any) -> Row:
        """From a file. Raises ValueError for what no backup holds."""
        key, kind, left, given = raw
        values = cast(list[object], given) if isinstance(given, list) else []
        texts = tuple(value for value in values if isinstance(value, str))
        told = isinstance(key, str) and kind in TYPES and type(left) is int and isinstance(given, list)
        is_paired = kind not in ("hash", "zset") or len(texts) % 2 == 0
        is_one = kind != "string" or len(texts) == 1
        if not (told and is_paired and is_one and len(texts) == len(values)):
            raise ValueError("a row is damaged")
        return cls(key, kind, left, texts)

    def to_json(self) -> list[Any]:
        return [self.key, self.type, self.left, list(self.values)]


Unit = tuple[Row, ...]
"""Rows of one slot that belong together."""


def check(unit: Unit) -> KnownKey:
    """What a unit is about. Raises UnknownKeyError for what this program would not have written."""
    if not unit:
        raise UnknownKeyError("An entry is empty.")
    found = [known(row.key) for row in unit]
    is_one = all(one.kind.kept and (one.kind.at_once or one.unit == found[0].unit) for one in found)
    if not is_one and not _are_of_one_kind(found):
        raise UnknownKeyError(f"The key {unit[0].key[:80]!r} is none that a backup holds.")
    return found[0]


def _are_of_one_kind(found: Sequence[KnownKey]) -> bool:
    """Records that were read again, all of a kind together."""
    return bool(found[0].record_kind) and len({one.record_kind for one in found}) == 1


async def read(store: Store) -> AsyncGenerator[Unit]:
    """All there is to keep, unit by unit. A unit may come twice: then the later one holds. Raises StorageError."""
    seconds, _ = await store.attempt(store.redis.time)
    kinds: set[str] = set()
    async for unit in _read(store, _first(store, kinds)):
        yield unit
    for kind in KINDS:
        if kind.kept and kind.late and not (kind.at_once or kind.last):
            async for unit in _read(store, _single(store, kind), kind.least_ms):
                yield unit
    async for unit in _read(store, _at_once(store, int(seconds))):
        yield unit
    for kind in sorted(kinds):
        async for unit in _changed(store, kind, int(seconds) * 1000):
            yield unit
    for kind in KINDS:
        if kind.last:
            async for unit in _read(store, _single(store, kind)):
                yield unit


async def _first(store: Store, kinds: set[str]) -> AsyncIterator[tuple[str, ...]]:
    """The units that are not late, each once. ``kinds`` are the kinds of versioned records found on the way."""
    done: set[int] = set()
    async for name in _scan(store, "parley:*"):
        try:
            found = known(name)
        except UnknownKeyError:
            # Of a newer program, or of none of ours.
            continue
        if found.record_kind:
            kinds.add(found.record_kind)
        mark = hash(found.unit)
        if found.kind.kept and not found.kind.late and mark not in done:
            # Some 70 bytes of memory for each unit.
            done.add(mark)
            yield found.unit


async def _single(store: Store, kind: KeyKind) -> AsyncIterator[tuple[str, ...]]:
    async for name in _scan(store, glob(kind)):
        if known(name).kind is kind:
            yield (name,)


async def _at_once(store: Store, now: int) -> AsyncIterator[tuple[str, ...]]:
    """All budgets as one unit. What was used on days gone by changes no more: it would be too much for one script."""
    newest = datetime.fromtimestamp(now - 3 * 86400, UTC).date().isoformat()
    names: set[str] = set()
    for form in {glob(kind) for kind in KINDS if kind.at_once}:
        async for name in _scan(store, form):
            found = known(name)
            if found.kind.at_once and found.fields.get("day", newest) >= newest:
                names.add(name)
            elif found.kind.at_once:
                yield (name,)
    if names:
        yield tuple(sorted(names))


async def _read(store: Store, names: AsyncIterator[tuple[str, ...]], least_ms: int = 0) -> AsyncGenerator[Unit]:
    batch: list[tuple[str, ...]] = []
    async for unit in names:
        batch.append(unit)
        if len(batch) == BATCH:
            for found in await _dump(store, batch, least_ms):
                yield found
            batch.clear()
    for found in await _dump(store, batch, least_ms):
        yield found


async def _changed(store: Store, kind: str, begun: int) -> AsyncIterator[Unit]:
    """The records of a kind that were changed since, in one breath: what was changed together is together again."""
    feed, heard = keys.record_changes(kind), str(max(0, begun - SLACK_MS))
    ids: set[str] = set()
    for _ in range(ROUNDS):
        said: list[tuple[str, dict[str, str]]] = await store.attempt(lambda at=heard: store.redis.xrange(feed, at))
        if not said:
            return
        heard = f"({said[-1][0]}"
        # With those of the rounds before: one of them may have been changed together with a new one.
        ids |= {fields["id"] for _, fields in said}
        for unit in await _dump(store, [tuple(keys.record(kind, id) for id in sorted(ids))], gone=True):
            yield unit


async def _dump(store: Store, units: Sequence[tuple[str, ...]], least_ms: int = 0, *, gone: bool = False) -> list[Unit]:
    if not units:
        return []
    replies = await store.run_many("dump", [(names, (int(gone),)) for names in units])
    found = [
        tuple(
            Row(names[int(number) - 1], kind, left, tuple(values))
            for number, kind, left, values in reply
            if kind in TYPES and not 0 <= left < least_ms
        )
        for names, reply in zip(units, replies, strict=True)
    ]
    return [unit for unit in found if unit]


async def _scan(store: Store, pattern: str) -> AsyncIterator[str]:
    try:
        async for name in store.redis.scan_iter(match=pattern, count=SCANNED):
            yield name
    except (RedisError, OSError) as error:
        raise StorageError(f"Redis went away while its keys were listed: {type(error).__name__}") from error


async def is_empty(store: Store) -> bool:
    """Whether there is nothing of Parley's but the mark of a restore, and the words of keys that ``parley doctor``
    notes. Raises StorageError."""
    for pattern in ("parley:*", "streaq:*parley:*"):
        async for name in _scan(store, pattern):
            if name not in (keys.restoring(), keys.sealed_by()):
                return False
    return True


async def fill(store: Store, units: Iterable[Unit]) -> int:
    """Writes units, each in one breath, in their order; how many. May be done again. Raises StorageError."""
    count, each = 0, iter(units)
    while batch := list(islice(each, BATCH)):
        await store.run_many("fill", [_filling(unit) for unit in batch])
        count += len(batch)
    return count


def _filling(unit: Unit) -> tuple[list[str], list[str | int | float]]:
    names: list[str] = [row.key for row in unit]
    about = check(unit)
    arguments: list[str | int | float] = [about.conversation]
    for number, row in enumerate(unit, 1):
        arguments += [number, row.type, row.left, len(row.values), *row.values]
    if about.conversation:
        state, box, turn = about.unit[:3]
        names += [state, box, turn, keys.ready(about.partition)]
    return names, arguments
