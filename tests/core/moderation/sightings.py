"""Messages, arrivals and reactions for tests of the rules."""

from __future__ import annotations

from typing import Any

from core.message import Arrival, Author, ConversationKey, Movement, Platform, Reacted, Sighting
from core.moderation.facts import Facts
from core.moderation.flow import Flow

NOW = 1_800_000_000.0
DAY = 86_400.0
PLACE = ConversationKey(Platform.DISCORD, "9", "100")


def sighting(text: str = "", *, who: str = "7", id: str = "1", at: float = NOW, **values: Any) -> Sighting:
    author = Author(who, values.pop("name", "Ann"))
    return Sighting(PLACE, id, f"u{id}", author, text, at, "5", **values)


def arrival(who: str = "7", *, name: str = "Ann", at: float = NOW, **values: Any) -> Arrival:
    movement = values.pop("movement", Movement.JOINED)
    return Arrival(PLACE, "5", f"j{who}", Author(who, name), movement, at, **values)


def reacted(who: str, message: str, emoji: str = "👍", *, at: float = NOW, added: bool = True) -> Reacted:
    return Reacted(PLACE, "5", message, f"r{message}{emoji}", Author(who, "Ann"), emoji, added, at)


def facts(flow: Flow | None = None, **values: Any) -> Facts:
    return Facts(NOW, "discord:9:5", flow, **values)
