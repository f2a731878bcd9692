"""Tells moderators when insults or anger in a channel rise beyond what is usual there at that hour."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

import structlog

from core.errors import OutboundError
from core.people.spaces import Spaces
from core.storage.cases import Cases
from core.storage.deadlines import Deadline
from core.storage.mood import DAY, HOUR, Cell, MoodCells, Span
from core.storage.shared import Once
from core.texts import say

log = structlog.get_logger()

LEAST_MESSAGES = 20
LEAST_FOUND = 5
"""Insults or angry messages of the hour: fewer may be chance."""
LEAST_BEFORE = 5
"""Hours with enough people to compare with; before there are so many, nobody knows what is usual."""
BEYOND = 3.5
"""Robust standard deviations above the median: Iglewicz and Hoaglin's mark for outliers."""
_DEVIATION = 1.4826
"""Of a normal distribution, divided by its median absolute deviation."""
_LEAST_DEVIATION = 0.02
"""Where every hour was the same, a share that is one or two points higher is no news."""
PAUSE_SECONDS = 6 * HOUR
KINDS = ("insults", "anger")

Posts = Callable[[str, str, str, str], Awaitable[bool]]
"""Says something in a space, in a channel of it, once for the last: space, channel, words, key; whether it could.
Raises OutboundError where this process has no hands on that platform."""
Shown = Callable[[str, str], str]
"""How a channel of a space is called in such a text."""


class MoodAlerts:
    """``check`` is the handler of the deadlines that :class:`core.mood.counting.MoodCounter` sets."""

    def __init__(self, cells: MoodCells, spaces: Spaces, cases: Cases, once: Once, posts: Posts, shown: Shown) -> None:
        self._cells = cells
        self._spaces = spaces
        self._cases = cases
        self._once = once
        self._posts = posts
        self._shown = shown

    async def check(self, deadline: Deadline) -> None:
        """Looks at the hour in which the deadline was set. Raises StorageError."""
        space, _, channel = deadline.about.partition(" ")
        settings = await self._spaces.of(space)
        where = settings.log_channel or await self._cases.channel(space)
        # What was long ago when a process came back is no news.
        is_late = time.time() > deadline.at + HOUR
        if is_late or not (settings.mood and settings.moderated and where and channel):
            return
        hour = int((deadline.at - 1) // HOUR * HOUR)
        begins = [hour, *usual_hours(hour)]
        cells = await self._cells.cells(space, channel, Span.HOUR, begins)
        now = next((cell for cell in cells if cell.begin == hour), None)
        if now is None:
            return
        risen = [kind for kind in KINDS if has_risen(kind, now, [cell for cell in cells if cell is not now])]
        if not risen or not await self._once.may(once := f"mood {space} {channel}", PAUSE_SECONDS):
            return
        kind = risen[0]
        values = {"channel": self._shown(space, channel), "percent": round(100 * getattr(now, kind) / now.messages)}
        key = f"mood {space} {channel} {hour}"
        try:
            is_told = await self._posts(space, where, say(f"mood_rises.{kind}", settings.language, **values), key)
        except OutboundError:
            await self._once.give_back(once)
            raise
        if not is_told:
            await self._once.give_back(once)
            log.warning("moderators could not be told that the mood changed", space=space)


def usual_hours(hour: int) -> list[int]:
    """The same hour and those beside it on each of the days of which hours are kept."""
    return [hour - DAY * day + HOUR * beside for day in range(1, 7) for beside in (-1, 0, 1)]


def has_risen(kind: str, now: Cell, before: Sequence[Cell]) -> bool:
    """Whether insults or anger are more than usual by a robust z-score of their share of the messages."""
    if now.messages < LEAST_MESSAGES or getattr(now, kind) < LEAST_FOUND or len(before) < LEAST_BEFORE:
        return False
    shares = [getattr(cell, kind) / cell.messages for cell in before]
    usual = median(shares)
    deviation = max(_LEAST_DEVIATION, _DEVIATION * median(abs(share - usual) for share in shares))
    return getattr(now, kind) / now.messages - usual >= BEYOND * deviation
