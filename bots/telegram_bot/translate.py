"""Raw updates of the Bot API to incoming values. Pure; one reader for each kind of update."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bots.buttons import command_of
from bots.telegram_bot import inline
from bots.telegram_bot.contents import attachments_of, described, forwarded, unsupported_in
from bots.telegram_bot.keyboard import PRESS
from bots.telegram_bot.lifecycle import membership, relocation
from bots.telegram_bot.looking import Looking
from bots.telegram_bot.places import Place
from bots.telegram_bot.quotes import files_of, is_ours, quote_in, reply_in
from bots.telegram_bot.raw import Me, Raw, author_of, chat_name, one_line, part, person
from bots.telegram_bot.sighting import READERS as LOOKED_AT
from bots.telegram_bot.words import Command, Words, command_in, words_of
from core.commands.row import SILENTLY
from core.commands.table import BY_NAME, meant
from core.conversation.preferences import ALWAYS
from core.feedback import verdict_of
from core.message import Author, CommandCall, Incoming, Message, Reaction, clean_text
from core.people.spaces import USUAL, SpaceSettings

Chosen = Callable[[str], SpaceSettings]
"""What a group, by its id, chose for itself."""


def nobody_chose(group: str) -> SpaceSettings:
    """A :data:`Chosen`."""
    return USUAL


@dataclass(frozen=True, slots=True)
class Delivery:
    """An update on its way in, for the reader of its kind."""

    update: str
    """Its number."""
    me: Me
    image_limit: int
    """In bytes; chooses among a photo's sizes."""
    chosen: Chosen


def to_incoming(
    updates: Sequence[Raw], me: Me, image_limit: int, chosen: Chosen = nobody_chose, looking: Looking | None = None
) -> list[Incoming]:
    """A batch of updates in their order. The pieces of an album stay apart: the rest may come with another batch, or to
    another process. The mailbox joins them. What rules look at goes before the message that it may be as well."""
    values: list[Incoming] = []
    for update in updates:
        if looking is not None:
            values += looking.seen(update, me, image_limit)
        if (value := to_value(update, me, image_limit, chosen)) is not None:
            values.append(value)
    return values


def to_value(update: Raw, me: Me, image_limit: int, chosen: Chosen = nobody_chose) -> Incoming | None:
    """One update; None for what is not for the bot. ``image_limit`` in bytes chooses among a photo's sizes."""
    delivery = Delivery(str(update["update_id"]), me, image_limit, chosen)
    for kind, read in READERS.items():
        if raw := update.get(kind):
            return read(raw, delivery)
    return None


def message_ids(update: Raw) -> Iterable[tuple[str, int]]:
    """Chat and id of the message that an update brings, whoever it is for."""
    for kind in MESSAGES:
        if raw := update.get(kind):
            yield str(raw["chat"]["id"]), int(raw["message_id"])


def _written(raw: Raw, delivery: Delivery) -> Incoming | None:
    return relocation(raw, delivery.me, delivery.update) or _said(raw, delivery, edited=False)


def _edited(raw: Raw, delivery: Delivery) -> Incoming | None:
    return _said(raw, delivery, edited=True)


