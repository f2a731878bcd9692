"""When a new session may begin: Discord bounds how often, over all processes of a bot, and takes a bot's token away
that begins too many."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog

from bots.discord_bot.identity import NOT_KNOWN
from bots.discord_bot.rest import Rest
from core.errors import OutboundError, SettingsError, StorageError
from core.storage.fleet import Fleet

KEPT = 10
"""Beginnings that are left for a human who looks for what is wrong."""
FEW = 0.1
"""Part of a day's beginnings from which on each of them is worth a warning."""
MAX_PAUSE = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What Discord grants the bot at the moment (GET /gateway/bot)."""

    shards: int
    """The recommended number."""
    left: int
    """Sessions that may still begin before :attr:`renewed_in`."""
    total: int
    renewed_in: float
    """Seconds."""
    side_by_side: int
    """Shards that may begin at the same time: those whose ids differ by other numbers than its multiples."""


async def allowance(rest: Rest) -> Allowance:
    """Tries as long as Discord cannot be reached. Raises SettingsError for a token that it does not know."""
    pause = 1.0
    while True:
        try:
            return _read(await rest.call("GET", "/gateway/bot"))
        except OutboundError as error:
            # A 403 may be for the address, by the proxy in front of Discord.
            if rest.disowned.is_set():
                raise SettingsError(NOT_KNOWN) from None
            wait = max(pause, error.retry_after or 0.0)
            log.warning("Discord cannot be reached", error=str(error), next_try_seconds=round(wait, 1))
        await asyncio.sleep(wait)
        pause = min(MAX_PAUSE, pause * 2)


class Starts:
    """Lets new sessions begin one by one, over all processes. ``pause`` is in seconds."""

    def __init__(self, rest: Rest, fleet: Fleet, side_by_side: int, pause: float) -> None:
        self._rest = rest
        self._fleet = fleet
        self.side_by_side = side_by_side
        self.pause = pause

    async def wait(self, shard: int) -> None:
        """Returns when the shard may begin a session. Raises SettingsError as :func:`allowance`."""
        while True:
            await self._wait_until_it_may(f"identify:{shard % self.side_by_side}")
            now = await allowance(self._rest)
            self.side_by_side = now.side_by_side
            if now.left > min(KEPT, now.total // 2):
                break
            wait = min(MAX_PAUSE, max(1.0, now.renewed_in))
            log.error(
                "too many connections to Discord were begun today: waiting until it grants new ones",
                left=now.left,
                granted_again_seconds=round(now.renewed_in),
            )
            await asyncio.sleep(wait)
        if now.left < now.total * FEW:
            log.warning("few connections to Discord are left today", left=now.left, of=now.total)

    async def _wait_until_it_may(self, bucket: str) -> None:
        wait = self.pause
        while wait:
            try:
                wait = await self._fleet.may(bucket, self.pause)
            except StorageError as error:
                log.warning("a connection waits for the storage", error=str(error))
            await asyncio.sleep(wait)


def _read(given: dict[str, Any]) -> Allowance:
    limit = given["session_start_limit"]
    return Allowance(
        shards=max(1, given["shards"]),
        left=limit["remaining"],
        total=limit["total"],
        renewed_in=limit["reset_after"] / 1000,
        side_by_side=max(1, limit.get("max_concurrency", 1)),
    )
