"""What was made for a person, and what they ordered."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from core.message import ConversationKey
from core.people.privacy import File, Subject, readable, safe_name
from core.storage import keys
from core.storage.client import Store
from core.storage.scanning import fields_of, scan

_PARTS = 4
"""Of a conversation's name."""


@dataclass(frozen=True, slots=True)
class Made:
    """Orders of theirs with all files, for a day; and for longer what a message shows that was made for them."""

    store: Store
    name: str = "creations"

    async def count(self, subject: Subject) -> int:
        return len([key async for key, _, _ in self._orders(subject)]) + len(
            [id async for _, id, _ in self._shown(subject)]
        )

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        told: list[dict[str, Any]] = []
        async for key, conversation, order in self._orders(subject):
            told.append({"in": conversation, **_plain(order)})
            for file in await scan(self.store, f"{_literal(key)}:*"):
                sealed: str | None = await self.store.attempt(lambda file=file: self.store.redis.get(file))
                text = self.store.texts.read(sealed, conversation, unreadable="") if sealed else ""
                with suppress(binascii.Error):
                    if data := base64.b64decode(text, validate=True):
                        yield File(f"creations/{safe_name(file.rpartition(':creation:')[2])}", data)
        async for conversation, id, order in self._shown(subject):
            told.append({"in": conversation, "message": id, **_plain(order)})
        if told:
            yield File("creations.json", readable(told))

    async def erase(self, subject: Subject) -> None:
        redis, theirs = self.store.redis, set[str]()
        for key, conversation, _ in [found async for found in self._orders(subject)]:
            place = keys.ConversationKeys.of(ConversationKey.parse(conversation))
            number = key.rpartition(":")[2]
            # Whoever makes it finds that it is gone, and ends.
            gone = [key, *await scan(self.store, f"{_literal(key)}:*")]
            await self.store.attempt(lambda gone=gone: redis.unlink(*gone))
            await self.store.attempt(lambda place=place, number=number: redis.zrem(place.making, number))
            theirs.add(f"{conversation}/{number}")
        for conversation, id, _ in [found async for found in self._shown(subject)]:
            place = keys.ConversationKeys.of(ConversationKey.parse(conversation))
            await self.store.attempt(lambda place=place, id=id: redis.hdel(place.made, id))

        for line in (*await scan(self.store, keys.creations_waiting("*")), keys.creations_open()):
            waiting: list[str] = await self.store.attempt(lambda line=line: redis.zrange(line, 0, -1))
            # Their private conversations are gone by now, and the orders with them.
            if gone := [id for id in waiting if id in theirs or subject.is_named(id)]:
                await self.store.attempt(lambda line=line, gone=gone: redis.zrem(line, *gone))

    async def _orders(self, subject: Subject) -> AsyncIterator[tuple[str, str, str]]:
        """The key of each, its conversation's name, and what it says."""
        for key in await scan(self.store, "parley:{??}:creation:*"):
            name = key.partition(":creation:")[2].split(":")
            if len(name) != _PARTS + 1:
                continue  # a file
            conversation = ":".join(name[:_PARTS])
            account, order = await self.store.attempt(
                lambda key=key: self.store.redis.hmget(key, "account", "order"),
            )
            if account in subject.accounts:
                yield key, conversation, self.store.texts.read(order or "", conversation, unreadable="")

    async def _shown(self, subject: Subject) -> AsyncIterator[tuple[str, str, str]]:
        """Its conversation's name, the message's id, and what the order says."""
        for key in await scan(self.store, "parley:{??}:made:*"):
            conversation = key.partition(":made:")[2]
            async for id, text in fields_of(self.store, key):
                account, _, order = text.partition("\t")
                if account in subject.accounts:
                    yield conversation, id, self.store.texts.read(order, conversation, unreadable="")


def _plain(order: str) -> Mapping[str, Any]:
    with suppress(ValueError):
        values: Any = json.loads(order)
        if isinstance(values, dict):
            return {"kind": values.get("kind"), "request": values.get("request")}  # pyright: ignore[reportUnknownMemberType]
    return {}


def _literal(key: str) -> str:
    """A key as SCAN's patterns take it."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in key)
