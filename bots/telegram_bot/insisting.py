"""Calls that a receiver cannot do without: tried until they succeed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any

import structlog
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError

from bots.telegram_bot.api import Api
from bots.telegram_bot.faults import seconds_of
from bots.telegram_bot.transport import CALL_SECONDS
from core.errors import SettingsError

log = structlog.get_logger()

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
REFUSALS = 6
"""401s in a row believed only then, once the token has worked: an outage at Telegram can look like one."""


async def insist(
    api: Api,
    method: str,
    fields: Mapping[str, Any],
    *,
    seconds: float = CALL_SECONDS,
    refusals: int = REFUSALS,
    patience: float = math.inf,
) -> Any:
    """A call that is tried until it succeeds, each try for ``seconds``.

    Raises SettingsError for a token that Telegram refuses ``refusals`` times, Conflict at once, and TelegramError for
    what still fails after ``patience`` seconds, other than for being told to wait.
    """
    clock = asyncio.get_running_loop()
    until = clock.time() + patience
    pause, refused = FIRST_PAUSE, 0
    while True:
        try:
            return await api.call(method, fields, seconds)
        except InvalidToken as error:
            refused += 1
            if refused >= refusals:
                raise SettingsError(
                    "TELEGRAM_TOKEN is wrong: Telegram does not know this bot. Copy the token again from "
                    "@BotFather, and check TELEGRAM_API_BASE if that is set."
                ) from None
            failed: TelegramError = error
            log.warning("telegram: the token was refused", method=method, again_in=pause)
        except Conflict:
            raise
        except RetryAfter as error:
            failed, pause = error, seconds_of(error)
            log.warning("telegram: asked to wait", method=method, again_in=pause)
        except TelegramError as error:
            failed = error
            log.warning("telegram: no connection", method=method, cause=str(error), again_in=pause)
        if clock.time() + pause > until and not isinstance(failed, InvalidToken | RetryAfter):
            raise failed
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
