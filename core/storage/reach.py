"""Waiting at a start for what REDIS_URL names, and one clear sentence when that cannot come to anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

import structlog
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from core.errors import SettingsError
from core.settings import StorageSettings
from core.storage.address import Address
from core.storage.client import Store, is_away
from core.storage.open_check import exposure

log = structlog.get_logger()

REACH_SECONDS = 10.0
"""How long a start waits for a server that may be starting as well."""
PAUSE_SECONDS = 0.3
OLDEST = (7, 0)
"""The oldest server that has all we use (BLMPOP)."""


async def reach(storage: StorageSettings, stop: asyncio.Event, tell: Callable[[str], None]) -> None:
    """Returns when the server answers and is what REDIS_URL says, or when ``stop`` is set.

    ``tell`` is told, once, that it is waited for. Raises SettingsError with a sentence for the owner.
    """
    address = storage.address(storage.redis_url)
    store = Store(address)
    try:
        await _reach(store, stop, tell)
        if not (stop.is_set() or storage.allow_open) and (where := await exposure(store)):
            raise SettingsError(open_sentence(address, where))
    finally:
        await store.close()


async def _reach(store: Store, stop: asyncio.Event, tell: Callable[[str], None]) -> None:
    place = store.address.place
    deadline = asyncio.get_running_loop().time() + REACH_SECONDS
    waiting = False
    while not stop.is_set():
        try:
            _check(store.address, await _hello(store))
            await _look_at_memory(store)
            return
        except AuthenticationError as error:
            raise SettingsError(f"REDIS_URL is wrong: {place} does not let us in ({_why(error)}).") from None
        except (RedisError, OSError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise SettingsError(
                    f"REDIS_URL is wrong: the certificate of {place} cannot be trusted ({_why(error)})."
                    " Name the file of its signer in storage.tls_ca."
                ) from None
            if isinstance(error, ResponseError) and not is_away(error):
                raise SettingsError(_refused(store.address, error)) from None
            if asyncio.get_running_loop().time() > deadline:
                raise SettingsError(_absent(store.address, error)) from None
        if not waiting:
            waiting = True
            tell(f"Waiting for the Redis or Valkey at {place}")
        await asyncio.sleep(PAUSE_SECONDS)


def open_sentence(address: Address, where: str) -> str:
    """For a server that anybody may read (``core/storage/open_check.py``)."""
    return (
        f"The Redis or Valkey at {address.place} asks for no password and can be reached {where}: strangers could read"
        " and change all that is kept. Set a password there (requirepass, or an ACL) and write it into REDIS_URL, or"
        " have it listen on 127.0.0.1 or a private network only. Where something else protects it:"
        " PARLEY__STORAGE__ALLOW_OPEN=true."
    )


async def _hello(store: Store) -> Mapping[str, Any]:
    """What the server says of itself. On a cluster the map of the slots has been read as well by then."""
    reply = await store.redis.execute_command("HELLO")
    if isinstance(reply, dict):
        return cast("dict[str, Any]", reply)
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _check(address: Address, hello: Mapping[str, Any]) -> None:
    mode, version = str(hello.get("mode", "")), str(hello.get("version", ""))
    if mode == "cluster" and address.topology != "cluster":
        raise SettingsError(
            f"REDIS_URL is wrong: {address.place} belongs to a cluster."
            " Write redis+cluster:// and name some of its nodes."
        )
    if mode == "sentinel":
        raise SettingsError(
            f"REDIS_URL is wrong: {address.place} is a Sentinel."
            " Write redis+sentinel://host:port/NAME, with the name of the master that it watches."
        )
    if version and is_too_old(version):
        raise SettingsError(
            f"REDIS_URL is wrong: {address.place} is version {version}. Parley needs Redis or Valkey 7.0 or newer."
        )


def is_too_old(version: str) -> bool:
    """Whether a server of that version lacks what we use."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < OLDEST


async def _look_at_memory(store: Store) -> None:
    """A server that throws away what it has no room for would lose messages. Who may not look is not told."""
    try:
        policy = (await store.redis.execute_command("INFO", "memory")).get("maxmemory_policy", "noeviction")
    except (RedisError, OSError, AttributeError):
        return
    if policy != "noeviction":
        log.warning("redis may throw messages away: set maxmemory-policy to noeviction", policy=policy)


def _refused(address: Address, error: ResponseError) -> str:
    if address.topology == "cluster" and "cluster support disabled" in str(error):
        return f"REDIS_URL is wrong: {address.place} is no cluster. Write redis:// for a single server."
    return f"REDIS_URL is wrong: {address.place} does not let us in ({_why(error)})."


def _absent(address: Address, error: Exception) -> str:
    if isinstance(error, MasterNotFoundError):
        return f"REDIS_URL is wrong: {_why(error)} ({address.place})."
    what = "Sentinel or master" if address.topology == "sentinel" else "Redis or Valkey"
    return (
        f"REDIS_URL is wrong: no {what} answers at {address.place} ({type(error).__name__})."
        " Start it, correct the address, or leave REDIS_URL out to use the embedded server."
    )


def _why(error: Exception) -> str:
    return str(error).rstrip(".")
