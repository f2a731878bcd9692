"""Whether anybody who can reach the database may read it: then Parley does not start, unless it is told to.

A server is open that does what a caller asks who gave no password. That is as good as secret on a Unix socket, on the
loopback of one machine, and in a private network of containers; not where the whole world may call.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from redis.exceptions import RedisError

from core.storage import keys
from core.storage.address import Address, Node
from core.storage.client import Store
from core.storage.connections import nodes_of

LOOK_SECONDS = 3.0
ANYWHERE = frozenset(("*", "::*", "0.0.0.0", "::"))  # noqa: S104 - compared with, not listened on


async def exposure(store: Store) -> str:
    """Why strangers may read what is kept: the rest of a sentence; empty where they may not, or nobody can tell.

    Raises nothing: whoever cannot be asked is no reason against a start.
    """
    with contextlib.suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            return await _exposed(store.address)
    return ""


async def _exposed(address: Address) -> str:
    if address.path:
        return ""
    # Without any password, and without a certificate of ours. Whatever the server tells, it tells a stranger: our own
    # user may have no right to ask for it.
    tls = replace(address.tls, certificate="", key="")
    stranger = Store(replace(address, username=None, password=None, tls=tls))
    try:
        await stranger.redis.exists(keys.schema())
        return await _reachable(stranger.redis, address)
    finally:
        await stranger.close()


async def _reachable(redis: Any, address: Address) -> str:
    """From where strangers reach an open server."""
    found = await _ips(await nodes_of(redis, address))
    if public := next((ip for ip in found if ip.is_global), None):
        return f"at the public address {public}"
    told = await _bound(redis)
    if told is None:
        return ""
    bound, is_protected = told
    if is_protected:
        # Strangers without a password are served on the loopback only.
        return ""
    if public := next((word for word in bound if _is_global(word)), None):
        return f"at the public address {public}"
    # Reached by the loopback it runs on this machine, or is published on it; on a private network all are expected to
    # be ours.
    if any(ip.is_loopback for ip in found) and (not bound or ANYWHERE & set(bound)):
        return "at every address of this machine"
    return ""


async def _bound(redis: Any) -> tuple[list[str], bool] | None:
    """What the server listens on and whether it is in its protected mode; None where it does not tell."""
    try:
        settings: dict[str, str] = await redis.config_get("bind", "protected-mode")
    except RedisError:
        return None
    if "protected-mode" not in settings:
        return None
    # A - before an address: no error where the machine has none like it.
    return [word.removeprefix("-") for word in settings.get("bind", "").split()], settings["protected-mode"] == "yes"


async def _ips(nodes: Sequence[Node]) -> Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    loop, found = asyncio.get_running_loop(), list[ipaddress.IPv4Address | ipaddress.IPv6Address]()
    for host, port in nodes:
        for *_, where in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            found.append(ipaddress.ip_address(str(where[0]).partition("%")[0]))
    return found


def _is_global(word: str) -> bool:
    try:
        return ipaddress.ip_address(word).is_global
    except ValueError:
        return False
