"""The rows that every benchmark prints and writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. ``goal`` is the bound to keep, None for a figure that only informs."""

    name: str
    value: float | None
    """None: it could not be measured."""
    unit: str
    goal: float | None = None
    direction: Literal["lower", "higher"] = "lower"

    @property
    def ratio(self) -> float | None:
        """The figure as a part of its goal: at most 1 is good, whatever the direction."""
        if self.value is None or not self.goal:
            return None
        return self.value / self.goal if self.direction == "lower" else self.goal / max(self.value, 1e-9)

    @property
    def is_reached(self) -> bool:
        if self.goal is None:
            return True
        if self.value is None:
            return False
        return self.value <= self.goal if self.direction == "lower" else self.value >= self.goal


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value that this share of the values does not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| figure | value | goal | of the goal | |", "|---|---:|---:|---:|---|"]
    for row in rows:
        sign = "≤" if row.direction == "lower" else "≥"
        goal = "" if row.goal is None else f"{sign} {row.goal:g} {row.unit}".rstrip()
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        mark = "" if row.goal is None else "✓" if row.is_reached else "✗"
        lines.append(f"| {row.name} | {_shown(row)} | {goal} | {ratio} | {mark} |")
    return "\n".join(lines)


def write(path: Path, rows: Sequence[Row]) -> None:
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n", "utf-8")


def _shown(row: Row) -> str:
    if row.value is None:
        return "–"
    digits = 0 if abs(row.value) >= 100 or row.value == int(row.value) else 2 if abs(row.value) < 10 else 1
    return f"{row.value:.{digits}f} {row.unit}".rstrip()
