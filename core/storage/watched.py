"""What is said in spaces whose rules look at everything: kept for some days, for trying changed rules on it, as
evidence, and for putting back what was deleted by mistake. Nobody else reads it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from core.message import Attachment, AttachmentKind, Author, ConversationKey, Sighting
from core.message_json import compact
from core.storage import keys
from core.storage.client import Store
from core.storage.scanning import scan
from core.storage.sealing import SealedError

log = structlog.get_logger()

CHUNK = 500
"""Messages read in one round trip."""
LONGEST = 4000
"""Characters kept of one."""
MOST_LINKS = 20
COUNTS_SECONDS = 400 * 86400


@dataclass(frozen=True, slots=True)
class Watched:
    """All spaces' messages; spaces are named as by ``core.people.spaces.space_id``. Each method raises StorageError."""

    store: Store
    keep_days: int = 7
    most: int = 50_000
    """Messages of one space; the oldest go first."""

    async def keep(self, said: Sequence[tuple[str, Sighting]]) -> list[int]:
        """Keeps messages, each with its space, in one round trip; how many each author had said in theirs before."""
        if not said or not self.keep_days:
            return [0] * len(said)
        oldest = f"{int((time.time() - self.keep_days * 86400) * 1000)}-0"
        calls = [
            (
                [keys.watched(space), keys.watched_counts(space)],
                [
                    self.store.texts.seal_json(_text(sighting), space),
                    sighting.author.id,
                    self.most,
                    oldest,
                    self.keep_days * 86400,
                    int(not sighting.edited),
                    COUNTS_SECONDS,
                ],
            )
            for space, sighting in said
        ]
        return [int(count) for count in await self.store.run_many("watched", calls)]

    async def spaces(self) -> list[str]:
        """Those of which messages are kept."""
        begin = keys.watched("").removesuffix("}")
        found = {key.removeprefix(begin).partition("}") for key in await scan(self.store, f"{begin}*")}
        return sorted(space for space, _, rest in found if not rest)

    async def since(self, space: str, at: float) -> AsyncIterator[Sighting]:
        """All that was said since (unix seconds), oldest first."""
        name, start = keys.watched(space), f"{int(at * 1000)}-0"
        while True:
            found = await self.store.attempt(
                lambda start=start: self.store.redis.xrange(name, min=start, max="+", count=CHUNK)
            )
            for _, fields in found:
                if (sighting := self._read(space, fields)) is not None:
                    yield sighting
            if len(found) < CHUNK:
                return
            start = f"({found[-1][0]}"

    async def newest(self, space: str, most: int = CHUNK * 10) -> AsyncIterator[Sighting]:
        """The newest first, ``most`` of them at most."""
        name, end = keys.watched(space), "+"
        while most > 0:
            count = min(CHUNK, most)
            found = await self.store.attempt(
                lambda end=end, count=count: self.store.redis.xrevrange(name, max=end, min="-", count=count)
            )
            for _, fields in found:
                if (sighting := self._read(space, fields)) is not None:
                    yield sighting
            if len(found) < count:
                return
            most -= count
            end = f"({found[-1][0]}"

    async def counts(self, space: str) -> dict[str, int]:
        """How many messages each account has written there."""
        kept: dict[str, str] = await self.store.attempt(lambda: self.store.redis.hgetall(keys.watched_counts(space)))
        return {account: int(count) for account, count in kept.items()}

    async def by(self, space: str, conversation: ConversationKey, account: str, count: int, since: float) -> list[str]:
        """Ids of the newest messages of a conversation, newest first; of one person where ``account`` is not empty."""
        ids: dict[str, None] = {}
        async for one in self.newest(space):
            if one.sent_at < since or len(ids) >= count:
                break
            if one.conversation.chat == conversation.chat and account in ("", one.author.id):
                ids[one.id] = None
        return list(ids)

    async def of(self, space: str, conversation: ConversationKey, ids: Collection[str]) -> dict[str, list[Sighting]]:
        """Messages by their ids, each with its edits, oldest first; without those that are kept no more."""
        found: dict[str, list[Sighting]] = {}
        if not ids:
            return found
        async for one in self.newest(space):
            if one.id in ids and one.conversation.chat == conversation.chat:
                found.setdefault(one.id, []).insert(0, one)
        return found

    async def forget(self, space: str, accounts: Collection[str]) -> int:
        """Takes out all that these people said there; how many messages."""
        name, start, gone = keys.watched(space), "-", 0
        while True:
            found = await self.store.attempt(
                lambda start=start: self.store.redis.xrange(name, min=start, max="+", count=CHUNK)
            )
            theirs = [id for id, fields in found if _author(fields) in accounts]
            if theirs:
                gone += len(theirs)
                await self.store.attempt(lambda theirs=theirs: self.store.redis.xdel(name, *theirs))
            if len(found) < CHUNK:
                break
            start = f"({found[-1][0]}"
        if accounts:
            await self.store.attempt(lambda: self.store.redis.hdel(keys.watched_counts(space), *accounts))
        return gone

    async def move(self, old: str, new: str) -> None:
        """Who is known there stays known in what the space has become; may be done again. The messages stay behind."""
        there, here = keys.watched_counts(old), keys.watched_counts(new)
        counts: dict[str, str] = await self.store.attempt(lambda: self.store.redis.hgetall(there))
        if not counts:
            return

        async def put() -> None:
            pipe = self.store.redis.pipeline(transaction=False)
            for account, count in counts.items():
                pipe.hsetnx(here, account, count)
            pipe.expire(here, COUNTS_SECONDS)
            await pipe.execute()

        await self.store.attempt(put)
        await self.store.attempt(lambda: self.store.redis.delete(there))

    async def drop(self, space: str) -> None:
        """Forgets all of a space."""
        names = (keys.watched(space), keys.watched_counts(space))
        await self.store.attempt(lambda: self.store.redis.delete(*names))

    def _read(self, space: str, fields: dict[str, str]) -> Sighting | None:
        try:
            return _sighting(self.store.texts.open_json(fields["m"], space))
        except (SealedError, ValueError, KeyError, TypeError) as error:
            log.warning("a message that was looked at cannot be read", cause=type(error).__name__)
            return None


