"""The places that a bot lives in: bounded, and each bot's by themselves."""

from __future__ import annotations

import pytest

from core.message import ConversationKey, Platform
from core.storage import keys, shared
from core.storage.client import Store
from core.storage.shared import Places


async def test_only_the_liveliest_places_of_a_bot_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "MOST_PLACES", 3)
    places = Places(store)
    for number in (0, 1, 2, 3, 4):
        await places.saw(ConversationKey(Platform.DISCORD, "1", str(number)), f"m{number}", "9")
    await places.saw(ConversationKey(Platform.DISCORD, "2", "7"), "m", "")
    kept = await places.recent(Platform.DISCORD, "1")
    assert [(place.conversation.chat, place.last_seen, place.space) for place in kept] == [
        ("4", "m4", "9"),
        ("3", "m3", "9"),
        ("2", "m2", "9"),
    ]
    assert await store.redis.hlen(keys.last_seen("discord", "1")) == 3
    (other,) = await places.recent(Platform.DISCORD, "2")
    assert (other.conversation.chat, other.space) == ("7", "")
