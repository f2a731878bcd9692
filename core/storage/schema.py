"""The version of what is kept: a newer store is refused, an older one is migrated while the bot runs.

Readers read this version and the one before it, writers write this one, so nothing has to stand still meanwhile. A
migration is idempotent and goes partition by partition; one process at a time does it, and another goes on where a
dead one stopped. The version is raised at the end, and a program of the version before ends when it sees that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import metadata

import structlog

from core.errors import SettingsError, StorageError
from core.message_json import VERSION
from core.storage import keys
from core.storage.client import Store, partition_keys
from core.storage.leases import Held, Leases

log = structlog.get_logger()

FIRST = 1
"""The version of a store that does not tell: the first one did not, and in an empty one there is nothing to do."""
LOOK_SECONDS = 30.0
"""How often a process looks whether the store has become newer than itself."""
RECOUNT_LOOKS = 10
"""After so many looks what waits is counted anew."""
AGAIN_SECONDS = 1.0
"""How soon it looks again while a migration is under way elsewhere, or was interrupted."""
LEASE = "schema"

Migration = Callable[[Store, int], Awaitable[int]]
"""Brings one partition from the version before to its own, and tells how many records it looked at. It may run while
everything else does, and any number of times."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a store says of itself."""

    version: int
    program: str = ""
    """What raised it to this version."""
    reached: int = 0
    """The partitions before this one are of the next version already."""


async def read(store: Store) -> Schema:
    """Raises StorageError."""
    raw: Mapping[str, str] = await store.attempt(lambda: store.redis.hgetall(keys.schema()))
    version = int(raw.get("version", FIRST))
    return Schema(version, raw.get("program", ""), int(raw.get(f"reached:{version + 1}", 0)))


async def check(store: Store) -> None:
    """Before anything is read or written. Raises SettingsError when a newer program keeps its records here, or a
    restore was not done to its end."""
    _refuse_newer(await read(store))
    if await store.attempt(lambda: store.redis.exists(keys.restoring())):
        raise SettingsError(
            "A backup was being put back into this store, and that broke off: call `parley restore` with the same file"
            " again, or empty the store."
        )


async def run(store: Store, leases: Leases) -> None:
    """Migrates an older store, then watches, until cancelled. Raises SettingsError when the store becomes newer."""
    looks = 0
    while True:
        try:
            schema = await read(store)
            _refuse_newer(schema)
            if schema.version < VERSION:
                await _migrate(store, leases)
                schema = await read(store)
        except StorageError as error:
            log.warning("schema not read", cause=str(error))
            await asyncio.sleep(AGAIN_SECONDS)
            continue
        await asyncio.sleep(AGAIN_SECONDS if schema.version < VERSION else LOOK_SECONDS)
        looks += 1
        if looks % RECOUNT_LOOKS == 0:
            await _recount(store)


async def _recount(store: Store) -> None:
    # What a program of the first version took out of a mailbox meanwhile is not counted off.
    try:
        await recount(store)
    except StorageError as error:
        log.warning("waiting entries not counted anew", cause=str(error))


async def recount(store: Store) -> None:
    """Counts the waiting entries of all partitions anew, which admission goes by. May be done at any time."""
    await store.run_many("recount", [(partition_keys(partition), ()) for partition in range(keys.PARTITIONS)])


def _refuse_newer(schema: Schema) -> None:
    if schema.version <= VERSION:
        return
    raise SettingsError(
        f"The store has been taken over by {schema.program} (version {schema.version} of its records), and this is"
        f" {program()} (version {VERSION}). Start that program or a newer one, or give this one a store of its own:"
        " another REDIS_URL, or another PARLEY_DATA for the embedded server."
    )


async def _migrate(store: Store, leases: Leases) -> None:
    held = await leases.take(LEASE)
    if held is None:
        return  # another process is at it
    try:
        schema = await read(store)
        while schema.version < VERSION and await _step(store, schema, held):
            schema = await read(store)
    finally:
        await held.release()


async def _step(store: Store, schema: Schema, held: Held) -> bool:
    """To the next version; False when another process may have taken it over."""
    version, seen = schema.version + 1, 0
    for partition in range(schema.reached, keys.PARTITIONS):
        if not held.is_ours:
            return False
        found = await MIGRATIONS[version](store, partition)
        await _note(store, f"reached:{version}", partition + 1)
        if found:
            log.info("migrating", version=version, partition=partition, of=keys.PARTITIONS, records=found)
        seen += found
    await store.run("schema_raise", [keys.schema()], (version, program()))
    if seen:
        log.info("migrated", version=version, records=seen)
    return True


async def _note(store: Store, field: str, value: int) -> None:
    await store.attempt(lambda: store.redis.hset(keys.schema(), field, value))


def program() -> str:
    """This program with its version, as people are told."""
    try:
        return f"Parley {metadata.version('parley-bot')}"
    except metadata.PackageNotFoundError:
        return "Parley"


async def _to_2(store: Store, partition: int) -> int:
    """Leases stand in the set of those with work alone; waiting entries are counted by space."""
    changed = int(await store.run("migrate_2", partition_keys(partition), ()))
    return changed + int(await store.run("recount", partition_keys(partition), ()))


MIGRATIONS: Mapping[int, Migration] = {2: _to_2}
"""By the version that they lead to."""
