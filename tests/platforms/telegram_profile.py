"""What Telegram shows of a bot by itself: commands by place and language, descriptions, the menu button."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.platforms.telegram_text import Json, bad
from tests.platforms.telegram_world import World

Place = tuple[str, str]
"""A scope (its type, or the chat's id) and a language code."""


class Profile:
    """The texts and commands of one bot."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.commands: dict[Place, list[Json]] = {}
        self.descriptions: dict[str, str] = {}
        self.short_descriptions: dict[str, str] = {}
        self.menu_button: Json = {"type": "default"}
        self.by_name: dict[str, Callable[[Json], Any]] = {
            "setMyCommands": self._set_commands,
            "getMyCommands": lambda fields: self.commands.get(self._place(fields), []),
            "deleteMyCommands": lambda fields: bool(self.commands.pop(self._place(fields), [])) or True,
            "setMyDescription": lambda fields: _set(self.descriptions, fields, "description"),
            "getMyDescription": lambda fields: {"description": self.descriptions.get(_code(fields), "")},
            "setMyShortDescription": lambda fields: _set(self.short_descriptions, fields, "short_description"),
            "getMyShortDescription": lambda fields: {
                "short_description": self.short_descriptions.get(_code(fields), "")
            },
            "setChatMenuButton": self._set_menu_button,
            "getChatMenuButton": lambda fields: self.menu_button,
        }

    def names(self, scope: str, code: str = "") -> list[str]:
        """The commands of a place."""
        return [row["command"] for row in self.commands.get((scope, code), [])]

    def _place(self, fields: Json) -> Place:
        scope = fields.get("scope", {"type": "default"})
        if "chat_id" in scope and scope["chat_id"] not in self._world.chats:
            raise bad("chat not found")
        return str(scope.get("chat_id", scope["type"])), _code(fields)

    def _set_commands(self, fields: Json) -> bool:
        self.commands[self._place(fields)] = fields["commands"]
        return True

    def _set_menu_button(self, fields: Json) -> bool:
        self.menu_button = fields.get("menu_button", {"type": "default"})
        return True


def _code(fields: Json) -> str:
    return str(fields.get("language_code", ""))


def _set(texts: dict[str, str], fields: Json, name: str) -> bool:
    texts[_code(fields)] = fields.get(name, "")
    return True
