"""Shards as an owner writes them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.settings import DiscordSettings
from core.shard_range import ShardRange


@pytest.mark.parametrize(
    ("text", "parts", "count"),
    [("0-3/16", [0, 1, 2, 3], 16), ("15/16", [15], 16), (" 0/1 ", [0], 1), ("2-2/4", [2], 4)],
)
def test_what_it_means(text: str, parts: list[int], count: int) -> None:
    found = ShardRange.parse(text)
    assert (list(found.parts), found.count) == (parts, count)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("3-0/16", "must begin with the lower shard, like 0-3/16"),
        ("0-16/16", "the last of 16 is 15"),
        ("0/0", "the last of 0 is 0"),
        ("0-999998/999999", "must end before the number"),
        *((text, "like 0-3/16") for text in ("x", "", "0-3", "-1/16", "0-3/", "1.5/4", "0-3/16x", "٣/4x")),
    ],
)
def test_mistakes(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ShardRange.parse(text)


def test_in_the_settings() -> None:
    assert DiscordSettings(shard_range="0-3/16").fixed_shards == 16
    assert DiscordSettings(shard_range="0-3/16", shards=16).fixed_shards == 16
    assert DiscordSettings(shards=4).fixed_shards == 4
    assert DiscordSettings().fixed_shards == 0
    with pytest.raises(ValidationError, match="lower shard"):
        DiscordSettings(shard_range="3-0/16")
    with pytest.raises(ValidationError, match="shard_range is 0-3/16, but shards is 8"):
        DiscordSettings(shard_range="0-3/16", shards=8)
