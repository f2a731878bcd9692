"""People who come to the fake Discord's guild, leave it, and react to messages there."""

from __future__ import annotations

import time

from tests.platforms.discord_gateway import GUILD_MEMBERS
from tests.platforms.discord_refusals import Json
from tests.platforms.discord_server import FakeDiscord


def allow_members(discord: FakeDiscord) -> None:
    """The switch in the developer portal, for an application in few servers."""
    discord.gateway.allowed_intents |= GUILD_MEMBERS
    discord.world.flags |= 1 << 15


def join(discord: FakeDiscord, user: str) -> None:
    world, guild = discord.world, discord.world.guild["id"]
    world.permissions.gone.discard((guild, user))
    world.joined[guild, user] = time.time()
    member = {**world.member(user, guild), "user": world.users[user], "guild_id": guild}
    discord.gateway.dispatch("GUILD_MEMBER_ADD", member, guild)


def leave(discord: FakeDiscord, user: str) -> None:
    discord.rest.moderation.leave(discord.world.guild["id"], user)


def react(discord: FakeDiscord, message: str, user: str, name: str = "👍", id: str = "", *, added: bool = True) -> None:
    """With a custom emoji where it has an ``id``. Who took theirs away is told by id alone."""
    world, posted = discord.world, discord.world.find(message)
    told: Json = {
        "user_id": user,
        "channel_id": posted.data["channel_id"],
        "message_id": message,
        "guild_id": posted.guild,
        "emoji": {"id": id or None, "name": name},
        "burst": False,
        "type": 0,
    }
    if added:
        told["member"] = {**world.member(user, posted.guild), "user": world.users[user]}
        told["message_author_id"] = posted.data["author"]["id"]
    discord.gateway.dispatch(f"MESSAGE_REACTION_{'ADD' if added else 'REMOVE'}", told, posted.guild)
