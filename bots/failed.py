"""Dead letters at the terminal: ``parley failed list``, ``retry``, ``drop``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from bots.opened import opened
from core.commands import admin
from core.commands.table import COMMANDS
from core.settings import Settings
from core.storage.failed import DeadLetters
from core.texts import say

LISTED = 200


async def show(settings: Settings, tell: Callable[[str], None]) -> None:
    """Tells of the newest letters, one a line. Raises SettingsError, StorageError."""
    async with _letters(settings) as failed:
        total, letters = await failed.newest(LISTED)
    if not total:
        tell(say("failed_none"))
    for letter in letters:
        tell("  ".join(filter(None, (letter.id, letter.when, letter.where, letter.what, letter.why))))
    if total > len(letters):
        tell(say("failed_more", count=total - len(letters)))


async def retry(settings: Settings, which: str, tell: Callable[[str], None]) -> None:
    """Asks again: one letter by its id, or ``all``. Raises SettingsError, StorageError."""
    async with _letters(settings) as failed:
        for notice in await admin.retry(failed, which.lower(), COMMANDS):
            tell(say(notice.key, **notice.values))


async def drop(settings: Settings, which: str, tell: Callable[[str], None]) -> None:
    """Removes one letter by its id, or ``all``. Raises SettingsError, StorageError."""
    async with _letters(settings) as failed:
        notice = await admin.drop(failed, which.lower())
        tell(say(notice.key, **notice.values))


@asynccontextmanager
async def _letters(settings: Settings) -> AsyncGenerator[DeadLetters]:
    async with opened(settings) as store:
        yield DeadLetters(store, keep_days=settings.storage.keep_days)
