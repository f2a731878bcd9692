"""Looks for a message that a call may have created whose answer never came, or a process that died after it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bots.adapter import RESENT, Page, Slot, Target
from bots.discord_bot.layout import text_of
from bots.discord_bot.rest import Rest, Upload
from bots.discord_bot.snowflake import at

CLOCK_SLACK = 60.0
"""Seconds that this machine's clock may differ from Discord's."""
MAX_HISTORY = 100
"""The most messages that Discord lists in one call."""
SEARCH_PAGES = 3
"""Such lists read in a search for a lost message."""


def nonce_of(slot: Slot) -> str:
    """At most 25 characters, the same for every try of a slot."""
    return hashlib.blake2b(f"{slot.turn}:{slot.number}".encode(), digest_size=12).hexdigest()


def replies(target: Target, slot: Slot) -> bool:
    """Only an answer's first page shows what it replies to, where that stands in the same channel."""
    return bool(target.question) and not target.opens and slot.number % RESENT == 0


class Finding:
    """Reads channels' histories. Raises OutboundError."""

    def __init__(self, rest: Rest, by_webhook: Callable[[dict[str, Any]], Awaitable[bool]]) -> None:
        """``by_webhook`` tells whether a message was sent by one of ours."""
        self._rest = rest
        self._by_webhook = by_webhook

    async def find(self, target: Target, page: Page, slot: Slot, known: Sequence[str]) -> str | None:
        """The id of the slot's message, if it is there; ``known`` ones are others."""
        others = set(known)
        newest_known = max((int(other) for other in known if other.isdigit()), default=0)
        if target.opens:
            # The thread begins with this answer.
            newest_known = max(newest_known, int(target.question or "0"))
        for message in await self.own(target, slot):
            if message["id"] in others:
                continue
            if message.get("nonce") == nonce_of(slot) or has_text(message, page):
                return message["id"]
            reference: dict[str, Any] = message.get("message_reference") or {}
            replies_to: str = reference.get("message_id", "")
            if replies(target, slot) and message["author"]["id"] != target.conversation.bot:
                # By a webhook, which cannot reply: after the question nothing else comes from it but the answer, and
                # what is known of that is not looked for.
                found = True
            elif replies(target, slot):
                found = replies_to == target.question
            else:
                found = not replies_to and 0 < newest_known < int(message["id"])
            if found:
                return message["id"]
        return None

    async def own(self, target: Target, slot: Slot) -> list[dict[str, Any]]:
        """The bot's messages in the channel since the send was planned or the question asked, oldest first."""
        after = max(slot.after or at(self._rest.now() - CLOCK_SLACK), target.question or "0", key=int)
        found: list[dict[str, Any]] = []
        for _ in range(SEARCH_PAGES):
            query = {"after": after, "limit": str(MAX_HISTORY)}
            path = f"/channels/{target.conversation.chat}/messages"
            messages: list[dict[str, Any]] = await self._rest.call("GET", path, query=query)
            found += reversed(messages)
            if len(messages) < MAX_HISTORY:
                break
            after = found[-1]["id"]
        return [
            message
            for message in found
            if message["author"]["id"] == target.conversation.bot or await self._by_webhook(message)
        ]


def has_files(message: dict[str, Any], uploads: Sequence[Upload]) -> bool:
    """Whether a message has just these, by their sizes: names may be alike, and Discord changes them."""
    sizes = [attachment["size"] for attachment in message.get("attachments") or ()]
    return bool(uploads) and sizes == [len(upload.data) for upload in uploads]


def has_text(message: dict[str, Any], page: Page) -> bool:
    """Whether a message says what the page says, in whichever form."""
    return bool(page.text.strip()) and text_of(message).strip() == page.text.strip()
