"""What people spent and what is set aside for calls under way. All of it lies in one slot, so that one script looks at
every budget that a call is paid from, and no two calls are granted the same money.

Only the clock of the Redis server tells which day it is: a process says what it thinks, and is put right.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.models.budget import Amounts, Cap, Period, Span, Thing
from core.storage import keys
from core.storage.client import Store

LONGEST_SECONDS = 3600 + 600
"""That a reservation may hold: an answer takes an hour at most (``routing.total_seconds``)."""
SETTLED_SECONDS = 7200
"""For so long a call is known to be counted: the same one is never counted twice."""
USED_SECONDS = 70 * 86_400
SCANNED = 1000
_THINGS = tuple(Thing)
_PLACES = {Span.DAY: 4, Span.MONTH: 5}
"""Where the script ``reserve`` finds what was used."""
ALL = "*"
"""Stands for all spaces together."""


@dataclass(frozen=True, slots=True)
class Granted:
    money: int


@dataclass(frozen=True, slots=True)
class Refused:
    """``cap`` is the limit that is in the way; None: there is enough, but little."""

    cap: Cap | None
    used: int = 0
    is_passing: bool = False


@dataclass(frozen=True, slots=True)
class OtherDay:
    """The server's clock says ``milliseconds``, which is another day than was thought."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A call that is to be counted."""

    id: str
    whose: tuple[str, ...]
    """The sums that it counts in; none where the person paid it themselves."""
    took: Amounts
    space: str
    person: str
    model: str
    usage: Mapping[str, int]
    name: str = ""
    caps: tuple[Cap, ...] = ()
    """Limits that may be near now."""
    period: Period | None = None
    """The day that it counts for; None: the one on which it is written."""


@dataclass(slots=True)
class Row:
    """What a person took of a model in a day."""

    day: str
    person: str
    model: str
    amounts: dict[str, int] = field(default_factory=dict[str, int])


