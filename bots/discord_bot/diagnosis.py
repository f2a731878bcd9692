"""What ``parley doctor`` looks at on Discord."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from bots.discord_bot.intents import MEMBERS_FLAGS
from bots.discord_bot.rest import AGENT
from bots.finding import Finding, asked
from core.settings import DiscordSettings

MESSAGE_CONTENT_FLAGS = (1 << 18) | (1 << 19)
"""GATEWAY_MESSAGE_CONTENT and GATEWAY_MESSAGE_CONTENT_LIMITED of an application's flags."""


async def look(http: httpx2.AsyncClient, settings: DiscordSettings) -> list[Finding]:
    """Logs in and reads what the developer portal has switched on."""
    token = settings.token.get_secret_value()
    if not token:
        return [Finding("Discord", None, "no DISCORD_TOKEN")]
    headers = {"Authorization": f"Bot {token}", "User-Agent": AGENT}
    me = await asked(http, f"{settings.api_base}/users/@me", headers)
    if isinstance(me, str):
        remedy = "Check the network and DISCORD_API_BASE."
        if me == "status 401":
            remedy = "The token is wrong: reset it in the developer portal (Bot) and put it into DISCORD_TOKEN."
        return [Finding("Discord", False, f"login failed ({me})", remedy)]
    login = Finding("Discord", True, str(me.get("username", "?")))
    begins = _connections(await asked(http, f"{settings.api_base}/gateway/bot", headers), settings)
    application = await asked(http, f"{settings.api_base}/applications/@me", headers)
    if isinstance(application, str):
        return [login, begins, Finding("Discord intents", False, f"cannot be read ({application})", "Try again later.")]
    flags = int(application.get("flags") or 0)
    if not flags & MESSAGE_CONTENT_FLAGS:
        remedy = "Switch on Message Content Intent in the developer portal (Bot), then start again."
        return [login, begins, Finding("Discord intents", False, "the message content intent is off", remedy)]
    on = Finding("Discord intents", True, "message content is on")
    return [login, begins, on, _members(flags, settings)]


def _members(flags: int, settings: DiscordSettings) -> Finding:
    """Whether Discord tells the bot who joins and leaves."""
    name = "Discord members"
    if settings.members == "off":
        return Finding(name, None, "discord.members is off: rules about joining do not work")
    if flags & MEMBERS_FLAGS:
        return Finding(name, True, "who joins and leaves is told")
    remedy = "Switch on Server Members Intent in the developer portal (Bot), then start again."
    is_needed = settings.members == "on"
    return Finding(name, False if is_needed else None, "who joins is not told: rules about joining do not work", remedy)


def _connections(gateway: dict[str, Any] | str, settings: DiscordSettings) -> Finding:
    """How many connections Discord lets the bot begin today, and into how many shards it wants it split."""
    name = "Discord connections"
    if isinstance(gateway, str):
        return Finding(name, False, f"cannot be read ({gateway})", "Try again later.")
    limit: Mapping[str, Any] = gateway.get("session_start_limit") or {}
    left, total, wanted = (
        int(limit.get("remaining") or 0),
        int(limit.get("total") or 0),
        int(gateway.get("shards") or 1),
    )
    what = f"{left} of {total} left today, {wanted} shard{'' if wanted == 1 else 's'} recommended"
    if left <= total // 10:
        hours = round(int(limit.get("reset_after") or 0) / 3_600_000, 1)
        remedy = f"Something restarts too often: the log says why. Discord grants new ones in {hours} hours."
        return Finding(name, False, what, remedy)
    fixed = settings.fixed_shards
    if 0 < fixed < wanted:
        remedy = "Set discord.shards to 0, or --shards to shards of that number, before Discord refuses so few."
        return Finding(name, None, f"{what}, {fixed} set", remedy)
    return Finding(name, True, what)
