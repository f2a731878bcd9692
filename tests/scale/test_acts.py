"""Acts of moderators, while the processes that carry them out are killed."""

from __future__ import annotations

from benchmarks.moderation_acts import measure
from core.storage.client import Store


async def test_100_acts_are_each_done_once_and_listed_whoever_is_killed(valkey_url: str, store: Store) -> None:
    found = await measure(valkey_url, acts=100, kills=6, seed=7)
    assert found.is_good, found
    assert found.again, "somebody was killed between the platform's doing it and writing that down"
