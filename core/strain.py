"""How many turns at once the event loop bears: fewer while it runs late, more again while it does not.

A worker that takes on more than its processor can do makes everybody wait. What it does not take on waits in line
instead, where other workers find it and spaces take turns.
"""

from __future__ import annotations

import asyncio

TICK_SECONDS = 0.05
LATE_SECONDS = 0.03
"""A timer that fires later than this, on the average of the last ticks, shows that the loop has too much to do."""
SMOOTH = 0.2
"""Weight of the newest tick in that average."""
FALL, FALL_SECONDS = 0.8, 0.5
"""What is left of the limit each so many seconds in which the loop runs late."""
RISE = 1.05
"""Growth of the limit in a tick in which turns waited for it while the loop kept up."""
LEAST = 16
"""The limit falls no lower: another program may be what keeps the processor busy."""


class Strain:
    """The limit for one process's event loop, between :data:`LEAST` and ``most``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._least = min(LEAST, most)
        self._limit = float(most)
        self._late = 0.0
        self._fell_at = 0.0

    @property
    def limit(self) -> int:
        """Turns at once."""
        return int(self._limit)

    def ticked(self, now: float, late: float, active: int, waiting: int) -> None:
        """Takes a measurement: at ``now`` a timer fired ``late`` seconds late, with so many turns active, and so many
        more that would be if they might."""
        self._late += SMOOTH * (late - self._late)
        if self._late > LATE_SECONDS:
            if now - self._fell_at >= FALL_SECONDS:
                self._fell_at = now
                self._limit = max(self._least, min(self._limit, active) * FALL)
        elif active + waiting >= int(self._limit):
            self._limit = min(self._most, self._limit * RISE)

    async def tick(self, active: int, waiting: int) -> None:
        """Measures once; takes :data:`TICK_SECONDS`."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(TICK_SECONDS)
        now = loop.time()
        self.ticked(now, now - began - TICK_SECONDS, active, waiting)
