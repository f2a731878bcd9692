"""Feedback at the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from bots import feedback
from core.errors import SettingsError
from core.settings import Settings, StorageSettings
from core.storage import keys
from core.storage.client import Store


async def test_each_model_is_a_line_the_one_with_most_votes_first(store: Store, valkey_url: str) -> None:
    settings = Settings(storage=StorageSettings(redis_url=valkey_url))
    told: list[str] = []
    await feedback.show(settings, told.append)
    assert told == ["Nobody has said yet what they think of an answer."]
    await store.redis.hset(keys.feedback(0), mapping={"small:up": 1, "large:down": 1})
    await store.redis.hset(keys.feedback(9), mapping={"large:up": 1234})
    told.clear()
    await feedback.show(settings, told.append)
    assert told == ["large: 1,234 👍, 1 👎", "small: 1 👍, 0 👎"]


async def test_a_store_that_is_not_open_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="parley up"):
        await feedback.show(Settings(data=tmp_path), print)
