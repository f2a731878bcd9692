"""What only the rules of watched guilds want to know: who comes and goes, who reacts, whose messages were missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bots.discord_bot.catch_up import SPACE
from bots.discord_bot.endpoints import Hook
from bots.discord_bot.rest import Rest
from bots.discord_bot.sighting import EVENTS, Around, is_watched, to_arrival, to_reacted
from core.errors import OutboundError, OutboundFault
from core.message import Incoming, Movement

MOST_ASKED = 100
"""Authors of one channel's history that are looked up."""


def hooks(
    bot: str, around: Around, now: Callable[[], float], take: Callable[[Incoming | None], None]
) -> dict[str, Hook]:
    """They take the place of discord.py's own, which would make objects for members that nobody keeps. ``now`` is in
    unix seconds."""

    def moved(movement: Movement, payload: dict[str, Any]) -> None:
        if is_watched(payload, around):
            take(to_arrival(payload, bot, around, movement, now()))

    def reacted(added: bool, payload: dict[str, Any]) -> None:
        if is_watched(payload, around):
            take(to_reacted(payload, bot, now(), added=added))

    made: dict[str, Hook] = {event: partial(moved, movement) for event, movement in EVENTS.items()}
    made["MESSAGE_REACTION_ADD"], made["MESSAGE_REACTION_REMOVE"] = partial(reacted, True), partial(reacted, False)
    return made


async def complete(payloads: Sequence[dict[str, Any]], rest: Rest, reads: asyncio.Lock) -> None:
    """Adds to messages of a history their authors as members, which the gateway would have told. Where nobody tells
    they stay without: rules let be whose author they do not know. Never fails."""
    known: dict[tuple[str, str], Mapping[str, Any] | None] = {}
    for payload in payloads:
        who = payload["guild_id"], payload["author"]["id"]
        if who not in known and len(known) < MOST_ASKED:
            known[who] = await _member(*who, rest, reads)
        if (member := known.get(who)) is not None:
            payload["member"] = member


async def _member(guild: str, user: str, rest: Rest, reads: asyncio.Lock) -> Mapping[str, Any] | None:
    try:
        async with reads:
            await asyncio.sleep(SPACE)
        return await rest.call("GET", f"/guilds/{guild}/members/{user}")
    except OutboundError as error:
        return {} if error.fault is OutboundFault.GONE else None


def only_own(bot: str, parser: Hook) -> Hook:
    """GUILD_MEMBER_UPDATE: discord.py is told of the bot's own roles, and of nobody else's."""

    def updated(payload: dict[str, Any]) -> None:
        user: Mapping[str, Any] = payload.get("user") or {}
        if user.get("id") == bot:
            parser(payload)

    return updated
