"""What was written while the bot was away: only the channels' history still knows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from bots.discord_bot.rest import Rest
from bots.discord_bot.snowflake import at
from core.errors import OutboundError, OutboundFault
from core.message import ConversationKey

MAX_CHANNELS = 50
MAX_MESSAGES = 100
"""The most that Discord gives in one call, and the most of one channel that is caught up."""
TRIES = 5
MAX_WAIT = 30.0
"""Longest wait, in seconds, for a rate limit of Discord's."""
DIRECT = 1
"""Channel type of direct messages."""

Recent = Callable[[], Awaitable[Sequence[tuple[ConversationKey, str]]]]
"""Conversations the bot lives in, the newest first, each with the id of the last message seen there."""

log = structlog.get_logger()


async def missed(rest: Rest, channel: str, last_seen: str, minutes: int, guild: str) -> list[dict[str, Any]]:
    """Message payloads after the last one seen, oldest first, in the gateway's form (with ``guild_id``).

    ``guild`` may be empty when the channel is unknown here; it is asked for then. A channel that is gone or
    closed to the bot has missed nothing.
    """
    after = max(at(time.time() - minutes * 60), last_seen or "0", key=int)
    query = {"after": after, "limit": str(MAX_MESSAGES)}
    try:
        found = await _patiently(rest, f"/channels/{channel}/messages", query)
        if found and not guild:
            guild = await _guild_of(rest, channel)
    except OutboundError as error:
        log.warning("a channel could not be caught up", channel=channel, error=str(error))
        return []
    more = {"guild_id": guild} if guild else {}
    return [{**payload, **more} for payload in reversed(found or [])]


async def _guild_of(rest: Rest, channel: str) -> str:
    known = await _patiently(rest, f"/channels/{channel}", None)
    return "" if known["type"] == DIRECT else known.get("guild_id", "")


async def _patiently(rest: Rest, path: str, query: Mapping[str, str] | None) -> Any:
    """A read, tried again after limits and failures of the network."""
    for attempt in range(TRIES):
        try:
            return await rest.call("GET", path, query=query)
        except OutboundError as error:
            hopeless = error.fault not in (OutboundFault.RATE_LIMITED, OutboundFault.TRANSIENT)
            if hopeless or attempt == TRIES - 1:
                raise
            await asyncio.sleep(min(MAX_WAIT, error.retry_after or 0.2 * 2**attempt))
    raise AssertionError("unreachable")
