"""How long acts last."""

from __future__ import annotations

import pytest

from core.moderation.durations import DAY, Duration, Span

TELEGRAM = Span(shortest=30, longest=366 * DAY)
TIMEOUT = Span(longest=28 * DAY, for_good=False)
BAN = Span(longest=None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("1h 30m", 5400),
        ("7 days", 7 * DAY),
        ("2W", 14 * DAY),
        ("3天", 3 * DAY),
        ("1小时30分钟", 5400),
        ("forever", None),
        ("永久", None),
    ],
)
def test_people_write_how_long(text: str, seconds: int | None) -> None:
    assert Duration.parse(text).seconds == seconds


@pytest.mark.parametrize("text", ["", "0m", "-5m", "10", "soon", "10 parsecs", "1h and a bit", "99999999 years", "٣d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no length|unknown unit"):
        Duration.parse(text)


def test_what_a_platform_would_take_for_something_else_is_timed_by_us() -> None:
    assert TELEGRAM.native(3600) == 3600
    assert not TELEGRAM.needs_us(3600)
    # Under 30 seconds and over 366 days are for ever to Telegram: that is what it is told, and we end it.
    assert TELEGRAM.native(10) is None
    assert TELEGRAM.needs_us(10)
    assert TELEGRAM.needs_us(400 * DAY)
    assert not TELEGRAM.needs_us(None)
    # Time-outs end after 28 days: renewed by us.
    assert TIMEOUT.native(60 * DAY) == TIMEOUT.native(None) == 28 * DAY
    assert TIMEOUT.needs_us(None)
    assert BAN.native(3600) is None
    assert BAN.needs_us(3600)
