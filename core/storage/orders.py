"""What people ordered to be made, while it waits, is made, and for a day after that."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.message import ConversationKey, moved_id
from core.storage import keys
from core.storage.client import Store
from core.storage.scanning import fields_of
from core.storage.sealing import SealedError

MOST_OVERDUE = 100
"""Looked at in one go."""
KEEP_SECONDS = 24 * 3600
"""An order, what it is made of and what came of it."""
MAX_SHOWN = 300
"""Messages of a conversation of which it is known what they show."""
MAX_LISTED = 50
"""Of those being made in a conversation."""
MOST_MAKING = 50
"""In one conversation at a time: files wait with them in Redis's memory."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An order as it is kept."""

    order: str = ""
    """Its text; empty for one that cannot be opened."""
    account: str = ""
    inputs: int = 0
    """Files that came with it."""
    tick: str = ""
    """Another one whenever there is progress."""
    progress: str = ""
    preview: str = ""
    """Name of a file that shows how it looks so far."""
    is_begun: bool = False
    is_stopped: bool = False
    """Nobody wants it any more."""
    is_handed: bool = False
    """What comes of it is posted, since nobody follows it."""
    is_ended: bool = False
    parts: str = ""
    """What came of it; empty for what cannot be opened."""
    shown: str = ""
    """Id of the message that says that it is still being made."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What a run of its job learns."""

    what: str
    """``go``, ``ended``, ``stopped``, ``gone`` or ``stale``."""
    is_handed: bool = False
    remote: str = ""
    """What an earlier run remembered."""


_FIELDS = (
    "order",
    "account",
    "inputs",
    "tick",
    "progress",
    "preview",
    "run",
    "stop",
    "handed",
    "ended",
    "parts",
    "shown",
)


