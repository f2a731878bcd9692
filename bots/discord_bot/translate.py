"""Pure: a gateway payload becomes a Message, a CommandCall or a Deletion, or nothing when it is not for the bot.

In a guild the bot is spoken to by a mention of it or of its own role, by a reply to it, or in a thread of its
own. Payloads from the gateway and from a channel's history give equal values, so that the mailbox can refuse
what it has seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from math import ceil
from typing import Any, Protocol

from bots.discord_bot.interactions import EPHEMERAL, ReplyToken
from bots.discord_bot.snowflake import moment
from core.message import (
    Attachment,
    AttachmentKind,
    Author,
    CommandCall,
    ConversationKey,
    Deletion,
    Message,
    Platform,
    Quote,
    clean_text,
)

Payload = Mapping[str, Any]

DEFAULT, REPLY = 0, 19
"""Message types that people write; all others are Discord's own notes or answers of applications."""
FORWARD = 1
"""Type of a message_reference."""
COMMAND, BUTTON = 2, 3
"""Interaction types."""
KINDS = (("image/", AttachmentKind.IMAGE), ("audio/", AttachmentKind.AUDIO), ("video/", AttachmentKind.VIDEO))
IMAGE_NAME = re.compile(r"\.(?:jpe?g|png|webp|gif)$", re.IGNORECASE)
USER_MENTION = re.compile(r"<@!?(\d+)>")
ROLE_MENTION = re.compile(r"<@&(\d+)>")
CHANNEL_MENTION = re.compile(r"<#(\d+)>")
EMOJI = re.compile(r"<a?(:\w+:)\d+>")
MAX_QUOTE = 1000
"""Characters kept of the message replied to: the tree has the whole of it where the bot was spoken to."""


class Surroundings(Protocol):
    """What is known of guilds, channels and roles. Everything may be unknown: then it is empty."""

    def place(self, guild: str, channel: str) -> str:
        """The channel in words, like ``#general in Chess Club``."""
        ...

    def channel_name(self, guild: str, channel: str) -> str: ...

    def role_name(self, guild: str, role: str) -> str: ...

    def is_own_role(self, guild: str, role: str) -> bool:
        """Whether it is the role that Discord made for the bot."""
        ...

    def is_own_thread(self, guild: str, channel: str) -> bool: ...


def to_message(payload: Payload, bot: str, around: Surroundings) -> Message | None:
    """A new message: MESSAGE_CREATE, or an entry of a channel's history with its ``guild_id`` added."""
    return _message(payload, bot, around, edited="")


def to_edit(payload: Payload, bot: str, around: Surroundings) -> Message | None:
    """MESSAGE_UPDATE. Previews, pins and the like, which are no edits, bring nothing new: their id was seen before."""
    edited = payload.get("edited_timestamp")
    if not edited or "content" not in payload or "author" not in payload:
        return None
    return _message(payload, bot, around, edited=edited)


def to_deletion(payload: Payload, bot: str) -> Deletion:
    """MESSAGE_DELETE or MESSAGE_DELETE_BULK."""
    ids = tuple(payload["ids"]) if "ids" in payload else (payload["id"],)
    return Deletion(_conversation(payload, bot), ids, update=f"{ids[0]}:deleted:{len(ids)}")


def to_call(payload: Payload, bot: str, around: Surroundings) -> CommandCall | None:
    """INTERACTION_CREATE of a slash command or a button."""
    kind: int = payload["type"]
    data: Payload = payload.get("data") or {}
    channel = payload.get("channel_id")
    if kind not in (COMMAND, BUTTON) or not channel:
        return None
    under: Payload = payload.get("message") or {}
    guild = payload.get("guild_id") or ""
    return CommandCall(
        conversation=_conversation(payload, bot),
        id=payload["id"],
        update=payload["id"],
        author=_author(_user_of(payload), payload.get("member"), payload.get("locale", "")),
        name=data["name"] if kind == COMMAND else data["custom_id"],
        options={o["name"]: _option(o["value"]) for o in data.get("options") or () if "value" in o},
        sent_at=moment(payload["id"]),
        private=not guild,
        reply_to=under.get("id", ""),
        reply_token=_reply_token(payload, under),
        space=guild,
        place=around.place(guild, channel) if guild else "",
    )


def _reply_token(payload: Payload, under: Payload) -> str:
    """A button under a message that all can see needs no token: its answers are ordinary messages."""
    if payload["type"] == BUTTON and not under.get("flags", 0) & EPHEMERAL:
        return ""
    return str(ReplyToken(payload["type"] == COMMAND, payload["application_id"], payload["id"], payload["token"]))


