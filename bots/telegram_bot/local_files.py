"""Files that a Bot API server of one's own keeps on disk, where it runs with ``--local``."""

from __future__ import annotations

from pathlib import Path

from telegram.error import TelegramError

from bots.telegram_bot.transport import TooLarge


def read_below(folder: Path, path: str, limit: int) -> bytes:
    """The file, if it lies below the folder once all links are followed.

    Raises TelegramError for any other path, TooLarge over ``limit`` bytes. No error tells the path.
    """
    try:
        real = (folder / path).resolve(strict=True)
        if not (real.is_relative_to(folder.resolve(strict=True)) and real.is_file()):
            raise TelegramError("the server named a file outside of telegram.local_files")
        with real.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise TelegramError(f"a file of the server's could not be read: {type(error).__name__}") from None
    if len(data) > limit:
        raise TooLarge(f"more than {limit} bytes")
    return data
