"""The counts behind pacing: calls within a sliding window, and a bot's rate that is known or learnt."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

FALL = 0.7
"""What is left of the rate after a refusal."""
RISE = 1.03
"""Growth of the rate in every second in which it was used to the full."""
LEAST_RATE = 5.0
"""A learnt rate falls no lower: no platform gives a bot less."""
FALL_SECONDS = 1.0
"""Refusals within this time of a fall belong to the same burst."""
SMOOTH_SECONDS = 0.16
"""Calls are spread: at most this time's worth at once. A burst within the limit can still meet another window."""
SLACK = 1.05
"""A second of the platform's, seen over a network whose delay varies, from a machine that may be busy."""
MEASURED_CALLS = 4096


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``calls`` of these kinds within any ``seconds``."""

    calls: int
    seconds: float
    kinds: frozenset[int]


class Windows:
    """The calls within one sliding window."""

    __slots__ = ("limit", "times")

    def __init__(self, limit: Window) -> None:
        self.limit = limit
        self.times: deque[float] = deque(maxlen=limit.calls)

    def free_at(self, now: float) -> float:
        """When the next call may be made."""
        return now if len(self.times) < self.limit.calls else max(now, self.times[0] + self.limit.seconds)

    def used(self, now: float) -> int:
        """Calls that still count."""
        while self.times and self.times[0] + self.limit.seconds <= now:
            self.times.popleft()
        return len(self.times)


class Chat:
    """What was done in one chat lately."""

    __slots__ = ("paused_until", "refused_at", "used_at", "windows")

    def __init__(self, windows: list[Windows]) -> None:
        self.windows = windows
        self.paused_until = -math.inf
        self.refused_at = -math.inf
        self.used_at = -math.inf

    def free_at(self, kind: int, now: float) -> float:
        """When the chat lets a call of this kind through."""
        free = max(now, self.paused_until)
        for window in self.windows:
            if kind in window.limit.kinds:
                free = max(free, window.free_at(now))
        return free

    def is_roomy(self, kind: int, now: float) -> bool:
        """Whether at least half of every window is left: enough for what must follow."""
        return self.paused_until <= now and all(
            2 * window.used(now) <= window.limit.calls for window in self.windows if kind in window.limit.kinds
        )

    def took(self, kind: int, now: float) -> None:
        self.used_at = now
        for window in self.windows:
            if kind in window.limit.kinds:
                window.times.append(now)


class Rate:
    """The bot's calls a second. With a known limit it never exceeds that; else it is endless until first refused."""

    def __init__(self, known: float | None, now: float) -> None:
        self._known = math.inf if known is None else known / SLACK
        self.value = self._known
        """Calls a second at present."""
        self._second = Windows(Window(int(known) if known else MEASURED_CALLS, SLACK, frozenset()))
        self._level = 0.0
        self._at = now
        self._paused_until = -math.inf
        self._fell_at = -math.inf
        self._rose_at = now

    def _burst(self) -> float:
        return max(1.0, self.value * SMOOTH_SECONDS)

    def _refreshed(self, now: float) -> float:
        """Calls that may be made at once. The level counts down from zero: 0 is a full burst."""
        self._level = min(0.0, self._level + (now - self._at) * self.value)
        self._at = now
        return self._burst() + self._level

    def free_at(self, now: float) -> float:
        """When the bot may make its next call."""
        free = max(now, self._paused_until)
        if self.value == math.inf:
            return free
        if self._known < math.inf:
            free = max(free, self._second.free_at(now))
        level = self._refreshed(now)
        # Rounding may leave a hair's breadth between the time told and the level reached then.
        return free if level >= 1.0 - 1e-6 else max(free, now + (1.0 - level) / self.value)

    def is_roomy(self, now: float) -> bool:
        """Whether at least half of the limit is left."""
        if self._paused_until > now:
            return False
        if self.value == math.inf:
            return True
        if self._known < math.inf and 2 * self._second.used(now) > self._second.limit.calls:
            return False
        return self._refreshed(now) >= max(1.0, self._burst() / 2)

    def took(self, now: float) -> None:
        self._second.times.append(now)
        if self.value == math.inf:
            return
        self._refreshed(now)
        self._level -= 1.0
        if self.value < self._known and now - self._rose_at >= 1.0:
            if 2 * self._second.used(now) > self.value:
                self.value = min(self._known, self.value * RISE)
            self._rose_at = now

    def fall(self, now: float, until: float) -> bool:
        """After a refusal: nothing before ``until``, and fewer calls from then on. False within the same burst."""
        self._paused_until = max(self._paused_until, until)
        if now - self._fell_at < FALL_SECONDS:
            return False
        # A known limit is known: less than half of it is somebody else's trouble, not the rate's.
        least = LEAST_RATE if self._known == math.inf else self._known / 2
        self.value = max(least, min(self.value, self._second.used(now)) * FALL)
        self._fell_at = self._rose_at = now
        self._at = now
        return True
