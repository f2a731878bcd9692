"""Slash commands as Discord wants them, made from rows, and registered only when the rows have changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from bots.discord_bot.rest import Rest
from core.texts import ENGLISH, closest

STRING, INTEGER, BOOLEAN = 3, 4, 5
IN_GUILDS, IN_DIRECT_MESSAGES = 0, 1
INSTALLED_IN_GUILDS = 0
MAX_DESCRIPTION = 100
MAX_CHOICES = 25
HASH_KEY = "discord:commands"

LOCALES = (
    *("ar", "bg", "cs", "da", "de", "el", "en-GB", "en-US", "es-419", "es-ES", "fi", "fr", "he", "hi", "hr", "hu"),
    *("id", "it", "ja", "ko", "lt", "nl", "no", "pl", "pt-BR", "ro", "ru", "sv-SE", "th", "tr", "uk", "vi"),
    *("zh-CN", "zh-TW"),
)
"""The languages that Discord shows itself in, by its OpenAPI description."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SlashOption:
    """A typed option. ``descriptions`` are translations by Discord's locale (``zh-CN``)."""

    name: str
    description: str
    kind: int = STRING
    required: bool = False
    choices: tuple[str, ...] = ()
    descriptions: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """A row of the command table, as far as Discord shows it."""

    name: str
    description: str
    options: tuple[SlashOption, ...] = ()
    private: bool = False
    """The answer is shown to the asker alone."""
    descriptions: Mapping[str, str] = field(default_factory=dict[str, str])
    guild_only: bool = False
    permissions: int | None = None
    """Rights a member needs to see it (Discord's bits); None: everybody."""


class Memory(Protocol):
    """Small facts that outlive the process."""

    async def remember(self, key: str, value: str) -> None: ...

    async def recall(self, key: str) -> str | None: ...


def to_payload(rows: Sequence[SlashCommand]) -> list[dict[str, Any]]:
    """The body of a bulk registration."""
    return [_command(row) for row in rows]


def localised(say: Callable[[str], str]) -> dict[str, str]:
    """What is said in a language, for each locale of Discord's that there is a language for. English is the default."""
    return {locale: say(locale) for locale in LOCALES if closest(locale) not in ("", ENGLISH)}


async def sync(rest: Rest, application: str, rows: Sequence[SlashCommand], memory: Memory) -> bool:
    """Registers the rows for all guilds unless they are registered already; whether it did. Raises OutboundError."""
    body = to_payload(rows)
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    key = f"{HASH_KEY}:{application}"
    if await memory.recall(key) == digest:
        return False
    await rest.call("PUT", f"/applications/{application}/commands", body)
    await memory.remember(key, digest)
    log.info("slash commands registered", count=len(rows))
    return True


def _command(row: SlashCommand) -> dict[str, Any]:
    return {
        "name": row.name,
        "description": row.description[:MAX_DESCRIPTION],
        "description_localizations": _short(row.descriptions),
        # Discord wants required options first.
        "options": [_option(option) for option in sorted(row.options, key=lambda option: not option.required)],
        "contexts": [IN_GUILDS] if row.guild_only else [IN_GUILDS, IN_DIRECT_MESSAGES],
        "integration_types": [INSTALLED_IN_GUILDS],
        "default_member_permissions": row.permissions,
    }


def _option(option: SlashOption) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": option.kind,
        "name": option.name,
        "description": option.description[:MAX_DESCRIPTION],
        "description_localizations": _short(option.descriptions),
        "required": option.required,
    }
    # More choices than fit are left to be typed.
    if option.choices and len(option.choices) <= MAX_CHOICES:
        made["choices"] = [{"name": choice[:100], "value": choice} for choice in option.choices]
    return made


def _short(descriptions: Mapping[str, str]) -> dict[str, str]:
    return {locale: text[:MAX_DESCRIPTION] for locale, text in descriptions.items()}
