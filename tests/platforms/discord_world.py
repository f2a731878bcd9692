"""What the fake Discord holds: people, guilds, channels, messages, interactions. No networking here.

It refuses what Discord refuses (see :class:`Refusal`) and records what a test wants to know: every text a
message ever had with its time, and whom it pinged.
"""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.platforms.discord_components import V2, small_print, words
from tests.platforms.discord_files import signed
from tests.platforms.discord_permissions import EVERYONE, Permissions
from tests.platforms.discord_refusals import Json, Refusal

EPOCH = 1_420_070_400_000
EPHEMERAL, LOADING, VOICE = 1 << 6, 1 << 7, 1 << 13
TEXT_CHANNEL, DIRECT, THREAD, FORUM = 0, 1, 11, 15
VOICES = (2, 13)
"""Voice and stage channels: they have ordinary messages, too."""
DEFAULT, REPLY = 0, 19
NESTED = "referenced_message"
MAX_TEXT = 2000
MAX_FILE = 10 * 1024 * 1024
LONG_AGO = 30 * 86400
"""Seconds that the bot is a member of each guild already, unless it joins before everybody's eyes."""
MENTION = re.compile(r"<@!?(\d+)>")
ROLE_MENTION = re.compile(r"<@&(\d+)>")


def stamp(seconds: float | None = None) -> str:
    return datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC).isoformat()


def shard_of(guild: str, count: int) -> int:
    """Direct messages (no guild) come over the first."""
    return (int(guild) >> 22) % count if guild else 0


@dataclass(slots=True)
class Posted:
    """A message as the API gives it, and what happened to it."""

    data: Json
    guild: str
    history: list[tuple[float, str]]
    created: float
    pinged: list[str] = field(default_factory=list[str])
    deleted: float = 0.0
    ephemeral: bool = False
    nonce: str = ""

    @property
    def id(self) -> str:
        return self.data["id"]

    @property
    def text(self) -> str:
        """What a person reads: its content, or the texts of the components that it is made of."""
        return words(self.data["components"]) if self.is_v2 else self.data["content"]

    @property
    def footer(self) -> str:
        """The line of small print below what it says, which :attr:`text` is without."""
        return small_print(self.data["components"]) if self.is_v2 else ""

    @property
    def is_v2(self) -> bool:
        return bool(self.data["flags"] & V2)

    @property
    def replies_to(self) -> str:
        reference: Json = self.data.get("message_reference") or {}
        return reference.get("message_id", "")

    def report(self) -> Json:
        """For the control API."""
        return {
            "id": self.id,
            "channel": self.data["channel_id"],
            "author": self.data["author"]["id"],
            "text": self.text,
            "replies_to": self.replies_to,
            "created": self.created,
            "deleted": self.deleted,
            "history": self.history,
            "ephemeral": self.ephemeral,
            "pinged": self.pinged,
            "files": [a["filename"] for a in self.data["attachments"]],
        }


@dataclass(slots=True)
class Interaction:
    """A command, a pressed button, words being typed or a modal, and how the bot answered it."""

    id: str
    token: str
    channel: str
    guild: str
    user: str
    created: float
    kind: int = 2
    """2 a command, 3 a component, 4 an option being typed, 5 a modal."""
    message: str = ""
    """The message whose component was used, also by way of a modal."""
    by_user_install: bool = False
    """The app is not a member there: it may only answer, and at most five times more."""
    target: str = ""
    """The message or person in whose menu a command was chosen."""
    answered: float = 0.0
    callback: Json = field(default_factory=dict[str, Any])
    original: str = ""
    followups: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Sharding:
    """What Discord says of connections (GET /gateway/bot), and what it insists on."""

    recommended: int = 1
    required: int = 1
    """Identifies for fewer shards are closed with 4011."""
    side_by_side: int = 1
    """``max_concurrency``."""
    identify_seconds: float = 0.0
    """Time between two identifies of a bucket; an earlier one gets an invalid session. Discord's is 5."""
    total: int = 1000
    left: int = 1000
    reset_seconds: float = 14_400.0


