"""What a bot with a moderator's rights may do in the fake Discord, and how Discord refuses the rest.

Written from Discord's documentation ("Guild", "Channel", "Message", "Auto Moderation", "Permissions").
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.platforms.discord_permissions import MISSING_PERMISSIONS, THREADS, May
from tests.platforms.discord_refusals import Json, Refusal, form_error
from tests.platforms.discord_wire import Call
from tests.platforms.discord_world import EPOCH, Posted, World

MOST_OLD = 14 * 86400
"""Seconds that messages may be old which are deleted together."""
LONGEST_TIMEOUT = 28 * 86400
MOST_PINS = 250
MOST_RULES = {1: 6, 3: 1, 4: 1, 5: 1, 6: 1}
"""AutoMod's rules of each kind of trigger."""
Emit = Callable[[str, Json, str], None]


@dataclass(slots=True, eq=False)
class Moderation:
    """The routes. ``delete`` takes one message away and tells of it."""

    world: World
    emit: Emit
    delete: Callable[[Posted], None]

    def in_guild(self, call: Call, guild: str, parts: list[str]) -> tuple[int, Any] | None:
        """A call below ``/guilds/{guild}``; None for a route that is not of moderation."""
        match (call.method, parts):
            case ("PATCH", ["members", user]):
                return 200, self._change_member(call, guild, user)
            case ("DELETE", ["members", user]):
                self._check(guild, user, May.KICK_MEMBERS)
                self._note(guild, 20, user, call)
                self.leave(guild, user)
                return 204, None
            case ("GET", ["bans", user]):
                self._require(guild, May.BAN_MEMBERS)
                return 200, {"user": self.world.users[user], "reason": self._ban(guild, user)}
            case ("PUT", ["bans", user]):
                self._add_ban(call, guild, user)
                return 204, None
            case ("DELETE", ["bans", user]):
                self._require(guild, May.BAN_MEMBERS)
                self._ban(guild, user)
                self._note(guild, 23, user, call)
                del self.world.bans[guild, user]
                self.emit("GUILD_BAN_REMOVE", {"guild_id": guild, "user": self.world.users[user]}, guild)
                return 204, None
            case (_, ["auto-moderation", "rules", *rest]):
                return self._on_rules(call, guild, rest)
            case ("GET", ["invites"]):
                self._require(guild, May.MANAGE_GUILD)
                codes = self.world.invites.get(guild, [])
                return 200, [{"code": code, "type": 0, "channel": None, "guild_id": guild} for code in codes]
            case ("GET", ["requests"]):
                self._require(guild, May.KICK_MEMBERS)
                asked = [one for one in self.world.requests.get(guild, []) if one["application_status"] == "SUBMITTED"]
                return 200, {"total": len(asked), "guild_join_requests": asked}
            case ("PATCH", ["requests", id]):
                return 200, self._decide(call, guild, id)
            case _:
                return None

    def in_channel(self, call: Call, channel: str, parts: list[str]) -> tuple[int, Any] | None:
        """A call below ``/channels/{channel}``; None for a route that is not of moderation."""
        match (call.method, parts):
            case ("PATCH", []):
                return 200, self._change_channel(call, channel)
            case ("PUT", ["permissions", whom]):
                self._overwrite(call, channel, whom)
                return 204, None
            case ("DELETE", ["permissions", whom]):
                self._take_overwrite(call, channel, whom)
                return 204, None
            case ("POST", ["messages", "bulk-delete"]):
                self._delete_many(channel, call.body["messages"])
                return 204, None
            case ("PUT" | "DELETE", ["messages", "pins", message]):
                self._pin(channel, message, pinned=call.method == "PUT")
                return 204, None
            case _:
                return None

    # ------------------------------------------------------------------ people
    def leave(self, guild: str, user: str) -> None:
        """They are no member any more, and their roles are lost."""
        self.world.permissions.gone.add((guild, user))
        self.world.permissions.roles.pop((guild, user), None)
        self.emit("GUILD_MEMBER_REMOVE", {"guild_id": guild, "user": self.world.users[user]}, guild)

    def _change_member(self, call: Call, guild: str, user: str) -> Json:
        held, body = self.world.permissions, call.body
        self._member(guild, user)
        if "roles" in body:
            self._require(guild, May.MANAGE_ROLES)
            before, after = set(held.roles.get((guild, user), [])), set(body["roles"] or [])
            for changed in before ^ after:
                self._check_role(guild, changed)
        if "communication_disabled_until" in body:
            roles = body.get("roles", held.roles.get((guild, user), []))
            self._check(guild, user, May.MODERATE_MEMBERS)
            if body["communication_disabled_until"]:
                self._check_timeout(guild, user, body["communication_disabled_until"], roles)
        if "roles" in body:
            held.roles[guild, user] = [*dict.fromkeys(body["roles"] or [])]
        if "communication_disabled_until" in body:
            until = body["communication_disabled_until"]
            held.timeouts[guild, user] = datetime.fromisoformat(until).timestamp() if until else 0.0
        self._note(guild, 24, user, call)
        return {**self.world.member(user, guild), "user": self.world.users[user]}

    def _check_timeout(self, guild: str, user: str, until: str, roles: Sequence[str]) -> None:
        if any(
            int(r["permissions"]) & May.ADMINISTRATOR for r in self.world.guilds[guild]["roles"] if r["id"] in roles
        ):
            raise Refusal(403, *MISSING_PERMISSIONS)
        if datetime.fromisoformat(until).timestamp() > time.time() + LONGEST_TIMEOUT:
            raise form_error("communication_disabled_until", "Must be 28 days or fewer in the future.", "INVALID")

    def _check_role(self, guild: str, role: str) -> None:
        found = next((one for one in self.world.guilds[guild]["roles"] if one["id"] == role), None)
        if found is None:
            raise Refusal(404, 10011, "Unknown Role")
        if found["managed"]:
            raise Refusal(400, 50028, "Invalid Role")
        if (found["position"], -int(role)) >= self._height(guild, self.world.bot):
            raise Refusal(403, *MISSING_PERMISSIONS)

    def _add_ban(self, call: Call, guild: str, user: str) -> None:
        world = self.world
        self._require(guild, May.BAN_MEMBERS)
        if user not in world.users:
            raise Refusal(404, 10013, "Unknown User")
        is_member = (guild, user) not in world.permissions.gone
        if is_member:
            self._check(guild, user, May.BAN_MEMBERS)
        world.bans[guild, user] = call.reason
        self._note(guild, 22, user, call)
        since = time.time() - int(call.body.get("delete_message_seconds") or 0)
        for room in world.messages.values():
            for posted in room.values():
                if posted.guild == guild and posted.data["author"]["id"] == user and posted.created > since:
                    posted.deleted = posted.deleted or time.time()
        if is_member:
            self.leave(guild, user)
        self.emit("GUILD_BAN_ADD", {"guild_id": guild, "user": world.users[user]}, guild)

    def _ban(self, guild: str, user: str) -> str:
        if (guild, user) not in self.world.bans:
            raise Refusal(404, 10026, "Unknown Ban")
        return self.world.bans[guild, user]

    def _decide(self, call: Call, guild: str, id: str) -> Json:
        self._require(guild, May.KICK_MEMBERS)
        found = next((one for one in self.world.requests.get(guild, []) if one["id"] == id), None)
        if found is None:
            raise Refusal(404, 0, "404: Not Found")
        found["application_status"] = call.body["action"]
        if call.body["action"] == "APPROVED":
            self.world.permissions.gone.discard((guild, found["user_id"]))
        return found

    # ------------------------------------------------------------------ channels and messages
    def _change_channel(self, call: Call, channel: str) -> Json:
        found, bot = self.world.channel(channel), self.world.bot
        is_thread = found["type"] in THREADS
        self.world.permissions.require(bot, channel, May.MANAGE_THREADS if is_thread else May.MANAGE_CHANNELS)
        if "rate_limit_per_user" in call.body:
            found["rate_limit_per_user"] = int(call.body["rate_limit_per_user"] or 0)
        for name in ("locked", "archived"):
            if name in call.body:
                found["thread_metadata"][name] = bool(call.body[name])
        self._note(found["guild_id"], 111 if is_thread else 11, channel, call)
        self.emit("THREAD_UPDATE" if is_thread else "CHANNEL_UPDATE", found, found["guild_id"])
        return found

    def _overwrite(self, call: Call, channel: str, whom: str) -> None:
        place = self.world.channel(channel)
        self.world.permissions.require(self.world.bot, channel, May.MANAGE_ROLES)
        allow, deny = int(call.body.get("allow") or 0), int(call.body.get("deny") or 0)
        before = next((one for one in place["permission_overwrites"] if one["id"] == whom), {"allow": 0, "deny": 0})
        changed = allow ^ int(before["allow"]) | deny ^ int(before["deny"])
        if changed & ~self._held(place["guild_id"]):
            raise Refusal(403, *MISSING_PERMISSIONS)
        self.world.permissions.overwrite(channel, whom, allow=allow, deny=deny, member=call.body.get("type") == 1)
        self._note(place["guild_id"], 14, channel, call)
        self.emit("CHANNEL_UPDATE", place, place["guild_id"])

    def _take_overwrite(self, call: Call, channel: str, whom: str) -> None:
        place = self.world.channel(channel)
        self.world.permissions.require(self.world.bot, channel, May.MANAGE_ROLES)
        others = [one for one in place["permission_overwrites"] if one["id"] != whom]
        if others == place["permission_overwrites"]:
            raise Refusal(404, 10009, "Unknown Overwrite")
        place["permission_overwrites"] = others
        self._note(place["guild_id"], 15, channel, call)

    def _delete_many(self, channel: str, ids: list[str]) -> None:
        self.world.channel(channel)
        self.world.permissions.require(self.world.bot, channel, May.MANAGE_MESSAGES)
        if len(set(ids)) != len(ids):
            raise form_error("messages", "Must not contain duplicates.")
        oldest = min((int(id) >> 22) + EPOCH for id in ids) / 1000
        if oldest < time.time() - MOST_OLD:
            raise Refusal(400, 50034, "You can only bulk delete messages that are under 14 days old.")
        for id in ids:
            posted = self.world.messages[channel].get(id)
            if posted and not posted.deleted:
                posted.deleted = time.time()
        guild = self.world.channels[channel]["guild_id"]
        self.emit("MESSAGE_DELETE_BULK", {"ids": ids, "channel_id": channel, "guild_id": guild}, guild)

    def _pin(self, channel: str, message: str, *, pinned: bool) -> None:
        self.world.permissions.require(self.world.bot, channel, May.PIN_MESSAGES)
        posted = self.world.message(channel, message)
        there = [one for one in self.world.messages[channel].values() if one.data["pinned"] and not one.deleted]
        if pinned and posted not in there and len(there) >= MOST_PINS:
            raise Refusal(400, 30003, "Maximum number of pins reached (250)")
        posted.data = {**posted.data, "pinned": pinned}

    # ------------------------------------------------------------------ AutoMod
    def _on_rules(self, call: Call, guild: str, rest: list[str]) -> tuple[int, Any]:
        self._require(guild, May.MANAGE_GUILD)
        rules = self.world.automod.setdefault(guild, [])
        if not rest:
            if call.method == "GET":
                return 200, rules
            kind = call.body["trigger_type"]
            if sum(rule["trigger_type"] == kind for rule in rules) >= MOST_RULES[kind]:
                raise form_error("trigger_type", "Maximum number of rules reached.", "AUTO_MODERATION_MAX_RULES")
            made: Json = {
                "enabled": False,
                "exempt_roles": [],
                "exempt_channels": [],
                "actions": [{"type": 1}],
                **call.body,
            }
            made |= {"id": self.world.snowflake(), "guild_id": guild, "creator_id": self.world.bot}
            rules.append(made)
            self._note(guild, 140, made["id"], call)
            return 200, made
        found = next((rule for rule in rules if rule["id"] == rest[0]), None)
        if found is None:
            raise Refusal(404, 10066, "Unknown Auto Moderation Rule")
        if call.method == "DELETE":
            rules.remove(found)
            return 204, None
        if call.method == "PATCH":
            found |= call.body
            self._note(guild, 141, found["id"], call)
        return 200, found

    # ------------------------------------------------------------------ who may
    def _note(self, guild: str, action: int, target: str, call: Call) -> None:
        self.world.audit.append({"guild": guild, "action": action, "target": target, "reason": call.reason})

    def _held(self, guild: str) -> int:
        """What the bot may do in all of a guild."""
        found = self.world.guilds[guild]
        mine = {guild, *self.world.permissions.roles.get((guild, self.world.bot), [])}
        held = 0
        for role in found["roles"]:
            held |= int(role["permissions"]) if role["id"] in mine else 0
        return -1 if held & May.ADMINISTRATOR else held

    def _require(self, guild: str, permission: May) -> None:
        if not self._held(guild) & permission:
            raise Refusal(403, *MISSING_PERMISSIONS)

    def _member(self, guild: str, user: str) -> None:
        if user not in self.world.users:
            raise Refusal(404, 10013, "Unknown User")
        if (guild, user) in self.world.permissions.gone:
            raise Refusal(404, 10007, "Unknown Member")

    def _check(self, guild: str, user: str, permission: May) -> None:
        """The bot may act on a member: it has the permission, and stands higher."""
        self._require(guild, permission)
        self._member(guild, user)
        is_owner = self.world.guilds[guild]["owner_id"] == user
        if is_owner or self._height(guild, user) >= self._height(guild, self.world.bot):
            raise Refusal(403, *MISSING_PERMISSIONS)

    def _height(self, guild: str, user: str) -> tuple[int, int]:
        mine = self.world.permissions.roles.get((guild, user), [])
        heights = [(r["position"], -int(r["id"])) for r in self.world.guilds[guild]["roles"] if r["id"] in mine]
        return max(heights, default=(0, -int(guild)))
