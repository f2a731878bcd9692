"""A real cluster: every call finds its node, also while slots move and nodes go."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.errors import StorageError
from core.storage.client import Store
from core.storage.cluster import by_slot, slot_of
from core.storage.shared import Memory
from tests.platforms.valkey_servers import ClusterServers, Server, cluster

ASIDE = ["{a}", "{b}", "{c}", "{d}"]
"""Keys of different slots, on different nodes."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ClusterServers]:
    async with cluster(Path(tmp_path_factory.mktemp("cluster"))) as running:
        yield running


@pytest.fixture
async def spread(servers: ClusterServers) -> AsyncIterator[Store]:
    """An empty store over the cluster."""
    store = Store(servers.url)
    await store.redis.flushall()
    yield store
    await store.close()


def owner(servers: ClusterServers, key: str) -> int:
    return slot_of(key) * 3 // 16384


async def test_commands_and_pipelines_find_their_nodes(spread: Store, servers: ClusterServers) -> None:
    names = [f"key{number}" for number in range(50)]
    pipe = spread.redis.pipeline(transaction=False)
    for name in names:
        pipe.set(name, f"of {name}")
    await pipe.execute()
    assert [await spread.redis.get(name) for name in names] == [f"of {name}" for name in names]
    assert sorted(await spread.redis.keys("key*")) == sorted(names)
    held = [await server.call("DBSIZE") for server in servers.masters]
    assert sum(held) == 50
    assert min(held) > 0
    pipe = spread.redis.pipeline(transaction=True)
    pipe.hset("{one}:a", "x", "1")
    pipe.hgetall("{one}:a")
    assert await pipe.execute() == [1, {"x": "1"}]


async def test_a_wrong_command_is_refused_and_the_others_are_done(spread: Store) -> None:
    pipe = spread.redis.pipeline(transaction=False)
    pipe.set("{a}", "1")
    pipe.lpush("{a}", "wrong kind")
    pipe.set("{b}", "2")
    with pytest.raises(StorageError, match="WRONGTYPE"):
        await spread.attempt(pipe.execute)
    assert await spread.redis.get("{b}") == "2"


async def test_a_wait_hears_all_slots_and_loses_nothing(spread: Store) -> None:
    assert len(by_slot(ASIDE)) == 4
    assert await spread.pop(ASIDE, 8, 0.05) == []
    waiting = asyncio.create_task(spread.pop(ASIDE, 8, 4.0))
    await asyncio.sleep(0.05)
    for key in ASIDE:
        await spread.redis.rpush(key, key)
    heard = await waiting
    while len(heard) < 4:
        heard += await spread.pop(ASIDE, 8, 4.0)
    assert sorted(heard) == ASIDE
    await spread.redis.rpush("{a}", "1", "2", "3")
    assert len(await spread.pop(ASIDE, 1, 4.0)) == 1


async def test_what_is_published_is_heard_wherever_one_listens(spread: Store) -> None:
    async with spread.redis.pubsub() as listening:
        await listening.subscribe("parley:news")
        for name in ASIDE:
            await spread.redis.eval("return redis.call('PUBLISH', 'parley:news', KEYS[1])", 1, name)
        heard: list[str] = []
        while len(heard) < 4:
            message = await listening.get_message(ignore_subscribe_messages=True, timeout=4.0)
            heard += [message["data"]] if message else []
    assert sorted(heard) == ASIDE


async def move(key: str, giver: Server, taker: Server) -> None:
    """Hands the slot of a key on, with the key, and stops before it is settled."""
    slot = slot_of(key)
    ids = [(await server.call("CLUSTER", "MYID")) for server in (giver, taker)]
    await taker.call("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    await giver.call("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    await giver.call("MIGRATE", "127.0.0.1", taker.port, key, 0, 2000)


async def settle(key: str, *servers: Server) -> None:
    """Says who has the slot now: the first one."""
    name = await servers[0].call("CLUSTER", "MYID")
    for server in servers:
        await server.call("CLUSTER", "SETSLOT", slot_of(key), "NODE", name)


async def test_a_slot_that_moves_is_followed(spread: Store, servers: ClusterServers) -> None:
    key = "{moving}"
    giver = servers.masters[owner(servers, key)]
    taker = servers.masters[(owner(servers, key) + 1) % 3]
    await spread.redis.set(key, "before")
    await move(key, giver, taker)
    # Gone already, but not settled: the node sends one on to the other for this one call.
    assert await spread.attempt(lambda: spread.redis.get(key)) == "before"
    pipe = spread.redis.pipeline(transaction=False)
    pipe.append(key, " and")
    pipe.append(key, " after")
    assert await spread.attempt(pipe.execute) == [10, 16]
    await settle(key, taker, giver)
    assert await spread.attempt(lambda: spread.redis.get(key)) == "before and after"
    script = "return redis.call('GET', KEYS[1])"
    assert await spread.attempt(lambda: spread.redis.eval(script, 1, key)) == "before and after"
    await spread.redis.delete(key)
    await settle(key, giver, taker)


async def test_a_node_that_is_away_delays_its_own_keys_only(spread: Store, servers: ClusterServers) -> None:
    names = {owner(servers, f"parley:memory:{number}"): str(number) for number in range(20)}
    memory = Memory(spread)
    await asyncio.gather(*(memory.remember(name, "kept") for name in names.values()))
    stopped = servers.masters[1].process
    stopped.send_signal(signal.SIGSTOP)
    try:
        late = asyncio.create_task(memory.recall(names[1]))
        assert await memory.recall(names[0]) == "kept"
        assert await memory.recall(names[2]) == "kept"
        await asyncio.sleep(0.05)
        assert not late.done()
    finally:
        stopped.send_signal(signal.SIGCONT)
    assert await late == "kept"


async def test_a_cluster_that_is_not_there_is_told_at_once_to_who_waits_for_work(tmp_path: Path) -> None:
    store = Store("redis+cluster://127.0.0.1:1,127.0.0.1:2")
    with pytest.raises(StorageError):
        await store.pop(ASIDE, 1, 4.0)
    with pytest.raises(StorageError, match="away"):
        await store.attempt(lambda: _ping(store), patience=0.05)
    await store.close()


async def _ping(store: Store) -> Any:
    return await store.redis.ping()