class World:
    """One Discord with one bot in it."""

    def __init__(self) -> None:
        self.sharding = Sharding()
        self._counter = itertools.count(1)
        self.users: dict[str, Json] = {}
        self.guilds: dict[str, Json] = {}
        self.channels: dict[str, Json] = {}
        self.messages: dict[str, dict[str, Posted]] = {}
        self.interactions: dict[str, Interaction] = {}
        self.commands: list[Json] = []
        self.webhooks: dict[str, Json] = {}
        self.files: dict[str, tuple[bytes, str]] = {}
        self.forbidden: set[str] = set()
        """Channels in which the bot may not write."""
        self.unreadable: set[str] = set()
        """Channels whose history the bot may not read (so it may not reply there either)."""
        self.permissions = Permissions(self.guilds, self.channels)
        self.bans: dict[tuple[str, str], str] = {}
        """By guild and user: the reason."""
        self.joined: dict[tuple[str, str], float] = {}
        """By guild and user: since when, where it is not long ago."""
        self.audit: list[Json] = []
        """What the bot did with a moderator's rights, by Discord's numbers of actions."""
        self.automod: dict[str, list[Json]] = {}
        self.flags = 1 << 19
        """Of the application: which privileged intents are switched on."""
        self.invites: dict[str, list[str]] = {}
        """By guild: codes."""
        self.requests: dict[str, list[Json]] = {}
        """By guild: who asked to join."""
        self.application_id = self.snowflake()
        self.bot = self.add_user("parley", bot=True)
        self.alice = self.add_user("alice")
        self.guild = self.add_guild("Chess Club")
        self.general = self.add_channel(self.guild["id"], "general")

    def snowflake(self) -> str:
        """A new id that sorts by time, unique even within a millisecond."""
        return str((int(time.time() * 1000) - EPOCH << 22) | (next(self._counter) & 0x3FFFFF))

    def add_user(self, name: str, *, bot: bool = False) -> str:
        user_id = self.snowflake()
        self.users[user_id] = {
            "id": user_id,
            "username": name,
            "global_name": None if bot else name.title(),
            "discriminator": "0",
            "avatar": None,
            "bot": bot,
            "system": False,
            "public_flags": 0,
            "flags": 0,
            "primary_guild": None,
        }
        return user_id

    def add_guild(self, name: str, *, shard: int = 0, of: int = 1) -> Json:
        """A guild that lies on shard ``shard`` where there are ``of``."""
        guild_id = self.snowflake()
        while shard_of(guild_id, of) != shard:
            guild_id = str(int(guild_id) + (1 << 22))
        role: Json = {
            "name": "parley",
            "id": self.snowflake(),
            "managed": True,
            "tags": {"bot_id": self.bot},
            "color": 0,
            "colors": {
                "primary_color": 0,
                "secondary_color": None,
                "tertiary_color": None,
            },
            "hoist": False,
            "icon": None,
            "unicode_emoji": None,
            "position": 1,
            "permissions": "0",
            "mentionable": False,
            "flags": 0,
        }
        everyone: Json = {
            **role,
            "name": "@everyone",
            "id": guild_id,
            "permissions": str(int(sum(EVERYONE))),
            "managed": False,
            "tags": {},
            "position": 0,
        }
        guild: Json = {
            "id": guild_id,
            "name": name,
            "owner_id": self.alice,
            "roles": [everyone, role],
            "emojis": [],
            "stickers": [],
            "features": [],
            "icon": None,
            "splash": None,
            "discovery_splash": None,
            "afk_channel_id": None,
            "afk_timeout": 300,
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "application_id": None,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "rules_channel_id": None,
            "vanity_url_code": None,
            "description": None,
            "banner": None,
            "premium_tier": 0,
            "preferred_locale": "en-US",
            "public_updates_channel_id": None,
            "nsfw_level": 0,
            "premium_progress_bar_enabled": False,
            "joined_at": stamp(time.time() - LONG_AGO),
            "large": False,
            "unavailable": False,
            "member_count": 2,
            "voice_states": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }
        self.guilds[guild_id] = guild
        self.permissions.roles[guild_id, self.bot] = [role["id"]]
        return guild

    def bot_role(self, guild_id: str) -> str:
        return self.guilds[guild_id]["roles"][1]["id"]

    def member(self, user_id: str, guild_id: str) -> Json:
        member: Json = {
            "nick": None,
            "avatar": None,
            "banner": None,
            **self.permissions.member_fields(guild_id, user_id),
            "joined_at": stamp(self.joined.get((guild_id, user_id), time.time() - LONG_AGO)),
        }
        return {
            **member,
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "flags": 0,
            "pending": False,
        }

    def guild_create(self, guild_id: str) -> Json:
        """The event that tells the bot of a guild."""
        channels = [c for c in self.channels.values() if c.get("guild_id") == guild_id]
        bot = {**self.member(self.bot, guild_id), "user": self.users[self.bot]}
        return {
            **self.guilds[guild_id],
            "members": [bot],
            "channels": [c for c in channels if c["type"] != THREAD],
            "threads": [c for c in channels if c["type"] == THREAD],
        }

    def add_channel(self, guild_id: str, name: str, kind: int = TEXT_CHANNEL) -> str:
        channel_id = self.snowflake()
        self.channels[channel_id] = {
            "id": channel_id,
            "type": kind,
            "guild_id": guild_id,
            "name": name,
            "position": len(self.channels),
            "permission_overwrites": [],
            "parent_id": None,
            "topic": None,
            "nsfw": False,
            "rate_limit_per_user": 0,
            "last_message_id": None,
            "flags": 0,
            "available_tags": [],
        }
        if kind in VOICES:
            self.channels[channel_id] |= {"bitrate": 64_000, "user_limit": 0, "rtc_region": None}
        self.messages[channel_id] = {}
        return channel_id

    def add_thread(self, parent: str, name: str, owner: str, thread_id: str = "") -> Json:
        channel_id = thread_id or self.snowflake()
        thread: Json = {
            "id": channel_id,
            "type": THREAD,
            "guild_id": self.channels[parent]["guild_id"],
            "parent_id": parent,
            "owner_id": owner,
            "name": name,
            "last_message_id": None,
            "rate_limit_per_user": 0,
            "flags": 0,
            "message_count": 0,
            "member_count": 1,
            "total_message_sent": 0,
            "thread_metadata": {
                "archived": False,
                "archive_timestamp": stamp(),
                "auto_archive_duration": 4320,
                "locked": False,
                "create_timestamp": stamp(),
            },
        }
        self.channels[channel_id] = thread
        self.messages[channel_id] = {}
        return thread

    def direct(self, user_id: str) -> str:
        """The channel of direct messages with a person."""
        for channel in self.channels.values():
            if channel["type"] == DIRECT and channel["recipients"][0]["id"] == user_id:
                return channel["id"]
        channel_id = self.snowflake()
        recipients = [self.users[user_id]]
        self.channels[channel_id] = {
            "id": channel_id,
            "type": DIRECT,
            "recipients": recipients,
            "last_message_id": None,
            "flags": 0,
        }
        self.messages[channel_id] = {}
        return channel_id

    def channel(self, channel_id: str) -> Json:
        if channel_id not in self.channels:
            raise Refusal(404, 10003, "Unknown Channel")
        return self.channels[channel_id]

    def message(self, channel_id: str, message_id: str) -> Posted:
        found = self.messages.get(channel_id, {}).get(message_id)
        if found is None or found.deleted:
            raise Refusal(404, 10008, "Unknown Message")
        return found

    def find(self, message_id: str) -> Posted:
        """The message with this id, wherever it is."""
        return next(room[message_id] for room in self.messages.values() if message_id in room)

    def by_bot(self, channel_id: str | None = None) -> list[Posted]:
        """The bot's messages that are still there, oldest first."""
        rooms = [self.messages[channel_id]] if channel_id else list(self.messages.values())
        return [m for r in rooms for m in r.values() if self._is_by_bot(m) and not m.deleted]

    def _is_by_bot(self, message: Posted) -> bool:
        """Also under another name, by a webhook of its application."""
        return message.data["author"]["id"] == self.bot or (
            bool(message.data.get("webhook_id")) and message.data.get("application_id") == self.application_id
        )

    def post(self, channel_id: str, author: str, content: str, **fields: Any) -> Posted:
        """Stores a new message. ``fields`` are fields of the message object; ``reply_to`` makes it a reply."""
        channel, now = self.channels[channel_id], time.time()
        reply_to: str = fields.pop("reply_to", "")
        said = content or words(fields.get("components") or [])
        data: Json = {
            "id": self.snowflake(),
            "channel_id": channel_id,
            "type": DEFAULT,
            "author": self.users[author],
            "content": content,
            "timestamp": stamp(now),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [self.users[u] for u in dict.fromkeys(MENTION.findall(said)) if u in self.users],
            "mention_roles": list(dict.fromkeys(ROLE_MENTION.findall(said))),
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "flags": 0,
            **fields,
        }
        if reply_to:
            replied = self.messages[channel_id].get(reply_to)
            data["type"] = REPLY
            data["message_reference"] = {
                "type": 0,
                "channel_id": channel_id,
                "message_id": reply_to,
            }
            # One level and no more: what that one replied to is not told.
            there = replied and not replied.deleted and {k: v for k, v in replied.data.items() if k != NESTED}
            data[NESTED] = there or None
        posted = Posted(data, channel.get("guild_id", ""), [(now, said)], now)
        self.messages[channel_id][posted.id] = posted
        channel["last_message_id"] = posted.id
        return posted

    def change(self, posted: Posted, fields: Json) -> None:
        """An edit: the content's history grows, ``edited_timestamp`` is set."""
        posted.data = {**posted.data, **fields, "edited_timestamp": stamp()}
        posted.history.append((time.time(), posted.text))

    def store_file(self, channel_id: str, name: str, mime: str, data: bytes, base: str) -> Json:
        """Keeps an attachment for the CDN and gives its object."""
        attachment_id = self.snowflake()
        path = f"/attachments/{channel_id}/{attachment_id}/{name}"
        self.files[path] = (data, mime)
        url = signed(f"{base}{path}")
        found: Json = {
            "id": attachment_id,
            "filename": name,
            "size": len(data),
            "url": url,
            "proxy_url": url,
        }
        return {**found, "content_type": mime} if mime else found
