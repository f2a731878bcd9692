"""Pure: an INTERACTION_CREATE becomes a CommandCall.

Answers to calls from the menu of a message or a person are for the asker alone, and so is what they say: those calls
have a conversation of their own, apart from the channel's. So have calls where the bot is no member, which people bring
along by installing the app for themselves: nobody reads there what others asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Protocol

from bots.discord_bot import permissions
from bots.discord_bot.commands import FOR_GUILDS, FOR_PEOPLE, MENUS, MESSAGE_MENU, SLASH, SUBCOMMAND, TYPES
from bots.discord_bot.contents import described, files_of, pictures_of, snapshots
from bots.discord_bot.interactions import EPHEMERAL, ReplyToken
from bots.discord_bot.snowflake import moment
from bots.discord_bot.words import Names, readable
from core.commands.row import Command, Kind
from core.message import (
    Attachment,
    Author,
    CommandCall,
    ConversationKey,
    Platform,
    Quote,
    clean_text,
)

Payload = Mapping[str, Any]

COMMAND, COMPONENT, TYPING, SUBMIT = 2, 3, 4, 5
"""Kinds of interactions; 1 is Discord's ping, which no gateway brings."""
WITH_THE_BOT = 1
"""Context of an interaction: a private chat with the bot. 0 is a guild, 2 a private chat of people without it."""
FILE = TYPES[Kind.FILE]
MAX_PAGES = 5
"""Where the bot is no member Discord takes a first answer and five more messages: one is left for a file."""
MAX_MEANT = 6000
"""Characters of the message that a call is about: over what any message has."""


class Around(Names, Protocol):
    """What is known of guilds and channels."""

    cdn: str

    def place(self, guild: str, channel: str) -> str: ...

    def above(self, guild: str, channel: str) -> tuple[str, ...]:
        """Ids of what a channel stands in: a thread's channel, a channel's category."""
        ...

    def is_in(self, guild: str) -> bool:
        """Whether the bot is a member of the guild."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it was given on Discord."""

    row: Command
    call: CommandCall


def to_asked(payload: Payload, bot: str, around: Around, rows: Sequence[Command]) -> Asked | None:
    """A command that was typed or chosen in a menu; None for one that is known no more."""
    data: Payload = payload["data"]
    row = row_of(data, rows)
    if row is None:
        return None
    kind = data.get("type", SLASH)
    # In private with the bot nobody else reads along.
    is_aside = kind != SLASH and payload.get("context") != WITH_THE_BOT
    call = replace(base(payload, bot, around, is_aside=is_aside), name=row.name, alone=is_aside)
    options, files = _given(data, row)
    if kind == MESSAGE_MENU:
        return Asked(row, _about_message(call, data, bot, around))
    if kind != SLASH:
        options["user"] = data["target_id"]
    return Asked(row, replace(call, options=options, attachments=files))


def to_pressed(payload: Payload, bot: str, around: Around) -> CommandCall:
    """A button or a list: its ``custom_id`` is the call's name. It belongs to the conversation of what it is under."""
    under: Payload = payload["message"]
    made: Payload = under.get("interaction_metadata") or {}
    seen_by_all = not under.get("flags", 0) & EPHEMERAL
    # Of a further answer Discord tells the press that it came from, and not what was meant at first.
    is_further = not seen_by_all and made.get("type") == COMPONENT
    is_aside = is_further or bool(made.get("target_message_id") or made.get("target_user"))
    maker: Payload = made.get("user") or {}
    is_aside = is_aside and payload.get("context") != WITH_THE_BOT
    call = base(payload, bot, around, is_aside=is_aside, owner=maker.get("id", ""))
    if seen_by_all and is_reached(payload, around):
        # Its answers are ordinary messages.
        call = replace(call, reply_token="")
    return replace(call, name=payload["data"]["custom_id"], reply_to=under["id"])


