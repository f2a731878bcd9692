"""How people got on over some days: what may be shown of it. Pure but for the reading."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from core.storage.mood import DAY, Cell, MoodCells, Span

BY_HOUR_DAYS = 2
"""Up to so many days are shown by the hour."""
MOST_DAYS = 90
ROUND = 5
"""Counts are rounded to that, so that nobody is found by the difference of two of them."""
MOST_TOPICS = 10


@dataclass(frozen=True, slots=True)
class Trend:
    """What was counted in a channel, or in a whole space."""

    span: Span
    begins: Sequence[int]
    """All hours or days, oldest first, in unix seconds."""
    cells: Sequence[Cell]
    """Of those that enough people took part in."""
    topics: Sequence[str]
    """Most spoken of first."""

    @property
    def messages(self) -> int:
        """Rounded."""
        return rounded(sum(cell.messages for cell in self.cells))

    @property
    def people(self) -> int:
        """Most at a time, rounded."""
        return rounded(max((cell.people for cell in self.cells), default=0))

    def percent(self, field: str) -> int:
        """Of all messages, those that are counted in that field of the cells."""
        total = sum(cell.messages for cell in self.cells)
        return round(100 * sum(getattr(cell, field) for cell in self.cells) / total) if total else 0

    def label(self, begin: int, zone: tzinfo = UTC) -> str:
        """A short name of an hour, in that zone, or of a day, which is one of UTC."""
        if self.span is Span.HOUR:
            return datetime.fromtimestamp(begin, zone).strftime("%H:%M")
        return datetime.fromtimestamp(begin, UTC).strftime("%m-%d")


def rounded(number: int) -> int:
    return round(number / ROUND) * ROUND


def balance(cell: Cell) -> int:
    """From -100, all messages low, to 100, all high."""
    return round(100 * (cell.high - cell.low) / cell.messages) if cell.messages else 0


async def trend(cells: MoodCells, space: str, channel: str, days: int, now: float | None = None) -> Trend:
    """Of the last ``days``, today included; ``channel`` empty: of the whole space. Raises StorageError."""
    at = time.time() if now is None else now
    span = Span.HOUR if days <= BY_HOUR_DAYS else Span.DAY
    last = int(at // span.seconds * span.seconds)
    count = days * DAY // span.seconds
    begins = [last - span.seconds * back for back in reversed(range(count))]
    today = int(at // DAY * DAY)
    topics = await cells.topics(space, channel, [today - DAY * back for back in range(days)])
    found = await cells.cells(space, channel, span, begins)
    return Trend(span, begins, found, [word for word, _ in topics.most_common(MOST_TOPICS)])
