"""What a message replies to, as far as Telegram hands it over: one message, without what that one replied to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bots.telegram_bot.contents import attachments_of, forwarded, mentioned, origin_name
from bots.telegram_bot.raw import Me, Raw, author_of, chat_name, one_line, part
from bots.telegram_bot.rich_reading import Reading
from core.message import Attachment, AttachmentKind, Quote, clean_text

MAX_CHARS = 4096
_MAX_OPTION = 300


def reply_in(raw: Raw) -> Raw | None:
    """The message replied to; in a topic every message is a reply to the topic's beginning, which does not count."""
    reply = raw.get("reply_to_message")
    if not reply or "forum_topic_created" in reply:
        return None
    return reply


def is_ours(message: Raw, me: Me) -> bool:
    """Whether the bot said it, by itself or through someone who asked it inline."""
    if message.get("sender_chat"):
        return False
    return me.id in (str(part(message, "from").get("id")), str(part(message, "via_bot").get("id")))


def quote_in(raw: Raw, reply: Raw | None) -> Quote | None:
    """The message replied to, or the part of it that was chosen; also one of another chat, and a story."""
    chosen = str(part(raw, "quote").get("text") or "")
    if reply is not None:
        chosen = chosen if part(raw, "quote").get("is_manual") else ""
        chosen = chosen or _chosen_item(raw, reply)
        text = clean_text((chosen or text_of(reply))[:MAX_CHARS])
        return Quote(str(reply["message_id"]), author_of(reply).name, text, bool(chosen))
    if elsewhere := raw.get("external_reply"):
        # Its text stays in its chat; only what was chosen of it comes along.
        text = chosen or mentioned(elsewhere)
        return Quote("", origin_name(part(elsewhere, "origin")), clean_text(text[:MAX_CHARS]))
    if story := raw.get("reply_to_story"):
        return Quote("", chat_name(part(story, "chat")), "[Story]")
    return Quote("", "", clean_text(chosen[:MAX_CHARS])) if chosen else None


def files_of(
    raw: Raw, reply: Raw | None, me: Me, image_limit: int, *, private: bool, own_voice: bool = False
) -> tuple[Attachment, ...]:
    """The files that the message replied to adds to the question.

    What people sent to the bot in a private chat is in its history. In groups it has seen little of what people
    reply to, and nowhere the files of its own answers.
    """
    if reply is not None and private and not is_ours(reply, me):
        return ()
    files = attachments_of(reply or part(raw, "external_reply"), image_limit)
    # Its own voice only says what the history has as text; ``own_voice`` is for who asks about the file itself.
    ours = reply is not None and is_ours(reply, me) and not own_voice
    return tuple(replace(f, quoted=True) for f in files if not (ours and f.kind is AttachmentKind.AUDIO))


def text_of(message: Raw) -> str:
    """What another message says."""
    rich = Reading().text(part(message, "rich_message"))
    said = message.get("text") or message.get("caption") or ""
    # Of a channel's post in the group linked with it the author says enough.
    origin = "" if message.get("is_automatic_forward") else forwarded(message)
    return "\n".join(filter(None, (origin, mentioned(message), said, rich)))


def _chosen_item(raw: Raw, reply: Raw) -> str:
    """The task of a checklist or the option of a poll that is replied to."""
    for field, name, items, identifier in (
        ("reply_to_checklist_task_id", "checklist", "tasks", "id"),
        ("reply_to_poll_option_id", "poll", "options", "persistent_id"),
    ):
        wanted = raw.get(field)
        found: Iterable[Raw] = part(reply, name).get(items) or ()
        for item in found:
            if wanted is not None and item.get(identifier) == wanted:
                return one_line(str(item.get("text") or ""), _MAX_OPTION)
    return ""
