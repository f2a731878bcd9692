"""What ``parley doctor`` looks at in the database."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, cast

from redis.exceptions import RedisError

from bots.finding import Finding
from core.errors import ParleyError, SettingsError, StorageError
from core.settings import Settings
from core.storage import key_check
from core.storage.client import Store
from core.storage.embedded import EmbeddedServer, live_url
from core.storage.open_check import exposure
from core.storage.reach import is_too_old
from core.storage.sealing import Sealing


async def look(settings: Settings) -> list[Finding]:
    """Connects to the server that is used, or starts the embedded one."""
    url = settings.storage.redis_url or live_url(settings.data)
    if url:
        return await _redis(settings, url, "REDIS_URL" if settings.storage.redis_url else "embedded, running")
    server = EmbeddedServer(settings.data)
    try:
        async with server as url:
            return await _redis(settings, url, "embedded")
    except ParleyError as error:
        return [Finding("database", False, str(error), "Or set REDIS_URL to a Redis or Valkey server of your own.")]


async def _redis(settings: Settings, url: str, which: str) -> list[Finding]:
    try:
        store = Store(settings.storage.address(url))
    except SettingsError as error:
        return [Finding("database", False, str(error))]
    try:
        facts: dict[str, Any] = await store.redis.info("server")
        persistence = await _config(store.redis, "appendonly")
        eviction = await _config(store.redis, "maxmemory-policy")
        where, sealed = await exposure(store), ""
        with contextlib.suppress(StorageError):
            # A server that is too old for it says so itself.
            sealed = await key_check.check(store, Sealing.of(settings))
    except (RedisError, OSError, ValueError) as error:
        what = f"{which} cannot be reached ({type(error).__name__})"
        return [Finding("database", False, what, "Start that server, or correct REDIS_URL; user and password too.")]
    finally:
        await store.close()
    found = [_version(facts, which), _persistence(persistence), _eviction(eviction), _openness(settings, where)]
    return [*found, *_sealing(settings, sealed)]


async def _config(redis: Any, name: str) -> str | None:
    """None where the server does not tell, as hosted ones often do not."""
    try:
        found = cast("dict[str, str]", await redis.config_get(name))
    except RedisError:
        return None
    return found.get(name)


def _version(facts: Mapping[str, Any], which: str) -> Finding:
    version = str(facts.get("redis_version", "0"))
    own = facts.get("valkey_version")
    what = f"{which}, {'Valkey ' + str(own) if own else 'Redis ' + version}"
    if is_too_old(version):
        return Finding("database", False, what, "Parley needs Redis 7.0 or newer, or Valkey.")
    return Finding("database", True, what)


def _persistence(value: str | None) -> Finding:
    if value is None:
        return Finding("database file", None, "the server does not tell whether it keeps an append-only file")
    if value != "yes":
        remedy = "A restart of the server would lose messages: set appendonly yes in its configuration."
        return Finding("database file", False, "no append-only file is kept", remedy)
    return Finding("database file", True, "an append-only file is kept")


def _eviction(value: str | None) -> Finding:
    if value is None:
        return Finding("database memory", None, "the server does not tell what it does when its memory is full")
    if value != "noeviction":
        remedy = "When memory is full it would throw messages away: set maxmemory-policy noeviction."
        return Finding("database memory", False, f"maxmemory-policy is {value}", remedy)
    return Finding("database memory", True, "nothing is evicted")


def _sealing(settings: Settings, wrong: str) -> list[Finding]:
    if wrong:
        return [Finding("keys", False, wrong)]
    if not settings.keys.get_secret_value():
        return []
    what = "what is said is sealed" if settings.storage.encrypt else "people's own API keys are sealed"
    return [Finding("keys", True, what)]


def _openness(settings: Settings, where: str) -> Finding:
    if not where:
        return Finding("database access", True, "no stranger without a password gets in")
    remedy = "Set a password there (requirepass, or an ACL), or have it listen on 127.0.0.1 or a private network only."
    if settings.storage.allow_open:
        return Finding("database access", None, f"open to anybody {where}, as storage.allow_open says", remedy)
    return Finding("database access", False, f"open to anybody {where}: Parley does not start like this", remedy)