_KEPT = ("id", "update", "text", "sent_at", "space", "place", "within", "edited", "reply_to", "mentions", "forwarded")
_ALSO = ("mentions_all", "unsupported", "roles", "is_staff", "joined_at", "created_at", "album")


def _text(sighting: Sighting) -> str:
    """Without the files themselves. What people wrote stands in fields that are sealed (``core/storage/texts.py``)."""
    short = replace(sighting, text=sighting.text[:LONGEST])
    values = {name: value for name in (*_KEPT, *_ALSO) if (value := getattr(short, name))}
    values["conversation"] = str(sighting.conversation)
    values["author"] = {"id": sighting.author.id, "name": sighting.author.name}
    values["description"] = "\n".join(sighting.links[:MOST_LINKS])
    values["files"] = [{"kind": a.kind, "name": a.name, "size": a.size} for a in sighting.attachments]
    return compact(values)


def _sighting(text: str) -> Sighting:
    values: dict[str, Any] = json.loads(text)
    links: list[str] = values.pop("description").split("\n")
    values["links"] = tuple(link for link in links if link)
    files = [Attachment(AttachmentKind(f["kind"]), "", f["name"], size=f["size"]) for f in values.pop("files")]
    values["attachments"] = tuple(files)
    for name in ("within", "roles"):
        if name in values:
            values[name] = tuple(values[name])
    values["conversation"] = ConversationKey.parse(values["conversation"])
    values["author"] = Author(values["author"]["id"], values["author"]["name"])
    values.setdefault("text", "")
    values.setdefault("sent_at", 0.0)
    return Sighting(**values)


def _author(fields: dict[str, str]) -> str:
    """Ids of accounts are not sealed."""
    try:
        return str(json.loads(fields["m"].removeprefix("!"))["author"]["id"])
    except (ValueError, KeyError, TypeError):
        return ""