def _said(raw: Raw, delivery: Delivery, *, edited: bool) -> Incoming | None:
    author, me = author_of(raw), delivery.me
    if author.is_bot or raw.get("is_automatic_forward") or str(part(raw, "via_bot").get("id")) == me.id:
        # Bots never answer bots, which would go on for ever; nor what the bot wrote itself, for someone's inline query.
        return None
    place, words, reply = Place.of(raw, me), words_of(raw, me), reply_in(raw)
    album = one_line(str(raw.get("media_group_id") or ""))
    # A forwarded command is something to read. Below an album it would be about one of its pieces alone.
    command = None if album or "forward_origin" in raw else command_in(words)
    if command and command.addressee not in ("", me.username.lower()) and not place.private:
        return None
    turn_to_us = _turns_to_us(place, words, command, is_reply=reply is not None and is_ours(reply, me))
    if place.space and not (turn_to_us or place.channel):
        space = delivery.chosen(place.space)
        turn_to_us = space.answers == ALWAYS and not _turns_to_other(raw, reply, author, me)
        if space.passive and not (turn_to_us or album):
            return _overheard(raw, delivery, place, words, reply, edited=edited)
    if not (turn_to_us or album):
        return None
    quote = quote_in(raw, reply)
    attachments = own = attachments_of(raw, delivery.image_limit)
    if words.text or not album:
        # All pieces of an album reply to the same.
        # A command is about the very message that it replies to, whether it is in the history or not.
        private, asks_of_file = place.private and command is None, command is not None and command.name == "origin"
        attachments += files_of(raw, reply, me, delivery.image_limit, private=private, own_voice=asks_of_file)
    text = clean_text("\n".join(filter(None, (forwarded(raw), described(raw), words.text))))
    if command or (words.mentions_us and not (text or quote or attachments)):
        # An edited command is not run again; a bare mention is a greeting, but not one for a channel's readers.
        is_ignored = edited or (command is None and place.channel)
        if is_ignored:
            return None
        call = _call(raw, delivery, author, place, _whole(raw, me, command) if command else Command("start", "", ""))
        if quote and reply:
            quote = replace(quote, author_id=author_of(reply).id)
        return replace(call, quote=quote, attachments=attachments)
    unsupported = "" if text or attachments else unsupported_in(raw)
    if edited and not (words.text or own):
        # A place that moves, votes that come in: nobody asked anew.
        return None
    if not (text or attachments or unsupported or (quote and words.mentions_us)):
        return None
    return Message(
        conversation=place.conversation,
        id=str(raw["message_id"]),
        update=delivery.update,
        author=author,
        text=text,
        sent_at=float(raw.get("date") or 0),
        private=place.private,
        reply_to=str(reply["message_id"]) if reply else "",
        quote=quote,
        attachments=attachments,
        edited=edited,
        unsupported=unsupported,
        space=place.space,
        place=place.words,
        album=album,
        addressed=turn_to_us,
        by_admin=author.id == place.conversation.chat,
    )


def _overheard(
    raw: Raw, delivery: Delivery, place: Place, words: Words, reply: Raw | None, *, edited: bool
) -> Message | None:
    """What others talk about, where the group chose that it is read along: for its words alone."""
    text = clean_text("\n".join(filter(None, (forwarded(raw), described(raw), words.text))))
    if not text:
        return None
    return Message(
        conversation=place.conversation,
        id=str(raw["message_id"]),
        update=delivery.update,
        author=author_of(raw),
        text=text,
        sent_at=float(raw.get("date") or 0),
        private=False,
        reply_to=str(reply["message_id"]) if reply else "",
        quote=quote_in(raw, reply),
        edited=edited,
        space=place.space,
        place=place.words,
        overheard=True,
    )


def _turns_to_other(raw: Raw, reply: Raw | None, author: Author, me: Me) -> bool:
    """Where all that people say is answered, they talk with each other, too."""
    if reply is not None and not is_ours(reply, me) and author_of(reply).id != author.id:
        return True
    entities: Sequence[Raw] = raw.get("entities") or raw.get("caption_entities") or ()
    return any(one.get("type") in ("mention", "text_mention") and int(one["offset"]) == 0 for one in entities)


def _whole(raw: Raw, me: Me, command: Command) -> Command:
    """With its subcommand. Where its options are spread over what was typed, people who have no username are named by
    their ids."""
    name, text = meant(command.name, command.text)
    row = BY_NAME.get(name)
    if row is not None and row.spread and (again := command_in(words_of(raw, me, ids=True))):
        name, text = meant(again.name, again.text)
    return replace(command, name=name, text=text)


def _turns_to_us(place: Place, words: Words, command: Command | None, *, is_reply: bool) -> bool:
    """In a channel only who names the bot turns to it: posts of other bots, which would reply to each other for ever,
    cannot be told from people's there."""
    if place.channel:
        return words.mentions_us or (command is not None and command.addressee != "")
    return place.private or words.mentions_us or is_reply or command is not None