class Orders:
    """All orders. An id is a conversation's name, a slash and a number. Everything raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def place(
        self, id: str, order: str, account: str, inputs: Sequence[bytes], queue: str, question: str = ""
    ) -> bool:
        """Keeps it, and its place in line, unless it is there; it goes with the message ``question``.

        False where too many are being made in its conversation. What could not be kept whole is not kept.
        """
        if await self._store.attempt(lambda: self._store.redis.exists(_key(id))):
            return True
        is_placed = False
        try:
            for index, data in enumerate(inputs):
                await self.put_file(id, f"in{index}", data)
            # First, so that none is there which nobody looks after.
            await self._wait(id, queue)
            fields = ("order", self._seal(id, order), "account", account, "inputs", len(inputs), "question", question)
            is_placed = int(await self._step(id, "place", KEEP_SECONDS, MOST_MAKING, *fields)) == 1
        finally:
            if not is_placed:
                await self._drop(id, len(inputs), queue)
        return is_placed

    async def read(self, id: str) -> Kept | None:
        """All that is known of it; None for none."""
        redis = self._store.redis
        values: list[str | None] = await self._store.attempt(lambda: redis.hmget(_key(id), *_FIELDS))
        if values[0] is None:
            return None
        order, account, inputs, tick, progress, preview, run, stop, handed, ended, parts, shown = (
            v or "" for v in values
        )
        return Kept(
            self._open(id, order),
            account,
            int(inputs or 0),
            tick,
            self._open(id, progress),
            preview,
            bool(run),
            bool(stop),
            bool(handed),
            bool(ended),
            self._open(id, parts),
            shown,
        )

    async def begin(self, id: str, run: str, queue: str) -> Begun:
        """A run of its job takes it; earlier ones may write nothing any more."""
        redis = self._store.redis
        await self._store.attempt(lambda: redis.zrem(keys.creations_waiting(queue), id))
        what, handed, remote = await self._step(id, "begin", run)
        return Begun(what, bool(handed), self._open(id, remote))

    async def note(self, id: str, run: str, progress: str, preview: str) -> str:
        """``go``; ``stopped`` when nobody wants it any more, ``stale`` when it is another run's, ``gone``."""
        what, _, _ = await self._step(id, "note", run, self._seal(id, progress), preview)
        return what

    async def end(self, id: str, run: str, parts: str) -> Begun:
        """Writes what came of it, once. Without a run it is ended whoever makes it."""
        what, handed, _ = await self._step(id, "end", run, self._seal(id, parts))
        return Begun(what, bool(handed))

    async def hand_over(self, id: str) -> bool:
        """From now on what comes of it is posted; False where it has ended before that."""
        return int(await self._step(id, "hand")) == 1

    async def stop(self, id: str) -> bool:
        """Nobody wants it any more; False where it has ended."""
        return int(await self._step(id, "stop")) == 1

    async def remember(self, id: str, run: str, text: str) -> None:
        """For the next run, should this one break off."""
        await self._step(id, "remember", run, self._seal(id, text))

    async def told_by(self, id: str, message_id: str) -> None:
        """A message says that it is still being made."""
        await self._step(id, "tell", message_id)

    async def overdue(self, seconds: float) -> list[str]:
        """Ids of some that were placed so long ago, and are not closed yet."""
        redis, until = self._store.redis, (time.time() - seconds) * 1000
        return await self._store.attempt(
            lambda: redis.zrangebyscore(keys.creations_open(), "-inf", until, start=0, num=MOST_OVERDUE)
        )

    async def close(self, id: str) -> None:
        """Nothing is to be told of it any more."""
        await self._store.attempt(lambda: self._store.redis.zrem(keys.creations_open(), id))

    async def clear(self, id: str, names: Sequence[str]) -> None:
        """Removes files of it."""
        conversation, number = _parted(id)
        place = keys.ConversationKeys.of(conversation)
        if gone := [place.creation_file(number, name) for name in names]:
            await self._store.attempt(lambda: self._store.redis.delete(*gone))

    async def put_file(self, id: str, name: str, data: bytes) -> None:
        """Keeps a file of it."""
        conversation, number = _parted(id)
        key = keys.ConversationKeys.of(conversation).creation_file(number, name)
        sealed = self._seal(id, base64.b64encode(data).decode())
        await self._store.attempt(lambda: self._store.redis.set(key, sealed, ex=KEEP_SECONDS))

    async def file(self, id: str, name: str) -> bytes | None:
        """None for one that is not kept any more, or cannot be opened."""
        conversation, number = _parted(id)
        key = keys.ConversationKeys.of(conversation).creation_file(number, name)
        sealed: str | None = await self._store.attempt(lambda: self._store.redis.get(key))
        try:
            return base64.b64decode(self._open(id, sealed), validate=True) if sealed else None
        except binascii.Error:
            return None

    async def place_in_line(self, id: str, queue: str) -> int:
        """1: it is next; 0 when it is not waiting."""
        redis = self._store.redis
        rank: int | None = await self._store.attempt(lambda: redis.zrank(keys.creations_waiting(queue), id))
        return 0 if rank is None else rank + 1

    async def in_the_making(self, conversation: ConversationKey) -> list[str]:
        """Ids of a conversation's, oldest first."""
        key = keys.ConversationKeys.of(conversation).making
        redis = self._store.redis
        numbers: list[str] = await self._store.attempt(lambda: redis.zrange(key, 0, MAX_LISTED - 1))
        return [f"{conversation}/{number}" for number in numbers]

    async def shown(
        self, conversation: ConversationKey, messages: Sequence[str], account: str, order: str, seconds: int
    ) -> None:
        """These messages show what came of an order, for so long."""
        key, redis = keys.ConversationKeys.of(conversation).made, self._store.redis
        text = f"{account}\t{self._store.texts.seal(order, str(conversation))}"

        async def work() -> None:
            pipe = redis.pipeline(transaction=False)
            pipe.hset(key, mapping=dict.fromkeys(messages, text))
            pipe.expire(key, seconds)
            pipe.hlen(key)
            count = int((await pipe.execute())[-1])
            if count > MAX_SHOWN:
                names: list[str] = await redis.hkeys(key)
                await redis.hdel(key, *sorted(names, key=_age)[: count - MAX_SHOWN])

        await self._store.attempt(work)

    async def move_shown(self, old: ConversationKey, new: ConversationKey) -> None:
        """What the messages of a conversation show is known under its other key, as long as it was to be; may be done
        again."""
        redis = self._store.redis
        source, target = keys.ConversationKeys.of(old).made, keys.ConversationKeys.of(new).made
        seconds: int = await self._store.attempt(lambda: redis.ttl(source))
        moved: dict[str, str] = {}
        async for id, text in fields_of(self._store, source):
            account, _, sealed = text.partition("\t")
            order = self._store.texts.read(sealed, str(old), unreadable="")
            moved[moved_id(id, old.chat)] = f"{account}\t{self._store.texts.seal(order, str(new))}"
        if not moved:
            return

        async def work() -> None:
            pipe = redis.pipeline(transaction=False)
            pipe.hset(target, mapping=moved)
            pipe.expire(target, seconds, gt=True)
            pipe.expire(target, seconds, nx=True)
            await pipe.execute()

        await self._store.attempt(work)
        await self._store.attempt(lambda: redis.unlink(source))

    async def shown_by(self, conversation: ConversationKey, message_id: str) -> str:
        """The order of what a message shows; empty for none."""
        key = keys.ConversationKeys.of(conversation).made
        text: str | None = await self._store.attempt(lambda: self._store.redis.hget(key, message_id))
        return self._store.texts.read((text or "").partition("\t")[2], str(conversation), unreadable="")

    async def _wait(self, id: str, queue: str) -> None:
        key, now = keys.creations_waiting(queue), time.time() * 1000

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            for each in (key, keys.creations_open()):
                pipe.zadd(each, {id: now}, nx=True)
                pipe.zremrangebyscore(each, "-inf", now - KEEP_SECONDS * 1000)
                pipe.expire(each, KEEP_SECONDS)
            await pipe.execute()

        await self._store.attempt(work)

    async def _drop(self, id: str, inputs: int, queue: str) -> None:
        """Removing needs no memory."""
        conversation, number = _parted(id)
        place = keys.ConversationKeys.of(conversation)
        names = [_key(id), *(place.creation_file(number, f"in{index}") for index in range(inputs))]
        await self._store.attempt(lambda: self._store.redis.delete(*names))
        await self._store.attempt(lambda: self._store.redis.zrem(place.making, number))
        await self._store.attempt(lambda: self._store.redis.zrem(keys.creations_waiting(queue), id))
        await self.close(id)

    async def _step(self, id: str, step: str, *arguments: str | int) -> Any:
        conversation, number = _parted(id)
        place = keys.ConversationKeys.of(conversation)
        return await self._store.run("creation", (place.creation(number), place.making), (step, number, *arguments))

    def _seal(self, id: str, text: str) -> str:
        return self._store.texts.seal(text, _name(id))

    def _open(self, id: str, text: str) -> str:
        try:
            return self._store.texts.open(text, _name(id)) if text else ""
        except SealedError:
            return ""


def _age(message_id: str) -> tuple[bool, int, str]:
    """Sorts messages, the oldest first: those of the chat before a move, then by their ids, which grow."""
    return "/" not in message_id, len(message_id), message_id


def number_of(id: str) -> str:
    """What tells an order apart from others of its conversation."""
    return id.rpartition("/")[2]


def _name(id: str) -> str:
    return id.rpartition("/")[0]


def _parted(id: str) -> tuple[ConversationKey, str]:
    return ConversationKey.parse(_name(id)), number_of(id)


def _key(id: str) -> str:
    conversation, number = _parted(id)
    return keys.ConversationKeys.of(conversation).creation(number)
