"""What is said and done in groups whose rules look at everything, from raw updates. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from bots.telegram_bot import utf16
from bots.telegram_bot.contents import attachments_of, described
from bots.telegram_bot.lifecycle import is_there
from bots.telegram_bot.places import Place
from bots.telegram_bot.raw import Me, Raw, author_of, chat_name, one_line, part, person
from bots.telegram_bot.rich_reading import MAX_DEPTH, Reading
from core.message import Arrival, Author, Movement, Reacted, Seen, Sighting, clean_text

MAX_LINKS = 200
MAX_ADDRESS = 2000
BESIDES = (
    "sticker",
    "contact",
    "venue",
    "location",
    "poll",
    "dice",
    "game",
    "story",
    "checklist",
    "paid_media",
    "giveaway",
    "giveaway_winners",
    "invoice",
)
"""What a message may be instead of words and files. A venue carries its location a second time."""
PAID = "⭐"
"""Stands for a reaction that is paid for."""
IsStaff = Callable[[str, str], bool]
"""Whether an account administers a group, or is the channel that the group belongs to; by their ids."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the readers need besides the update."""

    update: str
    """Its number."""
    me: Me
    image_limit: int
    """In bytes; chooses among a photo's sizes."""
    is_staff: IsStaff


def seen_in(update: Raw, me: Me, image_limit: int, watched: Callable[[str], bool], is_staff: IsStaff) -> list[Seen]:
    """What an update brings for the rules of its group, if ``watched`` says of the group's id that it has any."""
    for kind, read in READERS.items():
        if raw := update.get(kind):
            chat = raw["chat"]
            if chat.get("type") not in ("group", "supergroup") or not watched(str(chat["id"])):
                break
            return list(read(raw, Look(str(update["update_id"]), me, image_limit, is_staff)))
    return []


def _written(raw: Raw, look: Look) -> Iterator[Seen]:
    if "new_chat_members" in raw or "left_chat_member" in raw:
        yield from _told(raw, look)
    elif sighting := _said(raw, look, edited=False):
        yield sighting


def _edited(raw: Raw, look: Look) -> Iterator[Seen]:
    # A location that moves comes as an edit every few seconds.
    if "location" not in raw and (sighting := _said(raw, look, edited=True)):
        yield sighting


def _said(raw: Raw, look: Look, *, edited: bool) -> Sighting | None:
    author, me = author_of(raw), look.me
    if author.is_bot or str(part(raw, "via_bot").get("id")) == me.id:
        return None
    buttons = list(_buttons(raw))
    text = clean_text("\n".join(filter(None, (*_words(raw), *(one_line(str(b.get("text") or "")) for b in buttons)))))
    attachments = attachments_of(raw, look.image_limit)
    besides = next((name for name in BESIDES if name in raw), "")
    if not (text or attachments or besides):
        return None
    place = Place.of(raw, me)
    chat = place.conversation.chat
    return Sighting(
        conversation=place.conversation,
        id=str(raw["message_id"]),
        update=look.update,
        author=author,
        text=text,
        sent_at=float(raw.get("edit_date") or raw.get("date") or 0),
        space=place.space,
        place=place.words,
        edited=edited,
        reply_to=str(part(raw, "reply_to_message").get("message_id") or ""),
        attachments=attachments,
        links=_links(raw, buttons),
        mentions=len(set(_mentioned(raw))),
        forwarded="forward_origin" in raw and not raw.get("is_automatic_forward"),
        unsupported=besides,
        is_staff=author.id == chat or look.is_staff(chat, author.id),
        album=one_line(str(raw.get("media_group_id") or "")),
    )


def _words(raw: Raw) -> Iterator[str]:
    """All that can be read in it: also what it took along of another chat's message, a poll's options, a contact."""
    yield str(raw.get("text") or raw.get("caption") or "")
    yield Reading().text(part(raw, "rich_message"))
    yield described(raw)
    if "external_reply" in raw:
        yield str(part(raw, "quote").get("text") or "")


def _entities(raw: Raw) -> Iterator[tuple[Raw, str]]:
    """The marks in its text, each with what it covers."""
    text = str(raw.get("text") or raw.get("caption") or "")
    for entity in raw.get("entities") or raw.get("caption_entities") or ():
        start = int(entity["offset"])
        yield entity, utf16.cut(text, start, start + int(entity["length"]))


