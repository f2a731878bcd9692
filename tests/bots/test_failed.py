"""Dead letters at the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from bots import failed
from core.errors import SettingsError
from core.message_json import VERSION, to_json
from core.settings import Settings, StorageSettings
from core.storage import keys
from core.storage.client import Store, partition_keys
from core.storage.failed import DeadLetters, Failure, Kind, arguments
from tests.builders import message


async def keep(store: Store, text: str) -> str:
    asked = message(text)
    place = str(asked.conversation)
    kind, causes, seconds, version = arguments(Failure(Kind.DELIVERY, ("gone: the chat",)), 30)
    values = (f"{place}/{asked.id}", place, to_json(asked), kind, causes, seconds, version)
    return str(await store.run("failed_keep", partition_keys(keys.partition_of(place)), values))


async def test_letters_are_listed_asked_again_and_dropped(store: Store, valkey_url: str) -> None:
    settings = Settings(storage=StorageSettings(redis_url=valkey_url))
    told: list[str] = []
    await failed.show(settings, told.append)
    assert told.pop() == "Nothing has failed: there are no dead letters."
    first, second = await keep(store, "hello"), await keep(store, "again")
    await DeadLetters(store, keep_days=30).keep_job("summary", "one", "a", ["it broke"])
    await failed.show(settings, told.append)
    assert len(told) == 3
    assert any(
        line.startswith(f"{first}  ") and line.endswith("  telegram  hello  delivery: gone: the chat") for line in told
    )
    told.clear()
    await failed.drop(settings, first, told.append)
    await failed.retry(settings, second.upper(), told.append)
    await failed.retry(settings, second, told.append)
    await failed.retry(settings, "all", told.append)
    await failed.drop(settings, "all", told.append)
    assert [line.split(".")[0] for line in told] == [
        "Dropped: 1",
        "Asked again: 1",
        f"There is no dead letter “{second}”",
        "Kept, because jobs can only be put back by /admin retry in a chat: 1",
        "Dropped: 1",
    ]


async def test_a_store_that_is_not_there_or_too_new_is_told_of(store: Store, valkey_url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="parley up"):
        await failed.show(Settings(data=tmp_path), print)
    await store.redis.hset(keys.schema(), mapping={"version": VERSION + 1, "program": "Parley 9.9"})
    with pytest.raises(SettingsError, match=r"Parley 9\.9"):
        await failed.show(Settings(storage=StorageSettings(redis_url=valkey_url)), print)
