"""Which account a token speaks for."""

from __future__ import annotations

import asyncio
import base64
import binascii

import structlog

from bots.discord_bot.rest import Rest
from core.errors import OutboundError, SettingsError

NOT_KNOWN = (
    "DISCORD_TOKEN is wrong: Discord does not know it. Open discord.com/developers/applications, choose the "
    "application, then Bot, “Reset Token”, and copy the new one."
)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0

log = structlog.get_logger()


async def bot_id(rest: Rest, token: str) -> str:
    """The bot's user id. It is the first part of the token; if it is not to be read there, Discord is asked.

    Raises SettingsError for a token that Discord refuses.
    """
    if known := _from_token(token):
        return known
    pause = FIRST_PAUSE
    while True:
        try:
            return str((await rest.call("GET", "/users/@me"))["id"])
        except OutboundError as error:
            # A 403 may be for the address, by the proxy in front of Discord.
            if rest.disowned.is_set():
                raise SettingsError(NOT_KNOWN) from None
            log.warning("Discord does not say who this bot is", error=str(error), next_try_seconds=pause)
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


async def until_disowned(rest: Rest) -> None:
    """Raises SettingsError as soon as Discord knows the token no more: it was reset, or taken away."""
    await rest.disowned.wait()
    raise SettingsError(NOT_KNOWN)


def _from_token(token: str) -> str:
    first = token.strip().partition(".")[0]
    try:
        found = base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    return found if found.isdigit() else ""
