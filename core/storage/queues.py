"""How the job library reaches what REDIS_URL names. It brings a client of its own, so the address is told it anew."""

from __future__ import annotations

from typing import Any

from core.storage.address import Address

CONNECT_SECONDS = 5.0


def connection(address: Address, longest_seconds: float) -> dict[str, Any]:
    """The arguments that give a ``streaq.Worker`` its connection. Imports the library.

    A reply that takes longer than ``longest_seconds`` will not come any more: the connection is dead. Raises
    SettingsError for a certificate that is no use.
    """
    from coredis import ClusterConnectionPool, ConnectionPool
    from coredis.connection import TCPLocation, UnixDomainSocketLocation

    options: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "stream_timeout": longest_seconds}
    context = address.tls.context() if address.is_encrypted else None
    if context is not None:
        options["ssl_context"] = context
    account: dict[str, Any] = {"username": address.username, "password": address.password, "db": address.database}
    if address.topology == "sentinel":
        return {
            "sentinel_nodes": list(address.nodes),
            "sentinel_master": address.master,
            "sentinel_kwargs": {
                **options,
                "username": address.sentinel_username,
                "password": address.sentinel_password,
            },
            "redis_kwargs": {**options, **account},
        }
    options |= {**account, "decode_responses": True}
    nodes = [TCPLocation(*node) for node in address.nodes]
    if address.topology == "cluster":
        pool = ClusterConnectionPool(nodes, max_connections_per_node=True, skip_full_coverage_check=True, **options)
        return {"redis_pool": pool}
    return {
        "redis_pool": ConnectionPool(location=nodes[0] if nodes else UnixDomainSocketLocation(address.path), **options)
    }
