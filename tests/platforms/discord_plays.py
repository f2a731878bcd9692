"""What people do with the app's commands, components and modals in the fake Discord, as the gateway tells the bot."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.platforms import discord_components as shapes
from tests.platforms.discord_callbacks import COMMAND, COMPONENT, MODAL, SUBMIT, TYPING
from tests.platforms.discord_refusals import Json
from tests.platforms.discord_world import EPHEMERAL, Interaction, Posted, World

IN_GUILD, IN_DIRECT, IN_PRIVATE = 0, 1, 2
"""Contexts: a guild, direct messages with the bot, and those of others."""
SLASH, USER_MENU, MESSAGE_MENU = 1, 2, 3
SUBCOMMAND = 1
STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, NUMBER, ATTACHMENT = 3, 4, 5, 6, 7, 8, 10, 11
KINDS: Mapping[type, int] = {str: STRING, int: INTEGER, bool: BOOLEAN, float: NUMBER}
MAX_SENT = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class File:
    """What a person attaches. An empty ``mime`` is left out, as Discord does when it does not know."""

    name: str
    mime: str
    data: bytes


Given = str | int | float | bool | File


@dataclass(slots=True, eq=False)
class Plays:
    """The people's half of interactions. Each play returns the interaction, which tells later how it was answered."""

    world: World
    emit: Callable[[str, Json, str], None]
    cdn: str = ""

    def slash(
        self,
        name: str,
        options: Mapping[str, Given],
        channel: str,
        user: str,
        locale: str,
        *,
        own_install: bool = False,
    ) -> Interaction:
        """A slash command; ``own_install``: from the person's own installation of the app."""
        name, _, word = name.partition(" ")
        registered = self._registered(name, SLASH)
        resolved: Json = {}
        inside = _below(registered, word)
        given = [self._option(inside, key, value, resolved) for key, value in options.items()]
        data: Json = {"id": registered.get("id") or self.world.snowflake(), "type": SLASH}
        data["name"] = registered.get("name", name)
        data |= {"options": _within(inside, given)} | ({"resolved": resolved} if resolved else {})
        return self._tell(COMMAND, data, channel, user, locale, own_install=own_install)

    def suggest(
        self, name: str, focused: str, options: Mapping[str, Given], channel: str, user: str, locale: str
    ) -> Interaction:
        """Somebody is typing the option ``focused``; LookupError where the command has no suggestions for it."""
        name, _, word = name.partition(" ")
        registered = self._registered(name, SLASH)
        inside = _below(registered, word)
        known: list[Json] = inside.get("options") or []
        if not any(one["name"] == focused and one.get("autocomplete") for one in known):
            raise LookupError(f"{name} suggests nothing for {focused!r}")
        given = [self._option(inside, key, value, {}) for key, value in options.items()]
        for one in given:
            if one["name"] == focused:
                one["focused"] = True
        data: Json = {"id": registered["id"], "name": name, "type": SLASH, "options": _within(inside, given)}
        return self._tell(TYPING, data, channel, user, locale)

    def choose_in_menu(
        self, name: str, target: str, channel: str, user: str, locale: str, *, own_install: bool = False
    ) -> Interaction:
        """A command in the menu of a message, or of a person; LookupError where no such is registered."""
        world = self.world
        is_person = target in world.users
        registered = self._registered(name, USER_MENU if is_person else MESSAGE_MENU)
        if not registered:
            raise LookupError(f"no {name!r} in the menus of {'people' if is_person else 'messages'}")
        guild: str = world.channels[channel].get("guild_id", "")
        resolved: Json = {"messages": {} if is_person else {target: world.find(target).data}}
        if is_person:
            resolved = {"users": {target: world.users[target]}}
            resolved |= {"members": {target: world.member(target, guild)}} if guild else {}
        # Whatever language it was chosen in, the bot is told the name that it has by itself.
        data: Json = {"id": registered["id"], "name": registered["name"], "type": registered["type"]}
        data["target_id"] = target
        return self._tell(COMMAND, data | {"resolved": resolved}, channel, user, locale, own_install=own_install)

    def press(self, posted: Posted, custom_id: str, user: str, locale: str) -> Interaction:
        """A button; LookupError when the message has no such button that can be pressed."""
        button = shapes.find(posted.data["components"], custom_id)
        if button["type"] != shapes.BUTTON or button.get("disabled"):
            raise LookupError(f"{custom_id!r} cannot be pressed")
        data: Json = {"component_type": shapes.BUTTON, "custom_id": custom_id, "id": button.get("id", 1)}
        return self._tell(COMPONENT, data, posted.data["channel_id"], user, locale, posted)

    def choose(self, posted: Posted, values: Sequence[str], custom_id: str, user: str, locale: str) -> Interaction:
        """Values of a list; without ``custom_id`` of the list that has them. LookupError when there is none such."""
        lists = [c for c in shapes.walk(posted.data["components"]) if c["type"] == shapes.SELECT]
        for found in lists:
            options = {option["value"] for option in found["options"]}
            fits = found.get("min_values", 1) <= len(values) <= found.get("max_values", 1)
            if custom_id in ("", found["custom_id"]) and options.issuperset(values) and fits:
                data: Json = {"component_type": shapes.SELECT, "custom_id": found["custom_id"], "values": [*values]}
                data["id"] = found.get("id", 1)
                return self._tell(COMPONENT, data, posted.data["channel_id"], user, locale, posted)
        raise LookupError(f"no list has {values}: {[c['options'] for c in lists]}")

    def submit(self, asked: Interaction, given: Mapping[str, str | Sequence[str] | Sequence[File]]) -> Interaction:
        """The modal that ``asked`` was answered with is filled in, by ``custom_id``; what is not given stays empty.

        ValueError where Discord's app would not send it: too short, too long, or required and empty.
        """
        if asked.callback.get("type") != MODAL:
            raise LookupError("no modal was shown")
        shown: Json = asked.callback["data"]
        resolved: Json = {}
        rows = [self._filled(row, given, asked.channel, resolved) for row in shown["components"]]
        if unknown := given.keys() - {c["custom_id"] for c in shapes.walk(shown["components"]) if "custom_id" in c}:
            raise LookupError(f"the modal has no {sorted(unknown)}")
        data: Json = {"custom_id": shown["custom_id"], "components": rows}
        data |= {"resolved": {"attachments": resolved}} if resolved else {}
        posted = self.world.find(asked.message) if asked.message else None
        return self._tell(SUBMIT, data, asked.channel, asked.user, "en-US", posted, own_install=asked.by_user_install)

    # ------------------------------------------------------------------ parts of payloads
    def _registered(self, name: str, kind: int) -> Json:
        """The command as it was registered, by its name in any language; empty where it is not."""
        for command in self.world.commands:
            translated: Json = command.get("name_localizations") or {}
            names = {command["name"], *translated.values()}
            if command.get("type", SLASH) == kind and name in names:
                return command
        return {}

    def _option(self, registered: Json, name: str, value: Given, resolved: Json) -> Json:
        known: list[Json] = registered.get("options") or []
        kind = next((one["type"] for one in known if one["name"] == name), KINDS.get(type(value), ATTACHMENT))
        if isinstance(value, File):
            file = self._sent(value)
            resolved.setdefault("attachments", {})[file["id"]] = file
            value = file["id"]
        if kind == USER:
            resolved.setdefault("users", {})[value] = self.world.users[str(value)]
        if kind == CHANNEL:
            resolved.setdefault("channels", {})[value] = self.world.channels[str(value)]
        if kind == ROLE:
            resolved.setdefault("roles", {})[value] = {"id": value}
        return {"name": name, "type": kind, "value": value}

    def _sent(self, file: File) -> Json:
        """An attachment of a command or a modal: it belongs to no message."""
        return {**self.world.store_file("ephemeral", file.name, file.mime, file.data, self.cdn), "ephemeral": True}

    def _filled(self, row: Json, given: Mapping[str, Any], channel: str, resolved: Json) -> Json:
        inner: list[Json] = row.get("components") or [c for c in (row.get("component"),) if c]
        if not inner:
            return {"type": row["type"], "id": row.get("id", 1)}
        field = inner[0]
        value: Any = given.get(field["custom_id"], "" if field["type"] == shapes.INPUT else [])
        made: Json = {"type": field["type"], "custom_id": field["custom_id"], "id": field.get("id", 2)}
        needed = field.get("required", True)
        if field["type"] == shapes.INPUT:
            value = value or field.get("value") or ""
            least, most = field.get("min_length", 1 if needed else 0), field.get("max_length", 4000)
            if (needed or value) and not least <= len(value) <= most:
                raise ValueError(f"{field['custom_id']}: {len(value)} characters, {least} to {most} are taken")
            made["value"] = value
        else:
            least, most = field.get("min_values", 1), field.get("max_values", 1)
            if (needed or value) and not least <= len(value) <= most:
                raise ValueError(f"{field['custom_id']}: {len(value)} values, {least} to {most} are taken")
            files = [self._sent(one) for one in value if isinstance(one, File)]
            resolved |= {file["id"]: file for file in files}
            made["values"] = [file["id"] for file in files] or [*value]
        wrapped = "component" if row["type"] == shapes.LABEL else "components"
        return {"type": row["type"], "id": row.get("id", 1), wrapped: made if wrapped == "component" else [made]}

    def _tell(
        self,
        kind: int,
        data: Json,
        channel: str,
        user: str,
        locale: str,
        posted: Posted | None = None,
        *,
        own_install: bool = False,
    ) -> Interaction:
        world = self.world
        person, room = user or world.alice, world.channels[channel]
        guild: str = room.get("guild_id", "")
        # Real tokens are long and hold characters that a URL must quote in other places, but never a slash or colon.
        token = f"aW50ZXJhY3Rpb246{world.snowflake()}"
        made = Interaction(world.snowflake(), token, channel, guild, person, time.time(), kind)
        # A component belongs to the installation that its message came from.
        came: Json = (posted.data.get("interaction_metadata") or {}) if posted else {}
        own_install = own_install or "1" in (came.get("authorizing_integration_owners") or {})
        made.by_user_install = own_install
        made.target = data.get("target_id", "")
        world.interactions[token] = made
        elsewhere = IN_PRIVATE if own_install and world.direct(person) != channel else IN_DIRECT
        payload: Json = {
            "id": made.id,
            "application_id": world.application_id,
            "type": kind,
            "token": token,
            "version": 1,
            "data": data,
            "channel_id": channel,
            "channel": self._channel(room, person),
            "locale": locale,
            "context": IN_GUILD if guild else elsewhere,
            "app_permissions": str(world.permissions.of(world.bot, channel)),
            "entitlements": [],
            "authorizing_integration_owners": self._owners(guild, person, own_install=own_install),
            "attachment_size_limit": MAX_SENT,
        }
        if guild:
            held = str(world.permissions.of(person, channel))
            payload |= {
                "guild_id": guild,
                "guild_locale": "en-US",
                "guild": {"id": guild, "locale": "en-US", "features": []},
                "member": {**world.member(person, guild), "user": world.users[person], "permissions": held},
            }
        else:
            payload["user"] = world.users[person]
        if posted:
            made.message = posted.id
            flags = posted.data["flags"] | (EPHEMERAL if posted.ephemeral else 0)
            payload["message"] = {**posted.data, "flags": flags}
        self.emit("INTERACTION_CREATE", payload, guild)
        return made

    def _channel(self, room: Json, person: str) -> Json:
        told = ("id", "type", "name", "parent_id", "nsfw", "flags", "last_message_id", "topic", "thread_metadata")
        held = str(self.world.permissions.of(person, room["id"]))
        return {name: room[name] for name in told if name in room} | {"permissions": held}

    @staticmethod
    def _owners(guild: str, person: str, *, own_install: bool) -> dict[str, str]:
        """Who installed the app: 0 for the guild (0 itself in direct messages), 1 for the person."""
        return {"1": person} if own_install else {"0": guild or "0"}


def _below(registered: Json, word: str) -> Json:
    """The subcommand of that name in any language; without one the command itself. LookupError as the app has it: what
    has subcommands cannot be called without one."""
    below: list[Json] = [one for one in registered.get("options") or () if one["type"] == SUBCOMMAND]
    if not (below or word):
        return registered
    for one in below:
        if word in {one["name"], *(one.get("name_localizations") or {}).values()}:
            return one
    raise LookupError(f"{registered.get('name')!r} has no subcommand {word!r}")


def _within(inside: Json, given: list[Json]) -> list[Json]:
    """The options of a payload: those of a subcommand stand in it. A command itself has an id."""
    if not inside or "id" in inside:
        return given
    return [{"type": SUBCOMMAND, "name": inside["name"], "options": given}]
