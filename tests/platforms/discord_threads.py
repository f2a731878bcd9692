"""Threads in the fake Discord: opened by the bot on a message, forum posts, put away, locked, deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tests.platforms.discord_permissions import May
from tests.platforms.discord_refusals import Json, Refusal, form_error
from tests.platforms.discord_world import FORUM, TEXT_CHANNEL, THREAD, Posted, World

NEWS, NEWS_THREAD = 5, 10
ARCHIVE_MINUTES = (60, 1440, 4320, 10080)
HAS_THREAD = 1 << 5
"""Flag of a message on which a thread was opened."""
Emit = Callable[[str, Json, str], None]


class Gateway(Protocol):
    def dispatch(self, event: str, data: Json, guild: str) -> object: ...


class Discord(Protocol):
    """What plays need of the whole server."""

    world: World

    @property
    def gateway(self) -> Gateway: ...

    def say(self, text: str, channel: str = "", *, user: str = "", mention: bool = False, **fields: Any) -> Posted: ...


# ---------------------------------------------------------------------- what the bot does
def open_on(world: World, emit: Emit, channel: str, message: str, body: Json) -> Json:
    """POST /channels/{channel}/messages/{message}/threads. Raises Refusal."""
    above, posted = world.channel(channel), world.message(channel, message)
    if above["type"] not in (TEXT_CHANNEL, NEWS):
        raise Refusal(400, 50024, "Cannot execute action on this channel type")
    world.permissions.require(world.bot, channel, May.CREATE_PUBLIC_THREADS)
    if message in world.channels:
        raise Refusal(400, 160004, "A thread has already been created for this message")
    if not 1 <= len(str(body.get("name") or "")) <= 100:
        raise form_error("name", "Must be between 1 and 100 in length.")
    if body.get("auto_archive_duration") not in (None, *ARCHIVE_MINUTES):
        raise form_error("auto_archive_duration", f"Value must be one of {set(ARCHIVE_MINUTES)}.")
    thread = world.add_thread(channel, body["name"], world.bot, message)
    thread["type"] = NEWS_THREAD if above["type"] == NEWS else THREAD
    emit("THREAD_CREATE", {**thread, "newly_created": True}, thread["guild_id"])
    posted.data = {**posted.data, "flags": posted.data["flags"] | HAS_THREAD, "thread": thread}
    # Told of like any change of the message, though nobody edited it.
    emit("MESSAGE_UPDATE", {**posted.data, "guild_id": posted.guild}, posted.guild)
    return thread


def check_open(world: World, channel: str) -> None:
    """Refuses a message to a thread that is locked; one that is only put away comes back with it."""
    if world.channel(channel).get("thread_metadata", {}).get("locked"):
        raise Refusal(403, 160005, "The thread is locked")


# ---------------------------------------------------------------------- what people do
def add_forum(discord: Discord, name: str, *tags: str) -> str:
    """A forum with tags for its posts."""
    guild = discord.world.guild["id"]
    forum = discord.world.add_channel(guild, name, FORUM)
    made = [_tag(discord.world.snowflake(), tag) for tag in tags]
    discord.world.channels[forum]["available_tags"] = made
    discord.gateway.dispatch("CHANNEL_CREATE", discord.world.channels[forum], guild)
    return forum


def _tag(id: str, name: str) -> Json:
    return {"id": id, "name": name, "moderated": False, "emoji_id": None, "emoji_name": None}


def post(
    discord: Discord,
    forum: str,
    title: str,
    text: str,
    tags: Sequence[str] = (),
    *,
    mention: bool = False,
    user: str = "",
) -> Posted:
    """A new post: a thread, and a message of the same id as its beginning."""
    world = discord.world
    thread = world.add_thread(forum, title, user or world.alice)
    available: list[Json] = world.channels[forum]["available_tags"]
    thread["applied_tags"] = [tag["id"] for tag in available if tag["name"] in tags]
    discord.gateway.dispatch("THREAD_CREATE", {**thread, "newly_created": True}, thread["guild_id"])
    return discord.say(text, thread["id"], mention=mention, user=user, id=thread["id"])


def archive(discord: Discord, thread: str, *, locked: bool = False) -> None:
    """Puts a thread away; ``locked``: for good."""
    found = discord.world.channels[thread]
    found["thread_metadata"] = {**found["thread_metadata"], "archived": True, "locked": locked}
    discord.gateway.dispatch("THREAD_UPDATE", found, found["guild_id"])


def reopen(discord: Discord, thread: str) -> None:
    """What comes before the message of a person who writes in a thread that was put away."""
    found = discord.world.channels[thread]
    found["thread_metadata"] = {**found["thread_metadata"], "archived": False}
    discord.gateway.dispatch("THREAD_UPDATE", found, found["guild_id"])


def delete_channel(discord: Discord, channel: str) -> None:
    """A channel or a thread is deleted, with all that was said in it."""
    found = discord.world.channels.pop(channel)
    discord.world.messages.pop(channel)
    event = "THREAD_DELETE" if found["type"] in (THREAD, NEWS_THREAD) else "CHANNEL_DELETE"
    discord.gateway.dispatch(event, found, found["guild_id"])


def throw_out(discord: Discord) -> None:
    """The bot is a member of the guild no more."""
    guild = discord.world.guild["id"]
    discord.gateway.dispatch("GUILD_DELETE", {"id": guild}, guild)
