"""Raw updates of the Bot API to incoming values. Pure; raw dicts, because building ``telegram.Update`` costs more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bots.telegram_bot import utf16
from bots.telegram_bot.contents import attachments_of, unsupported_in
from core.message import (
    Author,
    CommandCall,
    ConversationKey,
    Incoming,
    Message,
    Platform,
    Quote,
    clean_text,
)

UPDATES = ("message", "edited_message", "callback_query")
"""The kinds of updates asked for."""
GENERAL = "1"
"""The topic of a group with topics whose messages name none."""
MAX_NAME = 128
Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Me:
    """The bot's own account."""

    id: str
    username: str


def to_incoming(updates: Sequence[Raw], me: Me, image_limit: int) -> list[Incoming]:
    """A batch of updates in their order; the pictures of an album, which come as messages of their own, in one."""
    incoming: list[Incoming] = []
    albums: dict[tuple[str, Any], int] = {}
    for update in updates:
        raw = update.get("message")
        album = (str(raw["chat"]["id"]), raw["media_group_id"]) if raw and "media_group_id" in raw else None
        if raw and album in albums:
            first = incoming[albums[album]]
            assert isinstance(first, Message)  # nothing else is noted as an album
            incoming[albums[album]] = replace(first, attachments=first.attachments + attachments_of(raw, image_limit))
            continue
        value = to_value(update, me, image_limit)
        if value is None:
            continue
        if album and isinstance(value, Message):
            albums[album] = len(incoming)
        incoming.append(value)
    return incoming


def to_value(update: Raw, me: Me, image_limit: int) -> Incoming | None:
    """One update; None for what is not for the bot. ``image_limit`` in bytes chooses among a photo's sizes."""
    number = str(update["update_id"])
    if "callback_query" in update:
        return _pressed(update["callback_query"], number, me)
    raw = _part(update, "message") or _part(update, "edited_message")
    if not raw or raw.get("is_automatic_forward"):
        return None
    author = _author(raw)
    if author.is_bot:
        # Bots never answer bots: two of them would go on for ever.
        return None
    return _written(raw, number, author, me, image_limit, edited="edited_message" in update)


def message_ids(update: Raw) -> Iterable[tuple[str, int]]:
    """Chat and id of the message that an update brings, whoever it is for."""
    raw = _part(update, "message") or _part(update, "edited_message")
    if raw:
        yield str(raw["chat"]["id"]), int(raw["message_id"])


def _written(raw: Raw, update: str, author: Author, me: Me, image_limit: int, *, edited: bool) -> Incoming | None:
    place = _Place.of(raw, me)
    text = raw.get("text") or raw.get("caption") or ""
    entities = raw.get("entities") or raw.get("caption_entities") or ()
    words = _words(text, entities, me)
    reply = _reply(raw)
    to_us = reply is not None and str(_part(reply, "from").get("id")) == me.id
    command = _command(words) if "text" in raw else None
    if command and command.addressee not in ("", me.username.lower()) and not place.private:
        return None
    if not (place.private or words.mentions_us or to_us or command):
        return None
    quote = _quote(raw, reply)
    attachments = attachments_of(raw, image_limit)
    said = clean_text(words.text)
    if command or (words.mentions_us and not (said or quote or attachments)):
        # An edited command is not run again; a bare mention is a greeting.
        return None if edited else _call(raw, update, author, place, command or _Command("start", "", ""))
    unsupported = "" if said or attachments else unsupported_in(raw)
    if not (said or attachments or (quote and words.mentions_us)) and (edited or not unsupported):
        return None
    return Message(
        conversation=place.conversation,
        id=str(raw["message_id"]),
        update=update,
        author=author,
        text=said,
        sent_at=float(raw.get("date") or 0),
        private=place.private,
        reply_to=str(reply["message_id"]) if reply else "",
        quote=quote,
        attachments=attachments,
        edited=edited,
        unsupported=unsupported,
        space=place.space,
        place=place.words,
    )


def _call(raw: Raw, update: str, author: Author, place: _Place, command: _Command) -> CommandCall:
    reply = _reply(raw)
    return CommandCall(
        conversation=place.conversation,
        id=str(raw["message_id"]),
        update=update,
        author=author,
        name=command.name,
        options={"text": command.text} if command.text else {},
        sent_at=float(raw.get("date") or 0),
        private=place.private,
        reply_to=str(reply["message_id"]) if reply else "",
        space=place.space,
        place=place.words,
    )


