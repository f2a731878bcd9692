"""The store waits for a server that is away, and every script may run twice."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from core.conversation.mailbox import Admission, Mailbox
from core.errors import StorageError
from core.message import Platform
from core.storage.client import Store
from core.storage.embedded import EmbeddedServer
from core.storage.shared import Memory, Places, SharedBreakers, SharedPermits
from tests.builders import conversation, message


async def test_a_restart_of_the_server_is_waited_for(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    store = Store(await server.start())
    mailbox = Mailbox(store, "w", admission=Admission(5), keep_days=1)
    await mailbox.post([message("before", id="1")])
    await server.stop()
    posting = asyncio.create_task(mailbox.post([message("during", id="2")]))
    await asyncio.sleep(0.2)
    assert not posting.done()
    server = EmbeddedServer(tmp_path)
    await server.start()
    await posting
    turn = await mailbox.take(conversation())
    assert turn is not None
    assert turn.incoming.id == "1"
    await store.close()
    await server.stop()


async def test_what_was_cut_off_while_it_was_written_is_written_again(store: Store, valkey_url: str) -> None:
    other = Store(valkey_url)
    places, breakers = Places(other), SharedBreakers(other)
    here = conversation(platform=Platform.DISCORD)
    await store.redis.execute_command("CLIENT", "PAUSE", 10_000, "WRITE")
    writing = asyncio.gather(places.saw(here, "5"), breakers.store("p", 7.0))
    await asyncio.sleep(0.1)
    await store.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await store.redis.execute_command("CLIENT", "UNPAUSE")
    await writing
    assert await places.recent(Platform.DISCORD) == [(here, "5")]
    assert await breakers.load() == {"p": 7.0}
    await other.close()


async def test_a_server_that_stays_away_is_an_error(tmp_path: Path) -> None:
    store = Store(f"unix://{tmp_path}/nowhere.sock")
    with pytest.raises(StorageError, match="away"):
        await store.attempt(store.redis.ping, patience=0.1)
    await store.close()


async def test_scripts_are_known_again_after_the_server_forgot_them(store: Store) -> None:
    mailbox = Mailbox(store, "w", admission=Admission(5), keep_days=1)
    await mailbox.post([message("a"), message("b")])
    await store.redis.script_flush()
    await mailbox.post([message("c"), message("d")])
    assert await mailbox.take(conversation()) is not None


async def test_permits_are_given_in_the_order_of_asking_and_never_too_many_in_a_window(store: Store) -> None:
    began = time.monotonic()
    one, two = SharedPermits(store), SharedPermits(store)
    assert await one.take("bot", 10, 30.0, 7, 3, 0) == (10, 0)
    granted, first = await two.take("bot", 10, 30.0, 4, 3, 0)
    assert granted == 4, "spare ones only when they are free now"
    granted, second = await one.take("bot", 10, 30.0, 9, 0, 0)
    assert granted == 6, "those that hold at the same time"
    granted, third = await one.take("bot", 10, 30.0, 9, 0, 0)
    assert granted == 9
    assert (await two.take("bot", 10, 30.0, 0, 3, 0))[0] == 0
    passed = time.monotonic() - began
    waits = [first, second, third]
    assert all(at - passed - 0.01 <= wait <= at for at, wait in zip((30, 30, 60), waits, strict=True))
    assert await two.take("other", 10, 30.0, 1, 0, 0) == (1, 0)


async def test_permits_used_late_count_from_then(store: Store) -> None:
    permits = SharedPermits(store)
    assert await permits.take("bot", 10, 30.0, 2, 2, 6) == (4, 0)
    granted, wait = await permits.take("bot", 10, 30.0, 10, 0, 0)
    assert granted == 10
    assert wait > 29


async def test_breakers_and_memory_are_kept(store: Store) -> None:
    breakers = SharedBreakers(store)
    await breakers.store("openai", 1234.5)
    assert await breakers.load() == {"openai": 1234.5}
    memory = Memory(store)
    assert await memory.recall("hash") is None
    await memory.remember("hash", "abc")
    assert await memory.recall("hash") == "abc"


async def test_a_new_place_is_kept_at_once_and_later_messages_with_the_next_flush(store: Store) -> None:
    places = Places(store)
    here = conversation("1")
    await places.saw(here, "10")
    await places.saw(here, "11")
    assert await Places(store).recent(here.platform) == [(here, "10")]
    await places.flush()
    assert await Places(store).recent(here.platform) == [(here, "11")]
