"""How members of a guild stand to each other: by the owner, by the heights of their roles. Pure."""

from __future__ import annotations

from bots.discord_bot import permissions
from bots.discord_bot.permissions import Raw
from core.moderation.members import Rank

MAX_NAME = 100


def fixed_rank(guild: Raw, user: Raw, caller: str) -> Rank | None:
    """How somebody stands to the caller, where roles do not decide it."""
    owner = str(guild["owner_id"])
    if user.get("bot"):
        return Rank.BOT
    if str(user["id"]) == owner:
        return Rank.OWNER
    return Rank.BELOW if caller == owner else None


def rank(guild: Raw, target: Raw, held: Raw | None) -> Rank:
    """How a member stands to another one, who is ``held``; neither owns the guild. None: they are no member, and run
    this Parley, so that they may act."""
    if held is None:
        return Rank.BELOW
    if is_administrator(guild, target):
        return Rank.ABOVE
    return Rank.BELOW if permissions.position(guild, target) < permissions.position(guild, held) else Rank.ABOVE


def is_administrator(guild: Raw, member: Raw) -> bool:
    """Whether they may everything, by a role; Discord times none of them out."""
    mine = {str(role) for role in member["roles"]} | {str(guild["id"])}
    return any(int(role["permissions"]) & permissions.ADMINISTRATOR for role in guild["roles"] if role["id"] in mine)


def name_of(user: Raw, member: Raw) -> str:
    """What somebody is called in the guild, in one line."""
    name = member.get("nick") or user.get("global_name") or user.get("username") or "Someone"
    return " ".join(str(name).split())[:MAX_NAME]
