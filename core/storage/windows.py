"""Limits as people write them, as windows of time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

MOST_AMOUNT = 1000
"""Questions in one window: each is remembered for as long."""
MOST_SECONDS = 31 * 86400
MOST_WINDOWS = 4
MOST_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Window:
    """So many in any so many seconds."""

    most: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.most}/{self.seconds}"


@lru_cache(maxsize=1024)
def windows_of(text: str) -> tuple[Window, ...]:
    """The windows that a limit names, like ``20/minute; 200/day``; none for an empty one.

    Raises ValueError with what is allowed.
    """
    if not text:
        return ()
    # Imported where a limit is set: it costs 110 ms.
    from limits import parse_many

    try:
        if len(text) > MOST_CHARACTERS or not text.isascii():
            raise ValueError
        windows = tuple(Window(item.amount, item.get_expiry()) for item in parse_many(text))
    except ValueError:
        raise ValueError("must be limits like 20/minute or 5/10seconds; 200/day") from None
    if len(windows) > MOST_WINDOWS:
        raise ValueError(f"there may be {MOST_WINDOWS} limits at most")
    for window in windows:
        if not (1 <= window.most <= MOST_AMOUNT and 1 <= window.seconds <= MOST_SECONDS):
            raise ValueError(f"must allow 1 to {MOST_AMOUNT} questions in at most 31 days")
    return windows
