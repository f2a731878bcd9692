"""How models did in the last hour, as one process saw it: calls, failures, how long they took.

Counted in slices of time and in classes of seconds, so that it costs next to nothing, stays small and the figures of
several processes can be added up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core import clock

SLICE_SECONDS = 300
SLICES = 12
"""Together an hour."""
FIRST_CLASS = 0.02
"""Seconds: what is quicker counts as that."""
STEP = 1.2
"""Each class of seconds is so many times as long as the one before: a percentile is told a tenth too high at most."""
MOST_MODELS = 200
P95 = 0.95


@dataclass(slots=True)
class Times:
    """How long something took, many times."""

    count: int = 0
    seconds: float = 0.0
    """All together."""
    classes: Counter[int] = field(default_factory=Counter[int])

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds
        self.classes[max(0, math.ceil(math.log(max(seconds, FIRST_CLASS) / FIRST_CLASS, STEP)))] += 1

    def join(self, other: Times) -> None:
        self.count += other.count
        self.seconds += other.seconds
        self.classes.update(other.classes)

    @property
    def mean(self) -> float:
        return self.seconds / self.count if self.count else 0.0

    @property
    def p95(self) -> float:
        """Seconds that 95 of 100 took at most."""
        left = math.ceil(self.count * P95)
        for number in sorted(self.classes):
            left -= self.classes[number]
            if left <= 0:
                return FIRST_CLASS * STEP**number
        return 0.0

    def to_values(self) -> list[Any]:
        return [self.count, round(self.seconds, 3), {str(number): n for number, n in self.classes.items()}]

    @classmethod
    def of(cls, values: Any) -> Times:
        """Raises ValueError, TypeError."""
        count, seconds, classes = values
        return cls(int(count), float(seconds), Counter({int(number): int(n) for number, n in classes.items()}))


@dataclass(slots=True)
class Figures:
    """How one model did."""

    calls: int = 0
    failures: int = 0
    first: Times = field(default_factory=Times)
    """To the first sign of an answer."""
    whole: Times = field(default_factory=Times)
    """To the end of those that came to an end."""

    def join(self, other: Figures) -> None:
        self.calls += other.calls
        self.failures += other.failures
        self.first.join(other.first)
        self.whole.join(other.whole)

    def to_values(self) -> list[Any]:
        return [self.calls, self.failures, self.first.to_values(), self.whole.to_values()]

    @classmethod
    def of(cls, values: Any) -> Figures:
        """Raises ValueError, TypeError."""
        calls, failures, first, whole = values
        return cls(int(calls), int(failures), Times.of(first), Times.of(whole))


@dataclass(slots=True)
class Timed:
    """One call under way. It is told what happens, and :meth:`end` when it is over, whatever became of it."""

    measured: Measured
    model: str
    began: float
    first: float | None = None
    whole: float | None = None
    has_failed: bool = False

    def alive(self) -> None:
        """The model has sent something."""
        if self.first is None:
            self.first = self.measured.now() - self.began

    def done(self) -> None:
        """The answer is whole."""
        self.whole = self.measured.now() - self.began

    def failed(self) -> None:
        self.has_failed = True

    def end(self) -> None:
        self.measured.note(self)


class Measured:
    """All models' figures of the last hour in this process."""

    def __init__(self, now: Callable[[], float] = clock.seconds) -> None:
        self._now = now
        self._slices: dict[int, dict[str, Figures]] = {}

    def begin(self, model: str) -> Timed:
        """A call begins now."""
        return Timed(self, model, self._now())

    def now(self) -> float:
        return self._now()

    def note(self, timed: Timed) -> None:
        """A call is over."""
        figures = self._figures(timed.model)
        if figures is None:
            return
        figures.calls += 1
        figures.failures += timed.has_failed
        if timed.first is not None:
            figures.first.add(timed.first)
        if timed.whole is not None:
            figures.whole.add(timed.whole)

    def hour(self) -> dict[str, Figures]:
        """By the models' names."""
        self._forget()
        return joined(self._slices.values())

    def _figures(self, model: str) -> Figures | None:
        self._forget()
        slice = self._slices.setdefault(int(self._now() // SLICE_SECONDS), {})
        if model not in slice and len(slice) >= MOST_MODELS:
            return None
        return slice.setdefault(model, Figures())

    def _forget(self) -> None:
        oldest = int(self._now() // SLICE_SECONDS) - SLICES
        for number in [number for number in self._slices if number <= oldest]:
            del self._slices[number]


def joined(many: Iterable[Mapping[str, Figures]]) -> dict[str, Figures]:
    """The figures of several, by model."""
    found: dict[str, Figures] = {}
    for figures in many:
        for model, one in figures.items():
            found.setdefault(model, Figures()).join(one)
    return found
