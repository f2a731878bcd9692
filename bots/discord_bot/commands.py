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
from core.access import OF_ALL, Right
from core.commands.row import Command, Kind, Option
from core.texts import ENGLISH, closest

SLASH, USER_MENU, MESSAGE_MENU = 1, 2, 3
"""Types of commands."""
SUBCOMMAND = 1
"""Type of an option that is a subcommand."""
MENUS = {"user": USER_MENU, "message": MESSAGE_MENU}
TYPES = {
    Kind.TEXT: 3,
    Kind.LONG: 3,
    Kind.INTEGER: 4,
    Kind.SWITCH: 5,
    Kind.USER: 6,
    Kind.CHANNEL: 7,
    Kind.ROLE: 8,
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
BY_NUMBER = (
    *(None, permissions.MANAGE_MESSAGES, permissions.MODERATE_MEMBERS, permissions.BAN_MEMBERS),
    *(permissions.MANAGE_GUILD, 0),
)
"""What may be needed, by how many people have it: from everybody to administrators alone, which Discord calls 0."""
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
    """The body of a bulk registration: every listed row as a slash command, those with a menu in that, too. What has
    subcommands is one command with all of them."""
    listed = [row for row in rows if row.listed]
    below: dict[str, list[Command]] = {}
    for row in listed:
        below.setdefault(row.parent, []).append(row)
    top = [_slash(row, below.get(row.name, ())) for row in below.get("", ())]
    return [*top, *(_in_menu(row) for row in listed if row.menu)]


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


def _slash(row: Command, below: Sequence[Command]) -> dict[str, Any]:
    options = [{"type": SUBCOMMAND, **_called(one)} for one in below]
    return {"type": SLASH, **_called(row), **({"options": options} if below else {}), **_reach(below or [row])}


def _called(row: Command) -> dict[str, Any]:
    # Discord wants required options first.
    options = sorted(_options(row), key=lambda option: not option["required"])
    return {**_name(row.called_below), **_description(row.summary), "options": options}


def _in_menu(row: Command) -> dict[str, Any]:
    return {"type": MENUS[row.menu], **_name(row.called_in_menu), **_reach([row])}


def _reach(rows: Sequence[Command]) -> dict[str, Any]:
    """Where it can be called, and by whom. Subcommands are shown to whoever may use one of them, which is all that
    Discord can do."""
    each = [_reach_of(row) for row in rows]
    asked = {needed for _, _, needed in each}
    return {
        "contexts": sorted({context for contexts, _, _ in each for context in contexts}),
        "integration_types": sorted({way for _, ways, _ in each for way in ways}),
        "default_member_permissions": next(needed for needed in BY_NUMBER if needed in asked),
    }


def _reach_of(row: Command) -> tuple[list[int], list[int], int | None]:
    """Contexts, ways of installing, and permissions."""
    needed = NEEDED.get(row.right) if row.right else permissions.MANAGE_GUILD if row.for_admins else None
    contexts, ways = [IN_GUILDS, IN_DIRECT_MESSAGES, IN_PRIVATE_CHANNELS], [FOR_GUILDS, FOR_PEOPLE]
    if row.for_owner:
        needed, contexts, ways = 0, [IN_GUILDS, IN_DIRECT_MESSAGES], [FOR_GUILDS]
    elif row.group == "moderate" or (row.right and row.right not in OF_ALL):
        contexts, ways = [IN_GUILDS], [FOR_GUILDS]
    return contexts, ways, needed


def _options(row: Command) -> Iterator[dict[str, Any]]:
    for option in row.options:
        if option.kind is Kind.SECRET:
            continue  # asked for in a form alone: what is typed into a command line is seen by who looks on
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
