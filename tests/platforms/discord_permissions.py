"""Who may do what in the fake Discord: roles, members, overwrites, timeouts, and the refusals that follow.

Written from Discord's documentation ("Permissions") and by nothing that the program uses.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntFlag

from tests.platforms.discord_refusals import Json, Refusal


class May(IntFlag):
    """Discord's permissions, as far as they matter to a bot that talks."""

    KICK_MEMBERS = 1 << 1
    BAN_MEMBERS = 1 << 2
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MANAGE_ROLES = 1 << 28
    MANAGE_WEBHOOKS = 1 << 29
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38
    MODERATE_MEMBERS = 1 << 40
    SEND_VOICE_MESSAGES = 1 << 46
    SEND_POLLS = 1 << 49
    PIN_MESSAGES = 1 << 51


EVERYONE = (
    *(May.ADD_REACTIONS, May.VIEW_CHANNEL, May.SEND_MESSAGES, May.EMBED_LINKS, May.ATTACH_FILES),
    *(May.READ_MESSAGE_HISTORY, May.USE_APPLICATION_COMMANDS, May.CREATE_PUBLIC_THREADS),
    May.SEND_MESSAGES_IN_THREADS,
    May.SEND_VOICE_MESSAGES,
    May.SEND_POLLS,
)
"""What a new server allows all its members."""
ALL = (1 << 53) - 1
THREADS = (10, 11, 12)
MISSING_ACCESS = (50001, "Missing Access")
MISSING_PERMISSIONS = (50013, "Missing Permissions")


@dataclass(slots=True)
class Permissions:
    """The rights in all guilds. ``guilds`` and ``channels`` are the world's own."""

    guilds: dict[str, Json]
    channels: dict[str, Json]
    roles: dict[tuple[str, str], list[str]] = field(default_factory=dict[tuple[str, str], list[str]])
    """By guild and user: ids of the roles they have besides @everyone."""
    timeouts: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    """By guild and user: until when, in unix seconds."""
    gone: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Guild and user: who is no member, or no more."""

    # ------------------------------------------------------------------ what people do
    def give(self, guild: str, user: str, *permissions: May, position: int = 2) -> str:
        """A new role for a member; its id."""
        role: Json = {**self.guilds[guild]["roles"][0], "id": str(int(guild) + len(self.guilds[guild]["roles"]) + 7)}
        role |= {"name": f"role {position}", "position": position, "permissions": str(int(sum(permissions)))}
        self.guilds[guild]["roles"].append(role)
        self.roles.setdefault((guild, user), []).append(role["id"])
        return role["id"]

    def overwrite(self, channel: str, whom: str, *, allow: int = 0, deny: int = 0, member: bool = False) -> None:
        """What a role (everyone's has the guild's id) or a member may in a channel, whatever the guild says."""
        made = {"id": whom, "type": int(member), "allow": str(int(allow)), "deny": str(int(deny))}
        others = [one for one in self.channels[channel]["permission_overwrites"] if one["id"] != whom]
        self.channels[channel]["permission_overwrites"] = [*others, made]

    def time_out(self, guild: str, user: str, seconds: float) -> None:
        self.timeouts[guild, user] = time.time() + seconds

    # ------------------------------------------------------------------ what follows
    def member_fields(self, guild: str, user: str) -> Json:
        """What of a member object is about rights."""
        until = self.timeouts.get((guild, user), 0.0)
        stamp = datetime.fromtimestamp(until, UTC).isoformat() if until else None
        return {"roles": list(self.roles.get((guild, user), [])), "communication_disabled_until": stamp}

    def of(self, user: str, channel: str) -> int:
        """What a member may do in a channel; all of it where there are no guilds."""
        place = self.channels[channel]
        if "guild_id" not in place:
            return ALL
        guild = self.guilds[place["guild_id"]]
        if (guild["id"], user) in self.gone:
            return 0
        if guild["owner_id"] == user:
            return ALL
        mine = [guild["id"], *self.roles.get((guild["id"], user), [])]
        base = 0
        for role in guild["roles"]:
            if role["id"] in mine:
                base |= int(role["permissions"])
        if base & May.ADMINISTRATOR:
            return ALL
        if place["type"] in THREADS:
            place = self.channels[place["parent_id"]]
        base = self._overwritten(base, place, mine, user)
        if self.timeouts.get((guild["id"], user), 0.0) > time.time():
            base &= May.VIEW_CHANNEL | May.READ_MESSAGE_HISTORY
        return base if base & May.VIEW_CHANNEL else 0

    @staticmethod
    def _overwritten(base: int, place: Json, mine: list[str], user: str) -> int:
        overwrites: dict[str, Json] = {one["id"]: one for one in place["permission_overwrites"]}
        if everyone := overwrites.get(mine[0]):
            base = base & ~int(everyone["deny"]) | int(everyone["allow"])
        of_roles = [overwrites[role] for role in mine[1:] if role in overwrites]
        for one in of_roles:
            base &= ~int(one["deny"])
        for one in of_roles:
            base |= int(one["allow"])
        if own := overwrites.get(user):
            base = base & ~int(own["deny"]) | int(own["allow"])
        return base

    def require(self, user: str, channel: str, *permissions: May) -> None:
        """Refuses like Discord what a member may not do; nobody may do anything where they see nothing."""
        held = self.of(user, channel)
        if not held & May.VIEW_CHANNEL:
            raise Refusal(403, *MISSING_ACCESS)
        if any(not held & permission for permission in permissions):
            raise Refusal(403, *MISSING_PERMISSIONS)

    def require_to_write(self, user: str, channel: str) -> None:
        """In a thread another permission is asked for than in a channel."""
        in_thread = self.channels[channel]["type"] in THREADS
        self.require(user, channel, May.SEND_MESSAGES_IN_THREADS if in_thread else May.SEND_MESSAGES)
