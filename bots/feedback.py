"""What people think of answers, at the terminal: ``parley feedback``."""

from __future__ import annotations

from collections.abc import Callable

from bots.opened import opened
from core.feedback import listed
from core.settings import Settings
from core.storage.feedback import Feedback
from core.texts import say


async def show(settings: Settings, tell: Callable[[str], None]) -> None:
    """Tells of each model that was voted for, one a line. Raises SettingsError, StorageError."""
    async with opened(settings) as store:
        scores = await Feedback(store, keep_days=settings.storage.keep_days).scores()
    for line in listed(scores) or [say("feedback_none")]:
        tell(line)
