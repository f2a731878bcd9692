"""Sums of how people get on in spaces: of hours and days, of a channel and of the whole space. They name nobody.

Who took part is counted by sketches of tags that are made with a salt of the day; when the hour or the day is over the
sketch goes, and a little later the salt. What fewer than :data:`LEAST_PEOPLE` took part in goes with them.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.storage import keys
from core.storage.client import Store

HOUR, DAY = 3600, 86400
LEAST_PEOPLE = 5
"""What fewer people took part in, or said, is not shown, and is not kept when its time is over."""
LATE_SECONDS = 3600
"""What arrives later than that is not counted: its hour is closed."""
EARLY_SECONDS = 60
"""Clocks may differ by that."""
HOURS_SECONDS = 7 * DAY
DAYS_SECONDS = 90 * DAY
TOLD_SECONDS = 400 * DAY
"""After so long without a message members are told anew."""
MOST_WORDS = 3000
"""Words of a day in a channel that are followed until enough people said them."""
MOST_TOPICS = 100
"""Words read of a day."""


class Span(StrEnum):
    """Of what length a cell is."""

    HOUR = "hour"
    DAY = "day"

    @property
    def seconds(self) -> int:
        return HOUR if self is Span.HOUR else DAY


@dataclass(frozen=True, slots=True)
class Heard:
    """What is counted of one message: handed on, and kept nowhere as it is."""

    space: str
    """``core.people.spaces.space_id``."""
    channel: str
    person: str
    message: str
    at: float
    """Unix seconds."""
    fields: tuple[str, ...]
    """Fields of :class:`Cell` that grow by one."""
    words: tuple[str, ...] = ()
    """What it is about, each once."""


@dataclass(frozen=True, slots=True)
class Cell:
    """An hour's or a day's sums (UTC)."""

    begin: int
    """Unix seconds."""
    people: int = 0
    messages: int = 0
    low: int = 0
    high: int = 0
    """The others are neither."""
    insults: int = 0
    anger: int = 0


COUNTED = ("people", "messages", "low", "high", "insults", "anger")


def is_open(at: float, now: float) -> bool:
    """Whether what was said then is counted still."""
    return now - LATE_SECONDS < at < now + EARLY_SECONDS


class MoodCells:
    """All spaces'. Every method raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def count(self, heard: Sequence[Heard]) -> list[bool]:
        """Counts messages in one round trip, each once for its channel and for the whole space. False for those of
        spaces whose members were not told so far: these are not counted."""
        if not heard:
            return []
        now, salt = time.time(), secrets.token_hex(16)
        calls = [_call(one, channel, now, salt) for one in heard for channel in (one.channel, "")]
        return [told == 1 for told in (await self._store.run_many("mood", calls))[::2]]

    async def told(self, space: str) -> None:
        """Members know of it: from now on it is counted."""
        await self._store.attempt(lambda: self._store.redis.set(keys.mood(space, "told"), "1", ex=TOLD_SECONDS))

    async def cells(self, space: str, channel: str, span: Span, begins: Sequence[int]) -> list[Cell]:
        """Those of these times that enough people took part in; ``channel`` empty: of the whole space."""

        async def read() -> list[list[str | None]]:
            pipe = self._store.redis.pipeline(transaction=False)
            for begin in begins:
                pipe.hmget(keys.mood(space, span, str(begin), channel), COUNTED)
            return await pipe.execute()

        rows = await self._store.attempt(read) if begins else []
        found = [
            Cell(begin, *(int(value or 0) for value in row)) for begin, row in zip(begins, rows, strict=True) if row
        ]
        return [cell for cell in found if cell.people >= LEAST_PEOPLE]

    async def topics(self, space: str, channel: str, begins: Sequence[int]) -> Counter[str]:
        """What enough people spoke of on these days, and in how many messages."""

        async def read() -> list[list[tuple[str, float]]]:
            pipe = self._store.redis.pipeline(transaction=False)
            for begin in begins:
                pipe.zrevrange(keys.mood(space, "topics", str(begin), channel), 0, MOST_TOPICS - 1, withscores=True)
            return await pipe.execute()

        found: Counter[str] = Counter()
        for rows in await self._store.attempt(read) if begins else []:
            for word, number in rows:
                found[word] += int(number)
        return found


def _call(one: Heard, channel: str, now: float, salt: str) -> tuple[list[str], list[str | int | float]]:
    hour, day = (int(one.at // size * size) for size in (HOUR, DAY))
    hour_open, day_open = (max(1, int(begin + size + LATE_SECONDS - now)) for begin, size in ((hour, HOUR), (day, DAY)))
    names = [
        keys.mood(one.space, "told"),
        keys.mood(one.space, "salt", str(day)),
        keys.mood(one.space, "counted", str(hour), channel),
        keys.mood(one.space, Span.HOUR, str(hour), channel),
        keys.mood(one.space, "hour-people", str(hour), channel),
        keys.mood(one.space, Span.DAY, str(day), channel),
        keys.mood(one.space, "day-people", str(day), channel),
        keys.mood(one.space, "few", str(day), channel),
        keys.mood(one.space, "topics", str(day), channel),
    ]
    seconds = (day_open, hour_open, day_open, HOURS_SECONDS, DAYS_SECONDS, TOLD_SECONDS)
    limits = (LEAST_PEOPLE, MOST_WORDS)
    fields = " ".join(("messages", *one.fields))
    return names, [one.person, one.message, salt, *seconds, *limits, fields, *one.words]
