"""``parley train export``: what people agreed to have learned from, into a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from bots.opened import opened
from core.conversation.history import History
from core.errors import SettingsError
from core.people.agreed import agreed, chats
from core.people.identity import People
from core.settings import Settings


async def save(settings: Settings, out: Path, tell: Callable[[str], None], *, is_liked_only: bool = False) -> int:
    """Writes a line for each conversation, readable for its owner alone. Gives how many there are.

    Raises SettingsError where the file is there or cannot be written, or the store is not open; StorageError.
    """
    async with opened(settings) as store:
        who = await agreed(store, People(store))
        history = History(store, keep_days=settings.storage.keep_days, max_messages=settings.storage.max_messages)
        lines = [chat.to_line() async for chat in chats(store, history, who) if chat.is_liked or not is_liked_only]
    if not lines:
        tell(f"{len(who)} people agreed, and there is no conversation of theirs alone. Nothing was written.")
        return 0
    new = out.with_name(f".{out.name}.new")
    try:
        if out.exists():  # noqa: ASYNC240
            raise SettingsError(f"{out} is there already: choose another file.")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        new.replace(out)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise SettingsError(f"{out} cannot be written: {error.strerror or error}.") from None
    tell(
        f"Written to {out}: {len(lines)} conversations of {len(who)} people who agreed. It holds what they wrote: keep"
        " it safe, and remove it when they take that back."
    )
    return len(lines)
