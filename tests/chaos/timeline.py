"""The story of one message: everything that touched it, in one order."""

from __future__ import annotations

import json

from tests.chaos.checks import Violation
from tests.chaos.journal import EXIT, TROUBLE, Entry, Journal
from tests.chaos.people import Asked, Chat

BEFORE_SECONDS = 5.0
AFTER_SECONDS = 20.0
MOST_LINES = 200
HIDDEN = ("level", "timestamp", "event")
NEAR = (TROUBLE, EXIT, "store", "driver")


def timeline(violation: Violation, chat: Chat | None, journal: Journal) -> list[str]:
    """Lines to print under a violation; none for one that is about no room."""
    if chat is None:
        return []
    asked = next((a for a in chat.records.asked if violation.tag in a.tags), None)
    since, until = _span(violation, chat, asked)
    tags = asked.tags if asked else []
    entries = [
        entry
        for entry in journal.entries
        if since <= entry.at <= until
        and (entry.who in NEAR or chat.key in entry.what or any(_is_about(entry.what, tag) for tag in tags))
    ]
    entries += chat.trace(since, until)
    lines = [journal.line(Entry(e.at, e.who, _readable(e.what))) for e in sorted(entries, key=lambda e: e.at)]
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines = [*lines[:half], f"… {len(lines) - MOST_LINES} more lines …", *lines[-half:]]
    return lines


def _span(violation: Violation, chat: Chat, asked: Asked | None) -> tuple[float, float]:
    if asked is not None:
        last = max((*asked.at, *(chat.answered_at(tag) for tag in asked.tags)))
        return asked.at[0] - BEFORE_SECONDS, last + AFTER_SECONDS
    if violation.message and (made := chat.made_at(violation.message)):
        return made - AFTER_SECONDS, made + AFTER_SECONDS
    return 0.0, float("inf")


def _is_about(text: str, tag: str) -> bool:
    return tag in text and not text[text.index(tag) + len(tag) :][:1].isdigit()


def _readable(what: str) -> str:
    """A log line without what the timeline says already."""
    if not what.startswith("{"):
        return what
    try:
        line = json.loads(what)
    except ValueError:
        return what
    rest = " ".join(f"{name}={value}" for name, value in line.items() if name not in HIDDEN)
    return f"[{line.get('level', '')}] {line.get('event', '')} {rest}"
