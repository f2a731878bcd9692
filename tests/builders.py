"""Values that many tests build."""

from __future__ import annotations

import itertools
import time
from typing import Any

from core.message import Author, CommandCall, ConversationKey, Message, Platform

_numbers = itertools.count(1)

ADA = Author("7", "Ada")


def conversation(chat: str = "100", platform: Platform = Platform.TELEGRAM) -> ConversationKey:
    return ConversationKey(platform, "1", chat)


def message(text: str = "hello", id: str = "", chat: str = "100", **values: Any) -> Message:
    """A message with an id and an update of its own."""
    number = next(_numbers)
    values = {"conversation": conversation(chat), "author": ADA, "private": True, "update": f"u{number}", **values}
    return Message(id=id or str(number), text=text, sent_at=time.time(), **values)


def call(name: str, chat: str = "100", **values: Any) -> CommandCall:
    number = next(_numbers)
    values = {"conversation": conversation(chat), "author": ADA, "private": True, "update": f"u{number}", **values}
    return CommandCall(id=f"call{number}", name=name, sent_at=time.time(), **values)
