"""The store waits for a server that is away, and every script may run twice."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.conversation.mailbox import Admission, Mailbox
from core.errors import StorageError
from core.message import Platform
from core.storage.client import Store
from core.storage.embedded import EmbeddedServer
from core.storage.shared import Memory, Place, Places, SharedBreakers, SharedPermits
from tests.builders import conversation, message
from tests.platforms.valkey_servers import HOST, single
from tests.ports import free_port


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
    writing = asyncio.gather(places.saw(here, "5", ""), breakers.store("p", 7.0))
    await asyncio.sleep(0.1)
    await store.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await store.redis.execute_command("CLIENT", "UNPAUSE")
    await writing
    assert await places.recent(Platform.DISCORD, here.bot) == [Place(here, "5", "")]
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
    """With a window so long that the test's own time does not matter."""
    one, two = SharedPermits(store), SharedPermits(store)

    def rounded(taken: tuple[float, Sequence[float]]) -> tuple[int, list[int]]:
        return math.ceil(taken[0]), [math.ceil(wait) for wait in taken[1]]

    assert rounded(await one.take("bot", 10, 20.0, 6, 2, 5, 0)) == (0, [0] * 8)
    assert rounded(await two.take("bot", 10, 20.0, 9, 3, 5, 0)) == (26, [0, 0, 20, 22, 24])
    assert rounded(await one.take("bot", 10, 20.0, 1, 3, 5, 0)) == (28, [26])
    assert rounded(await one.take("bot", 10, 20.0, 0, 3, 5, 0)) == (28, [])
    assert rounded(await two.take("bot", 10, 20.0, 9, 3, 5, 0)) == (38, [28, 30, 32, 34, 36])
    assert rounded(await one.take("bot", 10, 20.0, 1, 0, 5, 0)) == (40, [38])
    assert rounded(await one.take("other", 10, 20.0, 1, 0, 5, 0)) == (0, [0])


async def test_permits_used_late_count_from_then(store: Store) -> None:
    permits = SharedPermits(store)
    _, waits = await permits.take("bot", 10, 20.0, 1, 2, 5, 8)
    assert [math.ceil(wait) for wait in waits] == [0, 0]
    following, waits = await permits.take("bot", 10, 20.0, 0, 2, 5, 3)
    assert (math.ceil(following), waits) == (26, [])


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
    await places.saw(here, "10", "")
    await places.saw(here, "11", "")
    assert await Places(store).recent(here.platform, here.bot) == [Place(here, "10", "")]
    await places.flush()
    assert await Places(store).recent(here.platform, here.bot) == [Place(here, "11", "")]


async def test_a_server_that_may_not_write_for_a_while_is_away(tmp_path: Path) -> None:
    async with single(tmp_path / "server") as server:
        store = Store(f"redis://{HOST}:{server.port}")
        permits = SharedPermits(store)
        for refuse, allow in (
            (("REPLICAOF", HOST, free_port()), ("REPLICAOF", "NO", "ONE")),
            (("CONFIG", "SET", "min-replicas-to-write", 1), ("CONFIG", "SET", "min-replicas-to-write", 0)),
        ):
            await server.call(*refuse)
            taking = asyncio.create_task(permits.take("bot", 50, 10.0, 8, 0, 0, 0))
            await asyncio.sleep(0.1)
            assert not taking.done()
            await server.call(*allow)
            await taking
        await store.close()


async def test_a_wait_takes_from_each_list_in_its_turn(store: Store) -> None:
    lists = ["{x}one", "{x}two"]
    assert await store.pop(lists, 5, 0.01) == []
    await store.redis.rpush(lists[0], *range(6))
    await store.redis.rpush(lists[1], *"abc")
    assert sorted([await store.pop(lists, 2, 1.0) for _ in range(3)]) == [["0", "1"], ["2", "3"], ["a", "b"]]
    waiting = asyncio.create_task(store.pop(["three"], 5, 4.0))
    await asyncio.sleep(0.05)
    await store.redis.rpush("three", "x")
    assert await waiting == ["x"]


async def test_a_wait_that_was_given_up_takes_nothing_later(store: Store) -> None:
    waiting = asyncio.create_task(store.pop(["one"], 5, 4.0))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    while int((await store.redis.info("clients"))["blocked_clients"]):
        await asyncio.sleep(0.01)
    await store.redis.rpush("one", "x")
    assert await store.pop(["one"], 5, 1.0) == ["x"]


async def test_a_wait_for_a_server_that_is_away_fails_at_once(tmp_path: Path) -> None:
    store = Store(f"unix://{tmp_path}/nowhere.sock")
    with pytest.raises(StorageError):
        await store.pop(["one"], 5, 4.0)
    await store.close()
