"""What Telegram shows of the bot by itself: its commands per place and language, the menu button, what it is about.

It is made from the command table and the catalogs, and sent only where it changed: Telegram limits how often. What was
sent is remembered by its digest, one for each piece, so that a piece that was refused is tried again at the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from telegram.error import RetryAfter, TelegramError

from bots.telegram_bot.api import Api
from bots.telegram_bot.faults import seconds_of
from core.access import OF_ALL
from core.commands.row import Command, Where
from core.message import Platform
from core.storage.shared import Memory
from core.texts import ENGLISH, languages, say

log = structlog.get_logger()

MAX_SUMMARY = 256
PRIVATE, GROUPS, ADMINS = "all_private_chats", "all_group_chats", "all_chat_administrators"
TEXTS = (("description", "bot_description"), ("short_description", "bot_short_description"))
"""Fields of what the bot says of itself, and their sentences."""
LONGEST_WAIT = 60.0
"""Seconds that a piece waits for where Telegram says that there were too many; what takes longer is left out."""
THEIRS = "theirs"
"""In place of a digest: a text that the bot's owner wrote at @BotFather. It is left alone."""
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """One call that sets something, and the one that takes it back or asks for it."""

    name: str
    method: str
    fields: Fields

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps([self.method, self.fields], sort_keys=True).encode()).hexdigest()[:16]


class BotMenu:
    """Sets it up for one bot. ``owners`` are those of the settings: they see their commands in their private chats."""

    def __init__(self, api: Api, memory: Memory, rows: Sequence[Command], owners: Sequence[str]) -> None:
        self._api = api
        self._memory = memory
        self._rows = rows
        self._owners = _numbers(owners)

    async def set_up(self, bot: str) -> None:
        """Sends what changed since the last time, and takes back what is no more. Raises StorageError."""
        key = f"telegram:menu:{bot}"
        pieces = {piece.name: piece for piece in _pieces(self._rows, self._owners)}
        before: dict[str, str] = json.loads(await self._memory.recall(key) or "{}")
        known = dict(before)
        try:
            if await self._was_changed(pieces[f"commands {PRIVATE} "], known):
                # Somebody set other commands, or this Redis speaks of another bot's past.
                known = {name: digest for name, digest in known.items() if not name.startswith("commands")}
            for name in known.keys() - pieces.keys():
                await self._take_back(name, known)
            for piece in pieces.values():
                if known.get(piece.name) not in (piece.digest, THEIRS):
                    known |= await self._sent(piece, is_first=piece.name not in known)
        except TelegramError as error:
            log.warning("telegram: the command menu could not be set", cause=str(error))
        if known != before:
            await self._memory.remember(key, json.dumps(known))

    async def _was_changed(self, piece: Piece, known: Mapping[str, str]) -> bool:
        """Whether the commands of a place are others than were sent: one look in place of many."""
        if known.get(piece.name) != piece.digest:
            return False
        return await self._call("getmycommands", {"scope": piece.fields["scope"]}) != piece.fields["commands"]

    async def _sent(self, piece: Piece, *, is_first: bool) -> dict[str, str]:
        """What is to be remembered of it: nothing when it was refused, as is that of an owner without a chat."""
        try:
            if is_first and await self._is_the_owners_own(piece):
                return {piece.name: THEIRS}
            await self._call(piece.method, piece.fields)
        except RetryAfter:
            raise
        except TelegramError as error:
            log.warning("telegram: a part of the menu was not set", part=piece.name, cause=str(error))
            return {}
        return {piece.name: piece.digest}

    async def _is_the_owners_own(self, piece: Piece) -> bool:
        """Whether there is a text already that the bot's owner wrote."""
        field = next((field for field, _ in TEXTS if field in piece.fields), None)
        if field is None:
            return False
        kept = await self._call(piece.method.replace("set", "get", 1), {"language_code": piece.fields["language_code"]})
        return bool(kept.get(field))

    async def _take_back(self, name: str, known: dict[str, str]) -> None:
        kind, *place = name.split(" ")
        if kind == "commands":
            scope, code = place
            try:
                await self._call("deletemycommands", {"scope": _scope(scope), "language_code": code})
            except RetryAfter:
                raise
            except TelegramError as error:
                log.info("telegram: commands could not be taken back", part=name, cause=str(error))
        del known[name]

    async def _call(self, method: str, fields: Fields) -> Any:
        try:
            return await self._api.call(method, fields)
        except RetryAfter as error:
            if seconds_of(error) > LONGEST_WAIT:
                raise
            await asyncio.sleep(seconds_of(error))
            return await self._api.call(method, fields)


def _pieces(rows: Sequence[Command], owners: Sequence[str]) -> Iterator[Piece]:
    listed = [row for row in rows if row.listed and row.where is not Where.GROUPS]
    everyone = [row for row in listed if not row.for_owner and (row.right is None or row.right in OF_ALL)]
    in_groups = [row for row in rows if row.listed and row.where is not Where.PRIVATE and not row.for_owner]
    places = {PRIVATE: everyone, ADMINS: in_groups, GROUPS: [row for row in in_groups if not row.for_admins]}
    places |= dict.fromkeys(owners, listed)
    parents = {row.parent for row in rows}
    scopes = {scope: _top(shown, parents) for scope, shown in places.items()}
    for code in _codes():
        for scope, shown in scopes.items():
            commands = [{"command": row.name, "description": row.summary(code)[:MAX_SUMMARY]} for row in shown]
            fields = {"commands": commands, "scope": _scope(scope), "language_code": code}
            yield Piece(f"commands {scope} {code}", "setmycommands", fields)
        for field, key in TEXTS:
            method = f"setmy{field.replace('_', '')}"
            yield Piece(f"{field} {code}", method, {field: say(key, code), "language_code": code})
    yield Piece("button", "setchatmenubutton", {"menu_button": {"type": "commands"}})


def _top(shown: Sequence[Command], parents: Collection[str]) -> list[Command]:
    """Telegram lists first words alone: of those with subcommands, the ones that have some which are shown there."""
    below = {row.parent for row in shown}
    return [row for row in shown if not row.parent and (row.name in below or row.name not in parents)]


def _scope(name: str) -> Fields:
    return {"type": "chat", "chat_id": int(name)} if name.isdecimal() else {"type": name}


def _codes() -> list[str]:
    """The languages as Telegram has them: two letters, and none for English, which stands for all others."""
    codes = (code.partition("_")[0] for code in languages())
    return ["", *dict.fromkeys(code for code in codes if code != ENGLISH and len(code) == 2)]


def _numbers(owners: Sequence[str]) -> list[str]:
    named = (owner.partition(":")[::2] for owner in owners)
    return [id for platform, id in named if platform == Platform.TELEGRAM and id.isdecimal()]
