"""Ids of the web chat. Message ids sort, as text, in the order the messages are shown in."""

from __future__ import annotations

import hashlib
import re
import secrets
import time

from core.message import ConversationKey, Platform

BOT = "web"
QUESTION = "q"
ASKING = "k"
"""A command that is answered like a question: regenerate, continue."""
COMMAND = "c"
"""A command that is answered with a notice."""
SILENT = "s"
"""A button whose effect is seen: what is said about it is not shown."""

_NAME = re.compile(r"[0-9a-f]{24}")
_MESSAGE = re.compile(r"[0-9a-f]{20}[qkcs](\.[0-9]{4})?")


def new_name() -> str:
    """An unguessable id for a user, a conversation or a blob."""
    return secrets.token_hex(12)


def new_message_id(kind: str, now: float | None = None) -> str:
    """Milliseconds since 1970, randomness and the kind.

    ``now`` are the Unix seconds of :meth:`WebStore.now` where the id decides about an order.
    """
    return f"{int((time.time() if now is None else now) * 1000):012x}{secrets.token_hex(4)}{kind}"


def answer_id(asked: str, number: int) -> str:
    """The id of an answer's page: sorted right after what was asked, and the same when it is made anew."""
    return f"{asked}.{min(number, 9999):04d}"


def question_of(message_id: str) -> str:
    """The question (or command) that a message answers; a question's own id."""
    return message_id.partition(".")[0]


def is_notice(answer: str) -> bool:
    return question_of(answer).endswith(COMMAND)


def is_silent(answer: str) -> bool:
    return question_of(answer).endswith(SILENT)


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def is_message_id(text: str) -> bool:
    return _MESSAGE.fullmatch(text) is not None


def key_of(user: str, conversation: str) -> ConversationKey:
    return ConversationKey(Platform.WEB, BOT, f"{user}-{conversation}")


def parts_of(key: ConversationKey) -> tuple[str, str]:
    """User and conversation; the inverse of :func:`key_of`."""
    user, _, conversation = key.chat.partition("-")
    return user, conversation


def name_of(text: str) -> str:
    """A name that follows from a text, so that doing something twice gives the same."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]
