"""Pure: what people say, do and are in guilds whose rules look at everything, as rules look at it.

A message becomes a :class:`Sighting` whoever it is for; bots, webhooks and Discord's own notes do not. Payloads from
the gateway and from a channel's history give the same, but for what only the gateway tells: roles and the time of
joining.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from bots.discord_bot import translate
from bots.discord_bot.contents import described, part, parts, snapshots
from bots.discord_bot.snowflake import moment
from bots.discord_bot.translate import Payload
from bots.discord_bot.words import readable
from core.message import (
    Arrival,
    Author,
    ConversationKey,
    Movement,
    Platform,
    Reacted,
    Sighting,
    clean_text,
)

MAX_LINKS = 200
MAX_LINK = 2000
_LINK = re.compile(r"(?:https?://|(?<![\w-])(?:[\w-]{1,63}\.){1,9}[a-z]{2,24}/)[^\s<>\"'|]+", re.IGNORECASE)
"""Also without its scheme, as invitations are written; a masked one, [like this](address), ends at its bracket."""
_ENDS = ".,;:!?)]}*_~`"
"""What stands behind an address and is not a part of it."""
_EVERYBODY = ("@everyone", "@here")


class Around(translate.Surroundings, Protocol):
    """What is known of guilds, for rules."""

    def is_staff(self, guild: str, user: str, roles: Sequence[str]) -> bool:
        """Whether a member with these roles owns the guild, or has a moderator's permission in all of it."""
        ...

    def system_channel(self, guild: str) -> str:
        """Id of the channel for the system's notes; empty where there is none."""
        ...


def is_watched(payload: Payload, around: Around) -> bool:
    """Whether it happened in a guild whose rules look at everything."""
    guild: str = payload.get("guild_id") or ""
    return bool(guild) and bool(around.chosen(guild).moderated)


def to_sighting(payload: Payload, bot: str, around: Around) -> Sighting | None:
    """A message of a watched guild: MESSAGE_CREATE, MESSAGE_UPDATE, or an entry of a channel's history."""
    if "author" not in payload or "content" not in payload or not translate.is_by_person(payload):
        return None
    author, guild, channel = payload["author"], payload["guild_id"], payload["channel_id"]
    member: Payload = payload.get("member") or {}
    edited: str = payload.get("edited_timestamp") or ""
    roles = tuple(map(str, member.get("roles") or ()))
    raw = [str(piece.get("content") or "") for piece in (payload, *snapshots(payload))]
    return Sighting(
        conversation=ConversationKey(Platform.DISCORD, bot, channel),
        id=payload["id"],
        update=f"{payload['id']}:{edited}:seen" if edited else f"{payload['id']}:seen",
        author=translate.author_of(author, member),
        text=_text(payload, bot, guild, channel, around),
        sent_at=datetime.fromisoformat(edited or payload["timestamp"]).timestamp(),
        space=guild,
        place=around.place(guild, channel),
        within=around.above(guild, channel),
        edited=bool(edited),
        reply_to=translate.reply_to(payload),
        attachments=translate.attachments_of(payload, around),
        links=links_of(raw, [*parts(payload, "embeds"), *_embeds(payload)]),
        mentions=len({user["id"] for user in parts(payload, "mentions")} | set(payload.get("mention_roles") or ())),
        mentions_all=bool(payload.get("mention_everyone")) or any(word in text for text in raw for word in _EVERYBODY),
        forwarded=bool(payload.get("message_snapshots")),
        unsupported="sticker" if payload.get("sticker_items") else "poll" if payload.get("poll") else "",
        roles=roles,
        # Of whom nobody tells it might be: better to miss a rule than to act on a moderator.
        is_staff="member" not in payload or around.is_staff(guild, author["id"], roles),
        joined_at=_seconds(member.get("joined_at")),
        created_at=moment(author["id"]),
    )


def to_arrival(payload: Payload, bot: str, around: Around, movement: Movement, now: float) -> Arrival | None:
    """GUILD_MEMBER_ADD or GUILD_MEMBER_REMOVE. Bots are brought by administrators, and are let pass."""
    user, guild = payload["user"], payload["guild_id"]
    if user.get("bot"):
        return None
    at = _seconds(payload.get("joined_at")) or now
    return Arrival(
        ConversationKey(Platform.DISCORD, bot, around.system_channel(guild)),
        guild,
        f"{user['id']}:{movement}:{at}",
        translate.author_of(user, payload),
        movement,
        at,
        created_at=moment(user["id"]),
    )


def to_reacted(payload: Payload, bot: str, now: float, *, added: bool) -> Reacted | None:
    """MESSAGE_REACTION_ADD or MESSAGE_REACTION_REMOVE; only the first tells who it is by name."""
    id: str = payload["user_id"]
    member: Payload = payload.get("member") or {}
    user = part(member, "user")
    if id == bot or user.get("bot"):
        return None
    shown = part(payload, "emoji")
    name = str(shown.get("name") or "")
    emoji = f":{name}:" if shown.get("id") else name
    author = translate.author_of(user, member) if user else Author(id, "")
    update = f"{payload['message_id']}:{id}:{emoji}:{now}:{'on' if added else 'off'}"
    key = ConversationKey(Platform.DISCORD, bot, payload["channel_id"])
    return Reacted(key, payload["guild_id"], payload["message_id"], update, author, emoji, added, now)


def links_of(texts: Iterable[str], embeds: Iterable[Payload]) -> tuple[str, ...]:
    """Addresses in texts as they were typed, and those that embeds lead to; each once, bounded."""
    found = dict.fromkeys(_addresses(texts, embeds))
    return tuple(found)[:MAX_LINKS]


def _addresses(texts: Iterable[str], embeds: Iterable[Payload]) -> Iterator[str]:
    for text in texts:
        for match in _LINK.finditer(text):
            # Of a masked one both are told: what it looks like, and where it leads.
            yield from filter(None, (piece.rstrip(_ENDS)[:MAX_LINK] for piece in match[0].split("](")))
    for embed in embeds:
        for address in (embed.get("url"), part(embed, "author").get("url")):
            if address:
                yield str(address)[:MAX_LINK]


def _embeds(payload: Payload) -> list[Payload]:
    """Of what was forwarded."""
    return [embed for snapshot in snapshots(payload) for embed in parts(snapshot, "embeds")]


def _text(payload: Payload, bot: str, guild: str, channel: str, around: Around) -> str:
    """All that it says, also what stands in a forwarded message, a poll or a sticker's name, and a post's title."""
    said = [around.post(guild, channel)] if payload["id"] == channel else []
    for piece in (payload, *snapshots(payload)):
        words = readable(str(piece.get("content") or ""), guild, bot, None, around)
        said += [words, described(piece, embeds=piece is not payload)]
    return clean_text("\n".join(filter(None, said)))


def _seconds(timestamp: Any) -> float:
    return datetime.fromisoformat(timestamp).timestamp() if isinstance(timestamp, str) and timestamp else 0.0


EVENTS: Mapping[str, Movement] = {"GUILD_MEMBER_ADD": Movement.JOINED, "GUILD_MEMBER_REMOVE": Movement.LEFT}