def base(payload: Payload, bot: str, around: Around, *, is_aside: bool, owner: str = "") -> CommandCall:
    """What every interaction tells: who, where, and how to answer. ``owner``: whose conversation it is, where each has
    their own; the caller's if empty."""
    user: Payload = payload["member"]["user"] if payload.get("member") else payload["user"]
    guild, channel = payload.get("guild_id") or "", payload["channel_id"]
    reached = is_reached(payload, around)
    thread = (owner or user["id"]) if is_aside or not reached else ""
    fills_original = payload["type"] != COMPONENT
    token = ReplyToken(fills_original, payload["application_id"], payload["id"], payload["token"], only=not reached)
    return CommandCall(
        conversation=ConversationKey(Platform.DISCORD, bot, channel, thread),
        id=payload["id"],
        update=payload["id"],
        author=Author(user["id"], _name(user, payload.get("member")), language=payload.get("locale", "")),
        name="",
        sent_at=moment(payload["id"]),
        # Where the bot is no member the conversation is the caller's own, whoever reads along.
        private=not (guild and reached),
        reply_token=str(token),
        space=guild if reached else "",
        place=around.place(guild, channel) if guild and reached else "",
        by_admin=_is_admin(payload) and reached,
        most_pages=0 if reached else MAX_PAGES,
        awaited=fills_original,
        within=around.above(guild, channel) if guild and reached else (),
    )


def _is_admin(payload: Payload) -> bool:
    """Discord tells with every interaction what its caller may do in that channel."""
    member: Payload = payload.get("member") or {}
    held = int(member.get("permissions") or 0)
    return bool(held & (permissions.ADMINISTRATOR | permissions.MANAGE_GUILD))


def is_reached(payload: Payload, around: Around) -> bool:
    """Whether the bot may write there without the interaction's token: it is a member of the guild, or it is the
    person's chat with the bot."""
    guild = payload.get("guild_id") or ""
    if not guild:
        return payload.get("context", WITH_THE_BOT) == WITH_THE_BOT
    by: Payload = payload.get("authorizing_integration_owners") or {}
    is_by_person_alone = str(FOR_PEOPLE) in by and str(FOR_GUILDS) not in by
    return around.is_in(guild) and not is_by_person_alone


def chosen(data: Payload) -> tuple[str, Sequence[Payload]]:
    """The name of what was called, with that of its subcommand, and the options given to it."""
    name, options = str(data["name"]), data.get("options") or ()
    if options and options[0]["type"] == SUBCOMMAND:
        return f"{name} {options[0]['name']}", options[0].get("options") or ()
    return name, options


def row_of(data: Payload, rows: Sequence[Command]) -> Command | None:
    """The row that was registered under this name."""
    kind, (name, _) = data.get("type", SLASH), chosen(data)
    if kind == SLASH:
        return next((row for row in rows if row.name == name), None)
    return next((row for row in rows if row.menu and MENUS[row.menu] == kind and row.called_in_menu() == name), None)


def uploads(resolved: Payload, ids: Iterator[str] | Sequence[str]) -> tuple[Attachment, ...]:
    """Files that came with an interaction."""
    found: Mapping[str, Payload] = resolved.get("attachments") or {}
    return tuple(files_of({"attachments": [found[id] for id in ids if id in found]}))


def _given(data: Payload, row: Command) -> tuple[dict[str, str], tuple[Attachment, ...]]:
    """Files in the order of the row's options, which is not always that in which Discord tells them; none behind one
    that is missing, for which it would be taken."""
    _, given = chosen(data)
    options = {o["name"]: _text(o["value"]) for o in given if "value" in o and o["type"] != FILE}
    files = {o["name"]: o["value"] for o in given if o["type"] == FILE}
    named = (option.name for option in row.options if option.kind is Kind.FILE)
    return options, uploads(data.get("resolved") or {}, [files[name] for name in takewhile(files.__contains__, named)])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else clean_text(str(value))


def _about_message(call: CommandCall, data: Payload, bot: str, around: Around) -> CommandCall:
    meant: Payload = data["resolved"]["messages"][data["target_id"]]
    parts = [meant, *snapshots(meant)]
    users = {user["id"]: _name(user, user.get("member")) for user in meant.get("mentions") or ()}
    told = [readable(part.get("content") or "", call.space, bot, users, around) for part in parts]
    told += [described(part, buttons=False) for part in parts]
    text = clean_text("\n".join(filter(None, told)))[:MAX_MEANT]
    return replace(
        call,
        reply_to=meant["id"],
        quote=Quote(meant["id"], _name(meant["author"], meant.get("member")), text, author_id=meant["author"]["id"]),
        attachments=_files(parts, around.cdn),
    )


def _files(parts: Sequence[Payload], cdn: str) -> tuple[Attachment, ...]:
    # A picture in a gallery is an attachment, too.
    found = {
        file.ref.partition("?")[0]: replace(file, quoted=True)
        for part in parts
        for file in (*files_of(part), *pictures_of(part, cdn))
    }
    return tuple(found.values())


def _name(user: Payload, member: Payload | None) -> str:
    return clean_text((member or {}).get("nick") or user.get("global_name") or user["username"])
