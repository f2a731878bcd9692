"""Values that many tests build."""

from __future__ import annotations

import itertools
import time
from typing import Any

from core.conversation.moving import Mover
from core.message import Author, CommandCall, ConversationKey, Message, Platform
from core.people.spaces import Spaces
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.leases import Leases

_numbers = itertools.count(1_000_001)
"""No test names such an id itself: which number a message gets depends on the tests that ran before."""

ADA = Author("7", "Ada")


def conversation(chat: str = "100", platform: Platform = Platform.TELEGRAM) -> ConversationKey:
    return ConversationKey(platform, "1", chat)


def message(text: str = "hello", id: str = "", chat: str = "100", **values: Any) -> Message:
    """A message with an id and an update of its own."""
    number = next(_numbers)
    values = {"conversation": conversation(chat), "author": ADA, "private": True, "update": f"u{number}", **values}
    values.setdefault("sent_at", time.time())
    return Message(id=id or str(number), text=text, **values)


def call(name: str, chat: str = "100", **values: Any) -> CommandCall:
    number = next(_numbers)
    values = {"conversation": conversation(chat), "author": ADA, "private": True, "update": f"u{number}", **values}
    return CommandCall(id=f"call{number}", name=name, sent_at=time.time(), **values)


def mover(store: Store, process: str = "one") -> Mover:
    moves = (Spaces(store).move,)
    return Mover(store, Leases(store, process), Cases(store, keep_days=1), *moves, keep_days=1)
