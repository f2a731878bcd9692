"""A word to somebody elsewhere than where it was asked: in a direct message, or in another channel."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import structlog

from bots.adapter import Button
from bots.discord_bot.format import to_page
from bots.discord_bot.layout import NO_MENTIONS
from bots.discord_bot.rest import Rest
from bots.discord_bot.rows import rows
from bots.pacing import Kind, Pacer
from core.errors import OutboundError, OutboundFault

log = structlog.get_logger()

MAX_TEXT = 2000
TRIES = 3
LONGEST_WAIT = 10.0
"""Seconds that a limit of Discord's is waited for; what takes longer is not told."""
AGAIN = (OutboundFault.TRANSIENT, OutboundFault.RATE_LIMITED)


class Telling:
    """Tells it once for a ``key``: an enforced nonce makes a second try within minutes no second message."""

    def __init__(self, rest: Rest, pacer: Pacer) -> None:
        self._rest = rest
        self._pacer = pacer

    async def person(self, account: str, markdown: str, key: str) -> bool:
        """In a direct message. False where they do not take any, and for who is no person."""
        try:
            opened = await self._insist("/users/@me/channels", {"recipient_id": account})
            return await self._post(str(opened["id"]), False, markdown, key)
        except OutboundError as error:
            log.info("discord: somebody could not be told", person=account, cause=error.detail)
            return False

    async def channel(self, channel: str, markdown: str, key: str, buttons: Sequence[Button] = ()) -> bool:
        """In a channel of a guild. False where it cannot be written in."""
        try:
            return await self._post(channel, True, markdown, key, buttons)
        except OutboundError as error:
            log.info("discord: a channel could not be told", channel=channel, cause=error.detail)
            return False

    async def _post(self, channel: str, group: bool, markdown: str, key: str, buttons: Sequence[Button] = ()) -> bool:
        await self._pacer.draw(channel, group, Kind.CREATE)
        text = to_page(markdown).text[:MAX_TEXT]
        nonce = hashlib.blake2b(f"{channel}:{key}".encode(), digest_size=12).hexdigest()
        body: dict[str, Any] = {"content": text, "allowed_mentions": NO_MENTIONS, "nonce": nonce, "enforce_nonce": True}
        if buttons:
            body["components"] = rows(buttons)
        await self._insist(f"/channels/{channel}/messages", body)
        return True

    async def _insist(self, path: str, body: dict[str, Any]) -> Any:
        tries = 1
        while True:
            try:
                return await self._rest.call("POST", path, body)
            except OutboundError as error:
                if tries == TRIES or error.fault not in AGAIN or error.retry_after > LONGEST_WAIT:
                    raise
                tries += 1
                await asyncio.sleep(error.retry_after or 0.5)
