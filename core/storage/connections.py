"""Connections to whatever an address names. The client library repeats nothing by itself."""

from __future__ import annotations

import ssl
from typing import Any

from redis.asyncio import (
    BlockingConnectionPool,
    Connection,
    ConnectionPool,
    Redis,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from core.storage.address import Address, Node
from core.storage.cluster import Cluster

COMMAND_SECONDS = 5.0
CONNECTIONS = 32
"""To one server. Who comes when all are in use waits."""
POOL_SECONDS = 30.0
SENTINEL_SECONDS = 1.0
"""How long one Sentinel may take to answer, before the next is asked."""


def connect(address: Address) -> Any:
    """A client for the address; nothing is connected yet. Raises SettingsError for a certificate that is no use."""
    context = address.tls.context() if address.is_encrypted else None
    if address.topology == "cluster":
        # Who waits for wake-ups holds a connection for each slot.
        return Cluster(address.nodes, lambda node: _client(address, _to(node, context), 2 * CONNECTIONS))
    if address.topology == "sentinel":
        return _client(address, _to_master(_Masters(address, context), context))
    if address.path:
        return _client(address, {"connection_class": UnixDomainSocketConnection, "path": address.path})
    return _client(address, _to(address.nodes[0], context))


async def nodes_of(client: Any, address: Address) -> tuple[Node, ...]:
    """Where the servers are that a client talks to: of those that Sentinels watch, the master of now. Raises
    RedisError, OSError."""
    if address.topology == "sentinel":
        return (await client.connection_pool.connection_kwargs["connection_pool"].get_master_address(),)
    return address.nodes


def alone(client: Any) -> Any:
    """A connection like those of the client's pool, not connected yet: for a caller that keeps it, and the time."""
    pool: Any = client.connection_pool
    return pool.connection_class(**{**pool.connection_kwargs, "socket_timeout": None})


def _to(node: Node, context: ssl.SSLContext | None) -> dict[str, Any]:
    kind = {"connection_class": _Encrypted, "context": context} if context else {"connection_class": Connection}
    return {**kind, "host": node[0], "port": node[1]}


def _to_master(masters: _Masters, context: ssl.SSLContext | None) -> dict[str, Any]:
    if context is None:
        return {"connection_class": SentinelManagedConnection, "connection_pool": masters}
    return {"connection_class": _EncryptedMaster, "connection_pool": masters, "context": context}


def _client(address: Address, to: dict[str, Any], connections: int = CONNECTIONS) -> Any:
    options: dict[str, Any] = {
        "decode_responses": True,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": COMMAND_SECONDS,
        "socket_connect_timeout": COMMAND_SECONDS,
        "max_connections": connections,
        "timeout": POOL_SECONDS,
        "username": address.username,
        "password": address.password,
        "db": address.database,
    }
    return Redis(connection_pool=BlockingConnectionPool(**options, **to))


class _Encrypted(SSLConnection):
    """One context for all connections: making it reads files and takes 10 ms."""

    def __init__(self, context: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]
        self.ssl_context.context = context


class _EncryptedMaster(SentinelManagedSSLConnection):
    def __init__(self, context: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]
        self.ssl_context.context = context


class _Masters:
    """Asks the Sentinels which server is the master, for each new connection. One that became a replica refuses to
    write, and the connection that heard it is then made anew."""

    is_master = True
    check_connection = False

    def __init__(self, address: Address, context: ssl.SSLContext | None) -> None:
        self._nodes, self._name = address.nodes, address.master
        self._options: dict[str, Any] = {
            "decode_responses": True,
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": SENTINEL_SECONDS,
            "socket_connect_timeout": SENTINEL_SECONDS,
            "username": address.sentinel_username,
            "password": address.sentinel_password,
        }
        self._context = context

    async def get_master_address(self) -> Node:
        """Where the first Sentinel that knows says. Raises MasterNotFoundError or what the last Sentinel answered."""
        failure: Exception = MasterNotFoundError(f"no Sentinel knows a master named {self._name}")
        for node in self._nodes:
            pool = ConnectionPool(**self._options, **_to(node, self._context))
            client: Any = Redis(connection_pool=pool)
            try:
                found = await client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", self._name)
            except (RedisError, OSError) as error:
                failure = error
            else:
                if found:
                    return str(found[0]), int(found[1])
            finally:
                await pool.disconnect()
        raise failure