def _mentioned(raw: Raw) -> Iterator[str]:
    for entity, shown in _entities(raw):
        if entity.get("type") == "mention":
            yield shown.lower()
        elif entity.get("type") == "text_mention":
            yield str(part(entity, "user").get("id"))


def _links(raw: Raw, buttons: Iterable[Raw]) -> tuple[str, ...]:
    found = [str(part(raw, "link_preview_options").get("url") or "")]
    for entity, shown in _entities(raw):
        if entity.get("type") == "url":
            found.append(shown)
        elif entity.get("type") == "text_link":
            found.append(str(entity.get("url") or ""))
    for button in buttons:
        nested = (part(button, "login_url"), part(button, "web_app"))
        found += [str(one.get("url") or "") for one in (button, *nested)]
    if "rich_message" in raw:
        found += _addresses(raw["rich_message"], 0)
    return tuple(dict.fromkeys(one.strip()[:MAX_ADDRESS] for one in found if one.strip()))[:MAX_LINKS]


def _addresses(value: Any, depth: int) -> Iterator[str]:
    """Of a rich message, wherever they stand in it."""
    if depth > 2 * MAX_DEPTH:
        return
    if isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            if name == "url" and isinstance(inner, str):
                yield inner
            else:
                yield from _addresses(inner, depth + 1)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _addresses(inner, depth + 1)


def _buttons(raw: Raw) -> Iterator[Raw]:
    """Those under a message that was forwarded or sent by way of another bot."""
    rows: Sequence[Sequence[Raw]] = part(raw, "reply_markup").get("inline_keyboard") or ()
    for row in rows:
        yield from row


def _told(raw: Raw, look: Look) -> Iterator[Arrival]:
    """The group's own notes of who came and went: all that a bot gets that is no administrator."""
    for user in raw.get("new_chat_members") or ():
        yield from _arrival(raw, look, user, Movement.JOINED)
    if user := raw.get("left_chat_member"):
        yield from _arrival(raw, look, user, Movement.LEFT)


def _changed(raw: Raw, look: Look) -> Iterator[Arrival]:
    was, is_now = is_there(part(raw, "old_chat_member")), is_there(part(raw, "new_chat_member"))
    if was is not is_now:
        yield from _arrival(raw, look, raw["new_chat_member"]["user"], Movement.JOINED if is_now else Movement.LEFT)


def _asked(raw: Raw, look: Look) -> Iterator[Arrival]:
    yield from _arrival(raw, look, raw["from"], Movement.ASKED, str(raw.get("user_chat_id") or ""))


def _arrival(raw: Raw, look: Look, user: Raw, movement: Movement, private_chat: str = "") -> Iterator[Arrival]:
    who, by = person(user), str(part(raw, "from").get("id") or "")
    if who.id == look.me.id:
        return
    place, date = Place.of({"chat": raw["chat"]}, look.me), int(raw.get("date") or 0)
    yield Arrival(
        place.conversation,
        place.space,
        # The same for the group's note and for what administrators are told.
        f"{movement}-{who.id}-{date}",
        who,
        movement,
        float(date),
        by="" if by == who.id else by,
        words=clean_text(str(raw.get("bio") or "")),
        private_chat=private_chat,
    )


def _reacted(raw: Raw, look: Look) -> Iterator[Reacted]:
    who: Author
    if user := raw.get("user"):
        who = person(user)
    elif chat := raw.get("actor_chat"):
        who = Author(str(chat["id"]), chat_name(chat) or "Anonymous")
    else:
        return
    if who.is_bot:
        return
    before, now = (list(_emoji(raw.get(name) or ())) for name in ("old_reaction", "new_reaction"))
    changes = [(one, True) for one in now if one not in before] + [(one, False) for one in before if one not in now]
    place = Place.of({"chat": raw["chat"]}, look.me)
    for number, (emoji, added) in enumerate(changes):
        id, update = str(raw["message_id"]), f"{look.update}-{number}"
        yield Reacted(place.conversation, place.space, id, update, who, emoji, added, float(raw.get("date") or 0))


def _emoji(reactions: Iterable[Raw]) -> Iterator[str]:
    """An emoji of somebody's own is named by its id."""
    for one in reactions:
        yield str(one.get("emoji") or one.get("custom_emoji_id") or PAID)


READERS: Mapping[str, Callable[[Raw, Look], Iterator[Seen]]] = {
    "message": _written,
    "edited_message": _edited,
    "chat_member": _changed,
    "chat_join_request": _asked,
    "message_reaction": _reacted,
}
"""A reader for each kind of update that rules look at."""
