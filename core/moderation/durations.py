"""How long an act lasts: as people write it, and as platforms take it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.people.words import words as said

MINUTE, HOUR, DAY = 60, 3600, 86400
LONGEST_SECONDS = 3660 * DAY
"""Ten years: what is to last for longer is for good, and said so."""
_UNITS = {
    "seconds": 1,
    "minutes": MINUTE,
    "hours": HOUR,
    "days": DAY,
    "weeks": 7 * DAY,
    "months": 30 * DAY,
    "years": 365 * DAY,
}
"""What people call them stands in the catalogs, in all languages: the sentence ``words.unit_NAME``."""
_PIECE = re.compile(r"([0-9]{1,9})\s*([^\W\d_]+)")
MAX_WRITTEN = 60
"""Characters that are looked at."""


def _unit(word: str) -> int:
    """Its seconds. Raises ValueError."""
    for name, seconds in _UNITS.items():
        if word in said(f"unit_{name}"):
            return seconds
    raise ValueError(f"unknown unit {word!r}")


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time. ``seconds`` is None for what lasts until somebody ends it."""

    seconds: int | None = None

    @classmethod
    def parse(cls, text: str) -> Duration:
        """From words like ``90m``, ``1h 30m``, ``7 days`` or ``forever``. Raises ValueError for anything else,
        for nothing at all, for no time, and for more than :data:`LONGEST_SECONDS`."""
        words = " ".join(text.split())[:MAX_WRITTEN].casefold()
        if words in said("forever"):
            return cls()
        rest, seconds = _PIECE.sub("", words), 0
        for number, unit in _PIECE.findall(words):
            seconds += int(number) * _unit(unit)
        if rest.strip(" ,") or not 0 < seconds <= LONGEST_SECONDS:
            raise ValueError("no length of time")
        return cls(seconds)

    @property
    def is_for_good(self) -> bool:
        return self.seconds is None


@dataclass(frozen=True, slots=True)
class Span:
    """What a platform makes of a duration by itself. What lies outside is timed by us: it is set for as long as the
    platform can, set again before that ends, or ended by us (``core/moderation/timers.py``)."""

    shortest: int = 1
    """Seconds. Less would mean something else to the platform."""
    longest: int | None = None
    """Seconds. None: it knows no end at all, so that every end is ours."""
    for_good: bool = True
    """It can last until somebody ends it."""
    stays: bool = False
    """It holds still for who leaves and comes back."""

    def native(self, seconds: int | None) -> int | None:
        """The seconds to tell the platform; None: for good, and where :meth:`needs_us`, until we end it."""
        if self.longest is None:
            return None
        if seconds is not None and self.shortest <= seconds <= self.longest:
            return seconds
        if self.for_good:
            return None
        return self.longest if seconds is None else min(max(seconds, self.shortest), self.longest)

    def needs_us(self, seconds: int | None) -> bool:
        """Whether an end, or a renewal, is left to us."""
        if seconds is None:
            return not self.for_good
        return self.longest is None or not self.shortest <= seconds <= self.longest
