"""Connections to whatever an address names. The client library repeats nothing by itself."""

from __future__ import annotations

import ssl
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, Sentinel, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff

from core.storage.address import Address, Node
from core.storage.cluster import Cluster

COMMAND_SECONDS = 5.0
CONNECTIONS = 32
"""To one server. Who comes when all are in use waits."""
POOL_SECONDS = 30.0
SENTINEL_SECONDS = 1.0
"""How long one Sentinel may take to answer, before the next is asked."""


def connect(address: Address, context: ssl.SSLContext | None) -> Redis | Cluster:
    """A client for the address; nothing is connected yet. ``context`` only where the address is encrypted."""
    if address.topology == "cluster":
        # Callers that wait for wake-ups hold a connection for each slot.
        return Cluster(address.nodes, lambda node: _client(address, context, *_to(node, context), 2 * CONNECTIONS))
    if address.topology == "sentinel":
        return _Masters(address, context).client
    if address.path:
        return _client(address, None, UnixDomainSocketConnection, {"path": address.path})
    return _client(address, context, *_to(address.nodes[0], context))


def _to(node: Node, context: ssl.SSLContext | None) -> tuple[type, dict[str, Any]]:
    return (_Encrypted if context else Connection), {"host": node[0], "port": node[1]}


def _client(
    address: Address,
    context: ssl.SSLContext | None,
    kind: type,
    place: dict[str, Any],
    connections: int = CONNECTIONS,
) -> Redis:
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
    if context is not None:
        options["context"] = context
    return Redis(connection_pool=BlockingConnectionPool(connection_class=kind, **options, **place))


class _Encrypted(SSLConnection):
    """One context for all connections: making it reads files and takes 10 ms."""

    def __init__(self, context: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = context


class _EncryptedMaster(SentinelManagedSSLConnection):
    def __init__(self, context: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = context


class _Masters:
    """Asks the Sentinels which server is the master, for each new connection."""

    is_master = True
    check_connection = False

    def __init__(self, address: Address, context: ssl.SSLContext | None) -> None:
        self._name = address.master
        ...
