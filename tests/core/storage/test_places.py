"""The places that a bot lives in: bounded, each bot's by themselves, at hardly a round trip."""

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
        await places.flush()
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


async def test_a_private_chat_is_kept_at_once_and_a_servers_channel_now_and_then(store: Store) -> None:
    places = Places(store)
    await places.saw(ConversationKey(Platform.DISCORD, "1", "guild channel"), "m1", "9")
    assert await places.recent(Platform.DISCORD, "1") == []
    await places.saw(ConversationKey(Platform.DISCORD, "1", "private"), "m2", "")
    kept = {place.conversation.chat for place in await places.recent(Platform.DISCORD, "1")}
    assert kept == {"guild channel", "private"}, "one round trip takes all that is new"


async def test_the_mark_of_a_place_never_goes_back(store: Store) -> None:
    """An edit is of an older message; and who hands a place over may write last."""
    place = ConversationKey(Platform.DISCORD, "1", "5")
    old, new = Places(store), Places(store)
    await old.saw(place, "99", "")
    await new.saw(place, "101", "")
    for seen in ("100", "98"):
        await old.saw(place, seen, "")
        await old.flush()
    await new.saw(place, "102", "")
    await new.saw(place, "97", "")
    await new.flush()
    assert [kept.last_seen for kept in await new.recent(Platform.DISCORD, "1")] == ["102"]
