"""What people think of answers: what a reaction means, and the counts in words. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from core.message import Verdict
from core.storage.feedback import Score
from core.texts import say

UP = frozenset(("👍", "❤", "🔥", "👏", "🎉", "💯", "⚡", "🏆", "🤩", "😍", "🙏", "👌", "❤‍🔥"))
DOWN = frozenset(("👎", "💩", "🤮", "🤬", "🤡", "🖕"))
_LOOKS = dict.fromkeys([0xFE0F, *range(0x1F3FB, 0x1F400)])
"""Variation selector and skin colours: the same emoji in another look."""


def verdict_of(emoji: Collection[str]) -> Verdict:
    """What the emoji that a person has left at a message say together. Both at once say nothing."""
    plain = {one.translate(_LOOKS) for one in emoji}
    likes, dislikes = bool(plain & UP), bool(plain & DOWN)
    if likes == dislikes:
        return Verdict.NONE
    return Verdict.UP if likes else Verdict.DOWN


def listed(scores: Sequence[Score], language: str = "") -> list[str]:
    """A line for each model."""
    return [say("feedback_line", language, model=score.model, up=score.up, down=score.down) for score in scores]