def _call(raw: Raw, delivery: Delivery, author: Author, place: Place, command: Command) -> CommandCall:
    reply = reply_in(raw)
    return CommandCall(
        conversation=place.conversation,
        id=str(raw["message_id"]),
        update=delivery.update,
        author=author,
        name=command.name,
        options={"text": command.text} if command.text else {},
        sent_at=float(raw.get("date") or 0),
        private=place.private,
        reply_to=str(reply["message_id"]) if reply else "",
        space=place.space,
        place=place.words,
    )


def _pressed(query: Raw, delivery: Delivery) -> CommandCall | None:
    raw, presser = query.get("message"), query["from"]
    name, options = command_of(clean_text(query.get("data") or ""))
    if query.get("inline_message_id"):
        return inline.pressed(query, delivery.me, delivery.update, name, options)
    if not raw or not name or presser.get("is_bot"):
        return None
    place = Place.of(raw, delivery.me)
    return CommandCall(
        conversation=place.conversation,
        id=f"{PRESS}{query['id']}",
        update=delivery.update,
        author=person(presser),
        name=name,
        options=options,
        private=place.private,
        reply_to=str(raw["message_id"]),
        space=place.space,
        place=place.words,
    )


def _stopped(raw: Raw, delivery: Delivery) -> CommandCall | None:
    """Telegram's own Stop button under a preview (Bot API 10.3). The update tells the chat and not the person: it
    comes from private chats, which have one."""
    chat = part(raw, "chat")
    if "id" not in chat:
        return None
    place = Place.of({"chat": {"type": "private", **chat}, **_topic(raw)}, delivery.me)
    return CommandCall(
        conversation=place.conversation,
        id=f"stopped-{delivery.update}",
        update=delivery.update,
        author=Author(str(chat["id"]), chat_name(chat) or "Someone"),
        name="stop",
        options={SILENTLY: "yes"},
        private=place.private,
        space=place.space,
        place=place.words,
    )


def _topic(raw: Raw) -> Raw:
    thread = raw.get("message_thread_id")
    return {"message_thread_id": thread, "is_topic_message": True} if thread else {}


def _reacted(raw: Raw, delivery: Delivery) -> Reaction | None:
    """Also for messages of others: which are answers, the history tells."""
    chat, voter = part(raw, "chat"), part(raw, "user") or part(raw, "actor_chat")
    before, now = (verdict_of(_emoji(raw.get(name) or ())) for name in ("old_reaction", "new_reaction"))
    if voter.get("is_bot") or "id" not in voter or not (before or now):
        return None
    # It does not tell the topic.
    place = Place.of({"chat": chat}, delivery.me)
    date = float(raw.get("date") or 0)
    return Reaction(place.conversation, str(raw["message_id"]), str(voter["id"]), now, date)


def _emoji(reactions: Iterable[Raw]) -> list[str]:
    return [str(reaction["emoji"]) for reaction in reactions if reaction.get("type") == "emoji"]


READERS: Mapping[str, Callable[[Raw, Delivery], Incoming | None]] = {
    "message": _written,
    "edited_message": _edited,
    "channel_post": _written,
    "edited_channel_post": _edited,
    "callback_query": _pressed,
    "chosen_inline_result": lambda raw, delivery: inline.chosen(raw, delivery.me),
    "message_reaction": _reacted,
    "stopped_message_generation": _stopped,
    "my_chat_member": lambda raw, delivery: membership(raw, delivery.me, delivery.update),
}
"""A reader for each kind of update: pure, None for what is not for the bot."""
UPDATES = tuple(dict.fromkeys((*READERS, *LOOKED_AT, "inline_query")))
"""The kinds of updates asked for, among them those that come only by name. What is typed is answered and brings nothing
in (``inline``)."""
MESSAGES = ("message", "edited_message", "channel_post", "edited_channel_post")
"""The kinds that are a message which someone wrote."""
