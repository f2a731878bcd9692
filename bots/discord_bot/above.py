"""What people said before somebody called the bot: the messages above the one replied to, as far up as replies go.

An event brings one of them. The others are asked for by who makes the answer, and only where the history of the
conversation does not have them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from bots.discord_bot.contents import described
from bots.discord_bot.rest import Rest
from bots.discord_bot.words import readable
from core.errors import OutboundError
from core.message import Message, Quote, clean_text

MOST = 4
"""Messages above the one replied to; each call brings two."""
SECONDS = 3.0
"""The answer waits no longer for them."""
MAX_TEXT = 400
"""Characters kept of each."""
MAX_POST = 2000
"""Characters kept of what a post begins with: all that is said there is about it."""

log = structlog.get_logger()


class Above:
    """Asks Discord for them."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def __call__(self, message: Message, message_id: str) -> Sequence[Quote]:
        """The message of that id in a message's channel and those above it, newest first. Never fails: what cannot be
        had is left out."""
        found: list[Quote] = []
        channel, wanted = message.opens or message.conversation.chat, message_id
        try:
            async with asyncio.timeout(SECONDS):
                while wanted and len(found) < MOST:
                    read: dict[str, Any] = await self._rest.call("GET", f"/channels/{channel}/messages/{wanted}")
                    wanted = ""
                    for raw in filter(None, (read, read.get("referenced_message"))):
                        most = MAX_POST if raw["id"] == channel else MAX_TEXT
                        quote = _quote(raw, message.conversation.bot, most)
                        found.append(quote)
                        wanted = quote.reply_to
        except (OutboundError, TimeoutError) as error:
            log.info("what was said before is not known", channel=channel, cause=str(error) or "it took too long")
        return found[:MOST]


class _Unknown:
    """A worker knows no names of channels and roles."""

    def channel_name(self, guild: str, channel: str) -> str:
        return ""

    def role_name(self, guild: str, role: str) -> str:
        return ""

    def is_own_role(self, guild: str, role: str) -> bool:
        return False


def _quote(raw: dict[str, Any], bot: str, most: int) -> Quote:
    author: dict[str, Any] = raw["author"]
    users = {user["id"]: _name(user) for user in raw.get("mentions") or ()}
    said = readable(raw.get("content") or "", "", bot, users, _Unknown())
    text = clean_text("\n".join(filter(None, (said, described(raw, buttons=author["id"] != bot)))))
    reference: dict[str, Any] = raw.get("message_reference") or {}
    # Type 1 is a forwarded message, which is no reply.
    reply_to = "" if reference.get("type") == 1 else str(reference.get("message_id") or "")
    return Quote(raw["id"], _name(author), text[:most], reply_to=reply_to)


def _name(user: dict[str, Any]) -> str:
    return clean_text(user.get("global_name") or user["username"])
