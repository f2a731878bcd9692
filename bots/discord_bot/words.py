"""Discord's marks in a text as people read them: mentions, emoji, times, commands. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

_MARK = re.compile(
    r"<(?:"
    r"@!?(?P<user>\d+)|@&(?P<role>\d+)|#(?P<channel>\d+)"
    r"|a?(?P<emoji>:\w+:)\d+"
    r"|t:(?P<time>-?\d{1,13})(?::(?P<style>[tTdDfFRsS]))?"
    r"|/(?P<command>[-\w]+(?: [-\w]+){0,2}):\d+"
    r"|id:(?P<page>[a-z-]+)(?::\d+)?"
    r")>"
)
_PAGES = {
    "customize": "Channels & Roles",
    "browse": "Browse Channels",
    "guide": "Server Guide",
    "linked-roles": "Linked Roles",
}
"""Pages of a server that a text can lead to."""
_EVERYBODY = ("@everyone", "@here")
_FORMS = {"t": "%H:%M UTC", "T": "%H:%M:%S UTC", "d": "%d %B %Y", "D": "%d %B %Y"}
_FULL = "%d %B %Y, %H:%M UTC"


class Names(Protocol):
    """What is called how, in the guild where a text was written."""

    def channel_name(self, guild: str, channel: str) -> str: ...

    def role_name(self, guild: str, role: str) -> str: ...

    def is_own_role(self, guild: str, role: str) -> bool: ...


def readable(text: str, guild: str, bot: str, users: Mapping[str, str] | None, names: Names) -> str:
    """The text with every mark in words; the bot's own mentions are left out, as they only say whom it is for.

    ``users`` are names by account id. None: marks of people and emoji stay, for who looks at what was said and not at
    what somebody is called.
    """
    if "<" not in text:
        return text

    def user(id: str) -> str:
        return "" if id == bot else f"@{(users or {}).get(id, 'somebody')}"

    def role(id: str) -> str:
        return "" if names.is_own_role(guild, id) else f"@{names.role_name(guild, id) or 'role'}"

    def channel(id: str) -> str:
        return f"#{names.channel_name(guild, id) or 'channel'}"

    readers: Mapping[str, Callable[[str], str]] = {"user": user, "role": role, "channel": channel}

    def read(found: re.Match[str]) -> str:
        kind = next(name for name, value in found.groupdict().items() if value is not None)
        value = found[kind]
        if users is None and (kind == "emoji" or (kind == "user" and value != bot)):
            return found[0]
        match kind:
            case "emoji":
                return value
            case "time":
                return _moment(int(value), found["style"] or "f") or found[0]
            case "command":
                return f"/{value}"
            case "page":
                return _PAGES.get(value, value)
            case _:
                return readers[kind](value)

    return _MARK.sub(read, text)


def begins_with_mention(text: str) -> bool:
    """Whether the first thing said is whom it is for: a person, a role, or everybody."""
    said = text.lstrip()
    found = _MARK.match(said)
    return said.startswith(_EVERYBODY) or (found is not None and (found["user"] or found["role"]) is not None)


def _moment(seconds: int, style: str) -> str:
    """A time as text; empty for one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(_FORMS.get(style, _FULL))
    except (OverflowError, ValueError, OSError):
        return ""
