"""What Discord is asked to tell, as far as it lets the bot choose: who comes and goes needs a switch of its own."""

from __future__ import annotations

from typing import Literal

import structlog

from bots.discord_bot.rest import Rest
from core.errors import OutboundError, SettingsError

MEMBERS_FLAGS = (1 << 14) | (1 << 15)
"""GATEWAY_GUILD_MEMBERS and GATEWAY_GUILD_MEMBERS_LIMITED of an application's flags."""
NO_MEMBERS_INTENT = (
    "discord.members is on, but this bot may not see who joins. Open discord.com/developers/applications, choose the "
    "application, then Bot, and switch on “Server Members Intent”; or set discord.members to off."
)
HINT = "switch on “Server Members Intent” in Discord's developer portal (Bot), or set discord.members to off"

log = structlog.get_logger()


class Intents:
    """Of one process. ``mode`` is the setting ``discord.members``."""

    def __init__(self, mode: Literal["auto", "on", "off"]) -> None:
        self._mode = mode
        self.members = mode != "off"
        """Whether Discord is asked to tell who comes and goes."""

    async def look(self, rest: Rest) -> None:
        """Learns what is switched on. Raises SettingsError where what has to be is not."""
        if not self.members:
            return
        try:
            flags = int((await rest.call("GET", "/applications/@me")).get("flags") or 0)
        except OutboundError:
            # The connection will tell.
            return
        if not flags & MEMBERS_FLAGS:
            self.give_up()

    def give_up(self) -> bool:
        """Discord does not let the bot see members: whether it can go on without. Raises SettingsError where the
        setting says that it may not."""
        if not self.members:
            return False
        if self._mode == "on":
            raise SettingsError(NO_MEMBERS_INTENT)
        self.members = False
        log.info("who joins and leaves servers is not told: join rules do not work", remedy=HINT)
        return True
