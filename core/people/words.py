"""What people type for a few meanings, in every language that Parley speaks. Pure."""

from __future__ import annotations

from functools import cache

from core.texts import languages, say


@cache
def words(meaning: str) -> frozenset[str]:
    """What people type for it, in any language: of the sentence ``words.MEANING`` each word."""
    return frozenset(word for code in languages() for word in say(f"words.{meaning}", code).split())
