"""The bot comes into a guild: what it says there, once. Pure."""

from __future__ import annotations

from datetime import datetime

from bots.discord_bot import permissions
from bots.discord_bot.permissions import Raw
from core.commands.greeting import SLASH, USERNAME
from core.conversation.moving import GREETING
from core.message import Author, CommandCall, ConversationKey, Platform

RECENT_SECONDS = 600.0
"""Discord tells of every guild at each start; one that was joined longer ago has been greeted, or was joined before
there was anybody to greet it."""


def greeting(payload: Raw, bot: str, now: float) -> CommandCall | None:
    """A ``GUILD_CREATE``: a greeting for a guild that the bot has just come into, in the channel for the system's
    messages or the first that it may write in. ``now`` in unix seconds."""
    joined: str = payload.get("joined_at") or ""
    if payload.get("unavailable") or not joined or now - datetime.fromisoformat(joined).timestamp() > RECENT_SECONDS:
        return None
    members: list[Raw] = list(payload.get("members") or ())
    me = next((member for member in members if str(member.get("user", {}).get("id")) == bot), None)
    if me is None:
        return None
    channels = permissions.writable(payload, payload["channels"], me, bot, now)
    if not channels:
        return None
    name = next(str(one["name"]) for one in payload["channels"] if str(one["id"]) == channels[0])
    return CommandCall(
        ConversationKey(Platform.DISCORD, bot, channels[0]),
        f"greeting-{payload['id']}",
        # Within two days it is refused as a delivery that came before.
        GREETING,
        Author(str(payload["owner_id"]), "", language=str(payload.get("preferred_locale") or "")),
        "greeting",
        {USERNAME: str(me["user"]["username"]), SLASH: "on"},
        sent_at=now,
        space=str(payload["id"]),
        place=f"#{name} in {payload['name']}",
    )
