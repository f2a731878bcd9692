"""Seals anew, by the newest key, what older keys sealed: after that these may go.

It may be ended at any time and begun again, beside everything else: each value is changed by a script that leaves it
alone where it is another by then, and what the newest key sealed is passed over.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from core.storage.client import Store
from core.storage.sealing import SealedError, Sealing
from core.storage.texts import MARK, purpose

PAGE = 500
_TOKEN = re.compile(r"(?<!secret )sealed:1:[a-z0-9_-]{1,16}:[A-Za-z0-9_-]{38,}")
"""Not what a waiting command holds for itself (``core/commands/secret.py``): that is over in a moment."""
Type = Literal["hash", "list", "string"]
_OF_CONVERSATIONS: dict[str, Type] = {
    "box": "list",
    "turn": "hash",
    "tree": "hash",
    "album": "hash",
    "blob": "string",
    "heard": "list",
    "made": "hash",
}
_CONVERSATION = re.compile(
    r"parley:\{[0-9a-f]{2}\}:(box|turn|tree|album|blob|heard|made):([^:]*:[^:]*:[^:]*:[^:]*)(?::.*)?"
)
_CREATION = re.compile(r"parley:\{[0-9a-f]{2}\}:creation:([^:]*:[^:]*:[^:]*:[^:]*):[^:]*(:.*)?")
_LETTER = re.compile(r"parley:\{[0-9a-f]{2}\}:failed:[0-9a-f][0-9]+")
_WEB = re.compile(r"parley:web:\{[^}]*\}:(?:titles|messages:.*|blob:.*)")
_INLINE = re.compile(r"parley:inline:([^:]*):.*")
_FORM = re.compile(r"parley:form:.*")
_DOCUMENT = re.compile(r"parley:(?:documents:\{([^{}]*)\}:.*|\{documents\}:record:(.*))")


@dataclass(frozen=True, slots=True)
class Rotated:
    """What came of it."""

    values: int
    """Sealed anew."""
    lost: int
    """Could not be opened: no key of ``PARLEY_KEYS`` fits."""


async def rotate(store: Store, sealing: Sealing) -> Rotated:
    """Goes through all that people said. Raises StorageError, SealedError where there is no key to seal with."""
    values = lost = 0
    redis = store.redis
    async for key in redis.scan_iter(match="parley:*", count=1000):
        if (place := await _place(store, key)) is None:
            continue
        kind, of = place
        async for where, value in _values(store, key, kind):
            fresh, unread = _resealed(value, of, sealing)
            lost += unread
            if fresh != value:
                values += int(await store.run("reseal", [key], (kind, where, value, fresh)))
    return Rotated(values, lost)


async def _place(store: Store, key: str) -> tuple[Type, str] | None:
    """The type of a key that may hold what people said, and what its texts are sealed for."""
    if found := _CONVERSATION.fullmatch(key):
        return _OF_CONVERSATIONS[found[1]], found[2]
    if found := _CREATION.fullmatch(key):
        return "string" if found[2] else "hash", found[1]
    if _LETTER.fullmatch(key):
        return "hash", await store.attempt(lambda: store.redis.hget(key, "conversation")) or ""
    if _WEB.fullmatch(key):
        return "hash", key
    if found := _INLINE.fullmatch(key):
        return "string", found[1]
    if found := _DOCUMENT.fullmatch(key):
        return "hash", found[1] or found[2]
    return ("string", key) if _FORM.fullmatch(key) else None


async def _values(store: Store, key: str, kind: Type) -> AsyncIterator[tuple[str, str]]:
    """Fields with their values; those with something sealed in them."""
    redis = store.redis
    if kind == "string":
        found: list[tuple[str, str]] = [("", await store.attempt(lambda: redis.get(key)) or "")]
    elif kind == "list":
        found = [("", value) for value in await store.attempt(lambda: redis.lrange(key, 0, -1))]
    else:
        found, cursor = [], 0
        while True:
            cursor, page = await store.attempt(lambda at=cursor: redis.hscan(key, at, count=PAGE))
            for field, value in page.items():
                if MARK in value:
                    yield field, value
            if not int(cursor):
                return
    for field, value in found:
        if MARK in value:
            yield field, value


def _resealed(value: str, of: str, sealing: Sealing) -> tuple[str, int]:
    """The value with all of its texts sealed by the newest key, and how many of them cannot be opened."""
    lost = 0

    def fresh(found: re.Match[str]) -> str:
        nonlocal lost
        if sealing.is_newest(found[0]):
            return found[0]
        try:
            return sealing.seal_same(sealing.open(found[0], purpose(of)), purpose(of))
        except SealedError:
            lost += 1
            return found[0]

    return _TOKEN.sub(fresh, value), lost
