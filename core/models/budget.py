"""What budgets are made of: amounts, days and months, limits. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

MOST = 2**53 - 1
"""The largest amount of anything: scripts in Redis count exactly up to here."""


class Scope(StrEnum):
    """Whose budget it is."""

    PERSON = "person"
    """A person's, wherever they ask."""
    MEMBER = "member"
    """What each person may spend in a space, as its administrators chose."""
    SPACE = "space"
    ALL = "all"


class Span(StrEnum):
    DAY = "day"
    MONTH = "month"


class Thing(StrEnum):
    """What is counted, in the order of :class:`Amounts`."""

    MONEY = "money"
    IMAGES = "images"
    SECONDS = "seconds"


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a call takes. Raises ValueError for amounts that cannot be counted."""

    money: int = 0
    """Millionths of a currency unit."""
    images: int = 0
    seconds: int = 0
    """Of sound, heard or spoken."""

    def __post_init__(self) -> None:
        if not all(0 <= amount <= MOST for amount in (self.money, self.images, self.seconds)):
            raise ValueError(f"amounts lie between 0 and {MOST}: {self}")

    def of(self, thing: Thing) -> int:
        return {Thing.MONEY: self.money, Thing.IMAGES: self.images, Thing.SECONDS: self.seconds}[thing]

    def __bool__(self) -> bool:
        return bool(self.money or self.images or self.seconds)


NOTHING = Amounts()


@dataclass(frozen=True, slots=True)
class Period:
    """A day and its month. ``begins`` and ``ends`` are the day's, in milliseconds since 1970."""

    day: str
    month: str
    begins: int
    ends: int
    next_day: datetime
    next_month: datetime

    @classmethod
    def at(cls, milliseconds: int, zone: ZoneInfo) -> Period:
        """The day at that time. Where clocks are set back over midnight a day that has begun stays begun."""
        today = datetime.fromtimestamp(milliseconds / 1000, zone).date()
        if _midnight(today + timedelta(days=1), zone) <= milliseconds:
            today += timedelta(days=1)
        tomorrow = today + timedelta(days=1)
        following = date(today.year + today.month // 12, today.month % 12 + 1, 1)
        return cls(
            today.isoformat(),
            today.isoformat()[:7],
            _midnight(today, zone),
            _midnight(tomorrow, zone),
            datetime.combine(tomorrow, time(), zone),
            datetime.combine(following, time(), zone),
        )

    def date_of(self, span: Span) -> str:
        return self.day if span is Span.DAY else self.month

    def until(self, span: Span) -> datetime:
        """When it begins anew."""
        return self.next_day if span is Span.DAY else self.next_month


def _midnight(day: date, zone: ZoneInfo) -> int:
    """Where there is none, because clocks are set forward, this is the moment at which that is done."""
    return round(datetime.combine(day, time(), zone).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit: how much ``whose`` sum may come to in a span."""

    whose: str
    span: Span
    thing: Thing
    most: int

    @property
    def sum(self) -> str:
        return f"{self.whose}\t{self.thing}"


@dataclass(frozen=True, slots=True)
class Budget:
    """One of the budgets that hold for a payer, and how far it is used."""

    scope: Scope
    span: Span
    thing: Thing
    most: int
    used: int
    until: datetime
    """When it begins anew, in the budgets' time zone."""

    @property
    def left(self) -> int:
        return max(0, self.most - self.used)
