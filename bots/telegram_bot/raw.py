"""Raw values of the Bot API, as JSON gives them: building ``telegram.Update`` costs more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.message import Author, clean_text

MAX_NAME = 128
Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Me:
    """The bot's own account."""

    id: str
    username: str
    sees_all: bool = False
    """Privacy mode is off: it gets all messages of its groups."""


def part(raw: Raw, name: str) -> Raw:
    """An object inside another; empty where there is none."""
    return raw.get(name) or {}


def one_line(text: str, most: int = MAX_NAME) -> str:
    """Names and titles go into prompts, where a line break could pass for another speaker."""
    return " ".join(clean_text(text).split())[:most]


def person(user: Raw) -> Author:
    """A user as an author."""
    name = one_line(" ".join(filter(None, (user.get("first_name"), user.get("last_name")))))
    return Author(
        id=str(user["id"]),
        name=name or one_line(user.get("username") or "") or "Someone",
        is_bot=bool(user.get("is_bot")),
        language=str(user.get("language_code") or ""),
    )


def chat_name(chat: Raw) -> str:
    """What a chat is called; empty when nothing tells it."""
    name = chat.get("title") or " ".join(filter(None, (chat.get("first_name"), chat.get("last_name"))))
    return one_line(name or chat.get("username") or "")


def author_of(raw: Raw) -> Author:
    """Who wrote a message. Anonymous admins and people who write as a channel come with a bot in ``from``: they are
    the chat they name, by its id."""
    chat = raw.get("sender_chat") or (raw["chat"] if raw["chat"].get("type") == "channel" else None)
    if chat:
        name = one_line(raw.get("author_signature") or "") or chat_name(chat)
        return Author(str(chat["id"]), name or "Anonymous")
    return person(raw.get("from") or {"id": 0, "is_bot": True})
