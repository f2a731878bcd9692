"""The command table as Discord wants it: slash commands and menus of messages and people, registered only when they
have changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import structlog

from bots.discord_bot import permissions
from bots.discord_bot.rest import Rest
from bots.discord_bot.rights import EVERYWHERE
from core.access import Right
from core.commands.row import Command, Kind, Option
from core.texts import ENGLISH, closest

SLASH, USER_MENU, MESSAGE_MENU = 1, 2, 3
"""Types of commands."""
MENUS = {"user": USER_MENU, "message": MESSAGE_MENU}
TYPES = {
    Kind.TEXT: 3,
    Kind.LONG: 3,
    Kind.INTEGER: 4,
    Kind.SWITCH: 5,
    Kind.USER: 6,
    Kind.CHANNEL: 7,
    Kind.NUMBER: 10,
    Kind.FILE: 11,
}
IN_GUILDS, IN_DIRECT_MESSAGES, IN_PRIVATE_CHANNELS = 0, 1, 2
"""Contexts. The last is everywhere that people talk in private without the bot: only who installed the app for
themselves can use it there."""
FOR_GUILDS, FOR_PEOPLE = 0, 1
"""Ways of installing the app."""
NEEDED = {**EVERYWHERE, Right.PURGE: permissions.MANAGE_MESSAGES}
"""Who sees a command listed before an administrator chooses otherwise. Who may use it is decided when it runs."""
MAX_DESCRIPTION = 100
MAX_CHOICES = 25
MAX_CHOICE = 100
HASH_KEY = "discord:commands"

LOCALES = (
    *("ar", "bg", "cs", "da", "de", "el", "en-GB", "en-US", "es-419", "es-ES", "fi", "fr", "he", "hi", "hr", "hu"),
    *("id", "it", "ja", "ko", "lt", "nl", "no", "pl", "pt-BR", "ro", "ru", "sv-SE", "th", "tr", "uk", "vi"),
    *("zh-CN", "zh-TW"),
)
"""The languages that Discord shows itself in, by its OpenAPI description."""

log = structlog.get_logger()


class Memory(Protocol):
    """Small facts that outlive the process."""

    async def remember(self, key: str, value: str) -> None: ...

    async def recall(self, key: str) -> str | None: ...


def to_payload(rows: Sequence[Command]) -> list[dict[str, Any]]:
    """The body of a bulk registration: every listed row as a slash command, those with a menu in that, too."""
    listed = [row for row in rows if row.listed]
    return [*map(_slash, listed), *(_in_menu(row) for row in listed if row.menu)]


def localised(say: Callable[[str], str]) -> dict[str, str]:
    """What is said in a language, for each locale of Discord's that there is a language for. English is the default."""
    return {locale: say(locale) for locale in LOCALES if closest(locale) not in ("", ENGLISH)}


async def sync(rest: Rest, application: str, rows: Sequence[Command], memory: Memory) -> bool:
    """Registers the rows everywhere unless they are registered already; whether it did. Raises OutboundError."""
    body = to_payload(rows)
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    key = f"{HASH_KEY}:{application}"
    if await memory.recall(key) == digest:
        return False
    await rest.call("PUT", f"/applications/{application}/commands", body)
    await memory.remember(key, digest)
    log.info("commands registered", count=len(body))
    return True


def _slash(row: Command) -> dict[str, Any]:
    return {
        "type": SLASH,
        **_name(row.called),
        **_description(row.summary),
        # Discord wants required options first.
        "options": sorted(_options(row), key=lambda option: not option["required"]),
        **_reach(row),
    }


def _in_menu(row: Command) -> dict[str, Any]:
    return {"type": MENUS[row.menu], **_name(row.called_in_menu), **_reach(row)}


def _reach(row: Command) -> dict[str, Any]:
    """Where it can be called, and by whom."""
    needed = NEEDED.get(row.right) if row.right else permissions.MANAGE_GUILD if row.for_admins else None
    contexts, ways = [IN_GUILDS, IN_DIRECT_MESSAGES, IN_PRIVATE_CHANNELS], [FOR_GUILDS, FOR_PEOPLE]
    if row.for_owner:
        needed, contexts, ways = 0, [IN_GUILDS, IN_DIRECT_MESSAGES], [FOR_GUILDS]
    elif row.group == "moderate" or row.right:
        contexts, ways = [IN_GUILDS], [FOR_GUILDS]
    return {
        "contexts": contexts,
        "integration_types": ways,
        "default_member_permissions": needed,
    }


def _options(row: Command) -> Iterator[dict[str, Any]]:
    for option in row.options:
        made = {
            "type": TYPES[option.kind],
            **_name(partial(row.named, option)),
            **_description(partial(row.explain, option)),
            # A long text that is missing is asked for in a form.
            "required": option.required and option.kind is not Kind.LONG,
        }
        # More choices than fit are left to be typed.
        if option.choices and len(option.choices) <= MAX_CHOICES:
            made["choices"] = [_choice(row, option, choice) for choice in option.choices]
        elif option.suggests:
            made["autocomplete"] = True
        bounds = {"min_value": option.least, "max_value": option.most}
        yield made | {name: bound for name, bound in bounds.items() if bound is not None}


def _choice(row: Command, option: Option, choice: str) -> dict[str, Any]:
    say = partial(row.labelled, option, choice)
    return {"name": say()[:MAX_CHOICE], "name_localizations": _cut(localised(say), MAX_CHOICE), "value": choice}


def _name(say: Callable[..., str]) -> dict[str, Any]:
    return {"name": say(), "name_localizations": localised(say)}


def _description(say: Callable[..., str]) -> dict[str, Any]:
    return {
        "description": say()[:MAX_DESCRIPTION],
        "description_localizations": _cut(localised(say), MAX_DESCRIPTION),
    }


def _cut(texts: Mapping[str, str], most: int) -> dict[str, str]:
    return {locale: text[:most] for locale, text in texts.items()}
