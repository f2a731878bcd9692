"""What reactions mean."""

from __future__ import annotations

import pytest

from core.feedback import verdict_of
from core.message import Verdict


@pytest.mark.parametrize(
    ("emoji", "verdict"),
    [
        ((), Verdict.NONE),
        (("👍",), Verdict.UP),
        (("👍🏽",), Verdict.UP),
        (("❤",), Verdict.UP),
        (("❤️",), Verdict.UP),
        (("🔥", "🎉"), Verdict.UP),
        (("👎",), Verdict.DOWN),
        (("💩", "🤮"), Verdict.DOWN),
        (("👍", "👎"), Verdict.NONE),
        (("🤔",), Verdict.NONE),
        (("🤔", "👏"), Verdict.UP),
    ],
)
def test_what_emoji_say_together(emoji: tuple[str, ...], verdict: Verdict) -> None:
    assert verdict_of(emoji) is verdict
