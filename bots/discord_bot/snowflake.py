"""Discord's ids carry the time at which they were made."""

from __future__ import annotations

EPOCH = 1_420_070_400_000
"""Milliseconds: the first second of 2015."""


def moment(snowflake: str) -> float:
    """When the id was made, in Unix seconds; 0.0 for anything that is no id."""
    return ((int(snowflake) >> 22) + EPOCH) / 1000 if snowflake.isdigit() else 0.0


def at(seconds: float) -> str:
    """The smallest id of a moment, for asking what came after it."""
    return str(max(0, int(seconds * 1000) - EPOCH) << 22)
