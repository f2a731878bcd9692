"""A Redis Cluster: each call goes to the node that serves its keys' slot.

The library's own cluster client repeats what failed, runs a thread and an event loop for each command of a transaction,
and has no bound on who waits for a connection. Here a call is sent once: what was not done, because the slot moved or
its node is away, is an error, after which :meth:`core.storage.client.Store.attempt` decides.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import structlog
from redis.commands import AsyncCoreCommands
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, ReadOnlyError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from core.storage.address import Node

log = structlog.get_logger()

MAP_SECONDS = 2.0
"""How long one node may take to say who serves what, before the next is asked."""
MAP_CHANGED = (MovedError, ClusterDownError, ReadOnlyError, RedisConnectionError, RedisTimeoutError, OSError)
"""After these the map of the slots is read anew."""

Command = tuple[tuple[Any, ...], dict[str, Any]]
Client = Any
"""The library's client of one node. Its types know neither decoded replies nor pipelines."""
Commands: Any = AsyncCoreCommands
"""Its methods named like commands, over ``execute_command``."""

SCRIPTED = frozenset(("EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO", "BLMPOP"))
"""Their first key stands behind a number of keys and one thing more."""
KEYLESS = frozenset(("PING", "PUBLISH", "TIME", "INFO", "HELLO", "CLUSTER SLOTS", "CLUSTER INFO"))
EVERYWHERE = frozenset(("SCRIPT LOAD", "SCRIPT FLUSH", "FLUSHALL", "CONFIG SET", "CLIENT"))
"""What all masters must do. The answer is the one of any of them."""


def slot_of(key: str) -> int:
    """The slot of a key, by its hash tag where it has one."""
    return key_slot(key.encode())


def by_slot(keys: Sequence[str]) -> list[tuple[str, ...]]:
    """Keys of the same slot together."""
    groups: dict[int, list[str]] = {}
    for key in keys:
        groups.setdefault(slot_of(key), []).append(key)
    return [tuple(group) for group in groups.values()]


