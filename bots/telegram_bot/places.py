"""Where a message stands: its conversation, its space, and the place in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bots.telegram_bot.raw import Me, Raw, chat_name, one_line, part
from core.message import ConversationKey, Platform

GENERAL = "1"
"""The topic of a group with topics whose messages name none."""


def message_fields(conversation: ConversationKey, message_id: str) -> dict[str, Any]:
    """How calls name one message."""
    if conversation.inline:
        return {"inline_message_id": conversation.inline}
    return {"chat_id": int(conversation.chat), "message_id": int(message_id)}


@dataclass(frozen=True, slots=True)
class Place:
    """The place of one message."""

    conversation: ConversationKey
    private: bool
    channel: bool
    space: str
    words: str

    @classmethod
    def of(cls, raw: Raw, me: Me) -> Place:
        chat = raw["chat"]
        private = chat.get("type") == "private"
        # Ordinary groups number the threads of replies too; those are no topics.
        is_topic = raw.get("is_topic_message") and "message_thread_id" in raw
        thread = str(raw["message_thread_id"]) if is_topic else GENERAL if chat.get("is_forum") else ""
        words = "a private chat" if private else chat_name(chat) or "a group"
        topic = one_line(part(part(raw, "reply_to_message"), "forum_topic_created").get("name") or "")
        if topic:
            words = f"{topic} in {words}"
        key = ConversationKey(Platform.TELEGRAM, me.id, str(chat["id"]), thread)
        return cls(key, private, chat.get("type") == "channel", "" if private else str(chat["id"]), words)