def _option(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else clean_text(str(value))


def _user_of(payload: Payload) -> Payload:
    return payload["member"]["user"] if payload.get("member") else payload["user"]


def _conversation(payload: Payload, bot: str) -> ConversationKey:
    return ConversationKey(Platform.DISCORD, bot, payload["channel_id"])


def _message(payload: Payload, bot: str, around: Surroundings, edited: str) -> Message | None:
    author = payload["author"]
    if payload.get("type", DEFAULT) not in (DEFAULT, REPLY) or payload.get("webhook_id"):
        return None
    if author.get("bot") or author.get("system"):
        return None
    guild = payload.get("guild_id") or ""
    replied: Payload = payload.get("referenced_message") or {}
    if guild and not _is_addressed(payload, replied, bot, guild, around):
        return None
    text = _text(payload, bot, guild, around)
    attachments = _attachments(payload)
    quote = _quote(replied, bot, guild, around)
    if not attachments and quote and replied["author"]["id"] != bot:
        # "What is this, @bot?" under somebody's picture. Only pictures: other files were not offered to the bot.
        attachments = tuple(a for a in _attachments(replied) if a.kind is AttachmentKind.IMAGE)
    unsupported = "" if text or attachments else _unreadable(payload)
    if not (text or attachments or unsupported or quote):
        return None
    return Message(
        conversation=_conversation(payload, bot),
        id=payload["id"],
        update=f"{payload['id']}:{edited}" if edited else payload["id"],
        author=_author(author, payload.get("member")),
        text=text,
        sent_at=datetime.fromisoformat(payload["timestamp"]).timestamp(),
        private=not guild,
        reply_to=_reply_to(payload),
        quote=quote,
        attachments=attachments,
        edited=bool(edited),
        unsupported=unsupported,
        space=guild,
        place=around.place(guild, payload["channel_id"]) if guild else "",
    )


def _is_addressed(payload: Payload, replied: Payload, bot: str, guild: str, around: Surroundings) -> bool:
    replied_author: Payload = replied.get("author") or {}
    return (
        any(user["id"] == bot for user in payload.get("mentions", ()))
        or replied_author.get("id") == bot
        or any(around.is_own_role(guild, role) for role in payload.get("mention_roles", ()))
        or around.is_own_thread(guild, payload["channel_id"])
    )


def _reply_to(payload: Payload) -> str:
    reference: Payload = payload.get("message_reference") or {}
    return "" if reference.get("type") == FORWARD else reference.get("message_id") or ""


def _snapshots(payload: Payload) -> list[Payload]:
    """Messages that were forwarded with this one."""
    return [snapshot["message"] for snapshot in payload.get("message_snapshots") or ()]


def _text(payload: Payload, bot: str, guild: str, around: Surroundings) -> str:
    texts = [payload.get("content") or "", *(s.get("content") or "" for s in _snapshots(payload))]
    whole = "\n\n".join(text for text in texts if text)
    if "<" in whole:
        whole = _name_mentions(whole, payload, bot, guild, around)
    return clean_text(whole)


def _name_mentions(text: str, payload: Payload, bot: str, guild: str, around: Surroundings) -> str:
    """Mentions as people read them; the bot's own are left out, as they only say whom the message is for."""
    names = {user["id"]: _name(user, user.get("member")) for user in payload.get("mentions", ())}

    def user(found: re.Match[str]) -> str:
        return "" if found[1] == bot else f"@{names.get(found[1], 'somebody')}"

    def role(found: re.Match[str]) -> str:
        return "" if around.is_own_role(guild, found[1]) else f"@{around.role_name(guild, found[1]) or 'role'}"

    def channel(found: re.Match[str]) -> str:
        return f"#{around.channel_name(guild, found[1]) or 'channel'}"

    steps: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
        (USER_MENTION, user),
        (ROLE_MENTION, role),
        (CHANNEL_MENTION, channel),
        (EMOJI, r"\1"),
    )
    for pattern, replacement in steps:
        text = pattern.sub(replacement, text)
    return text


def _quote(replied: Payload, bot: str, guild: str, around: Surroundings) -> Quote | None:
    if not replied:
        return None
    text = _text(replied, bot, guild, around)
    return Quote(replied["id"], _name(replied["author"], None), clean_text(text[:MAX_QUOTE]))


def _attachments(payload: Payload) -> tuple[Attachment, ...]:
    found = list(payload.get("attachments") or ())
    for snapshot in _snapshots(payload):
        found += snapshot.get("attachments") or ()
    return tuple(_attachment(raw) for raw in found)


def _attachment(raw: Payload) -> Attachment:
    mime = (raw.get("content_type") or "").partition(";")[0].strip().lower()
    kind = next((kind for prefix, kind in KINDS if mime.startswith(prefix)), AttachmentKind.DOCUMENT)
    if not mime and IMAGE_NAME.search(raw["filename"]):
        kind = AttachmentKind.IMAGE
    return Attachment(
        kind,
        ref=raw["url"],
        name=clean_text(raw["filename"]),
        mime=mime,
        size=raw.get("size") or 0,
        seconds=ceil(raw.get("duration_secs") or 0),
    )


def _unreadable(payload: Payload) -> str:
    """What a message without text or files holds, in a word."""
    if payload.get("sticker_items"):
        return "sticker"
    if payload.get("poll"):
        return "poll"
    if payload.get("activity"):
        return "game invitation"
    return "" if payload.get("content") else "message"


def _author(user: Payload, member: Payload | None, language: str = "") -> Author:
    return Author(user["id"], _name(user, member), language=language)


def _name(user: Payload, member: Payload | None) -> str:
    name = (member or {}).get("nick") or user.get("global_name") or user["username"]
    return clean_text(name)
