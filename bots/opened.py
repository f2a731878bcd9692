"""The store of a Parley that runs, for commands at the terminal."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.errors import SettingsError
from core.settings import Settings
from core.storage import schema
from core.storage.client import Store
from core.storage.embedded import live_url
from core.storage.texts import Texts


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Store]:
    """Raises SettingsError where there is none, or that of a newer program; StorageError."""
    url = settings.storage.redis_url or live_url(settings.data)
    if not url:
        raise SettingsError(
            "Parley does not run on this data folder, and its embedded store is open only while it does."
            " Start it with `parley up`, or set REDIS_URL to the server it uses."
        )
    store = Store(settings.storage.address(url), Texts.of(settings))
    try:
        await schema.check(store)
        yield store
    finally:
        await store.close()
