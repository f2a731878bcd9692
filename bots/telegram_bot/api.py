"""The Bot API as plain values: python-telegram-bot's ``Bot`` without its objects.

``Bot.send_message`` and its like wrap every value going in and build a ``Message`` coming out, which is a third
of a call's processor time; Parley needs one id of it. ``Bot.do_api_request`` is the public way past them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Without it every 429 warns that retry_after will be a timedelta; this is the documented way to have it now.
os.environ.setdefault("PTB_TIMEDELTA", "1")

from telegram import Bot
from telegram.error import TelegramError

from bots.telegram_bot.local_files import read_below
from bots.telegram_bot.transport import CALL_SECONDS, AiohttpRequest
from core.errors import SettingsError
from core.settings import TelegramSettings

# At DEBUG the library writes the address with the token into the log.
logging.getLogger("telegram").setLevel(logging.WARNING)


class Api:
    """One bot's line to its Bot API server. Raises ``telegram.error.TelegramError`` and its kin."""

    def __init__(self, settings: TelegramSettings) -> None:
        token = settings.token.get_secret_value()
        if not re.fullmatch(r"\d+:[A-Za-z0-9_-]+", token):
            raise SettingsError(
                "TELEGRAM_TOKEN is wrong: found a value that is not shown here. "
                "Copy it from @BotFather; it looks like 123456789:ABCdef."
            )
        self.bot = token.partition(":")[0]
        """The bot's account id."""
        self._folder = Path(settings.local_files) if settings.local_server else None
        self._files = f"{settings.api_base}/file/bot{token}"
        self._request = AiohttpRequest(settings.api_base)
        self._bot = Bot(
            token,
            base_url=f"{settings.api_base}/bot",
            base_file_url=f"{settings.api_base}/file/bot",
            request=self._request,
            get_updates_request=self._request,
        )

    async def call(self, method: str, fields: Mapping[str, Any], seconds: float = CALL_SECONDS) -> Any:
        """Calls a method (named in lower case) and gives its raw result.

        The server takes any case; the library warns about names of methods that it has itself.
        """
        try:
            return await self._bot.do_api_request(method, dict(fields), read_timeout=seconds)
        except (KeyError, AttributeError):
            raise TelegramError("the answer is not of the Bot API's form") from None

    @property
    def is_local(self) -> bool:
        """The server is the owner's, with files of up to 2 GB."""
        return self._folder is not None

    async def download(self, path: str, limit: int) -> bytes:
        """A file by the ``file_path`` that getFile gave; raises ``transport.TooLarge`` over ``limit`` bytes.

        A server of one's own that runs with ``--local`` names a file on disk, which is read below its folder only.
        """
        if self._folder is not None:
            return await asyncio.to_thread(read_below, self._folder, path, limit)
        return await self._request.download(f"{self._files}/{path}", limit)

    async def close(self) -> None:
        await self._request.shutdown()
