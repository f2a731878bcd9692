"""``parley backup`` and ``parley restore``: all that is kept, into a file and out of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from core.settings import Settings
from core.storage import backup, backup_file, keys, schema
from core.storage.backup_file import BackupError, BackupWriter, Summary
from core.storage.client import Store
from core.storage.embedded import EmbeddedServer, live_url


async def save(settings: Settings, path: Path, tell: Callable[[str], None]) -> Summary:
    """Writes a file of all that is kept, while Parley runs or not. Raises BackupError, StorageError, SettingsError."""
    async with _opened(settings) as store:
        await schema.check(store)
        with BackupWriter(path, schema.program()) as writer:
            async for unit in backup.read(store):
                writer.write(unit)
            summary = writer.finish()
    tell(f"Written to {path}: {_told(summary)}. It holds what people wrote: keep it as safe as the store itself.")
    return summary


async def restore(settings: Settings, path: Path, tell: Callable[[str], None]) -> Summary:
    """Puts a file back into an empty store. Raises BackupError, StorageError, SettingsError.

    The whole file is read and compared with its checksum before anything is written. A restore that broke off is
    done to its end by calling it again; until then Parley does not start on that store.
    """
    summary = backup_file.verify(path)
    async with _opened(settings) as store:
        mark = await store.attempt(lambda: store.redis.get(keys.restoring()))
        if mark not in (None, summary.digest):
            raise BackupError("Another backup was being put back here and that broke off: empty the store first.")
        if mark is None and not await backup.is_empty(store):
            raise BackupError(
                "The store is not empty, and nothing is written over: stop Parley, and give it an empty one by another"
                " REDIS_URL or PARLEY_DATA, or empty it yourself."
            )
        await store.attempt(lambda: store.redis.set(keys.restoring(), summary.digest))
        await backup.fill(store, backup_file.units(path))
        await schema.recount(store)
        await store.attempt(lambda: store.redis.delete(keys.restoring()))
    tell(f"Restored from {path}: {_told(summary)}.")
    return summary


def _told(summary: Summary) -> str:
    return f"{summary.keys} keys in {summary.units} entries, {summary.header.at}, by {summary.header.program}"


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncGenerator[Store]:
    """The one of REDIS_URL, that of a Parley that runs on the data folder, or else that folder's own, started for as
    long as it is needed."""
    async with AsyncExitStack() as stack:
        url = settings.storage.redis_url or live_url(settings.data)
        if not url:
            url = await stack.enter_async_context(EmbeddedServer(settings.data))
        store = Store(settings.storage.address(url))
        stack.push_async_callback(store.close)
        yield store
