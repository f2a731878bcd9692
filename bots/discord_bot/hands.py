"""The calls by which acts of moderation are done: paced, patient with limits, with their reason in the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bots.discord_bot.rest import Rest
from bots.pacing import Kind, Pacer
from core.errors import OutboundError, OutboundFault
from core.moderation.acts import Act

TRIES = 4
LONGEST_WAIT = 15.0
"""Seconds that a limit of Discord's is waited for; after that the act is tried again as a whole, later."""


class Hands:
    """Those of one bot. Every method raises CallFailed for what Discord refuses, OutboundError
    (``OutboundFault.TRANSIENT``) for what may go later."""

    def __init__(self, rest: Rest, pacer: Pacer) -> None:
        self._rest = rest
        self._pacer = pacer

    def now(self) -> float:
        """Unix seconds at Discord."""
        return self._rest.now()

    async def read(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        return await self._insist("GET", path, None, query, "")

    async def do(self, act: Act, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        # Only the bot's own limit is kept ahead; how many of a kind a guild takes is told by each answer.
        await self._pacer.draw(f"{act.space}/acts", True, Kind.DRAFT, act.space)
        return await self._insist(method, path, body, None, _reason(act))

    async def change(self, space: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What is no act, but chosen for the space."""
        await self._pacer.draw(f"{space}/acts", True, Kind.DRAFT, space)
        return await self._insist(method, path, body, None, "")

    async def _insist(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, str] | None, reason: str
    ) -> Any:
        tries = 1
        while True:
            try:
                return await self._rest.call(method, path, body, query=query, reason=reason)
            except OutboundError as error:
                if error.fault is not OutboundFault.RATE_LIMITED:
                    raise
                if tries == TRIES or error.retry_after > LONGEST_WAIT:
                    raise OutboundError(
                        OutboundFault.TRANSIENT,
                        error.detail,
                        retry_after=error.retry_after,
                        everywhere=error.everywhere,
                    ) from error
                tries += 1
                await asyncio.sleep(error.retry_after or 0.5)


def _reason(act: Act) -> str:
    """Discord shows the bot as who did it; the case tells all."""
    who = f"rule {act.rule}" if act.rule else act.actor.name or act.actor.account
    return f"{who}: {act.reason}" if act.reason else who
