"""Telegram counts entities in UTF-16 units: lengths and cuts in that measure."""

from __future__ import annotations


def length(text: str) -> int:
    """How many UTF-16 units ``text`` has; a lone surrogate counts as one."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, start: int, end: int) -> str:
    """``text`` from unit ``start`` to unit ``end``; a character cut in half at an edge is left out."""
    if text.isascii():
        return text[start:end]
    units = text.encode("utf-16-le", "surrogatepass")[2 * start : 2 * end]
    return units.decode("utf-16-le", "ignore")