class Ledger:
    """The sums."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys = keys.BUDGETS

    async def reserve(
        self,
        id: str,
        period: Period,
        caps: Sequence[Cap],
        most: Amounts,
        least_money: int,
        *,
        seconds: float,
        low_share: float | None,
    ) -> Granted | Refused | OtherDay:
        """Sets aside what a call may take. ``low_share`` of a budget counts as little, where that is asked.

        Raises StorageError.
        """
        of = self._keys
        arguments: list[str | int] = [
            id,
            round(min(seconds, LONGEST_SECONDS) * 1000),
            LONGEST_SECONDS * 1000,
            period.day,
            period.month,
            period.begins,
            period.ends,
            "" if low_share is None else round(low_share * 1000),
            most.money,
            most.images,
            most.seconds,
            least_money,
        ]
        for cap in caps:
            arguments += [_PLACES[cap.span], cap.whose, _THINGS.index(cap.thing) + 1, cap.most]
        names = [of.open, of.ends, of.held, of.used(period.day), of.used(period.month)]
        reply = await self._store.run("reserve", names, arguments)
        match reply:
            case ["granted", money]:
                return Granted(int(money))
            case ["over", number, used, passing]:
                return Refused(caps[int(number)], int(used), is_passing=bool(int(passing)))
            case ["low"]:
                return Refused(None)
            case [_, milliseconds]:
                return OtherDay(int(milliseconds))
            case _:
                raise AssertionError(reply)

    async def settle(
        self, entries: Sequence[Entry], period: Period, *, told_share: float
    ) -> list[tuple[Cap, ...]] | OtherDay:
        """Counts calls, each once, and for each tells the limits of which so much is used. Entries without a period
        count for the one given, if it is that. Raises StorageError."""
        of, places, texts = self._keys, _Places(5), list[str]()
        is_open = False
        for entry in entries:
            is_open = is_open or entry.period is None
            texts.append(json.dumps(self._written(entry, entry.period or period, places), ensure_ascii=False))
        reply = await self._store.run(
            "settle",
            [of.open, of.ends, of.held, of.settled, of.names, *places.keys],
            [
                period.begins if is_open else "",
                period.ends,
                SETTLED_SECONDS * 1000,
                round(told_share * 1000),
                USED_SECONDS,
                keys.USAGE_SECONDS,
                *texts,
            ],
        )
        if reply and not isinstance(reply[0], list):
            return OtherDay(int(reply[1]))
        numbers: list[list[int]] = [[int(number) for number in near] for near in reply]
        return [tuple(entry.caps[at] for at in near) for entry, near in zip(entries, numbers, strict=True)]

    def _written(self, entry: Entry, period: Period, places: _Places) -> dict[str, object]:
        of = self._keys
        used = {span: places.of(of.used(period.date_of(span))) for span in Span}
        amounts = [(thing, str(amount)) for thing in Thing if (amount := entry.took.of(thing))]
        spaces = [places.of(of.usage(period.day, space)) for space in (ALL, entry.space)]
        counted = [(what, str(amount)) for what, amount in entry.usage.items() if amount]
        return {
            "id": entry.id,
            "sums": [
                (used[span], f"{whose}\t{thing}", amount)
                for span in Span
                for whose in entry.whose
                for thing, amount in amounts
            ],
            "usage": [
                (place, f"{entry.person}\t{entry.model}\t{what}", amount)
                for place in spaces
                for what, amount in counted
            ],
            "name": [entry.person, entry.name] if entry.person and entry.name else [],
            "budgets": [(used[cap.span], cap.sum, cap.most) for cap in entry.caps],
        }

    async def now(self) -> int:
        """The server's clock, in milliseconds since 1970. Raises StorageError."""
        seconds, micros = await self._store.attempt(self._store.redis.time)
        return int(seconds) * 1000 + int(micros) // 1000

    async def used(self, period: Period, whose: Sequence[str]) -> dict[tuple[str, Span], Amounts]:
        """What was used of sums in that day and month. Raises StorageError."""
        fields = [f"{name}\t{thing}" for name in whose for thing in Thing]

        async def work() -> list[list[str | None]]:
            pipe = self._store.redis.pipeline(transaction=False)
            for span in Span:
                pipe.hmget(self._keys.used(period.date_of(span)), fields)
            return await pipe.execute()

        found: dict[tuple[str, Span], Amounts] = {}
        for span, values in zip(Span, await self._store.attempt(work), strict=True):
            amounts = [int(value or 0) for value in values]
            for index, name in enumerate(whose):
                found[name, span] = Amounts(*amounts[3 * index : 3 * index + 3])
        return found

    async def carry_over(self, period: Period, person: str, other: str, *, gone: bool) -> None:
        """What a person spent in that day and month counts for another one, too: ``gone`` adds it to what that one
        spent and takes it away from the first, else the other spent as much at least. Raises StorageError."""
        names = [self._keys.used(period.date_of(span)) for span in Span]
        await self._store.run("budget_join", names, (person, other, "move" if gone else "copy"))

    async def move(self, period: Period, days: Iterable[str], old: str, new: str) -> None:
        """Gives what a space spent in that day and month, and its lists of those days, to another id, however often it
        is told. Raises StorageError."""
        for span in Span:
            name, pairs = self._keys.used(period.date_of(span)), list[str]()
            async for sum, _ in self._scan(name):
                whose, _, thing = sum.partition("\t")
                scope, _, rest = whose.partition(":")
                if whose == f"space:{old}" or (scope == "member" and rest.startswith(f"{old} ")):
                    pairs += (sum, f"{scope}:{new}{rest.removeprefix(old)}\t{thing}")
            if pairs:
                await self._store.run("renamed", [name], pairs)
        redis = self._store.redis
        for day in days:
            here, there = self._keys.usage(day, old), self._keys.usage(day, new)
            # Redis refuses to rename what is not there.
            if await self._store.attempt(lambda here=here: redis.exists(here)):
                await self._store.attempt(lambda here=here, there=there: redis.renamenx(here, there))

    async def rows(self, days: Iterable[str], space: str = ALL) -> AsyncIterator[Row]:
        """What was used on those days, in a space or (:data:`ALL`) everywhere. Raises StorageError."""
        for day in days:
            rows: dict[tuple[str, str], Row] = {}
            async for name, amount in self._scan(self._keys.usage(day, space)):
                person, _, rest = name.partition("\t")
                model, _, what = rest.rpartition("\t")
                row = rows.setdefault((person, model), Row(day, person, model))
                row.amounts[what] = int(amount)
            for row in rows.values():
                yield row

    async def names(self, people: Sequence[str]) -> dict[str, str]:
        """What people are called, as far as it is known. Raises StorageError."""
        if not people:
            return {}
        of, redis = self._keys.names, self._store.redis
        found: list[str | None] = await self._store.attempt(lambda: redis.hmget(of, list(people)))
        return {person: name for person, name in zip(people, found, strict=True) if name}

    async def _scan(self, name: str) -> AsyncIterator[tuple[str, str]]:
        cursor, redis, seen = 0, self._store.redis, set[str]()
        while True:
            at = cursor
            cursor, found = await self._store.attempt(lambda at=at: redis.hscan(name, at, count=SCANNED))
            for field_name, value in found.items():
                if field_name not in seen:
                    seen.add(field_name)
                    yield field_name, value
            if not cursor:
                return


class _Places:
    """The keys of a script, each named once. Places count from 1."""

    def __init__(self, before: int) -> None:
        self._before = before
        self.keys: list[str] = []

    def of(self, key: str) -> int:
        if key not in self.keys:
            self.keys.append(key)
        return self._before + self.keys.index(key) + 1
