"""What was written while the bot was away: only the channels' history still knows it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from bots.discord_bot.rest import Rest
from bots.discord_bot.snowflake import at
from core.errors import OutboundError, OutboundFault
from core.storage.shared import Place

MAX_CHANNELS = 50
MAX_MESSAGES = 100
"""The most that Discord gives in one call, and the most of one channel that is caught up."""
TRIES = 25
"""Over several minutes: what a channel missed while Discord is in trouble is still wanted after that."""
PAUSE, LONGEST_PAUSE = 0.2, 15.0
MAX_WAIT = 30.0
"""Longest wait, in seconds, for a rate limit of Discord's."""
Recent = Callable[[str], Awaitable[Sequence[Place]]]
"""The places in which the bot of this id lives, the liveliest first."""

log = structlog.get_logger()


def of_shard(places: Sequence[Place], shard: int, count: int) -> list[Place]:
    """The places whose messages come over this shard, as far as they are caught up."""
    return [place for place in places if shard_of(place.space, count) == shard][:MAX_CHANNELS]


def shard_of(guild: str, count: int) -> int:
    """The shard over which a guild's events come; those of direct messages (no guild) come over the first."""
    return (int(guild) >> 22) % count if guild else 0


async def missed(rest: Rest, place: Place, minutes: int) -> list[dict[str, Any]]:
    """Message payloads after the last one seen, oldest first, in the gateway's form (with ``guild_id``).

    A channel that is gone or closed to the bot has missed nothing.
    """
    channel = place.conversation.chat
    after = max(at(rest.now() - minutes * 60), place.last_seen or "0", key=int)
    query = {"after": after, "limit": str(MAX_MESSAGES)}
    try:
        found = await _patiently(rest, f"/channels/{channel}/messages", query)
    except OutboundError as error:
        log.warning("a channel could not be caught up", channel=channel, error=str(error))
        return []
    more = {"guild_id": place.space} if place.space else {}
    return [{**payload, **more} for payload in reversed(found or [])]


async def _patiently(rest: Rest, path: str, query: Mapping[str, str]) -> Any:
    """A read, tried again after limits and failures of the network."""
    for attempt in range(TRIES):
        try:
            return await rest.call("GET", path, query=query)
        except OutboundError as error:
            hopeless = error.fault not in (OutboundFault.RATE_LIMITED, OutboundFault.TRANSIENT)
            if hopeless or attempt == TRIES - 1:
                raise
            await asyncio.sleep(min(MAX_WAIT, error.retry_after or min(LONGEST_PAUSE, PAUSE * 2**attempt)))
    raise AssertionError("unreachable")
