"""The routes of the fake Discord about guilds: what a bot may ask of those it is a member of."""

from __future__ import annotations

from typing import Any

from tests.platforms.discord_moderation import Moderation
from tests.platforms.discord_permissions import THREADS
from tests.platforms.discord_refusals import Json, Refusal
from tests.platforms.discord_wire import Call
from tests.platforms.discord_world import World

TOLD = (
    *("id", "name", "icon", "description", "owner_id", "roles", "emojis", "stickers", "features", "preferred_locale"),
    *(
        "vanity_url_code",
        "system_channel_id",
        "system_channel_flags",
        "rules_channel_id",
        "verification_level",
        "nsfw_level",
    ),
)
"""Of a guild; channels and members are asked for apart."""


def answer(world: World, moderation: Moderation, call: Call, parts: list[str]) -> tuple[int, Any] | None:
    """A call below ``/guilds``; None for a route that is not known. Raises Refusal."""
    match (call.method, parts):
        case ("GET", ["guilds", guild]):
            found = _guild(world, guild)
            return 200, {name: found[name] for name in TOLD}
        case ("GET", ["guilds", guild, "channels"]):
            _guild(world, guild)
            there = [one for one in world.channels.values() if one.get("guild_id") == guild]
            return 200, [one for one in there if one["type"] not in THREADS]
        case ("GET", ["guilds", guild, "members", "search"]):
            _guild(world, guild)
            return 200, _called(world, guild, call.query["query"].lower())[: int(call.query.get("limit", 1))]
        case ("GET", ["guilds", guild, "members", user]):
            _guild(world, guild)
            if user not in world.users:
                raise Refusal(404, 10013, "Unknown User")
            if (guild, user) in world.permissions.gone:
                raise Refusal(404, 10007, "Unknown Member")
            return 200, {**world.member(user, guild), "user": world.users[user]}
        case (_, ["guilds", guild, *rest]):
            _guild(world, guild)
            return moderation.in_guild(call, guild, rest)
        case _:
            return None


def _called(world: World, guild: str, name: str) -> list[Json]:
    """Members whose names begin so."""
    there = [user for id, user in world.users.items() if (guild, id) not in world.permissions.gone]
    found = [one for one in there if any(str(one[k]).lower().startswith(name) for k in ("username", "global_name"))]
    return [{**world.member(user["id"], guild), "user": user} for user in found]


def _guild(world: World, guild: str) -> Json:
    if guild not in world.guilds or (guild, world.bot) in world.permissions.gone:
        raise Refusal(404, 10004, "Unknown Guild")
    return world.guilds[guild]
