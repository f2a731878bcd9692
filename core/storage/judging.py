"""Messages that wait for a judge, for an hour at most; how many were judged in a minute."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, cast

import structlog

from core.message import Attachment, AttachmentKind, Author, ConversationKey, Sighting
from core.message_json import compact
from core.storage import keys
from core.storage.client import Store
from core.storage.sealing import SealedError

log = structlog.get_logger()

SECONDS = 3600
LONGEST = 8000
"""Characters kept of a message."""
MOST_FILES = 10
MINUTE = 60
_KEPT = ("id", "update", "sent_at", "space", "place", "within", "edited", "reply_to", "forwarded", "album")
_ALSO = ("roles", "is_staff")


@dataclass(frozen=True, slots=True)
class Brief:
    """A message of a space (``core.people.spaces.space_id``), and the rule by which it is to be judged."""

    space: str
    rule: str
    sighting: Sighting


class Briefs:
    """Every method raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, id: str, brief: Brief) -> None:
        """Keeps it under that id, sealed for its space."""
        text = self._store.texts.seal_json(_text(brief), brief.space)
        await self._store.attempt(lambda: self._store.redis.set(keys.brief(id), text, ex=SECONDS))

    async def get(self, id: str) -> Brief | None:
        """None where it was dropped, has lain too long, or cannot be read."""
        text: str | None = await self._store.attempt(lambda: self._store.redis.get(keys.brief(id)))
        if text is None:
            return None
        try:
            space = str(json.loads(text)["of"])
            return _brief(json.loads(self._store.texts.open_json(text, space)))
        except (SealedError, ValueError, KeyError, TypeError) as error:
            log.warning("a message that is to be judged cannot be read", cause=type(error).__name__)
            return None

    async def drop(self, id: str) -> None:
        """It was judged."""
        await self._store.attempt(lambda: self._store.redis.delete(keys.brief(id)))

    async def count(self, space: str) -> int:
        """One more is judged there in this minute: how many that are."""
        name = keys.recently(f"judged:{space}:{int(time.time() // MINUTE)}")

        async def add() -> int:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.incr(name)
            pipe.expire(name, 2 * MINUTE)
            return int((await pipe.execute())[0])

        return await self._store.attempt(add)


def _text(brief: Brief) -> str:
    """What people wrote stands in fields that are sealed (``core/storage/texts.py``)."""
    said = brief.sighting
    values: dict[str, Any] = {name: value for name in (*_KEPT, *_ALSO) if (value := getattr(said, name))}
    values |= {"of": brief.space, "rule": brief.rule, "text": said.text[:LONGEST]}
    values["conversation"] = str(said.conversation)
    values["author"] = {"id": said.author.id, "name": said.author.name, "language": said.author.language}
    values["files"] = [
        {"kind": file.kind, "ref": file.ref, "name": file.name, "mime": file.mime, "size": file.size}
        for file in said.attachments[:MOST_FILES]
    ]
    return compact(values)


def _brief(values: dict[str, Any]) -> Brief:
    space, rule = str(values.pop("of")), str(values.pop("rule"))
    files = cast("list[dict[str, Any]]", values.pop("files"))
    author = cast("dict[str, Any]", values.pop("author"))
    for name in ("within", "roles"):
        values[name] = tuple(values.get(name, ()))
    values["conversation"] = ConversationKey.parse(values["conversation"])
    attachments = tuple(Attachment(AttachmentKind(file.pop("kind")), file.pop("ref"), **file) for file in files)
    values.setdefault("sent_at", 0.0)
    return Brief(space, rule, Sighting(**values, author=Author(**author), attachments=attachments))
