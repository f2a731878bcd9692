"""Logistic regression on what a text is made of, by L-BFGS in numpy alone: the same numbers on every machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MEMORY = 8
"""Steps that are remembered to guess how the loss bends."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Texts as numbers of their pieces, each row of length 1."""

    numbers: NDArray[np.int32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    buckets: int

    @classmethod
    def of(cls, rows: Sequence[NDArray[np.int64]], buckets: int) -> Pieces:
        """No row may be empty."""
        lengths = np.array([len(row) for row in rows], np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        return cls(np.concatenate(rows).astype(np.int32), starts, lengths, buckets)

    def times(self, weights: Floats) -> Floats:
        return np.add.reduceat(weights[self.numbers], self.starts) / np.sqrt(self.lengths)

    def back(self, values: Floats) -> Floats:
        spread = np.repeat(values / np.sqrt(self.lengths), self.lengths)
        return np.bincount(self.numbers, spread, self.buckets).astype(np.float64)

    @property
    def width(self) -> int:
        return self.buckets


@dataclass(frozen=True, slots=True)
class Vectors:
    """Texts as rows of numbers."""

    rows: NDArray[np.float32]

    def times(self, weights: Floats) -> Floats:
        return self.rows @ weights

    def back(self, values: Floats) -> Floats:
        return values @ self.rows

    @property
    def width(self) -> int:
        return self.rows.shape[1]


Rows = Pieces | Vectors


def fit(rows: Rows, targets: Floats, importance: Floats, *, steps: int = 150) -> tuple[Floats, float]:
    """Weights and where they begin. ``targets`` lie between 0 and 1; ``importance`` is that of each row against the
    wish for small weights."""

    def loss(point: Floats) -> tuple[float, Floats]:
        logits = rows.times(point[:-1]) + point[-1]
        value = float(importance @ (np.logaddexp(0, logits) - targets * logits)) + float(point[:-1] @ point[:-1]) / 2
        wrong = importance * (likelihood(logits) - targets)
        return value, np.append(rows.back(wrong) + point[:-1], wrong.sum())

    point = _smallest(loss, np.zeros(rows.width + 1), steps)
    return point[:-1], float(point[-1])


def likelihood(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def _smallest(loss: Callable[[Floats], tuple[float, Floats]], point: Floats, steps: int) -> Floats:
    value, slope = loss(point)
    past: list[tuple[Floats, Floats, float]] = []
    for step in range(steps):
        way = -_bent(slope, past)
        down = float(way @ slope)
        size = 1.0 if step else 1.0 / max(1.0, float(np.abs(slope).sum()))
        for _ in range(20):
            after, new_slope = loss(point + size * way)
            if after <= value + 1e-4 * size * down:
                break
            size /= 2
        else:
            return point
        moved, turned = size * way, new_slope - slope
        if (product := float(moved @ turned)) > 1e-10:
            past = [*past[-MEMORY + 1 :], (moved, turned, 1 / product)]
        is_flat = value - after < 1e-6 * max(1.0, abs(value))
        point, value, slope = point + moved, after, new_slope
        if is_flat:
            break
    return point


def _bent(slope: Floats, past: Sequence[tuple[Floats, Floats, float]]) -> Floats:
    """The slope as it is where the loss bends as in the steps before."""
    way = slope.copy()
    shares: list[float] = []
    for moved, turned, inverse in reversed(past):
        shares.append(inverse * float(moved @ way))
        way -= shares[-1] * turned
    if past:
        moved, turned, inverse = past[-1]
        way *= 1 / (inverse * float(turned @ turned))
    for (moved, turned, inverse), share in zip(past, reversed(shares), strict=True):
        way += moved * (share - inverse * float(turned @ way))
    return way
