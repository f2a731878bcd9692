"""Pure: a gateway payload becomes a Message, Deletions or Departures, or nothing when it is not for the bot.

In a guild the bot is spoken to by a mention of it or of its own role, by a reply to it, and by whatever people write
in a thread of its own or where it is to answer always, unless they turn to somebody else. Payloads from the gateway
and from a channel's history give equal values, so that the mailbox can refuse what it has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from bots.discord_bot.contents import described, files_of, forwarded, part, pictures_of, snapshots, stickers_of
from bots.discord_bot.words import begins_with_mention, readable
from core.message import (
    Attachment,
    AttachmentKind,
    Author,
    ConversationKey,
    Deletion,
    Departure,
    Message,
    Platform,
    Quote,
    clean_text,
)
from core.people.spaces import USUAL, SpaceSettings

Payload = Mapping[str, Any]

DEFAULT, REPLY = 0, 19
"""Message types that people write; all others are Discord's own notes or answers of applications."""
FORWARD = 1
"""Type of a message_reference."""
DEPARTURES = ("THREAD_DELETE", "CHANNEL_DELETE", "GUILD_DELETE")
"""Events after which the bot can write no more somewhere."""
MAX_QUOTE = 2000
"""Characters kept of the message replied to: the tree has the whole of it where the bot was spoken to."""


class Surroundings(Protocol):
    """What is known of guilds, channels and roles. Everything may be unknown: then it is empty."""

    @property
    def cdn(self) -> str:
        """Where pictures of stickers are."""
        ...

    def place(self, guild: str, channel: str) -> str:
        """The channel in words, like ``#general in Chess Club``."""
        ...

    def post(self, guild: str, channel: str) -> str:
        """What stands above a forum post, empty for any other channel."""
        ...

    def channel_name(self, guild: str, channel: str) -> str: ...

    def role_name(self, guild: str, role: str) -> str: ...

    def is_own_role(self, guild: str, role: str) -> bool:
        """Whether it is the role that Discord made for the bot."""
        ...

    def is_own_application(self, application: str) -> bool:
        """Whether it is the application that the bot belongs to."""
        ...

    def listens(self, guild: str, channel: str) -> bool:
        """Whether all that people write there is for the bot."""
        ...

    def chosen(self, guild: str) -> SpaceSettings:
        """What the guild chose for itself."""
        ...

    def above(self, guild: str, channel: str) -> tuple[str, ...]:
        """Ids of what a channel stands in: a thread's channel, a channel's category."""
        ...

    def configures(self, guild: str, user: str, roles: Sequence[str]) -> bool:
        """Whether a member with these roles may choose for all in the guild."""
        ...

    def opens_thread(self, guild: str, channel: str, message: str) -> bool:
        """Whether that message of the channel is answered, or was, in a thread opened on it."""
        ...

    def threads(self, guild: str, channel: str) -> Sequence[str]:
        """Ids of the threads under a channel."""
        ...


def to_message(payload: Payload, bot: str, around: Surroundings) -> Message | None:
    """A new message: MESSAGE_CREATE, or an entry of a channel's history with its ``guild_id`` added."""
    return _message(payload, bot, around, edited="")


def to_edit(payload: Payload, bot: str, around: Surroundings) -> Message | None:
    """MESSAGE_UPDATE. Previews, pins and the like, which are no edits, bring nothing new: their id was seen before."""
    edited = payload.get("edited_timestamp")
    if not edited or "content" not in payload or "author" not in payload:
        return None
    return _message(payload, bot, around, edited=edited)


def to_deletions(payload: Payload, bot: str, around: Surroundings) -> list[Deletion]:
    """MESSAGE_DELETE or MESSAGE_DELETE_BULK. A question that opened a thread is part of that conversation, too."""
    ids: tuple[str, ...] = tuple(payload["ids"]) if "ids" in payload else (payload["id"],)
    guild, channel, update = payload.get("guild_id") or "", payload["channel_id"], f"{ids[0]}:deleted:{len(ids)}"
    opened = [id for id in ids if guild and around.opens_thread(guild, channel, id)]
    above = Deletion(_conversation(payload, bot), ids, update)
    return [above, *(Deletion(_key(bot, id), (id,), f"{id}:deleted:thread") for id in opened)]


