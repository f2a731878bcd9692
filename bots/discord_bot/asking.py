"""Asks newcomers whether they are people, in a direct message: Discord lets nobody press buttons in a guild in which
they are timed out."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import structlog

from bots.buttons import laid_out
from bots.discord_bot.format import to_page
from bots.discord_bot.rest import Rest
from bots.discord_bot.rows import rows
from bots.discord_bot.telling import AGAIN, MAX_TEXT
from bots.pacing import Kind, Pacer
from core.errors import OutboundError, OutboundFault
from core.moderation.enforcer import Asked, Site

log = structlog.get_logger()

TURN_SECONDS = 3.0
"""Others wait for this process meanwhile."""


class Asking:
    """Of one bot."""

    def __init__(self, rest: Rest, pacer: Pacer) -> None:
        self._rest = rest
        self._pacer = pacer

    async def ask(self, site: Site, asked: Asked) -> str:
        """Channel and message. Nobody but whom it is for is notified. Raises OutboundError where Discord is away."""
        if asked.is_note:
            return await self._in(site.conversation.chat, asked) if site.conversation.chat else ""
        try:
            opened = await self._rest.call("POST", "/users/@me/channels", {"recipient_id": asked.account})
        except OutboundError as error:
            return _refused(error, asked.account)
        return await self._in(str(opened["id"]), asked)

    async def _in(self, channel: str, asked: Asked) -> str:
        try:
            await asyncio.wait_for(self._pacer.draw(channel, True, Kind.CREATE), TURN_SECONDS)
        except TimeoutError as error:
            raise OutboundError(OutboundFault.RATE_LIMITED, "too busy", retry_after=TURN_SECONDS) from error
        body: dict[str, Any] = {
            "content": f"<@{asked.account}> {to_page(asked.markdown).text}"[:MAX_TEXT],
            "allowed_mentions": {"parse": [], "users": [asked.account]},
            "components": rows(laid_out(asked.rows)),
            "nonce": hashlib.blake2b(f"{channel}:{asked.key}".encode(), digest_size=12).hexdigest(),
            "enforce_nonce": True,
        }
        try:
            sent = await self._rest.call("POST", f"/channels/{channel}/messages", body)
        except OutboundError as error:
            return _refused(error, channel)
        return f"{channel} {sent['id']}"

    async def unask(self, where: str) -> None:
        """What :meth:`ask` gave."""
        channel, _, message = where.partition(" ")
        try:
            await self._rest.call("DELETE", f"/channels/{channel}/messages/{message}")
        except OutboundError as error:
            log.info("discord: a question stays", channel=channel, cause=error.detail)


def _refused(error: OutboundError, where: str) -> str:
    """Nothing, where Discord does not let the bot write. Raises the error where it may the next time."""
    if error.fault in AGAIN:
        raise error
    log.info("discord: somebody could not be asked", where=where, cause=error.detail)
    return ""
