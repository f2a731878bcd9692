"""What a space's rules hit, day by day, and what its moderators think of that: right or wrong."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from core.storage import keys
from core.storage.client import Store

KEEP_SECONDS = 400 * 86400
MOST_MARKS = 500
"""Cases of a space that were marked; the oldest go first."""
LONGEST_TEXT = 500


class Hit(StrEnum):
    """What came of a rule that a message met."""

    ACTED = "acted"
    SHADOW = "shadow"
    """It only counts, and shows what it would do."""
    RIGHT = "right"
    """A moderator says that it was meant so."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a moderator thinks of a case that a rule made: an example for whoever judges the next one."""

    number: int
    """The case's."""
    rule: str
    is_right: bool
    text: str
    by: str
    at: float
    account: str = ""
    """Whom the case is about."""


class Marks:
    """All spaces' (``core.people.spaces.space_id``). Every method raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def count(self, space: str, hits: Iterable[tuple[str, Hit]]) -> None:
        """Adds to today's counts of rules."""
        day = datetime.now(UTC).date().isoformat()
        counted = Counter(f"{rule}\t{day}\t{hit}" for rule, hit in hits)
        if not counted:
            return

        async def add() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            for field, number in counted.items():
                pipe.hincrby(keys.hits(space), field, number)
            pipe.expire(keys.hits(space), KEEP_SECONDS)
            await pipe.execute()

        await self._store.attempt(add)

    async def counts(self, space: str, days: int) -> dict[str, Counter[Hit]]:
        """What the rules hit in the last days, by rule. What is older is taken out."""
        kept: dict[str, str] = await self._store.attempt(lambda: self._store.redis.hgetall(keys.hits(space)))
        today = datetime.now(UTC).date()
        first, oldest = today - timedelta(days=days - 1), today - timedelta(seconds=KEEP_SECONDS)
        found: dict[str, Counter[Hit]] = {}
        gone: list[str] = []
        for field, number in kept.items():
            rule, day, what = field.split("\t")
            if day >= first.isoformat():
                found.setdefault(rule, Counter())[Hit(what)] += int(number)
            elif day < oldest.isoformat():
                gone.append(field)
        if gone:
            await self._store.attempt(lambda: self._store.redis.hdel(keys.hits(space), *gone))
        return found

    async def mark(self, space: str, mark: Mark) -> bool:
        """Keeps what a moderator thinks; False where they, or another, thought the same before."""
        name, field = keys.marks(space), str(mark.number)
        before: str | None = await self._store.attempt(lambda: self._store.redis.hget(name, field))
        if before is not None and self._read(space, field, before).is_right == mark.is_right:
            return False
        await self._put(space, mark)
        await self.count(space, [(mark.rule, Hit.RIGHT if mark.is_right else Hit.WRONG)])
        return True

    async def marks(self, space: str) -> list[Mark]:
        """The newest first."""
        kept: dict[str, str] = await self._store.attempt(lambda: self._store.redis.hgetall(keys.marks(space)))
        found = sorted((self._read(space, field, text) for field, text in kept.items()), key=lambda mark: -mark.at)
        if gone := [str(mark.number) for mark in found[MOST_MARKS:]]:
            await self._store.attempt(lambda: self._store.redis.hdel(keys.marks(space), *gone))
        return [mark for mark in found[:MOST_MARKS] if mark.at > time.time() - KEEP_SECONDS]

    async def forget(self, space: str, accounts: Collection[str]) -> None:
        """Takes out what is about these people, and who of them thought so."""
        for mark in await self.marks(space):
            field = str(mark.number)
            if mark.account in accounts:
                await self._store.attempt(lambda field=field: self._store.redis.hdel(keys.marks(space), field))
            elif mark.by in accounts:
                await self._put(space, replace(mark, by=""))

    async def _put(self, space: str, mark: Mark) -> None:
        text = self._store.texts.seal(mark.text[:LONGEST_TEXT], space)
        values = [mark.rule, mark.is_right, text, mark.by, mark.at, mark.account]

        async def put() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.hset(keys.marks(space), str(mark.number), json.dumps(values, ensure_ascii=False))
            pipe.expire(keys.marks(space), KEEP_SECONDS)
            await pipe.execute()

        await self._store.attempt(put)

    def _read(self, space: str, field: str, text: str) -> Mark:
        rule, is_right, said, by, at, account = json.loads(text)
        return Mark(int(field), rule, is_right, self._store.texts.read(said, space), by, at, account)