def to_departures(event: str, payload: Payload, bot: str, around: Surroundings) -> list[Departure]:
    """THREAD_DELETE, CHANNEL_DELETE or GUILD_DELETE: what waits there is dropped, and what was deleted is forgotten.

    A channel's threads are gone with it. A guild that is only out of order comes back.
    """
    id: str = payload["id"]
    if event == "GUILD_DELETE":
        return [] if payload.get("unavailable") else [Departure(_key(bot, id), f"{id}:left", space=id)]
    guild = payload.get("guild_id") or ""
    if not guild:
        return []
    under = around.threads(guild, id) if event == "CHANNEL_DELETE" else ()
    return [Departure(_key(bot, chat), f"{chat}:gone", gone=True) for chat in (id, *under)]


def _conversation(payload: Payload, bot: str) -> ConversationKey:
    return _key(bot, payload["channel_id"])


def _key(bot: str, channel: str) -> ConversationKey:
    return ConversationKey(Platform.DISCORD, bot, channel)


def _message(payload: Payload, bot: str, around: Surroundings, edited: str) -> Message | None:
    author, channel = payload["author"], payload["channel_id"]
    if not is_by_person(payload):
        return None
    guild = payload.get("guild_id") or ""
    replied: Payload = payload.get("referenced_message") or {}
    chosen = around.chosen(guild) if guild else USUAL
    overheard = bool(guild) and not _is_for_us(payload, replied, bot, guild, around)
    if overheard and not chosen.passive:
        return None
    heading = around.post(guild, channel) if guild else ""
    text = _text(payload, bot, guild, around, embeds=False)
    if heading and payload["id"] == channel:
        text = f"{heading}\n\n{text}"
    attachments = () if overheard else attachments_of(payload, around)
    quote = _quote(replied, bot, guild, around)
    if overheard:
        # What others talk about is read for its words alone.
        if not text:
            return None
    elif quote:
        attachments += _quoted_attachments(replied, bot, around, private=not guild)
    elif heading and payload["id"] != channel:
        # What the post is about stands in its first message, which has the post's id.
        quote = Quote(channel, "", heading, reply_to=channel)
    unsupported = "" if text or attachments or payload.get("content") else "message"
    if not (text or attachments or unsupported or quote):
        return None
    opens = bool(guild) and not overheard and around.opens_thread(guild, channel, payload["id"])
    # Asked only where it makes a difference.
    roles: Sequence[str] = part(payload, "member").get("roles") or () if chosen.quiet else ()
    return Message(
        conversation=_key(bot, payload["id"] if opens else channel),
        id=payload["id"],
        update=f"{payload['id']}:{edited}" if edited else payload["id"],
        author=author_of(author, payload.get("member")),
        text=text,
        sent_at=datetime.fromisoformat(payload["timestamp"]).timestamp(),
        private=not guild,
        reply_to=reply_to(payload),
        quote=quote,
        attachments=attachments,
        edited=bool(edited),
        unsupported=unsupported,
        space=guild,
        place=around.place(guild, channel) if guild else "",
        opens=channel if opens else "",
        within=around.above(guild, channel) if guild else (),
        overheard=overheard,
        by_admin=bool(chosen.quiet) and around.configures(guild, author["id"], roles),
    )


def is_by_person(payload: Payload) -> bool:
    """Whether a person wrote it, and not Discord itself, a bot or a webhook."""
    if payload.get("type", DEFAULT) not in (DEFAULT, REPLY) or payload.get("webhook_id"):
        return False
    author: Payload = payload["author"]
    return not (author.get("bot") or author.get("system"))


