"""What is answered at all: a decision as a value, before anything is spent."""

from __future__ import annotations

from enum import StrEnum

from core.message import AttachmentKind, CommandCall, Message
from core.parts import Notice
from core.settings import ChatSettings


class Reading(StrEnum):
    ANSWER = "answer"
    IGNORE = "ignore"


def decide_reading(incoming: Message | CommandCall) -> Reading:
    """Whether it is accepted. Bots are never answered, so that two bots cannot keep each other talking;
    a message with nothing in it is no message."""
    if incoming.author.is_bot:
        return Reading.IGNORE
    if isinstance(incoming, Message) and not (incoming.text or incoming.attachments or incoming.unsupported):
        return Reading.IGNORE
    return Reading.ANSWER


def decide_refusal(message: Message, settings: ChatSettings) -> Notice | None:
    """The sentence that is the whole answer to a message which cannot be read."""
    if len(message.text) > settings.max_message_chars:
        return Notice("too_long", {"found": f"{len(message.text):,}", "allowed": f"{settings.max_message_chars:,}"})
    readable = [a for a in message.attachments if a.kind is AttachmentKind.IMAGE]
    if message.text or readable:
        return None
    if message.unsupported:
        return Notice("unsupported", {"kind": message.unsupported})
    return Notice("file_unsupported")