class Cluster(Commands):
    """The client's commands over all nodes."""

    def __init__(self, seeds: Sequence[Node], connect: Callable[[Node], Client]) -> None:
        self._seeds = list(seeds)
        self._connect = connect
        self._nodes: dict[Node, Client] = {}
        self._owners: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._is_stale = True
        self._lock = asyncio.Lock()

    async def aclose(self) -> None:
        for node in self._nodes.values():
            await node.aclose()
            await node.connection_pool.disconnect()

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] in EVERYWHERE:
            return (await asyncio.gather(*[n.execute_command(*args, **options) for n in await self.masters()]))[0]
        node = await self.node_of(args)
        try:
            return await node.execute_command(*args, **options)
        except AskError as error:
            reply = await self._ask(error, (args, options))
            if isinstance(reply, Exception):
                raise reply from None
            return reply
        except MAP_CHANGED:
            self._is_stale = True
            raise

    def pipeline(self, transaction: bool = True) -> ClusterPipeline:
        return ClusterPipeline(self, transaction)

    def pubsub(self) -> Any:
        """What is published reaches every node, so any will do."""
        return self._node(random.choice(list(self._nodes) or self._seeds)).pubsub()

    async def scan_iter(self, match: str | None = None, **options: Any) -> AsyncIterator[str]:
        for node in await self.masters():
            async for key in node.scan_iter(match=match, **options):
                yield key

    async def keys(self, pattern: str = "*") -> list[str]:
        """All keys like ``pattern``; as slow as there are many."""
        return [key async for key in self.scan_iter(pattern)]

    async def masters(self) -> list[Client]:
        """The nodes that serve slots. Raises what a node that is away raises."""
        await self._look()
        return [self._node(owner) for owner in {owner for owner in self._owners if owner is not None}]

    async def node_of(self, args: Sequence[Any]) -> Client:
        """The node that serves a command."""
        await self._look()
        key = _key(args)
        if key is None:
            return self._node(random.choice([*{owner for owner in self._owners if owner is not None}]))
        owner = self._owners[slot_of(str(key))]
        if owner is None:
            self._is_stale = True
            raise ClusterDownError("CLUSTERDOWN Hash slot not served")
        return self._node(owner)

    async def send(self, node: Client, commands: Sequence[Command], transaction: bool) -> list[Any]:
        """Commands of one node in one round trip; what is wrong with one of them comes in its place."""
        pipe = node.pipeline(transaction=transaction)
        for args, options in commands:
            pipe.execute_command(*args, **options)
        try:
            replies = await pipe.execute(raise_on_error=False)
        except MAP_CHANGED:
            self._is_stale = True
            raise
        for place, reply in enumerate(replies):
            if isinstance(reply, AskError):
                replies[place] = await self._ask(reply, commands[place])
        for reply in replies:
            if isinstance(reply, MAP_CHANGED):
                self._is_stale = True
                raise reply
        return replies

    async def _ask(self, error: AskError, command: Command) -> Any:
        """The reply of the node that a slot moves to, which serves what has moved already if it is asked in this way.

        What it refuses comes as the reply.
        """
        where: Any = error
        pipe = self._node((where.host, where.port)).pipeline(transaction=False)
        pipe.execute_command("ASKING")
        pipe.execute_command(*command[0], **command[1])
        return (await pipe.execute(raise_on_error=False))[1]

    def _node(self, node: Node) -> Client:
        if node not in self._nodes:
            self._nodes[node] = self._connect(node)
        return self._nodes[node]

    async def _look(self) -> None:
        """Reads anew who serves what, when something told that it changed."""
        if not self._is_stale:
            return
        async with self._lock:
            if not self._is_stale:
                return
            known = list({owner for owner in self._owners if owner is not None})
            random.shuffle(known)
            failure: Exception = ClusterDownError("CLUSTERDOWN no node knows the slots")
            for node in dict.fromkeys([*known, *self._seeds]):
                try:
                    async with asyncio.timeout(MAP_SECONDS):
                        rows = await self._node(node).execute_command("CLUSTER SLOTS")
                except (RedisError, OSError) as error:
                    failure = error
                    continue
                owners: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
                for first, last, (host, port, *_), *_ in rows:
                    # A node that does not know its own name leaves it out.
                    owners[first : last + 1] = [(host if host and host != "?" else node[0], port)] * (last - first + 1)
                if any(owners):
                    self._owners, self._is_stale = owners, False
                    return
            raise failure


class ClusterPipeline(Commands):
    """Commands that are sent together: one round trip to each node concerned, all at once.

    With ``transaction`` all keys must lie in one slot.
    """

    def __init__(self, cluster: Cluster, transaction: bool) -> None:
        self._cluster = cluster
        self._transaction = transaction
        self._commands: list[Command] = []

    def execute_command(self, *args: Any, **options: Any) -> ClusterPipeline:
        self._commands.append((args, options))
        return self

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands, self._commands = self._commands, []
        groups: dict[int, tuple[Client, list[int]]] = {}
        for place, (args, _) in enumerate(commands):
            node = await self._cluster.node_of(args)
            groups.setdefault(id(node), (node, []))[1].append(place)
        replies: list[Any] = [None] * len(commands)

        async def send(node: Client, places: list[int]) -> None:
            found = await self._cluster.send(node, [commands[place] for place in places], self._transaction)
            for place, reply in zip(places, found, strict=True):
                replies[place] = reply

        # All are waited for: nothing of this call may still be on its way when it is made again.
        ends = await asyncio.gather(*[send(*group) for group in groups.values()], return_exceptions=True)
        for problem in [*ends, *(replies if raise_on_error else ())]:
            if isinstance(problem, BaseException):
                raise problem
        return replies


def _key(args: Sequence[Any]) -> Any:
    """The first key of a command; None where it has none."""
    if args[0] in KEYLESS or len(args) < 2:
        return None
    if args[0] in SCRIPTED:
        return args[3] if int(args[2]) else None
    return args[1]