def _is_for_us(payload: Payload, replied: Payload, bot: str, guild: str, around: Surroundings) -> bool:
    answered: str = part(replied, "author").get("id", "")
    if (
        any(user["id"] == bot for user in payload.get("mentions", ()))
        or _is_ours(replied, bot, around)
        or any(around.is_own_role(guild, role) for role in payload.get("mention_roles", ()))
    ):
        return True
    if not around.listens(guild, payload["channel_id"]):
        return False
    # People talk with each other there, too.
    turns_to_other = answered not in ("", payload["author"]["id"])
    return not (turns_to_other or begins_with_mention(payload.get("content") or ""))


def _is_ours(message: Payload, bot: str, around: Surroundings) -> bool:
    """Whether the bot wrote it, or a persona of its by our webhook."""
    if part(message, "author").get("id") == bot:
        return True
    return bool(message.get("webhook_id")) and around.is_own_application(str(message.get("application_id") or ""))


def reply_to(payload: Payload) -> str:
    """Id of the message replied to; empty for none."""
    reference = part(payload, "message_reference")
    return "" if reference.get("type") == FORWARD else reference.get("message_id") or ""


def _text(payload: Payload, bot: str, guild: str, around: Surroundings, *, embeds: bool) -> str:
    """All that a message says, with what was forwarded in it."""
    is_ours = _is_ours(payload, bot, around)
    said = [words_of(payload, bot, guild, around), described(payload, embeds=embeds, buttons=not is_ours)]
    reference = part(payload, "message_reference")
    # Channels of other guilds are nobody's business here.
    source: str = reference.get("channel_id", "") if reference.get("guild_id", guild) == guild else ""
    for snapshot in snapshots(payload):
        head = forwarded(snapshot, around.channel_name(guild, source) if guild and source else "")
        said.append("\n".join(filter(None, (head, words_of(snapshot, bot, guild, around), described(snapshot)))))
    return clean_text("\n\n".join(filter(None, said)))


def words_of(payload: Payload, bot: str, guild: str, around: Surroundings) -> str:
    """Its own text as people read it."""
    users = {user["id"]: _name(user, user.get("member")) for user in payload.get("mentions") or ()}
    return clean_text(readable(payload.get("content") or "", guild, bot, users, around))


def _quote(replied: Payload, bot: str, guild: str, around: Surroundings) -> Quote | None:
    if not replied:
        return None
    text = _text(replied, bot, guild, around, embeds=True)
    # What the bot itself replied to is in the history.
    above = "" if _is_ours(replied, bot, around) else reply_to(replied)
    return Quote(replied["id"], _name(replied["author"], None), clean_text(text[:MAX_QUOTE]), reply_to=above)


def attachments_of(payload: Payload, around: Surroundings) -> tuple[Attachment, ...]:
    """Its files, and those of what was forwarded with it."""
    found = [*files_of(payload), *stickers_of(payload, around.cdn)]
    for snapshot in snapshots(payload):
        found += [*files_of(snapshot), *pictures_of(snapshot, around.cdn)]
    return tuple(found)


def _quoted_attachments(replied: Payload, bot: str, around: Surroundings, *, private: bool) -> tuple[Attachment, ...]:
    """What the message replied to adds to the question: "What is this, @bot?" under somebody's picture.

    What people sent to the bot in private is in its history. Of its own messages only the pictures are: its voice and
    its files say what the history has as text.
    """
    is_ours = _is_ours(replied, bot, around)
    if private and not is_ours:
        return ()
    # A picture in a gallery is an attachment, too.
    found = {
        file.ref.partition("?")[0]: file
        for file in (*attachments_of(replied, around), *pictures_of(replied, around.cdn))
    }
    return tuple(
        replace(file, quoted=True) for file in found.values() if not is_ours or file.kind is AttachmentKind.IMAGE
    )


def author_of(user: Payload, member: Payload | None) -> Author:
    """Under the name that they have in the guild."""
    return Author(user["id"], _name(user, member))


def _name(user: Payload, member: Payload | None) -> str:
    name = (member or {}).get("nick") or user.get("global_name") or user["username"]
    return clean_text(name)
