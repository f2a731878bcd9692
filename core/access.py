"""What is answered at all: a decision as a value, before anything is spent."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from enum import StrEnum
from typing import Protocol

from core.message import Author, CommandCall, Message, Platform
from core.parts import Notice
from core.settings import ChatSettings
from core.texts import Label


class Guarded(Protocol):
    """What a command's row says of who may use it."""

    @property
    def name(self) -> str: ...

    @property
    def for_owner(self) -> bool: ...


class Right(StrEnum):
    """What a person may do in a space; each platform tells by its own rights (``bots/*/rights.py``, ``admins.py``)."""

    TALK = "talk"
    """Use the bot."""
    CONFIGURE = "configure"
    """Choose for all in a space."""
    WARN = "warn"
    """Warn people, and see what was warned of before."""
    MUTE = "mute"
    BAN = "ban"
    PURGE = "purge"
    """Delete messages of others."""
    DRAW = "draw"
    """Have pictures made."""
    SPEAK = "speak"
    """Have answers read aloud."""
    UPLOAD = "upload"
    """Have files read."""
    CHOOSE_MODEL = "choose-model"
    SEE_USAGE = "see-usage"
    """See what all of a space spend."""
    TOOLS = "tools"
    """Have models use tools: look at web pages, calculate and the like."""
    TEACH = "teach"
    """Keep what a space knows: its documents, the answers of its staff, the questions that wait for one."""


OF_ALL = frozenset((Right.TALK, Right.DRAW, Right.SPEAK, Right.UPLOAD, Right.CHOOSE_MODEL, Right.TOOLS))
"""What everybody may until somebody takes it from them, and alone with the bot anyway."""
ACTS = frozenset((Right.WARN, Right.MUTE, Right.BAN, Right.PURGE))
"""What is done to others: it is asked anew at the moment of the act."""


class Reading(StrEnum):
    ANSWER = "answer"
    OVERHEAR = "overhear"
    """It is not answered, and the answer to the next question there knows of it."""
    IGNORE = "ignore"


def decide_reading(incoming: Message | CommandCall) -> Reading:
    """Whether it is accepted. Bots are never answered, so that two bots cannot keep each other talking;
    a message with nothing in it is no message."""
    if incoming.author.is_bot:
        return Reading.IGNORE
    if isinstance(incoming, Message) and incoming.overheard:
        return Reading.OVERHEAR if incoming.text else Reading.IGNORE
    if isinstance(incoming, CommandCall) or incoming.text or incoming.attachments or incoming.unsupported:
        return Reading.ANSWER
    # A mention alone, in a reply, asks about the message replied to.
    return Reading.ANSWER if incoming.quote and incoming.quote.text else Reading.IGNORE


def decide_refusal(message: Message, settings: ChatSettings) -> Notice | None:
    """The sentence that is the whole answer to a message which cannot be read."""
    if len(message.text) > settings.max_message_chars:
        return Notice("too_long", {"found": len(message.text), "allowed": settings.max_message_chars})
    if message.text or message.attachments or not message.unsupported:
        return None
    return Notice("unsupported", {"kind": Label("kind", message.unsupported)})


def is_owner(author: Author, platform: Platform, owners: Collection[str]) -> bool:
    """Whether they run this Parley: named in the setting ``owners``, or known as such by the platform itself."""
    return author.is_owner or f"{platform}:{author.id}" in owners


def pseudonym(author: Author, platform: Platform) -> str:
    """What a provider that wants to know its askers apart is told of one: always the same, and nothing else."""
    return hashlib.sha256(f"{platform}:{author.id}".encode()).hexdigest()[:32]


def decide_command(row: Guarded, call: CommandCall, owners: Collection[str]) -> Notice | None:
    """The sentence that stands in place of a command's answer, where it may not be used so.

    What is for owners is not shown in groups either, unless the platform can show it to the asker alone.
    """
    if not row.for_owner:
        return None
    if not is_owner(call.author, call.conversation.platform, owners):
        return Notice("owner_only", {"name": row.name})
    if not (call.private or call.reply_token):
        return Notice("owner_privately", {"name": row.name})
    return None
