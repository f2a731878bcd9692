"""What Discord checks when an application registers its commands (its documentation, "Application Commands")."""

from __future__ import annotations

import unicodedata
from collections import Counter

from tests.platforms.discord_refusals import Json, form_error

SLASH, USER_MENU, MESSAGE_MENU = 1, 2, 3
MAX_OF = {SLASH: 100, USER_MENU: 15, MESSAGE_MENU: 15}
SUBCOMMAND, SUBCOMMAND_GROUP = 1, 2
STRING, INTEGER, NUMBER = 3, 4, 10
OPTION_TYPES = range(3, 12)
MAX_OPTIONS, MAX_CHOICES, MAX_CHARACTERS = 25, 25, 8000
FIELDS = {
    *("id", "type", "name", "name_localizations", "description", "description_localizations", "options"),
    *("contexts", "integration_types", "default_member_permissions", "dm_permission", "nsfw", "handler"),
}


def check(commands: list[Json]) -> None:
    """Raises Refusal for what Discord would refuse."""
    kinds = Counter(command.get("type", SLASH) for command in commands)
    for kind, count in kinds.items():
        if kind not in MAX_OF or count > MAX_OF[kind]:
            raise form_error("type", f"Maximum number of application commands reached: {count} of type {kind}")
    for kind in kinds:
        _check_names([command for command in commands if command.get("type", SLASH) == kind], is_slash=kind == SLASH)
    for command in commands:
        if unknown := command.keys() - FIELDS:
            raise form_error("commands", f"unknown fields {sorted(unknown)}")
        _check_reach(command)
        if command.get("type", SLASH) == SLASH:
            _check_description(command)
            _check_options(command.get("options") or [])
        elif command.get("description") or command.get("options"):
            raise form_error("description", "Context menu commands cannot have description")
        if _size(command) > MAX_CHARACTERS:
            raise form_error("commands", "Command exceeds maximum size (8000)")


def _check_reach(command: Json) -> None:
    contexts, ways = command.get("contexts", [0, 1, 2]), command.get("integration_types", [0])
    if not contexts or not ways or {*contexts} - {0, 1, 2} or {*ways} - {0, 1}:
        raise form_error("contexts", "Value must be one of the known contexts and ways of installing.")
    held = command.get("default_member_permissions")
    if held is not None and int(held) < 0:
        raise form_error("default_member_permissions", "Value is not a permission set.")


def _check_options(options: list[Json], depth: int = 0) -> None:
    below = [option for option in options if option["type"] in (SUBCOMMAND, SUBCOMMAND_GROUP)]
    if below:
        _check_below(options, below, depth)
        return
    if len(options) > MAX_OPTIONS:
        raise form_error("options", "Must be 25 or fewer in length.")
    _check_names(options, is_slash=True)
    required = [bool(option.get("required")) for option in options]
    if required != sorted(required, reverse=True):
        raise form_error("options", "Required options must be placed before non-required options")
    for option in options:
        _check_description(option)
        if option["type"] not in OPTION_TYPES:
            raise form_error("type", "Value must be one of the known types.")
        choices: list[Json] = option.get("choices") or []
        if option.get("autocomplete") and (choices or option["type"] not in (STRING, INTEGER, NUMBER)):
            raise form_error("autocomplete", "autocomplete cannot be used here")
        if len(choices) > MAX_CHOICES or any(not 1 <= len(one["name"]) <= 100 for one in choices):
            raise form_error("choices", "Must be between 1 and 25 in length.")
        for names in ([one["name"] for one in choices], [one["value"] for one in choices]):
            if len({*names}) < len(names):
                raise form_error("choices", "The names and values of choices must be unique")


def _check_below(options: list[Json], below: list[Json], depth: int) -> None:
    if len(below) < len(options):
        raise form_error("options", "Sub-command and sub-command group option types are mutually exclusive to others")
    if len(below) > MAX_OPTIONS:
        raise form_error("options", "Must be 25 or fewer in length.")
    _check_names(below, is_slash=True)
    for one in below:
        is_group = one["type"] == SUBCOMMAND_GROUP
        if depth > 1 or (is_group and depth > 0):
            raise form_error("type", "Sub-commands may be one deep, or two in a group.")
        if "required" in one or one.get("choices") or one.get("autocomplete"):
            raise form_error("options", "A sub-command has no value of its own.")
        _check_description(one)
        inside: list[Json] = one.get("options") or []
        if not is_group and any(option["type"] in (SUBCOMMAND, SUBCOMMAND_GROUP) for option in inside):
            raise form_error("options", "A sub-command has no sub-commands.")
        if is_group and any(option["type"] != SUBCOMMAND for option in inside):
            raise form_error("options", "A sub-command group has sub-commands only.")
        _check_options(inside, depth + 1)


def _check_names(named: list[Json], *, is_slash: bool) -> None:
    """In every language for itself: two may not be called the same."""
    translated = [_translations(one, "name") for one in named]
    for locale in ("", *{locale for texts in translated for locale in texts}):
        names = [texts.get(locale, str(one["name"])) for one, texts in zip(named, translated, strict=True)]
        if len({*names}) < len(names):
            raise form_error("name", f"Names must be unique: {sorted(names)}")
        for name in names:
            if not 1 <= len(name) <= 32 or (is_slash and not (name == name.lower() and all(map(_is_letter, name)))):
                raise form_error("name", f"Command name is invalid: {name}")


def _translations(one: Json, field: str) -> dict[str, str]:
    return one.get(f"{field}_localizations") or {}


def _is_letter(letter: str) -> bool:
    return letter in "-_'" or unicodedata.category(letter)[0] in "LN"


def _check_description(one: Json) -> None:
    for text in (str(one.get("description") or ""), *_translations(one, "description").values()):
        if not 1 <= len(text) <= 100:
            raise form_error("description", "Must be between 1 and 100 in length.")


def _size(command: Json) -> int:
    """Characters of names, descriptions and values, the longest language's of each."""

    def longest(one: Json, field: str) -> int:
        return max(map(len, (str(one.get(field) or ""), *_translations(one, field).values())))

    options: list[Json] = []
    inside: list[Json] = list(command.get("options") or ())
    while inside:
        options.append(inside.pop())
        inside += options[-1].get("options") or ()
    choices: list[Json] = []
    for option in options:
        choices += option.get("choices") or ()
    parts = sum(longest(one, field) for one in (command, *options) for field in ("name", "description"))
    return parts + sum(longest(choice, "name") + len(str(choice["value"])) for choice in choices)
