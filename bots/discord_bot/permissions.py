"""What a member may do in a guild or a channel, computed as Discord documents it ("Permission Overwrites"). Pure.

All of it is about raw objects of the API: a guild with ``owner_id`` and ``roles``, a channel with
``permission_overwrites``, a member with ``roles`` and ``communication_disabled_until``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

Raw = Mapping[str, Any]

KICK_MEMBERS = 1 << 1
BAN_MEMBERS = 1 << 2
ADMINISTRATOR = 1 << 3
MANAGE_CHANNELS = 1 << 4
MANAGE_GUILD = 1 << 5
VIEW_CHANNEL = 1 << 10
SEND_MESSAGES = 1 << 11
MANAGE_MESSAGES = 1 << 13
EMBED_LINKS = 1 << 14
ATTACH_FILES = 1 << 15
READ_MESSAGE_HISTORY = 1 << 16
MANAGE_ROLES = 1 << 28
MANAGE_THREADS = 1 << 34
CREATE_PUBLIC_THREADS = 1 << 35
CREATE_PRIVATE_THREADS = 1 << 36
SEND_MESSAGES_IN_THREADS = 1 << 38
MODERATE_MEMBERS = 1 << 40
"""Discord calls it timing out."""
PIN_MESSAGES = 1 << 51
EVERYTHING = (1 << 64) - 1

MODERATORS = ADMINISTRATOR | MANAGE_GUILD | KICK_MEMBERS | BAN_MEMBERS | MODERATE_MEMBERS | MANAGE_MESSAGES
"""Who has one of these is of the staff."""

ROLE, MEMBER = 0, 1
TEXT_CHANNEL = 0
THREADS = (10, 11, 12)
"""Kinds of channels that have no overwrites of their own: their parent's hold."""


def in_guild(guild: Raw, member: Raw, user: str, now: float) -> int:
    """What they may do in all of it. ``now`` in unix seconds, for timeouts."""
    if str(guild.get("owner_id")) == user:
        return EVERYTHING
    roles = {str(role["id"]): int(role["permissions"]) for role in guild["roles"]}
    found = roles.get(str(guild["id"]), 0)  # @everyone has the guild's id
    for role in member["roles"]:
        found |= roles.get(str(role), 0)
    if found & ADMINISTRATOR:
        return EVERYTHING
    return _timed_out(found, member, now)


def in_channel(guild: Raw, channel: Raw, member: Raw, user: str, now: float) -> int:
    """What they may do in a channel; for a thread ``channel`` is its parent."""
    found = in_guild(guild, member, user, now)
    if found == EVERYTHING:
        return found
    overwrites: list[Raw] = list(channel.get("permission_overwrites") or ())
    everyone, held = str(guild["id"]), {str(role) for role in member["roles"]}
    found = _overwritten(found, (o for o in overwrites if str(o["id"]) == everyone))
    roles = [o for o in overwrites if _kind(o) == ROLE and str(o["id"]) in held - {everyone}]
    found = _overwritten(found, roles)
    found = _overwritten(found, (o for o in overwrites if _kind(o) == MEMBER and str(o["id"]) == user))
    if not found & VIEW_CHANNEL:
        # Who does not see a channel can do nothing there.
        return 0
    return _timed_out(found, member, now)


def is_writable(permissions: int, *, thread: bool = False) -> bool:
    """Whether messages can be sent with them."""
    return not missing(permissions, thread=thread)


def missing(permissions: int, *, thread: bool = False) -> int:
    """The first permission that an answer there needs and that is not among them; 0 when none is missing."""
    needed = (VIEW_CHANNEL, SEND_MESSAGES_IN_THREADS if thread else SEND_MESSAGES)
    return next((one for one in needed if not permissions & one), 0)


def writable(guild: Raw, channels: Iterable[Raw], member: Raw, user: str, now: float) -> list[str]:
    """Ids of the text channels that they may write in: the one for the system's messages first, then as people see
    them."""
    system = str(guild.get("system_channel_id") or "")
    found = [
        channel
        for channel in channels
        if channel.get("type") == TEXT_CHANNEL and is_writable(in_channel(guild, channel, member, user, now))
    ]
    found.sort(
        key=lambda channel: (str(channel["id"]) != system, int(channel.get("position") or 0), int(channel["id"]))
    )
    return [str(channel["id"]) for channel in found]


def position(guild: Raw, member: Raw) -> tuple[int, int]:
    """How high a member's highest role stands, to compare with another's. Of two at one height the older is higher."""
    roles = {str(role["id"]): role for role in guild["roles"]}
    held = (roles[str(role)] for role in member["roles"] if str(role) in roles)
    return max(((int(role["position"]), -int(role["id"])) for role in held), default=(0, -int(guild["id"])))


def _overwritten(permissions: int, overwrites: Iterable[Raw]) -> int:
    """Allowed and denied together: among the overwrites of several roles an allowance wins."""
    allow = deny = 0
    for overwrite in overwrites:
        allow |= int(overwrite["allow"])
        deny |= int(overwrite["deny"])
    return permissions & ~deny | allow


def _timed_out(permissions: int, member: Raw, now: float) -> int:
    until: str = member.get("communication_disabled_until") or ""
    if until and datetime.fromisoformat(until).timestamp() > now:
        return permissions & (VIEW_CHANNEL | READ_MESSAGE_HISTORY)
    return permissions


def _kind(overwrite: Raw) -> int:
    return int(overwrite["type"])