def _pressed(query: Raw, update: str, me: Me) -> CommandCall | None:
    raw, name = query.get("message"), query.get("data")
    person = query["from"]
    if not raw or not name or person.get("is_bot"):
        return None
    place = _Place.of(raw, me)
    return CommandCall(
        conversation=place.conversation,
        id=f"press-{query['id']}",
        update=update,
        author=_person(person),
        name=clean_text(name),
        private=place.private,
        reply_to=str(raw["message_id"]),
        space=place.space,
        place=place.words,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    conversation: ConversationKey
    private: bool
    space: str
    words: str

    @classmethod
    def of(cls, raw: Raw, me: Me) -> _Place:
        chat = raw["chat"]
        private = chat.get("type") == "private"
        # Ordinary groups number the threads of replies too; those are no topics.
        is_topic = raw.get("is_topic_message") and "message_thread_id" in raw
        thread = str(raw["message_thread_id"]) if is_topic else GENERAL if chat.get("is_forum") else ""
        words = "a private chat" if private else _name(chat.get("title") or "") or "a group"
        topic = _part(_part(raw, "reply_to_message"), "forum_topic_created").get("name")
        if topic and not private:
            words = f"{_name(topic)} in {words}"
        key = ConversationKey(Platform.TELEGRAM, me.id, str(chat["id"]), thread)
        return cls(key, private, "" if private else str(chat["id"]), words)


def _author(raw: Raw) -> Author:
    """Anonymous admins and people who write as a channel come with a bot in ``from``: they are the chat they name."""
    chat = raw.get("sender_chat")
    if chat:
        name = raw.get("author_signature") or chat.get("title") or chat.get("username") or ""
        return Author(str(chat["id"]), _name(name) or "Anonymous")
    return _person(raw.get("from") or {"id": 0, "is_bot": True})


def _person(user: Raw) -> Author:
    name = _name(" ".join(filter(None, (user.get("first_name"), user.get("last_name")))))
    return Author(
        id=str(user["id"]),
        name=name or _name(user.get("username") or "") or "Someone",
        is_bot=bool(user.get("is_bot")),
        language=str(user.get("language_code") or ""),
    )


def _part(raw: Raw, name: str) -> Raw:
    """An object inside another; empty where there is none."""
    return raw.get(name) or {}


def _name(text: str) -> str:
    """One line: names go into prompts, where a line break could pass for another speaker."""
    return " ".join(clean_text(text).split())[:MAX_NAME]


@dataclass(frozen=True, slots=True)
class _Words:
    """A text without the mentions of the bot."""

    text: str
    mentions_us: bool
    command: str
    """The command entity that the text begins with, as written."""


def _words(text: str, entities: Sequence[Raw], me: Me) -> _Words:
    mention = f"@{me.username}".lower()
    pieces: list[str] = []
    at, mentions_us, command = 0, False, ""
    for entity in sorted(entities, key=lambda e: int(e["offset"])):
        start, end = int(entity["offset"]), int(entity["offset"]) + int(entity["length"])
        if start < at:
            continue
        kind = entity.get("type")
        if kind == "bot_command" and not "".join([*pieces, utf16.cut(text, at, start)]).strip():
            command = utf16.cut(text, start, end)
        ours = (kind == "mention" and utf16.cut(text, start, end).lower() == mention) or (
            kind == "text_mention" and str(_part(entity, "user").get("id")) == me.id
        )
        if ours:
            mentions_us = True
            pieces.append(utf16.cut(text, at, start))
            at = end
    if not mentions_us:
        return _Words(text.strip(), False, command)
    pieces.append(utf16.cut(text, at, utf16.length(text)))
    return _Words(_without_gaps(pieces), True, command)


def _without_gaps(pieces: list[str]) -> str:
    """The pieces between mentions: ``hey @bot, what`` is ``hey, what``, and ``@bot: what`` is ``what``."""
    text = pieces[0].strip()
    for piece in pieces[1:]:
        if not text:
            text = piece.lstrip(" \t\n,:;")
        elif piece[:1] in (" ", "\n", ""):
            text += piece
        else:
            text += piece if piece[0] in ",.:;?!" else f" {piece}"
    return text.strip()


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    addressee: str
    """Username of the bot it names, in lower case; empty when it names none."""
    text: str


def _command(words: _Words) -> _Command | None:
    if not words.command:
        return None
    name, _, addressee = words.command.removeprefix("/").partition("@")
    rest = clean_text(words.text.partition(words.command)[2])
    return _Command(name.lower(), addressee.lower(), rest)


def _reply(raw: Raw) -> Raw | None:
    """The message replied to; in a topic every message is a reply to the topic's beginning, which does not count."""
    reply = raw.get("reply_to_message")
    if not reply or "forum_topic_created" in reply:
        return None
    return reply


def _quote(raw: Raw, reply: Raw | None) -> Quote | None:
    chosen = _part(raw, "quote").get("text")
    if reply is None:
        return Quote("", "", clean_text(chosen)) if chosen else None
    text = clean_text(chosen or reply.get("text") or reply.get("caption") or "")
    return Quote(str(reply["message_id"]), _author(reply).name, text)
