"""The web chat's store in Redis, and the one subscription that tells this process's browsers of changes."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, cast

import structlog
from redis.exceptions import RedisError

from bots.web_chat import ids
from bots.web_chat.store import Change, Changes, Conversation, File, StoredMessage, User
from core import clock
from core.storage import web_keys as keys
from core.storage.client import Store

log = structlog.get_logger()

MAX_CONVERSATIONS = 500
"""Conversations in one person's list; the oldest leave it."""
MAX_BLOBS = 24
"""Files kept for one person: at the largest upload about 320 MB in Redis. The oldest go first."""
MAX_CHANGES = 200
MAX_TRIES = 8
"""Of changing one message while others change it."""
PATIENCE_SECONDS = 4.0
"""How long a browser's request waits for a server that is away."""
TIME_SECONDS = 30.0
"""How long the server's word about the time holds."""
LISTEN_SECONDS = 3.0
"""One blocking read; less than the connection's own timeout of 5 seconds."""


class _Watch:
    """One browser looking at one conversation."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.is_closed = False

    async def changed(self, timeout: float) -> bool:
        try:
            await asyncio.wait_for(self.heard.wait(), timeout)
        except TimeoutError:
            return False
        self.heard.clear()
        return True


class RedisWebStore:
    """Implements WebStore. ``listen`` has to run for ``watch`` to hear anything."""

    def __init__(self, store: Store, *, keep_days: int, max_messages: int) -> None:
        self._store = store
        self._redis = store.redis
        self._texts = store.texts
        self._keep_seconds = keep_days * 86400
        self._max_messages = max_messages
        self._ahead = 0.0
        """The server's time less the seconds of :mod:`core.clock`."""
        self._told_until = 0.0
        self._watches: dict[str, set[_Watch]] = {}
        self._is_closed = False

    async def now(self) -> float:
        now = clock.seconds()
        if now >= self._told_until:
            seconds, micros = cast(tuple[int, int], await self._do("TIME"))
            now = clock.seconds()
            self._ahead = int(seconds) + int(micros) / 1_000_000 - now
            self._told_until = now + TIME_SECONDS
        return now + self._ahead

    # ---- people

    async def secret(self) -> bytes:
        return bytes.fromhex(await self._keep(keys.secret(), secrets.token_hex(32)))

    async def owner(self) -> User:
        owner = User(await self._keep(keys.owner(), ids.new_name()), "Owner", is_owner=True)
        await self._put_user(owner)
        return owner

    async def user(self, user: str) -> User | None:
        found = await self._text("GETEX", keys.user(user), "EX", keys.USER_SECONDS)
        return User(**json.loads(found)) if found else None

    async def add_user(self, name: str) -> User:
        user = User(ids.new_name(), name)
        await self._put_user(user)
        return user

    async def _put_user(self, user: User) -> None:
        await self._do("SET", keys.user(user.id), json.dumps(asdict(user)), "EX", keys.USER_SECONDS)

    async def _keep(self, key: str, value: str) -> str:
        """The key's value, or ``value`` where it has none; its life begins again."""
        await self._do("SET", key, value, "NX", "EX", keys.USER_SECONDS)
        return await self._text("GETEX", key, "EX", keys.USER_SECONDS) or value

    async def put_code(self, digest: str, user: str, seconds: int) -> None:
        await self._do("SET", keys.code(digest), user, "EX", seconds)

    async def take_code(self, digest: str) -> str | None:
        return await self._text("GETDEL", keys.code(digest))

    # ---- conversations

    async def conversations(self, user: str) -> list[Conversation]:
        key, titles = keys.conversations(user), keys.titles(user)
        oldest = time.time() - self._keep_seconds
        used: list[tuple[str, str]] = []
        for name, score in await self._pairs("ZRANGE", key, 0, MAX_CONVERSATIONS - 1, "REV", "WITHSCORES"):
            if float(score) >= oldest:
                used.append((name, score))
        if not used:
            return []
        rows = cast(list[str | None], await self._do("HMGET", titles, *(name for name, _ in used)))
        of = keys.titles(user)
        return [
            _conversation(name, float(score), self._texts.read_json(row, of))
            for (name, score), row in zip(used, rows, strict=True)
            if row
        ]

    async def conversation(self, user: str, conversation: str) -> Conversation | None:
        row = await self._text("HGET", keys.titles(user), conversation)
        return _conversation(conversation, time.time(), self._texts.read_json(row, keys.titles(user))) if row else None

    async def save_conversation(self, user: str, conversation: Conversation) -> None:
        key, titles = keys.conversations(user), keys.titles(user)
        row = json.dumps({"title": conversation.title, "model": conversation.model}, ensure_ascii=False)
        row = self._texts.seal_json(row, titles)

        async def work() -> list[str]:
            pipe = self._redis.pipeline(transaction=True)
            pipe.execute_command("HSET", titles, conversation.id, row)
            pipe.execute_command("ZADD", key, conversation.used_at, conversation.id)
            pipe.execute_command("ZRANGE", key, MAX_CONVERSATIONS, -1, "REV")
            pipe.execute_command("EXPIRE", key, self._keep_seconds)
            pipe.execute_command("EXPIRE", titles, self._keep_seconds)
            return cast(list[Any], await pipe.execute())[2]

        for old in await self._store.attempt(work, PATIENCE_SECONDS):
            await self.remove_conversation(user, old)

    async def remove_conversation(self, user: str, conversation: str) -> list[str]:
        names = (keys.messages(user, conversation), keys.order(user, conversation), keys.revisions(user, conversation))

        async def work() -> list[str]:
            pipe = self._redis.pipeline(transaction=True)
            pipe.execute_command("ZRANGE", names[1], 0, -1)
            pipe.execute_command("ZREM", keys.conversations(user), conversation)
            pipe.execute_command("HDEL", keys.titles(user), conversation)
            pipe.execute_command("DEL", *names)
            return cast(list[Any], await pipe.execute())[0]

        return await self._store.attempt(work, PATIENCE_SECONDS)

    # ---- messages

    async def save(self, user: str, conversation: str, message: StoredMessage) -> bool:
        text = self._texts.seal_json(message.to_json(), keys.messages(user, conversation))
        return await self._change(user, conversation, message.id, text) > 0

    async def change(
        self, user: str, conversation: str, message: str, how: Callable[[StoredMessage], StoredMessage | None]
    ) -> bool:
        key = keys.messages(user, conversation)
        for _ in range(MAX_TRIES):
            found = await self._text("HGET", key, message)
            fresh = how(self._message(found, key)) if found else None
            if not found or fresh is None:
                return False
            text = self._texts.seal_json(fresh.to_json(), key)
            revision = await self._change(user, conversation, message, text, found.partition(" ")[0])
            if revision >= 0:
                return revision > 0
        return False

    async def remove(self, user: str, conversation: str, message: str) -> None:
        await self._change(user, conversation, message, "")

    async def _change(self, user: str, conversation: str, message: str, text: str, over: str = "") -> int:
        """As the script tells; ``over`` is the revision that the message has to have."""
        names = (
            keys.conversations(user),
            keys.titles(user),
            keys.messages(user, conversation),
            keys.order(user, conversation),
            keys.revisions(user, conversation),
        )
        arguments = (
            conversation,
            message,
            text,
            self._keep_seconds,
            self._max_messages,
            time.time(),
            keys.EVENTS,
            f"{user} {conversation}",
            over,
        )
        return int(await self._run("web_save", names, arguments))

    async def message(self, user: str, conversation: str, message: str) -> StoredMessage | None:
        key = keys.messages(user, conversation)
        found = await self._text("HGET", key, message)
        return self._message(found, key) if found else None

    async def page(self, user: str, conversation: str, before: str, count: int) -> Changes:
        names = (keys.messages(user, conversation), keys.order(user, conversation))
        return self._changes(await self._run("web_page", names, (f"({before}" if before else "+", count)), names[0])

    async def changes(self, user: str, conversation: str, after: int) -> Changes:
        names = (keys.messages(user, conversation), keys.revisions(user, conversation))
        return self._changes(await self._run("web_changes", names, (after, MAX_CHANGES)), names[0])

    def _message(self, text: str, of: str) -> StoredMessage:
        """From ``revision JSON``."""
        return StoredMessage.from_json(self._texts.read_json(text.partition(" ")[2], of))

    def _changes(self, reply: Sequence[Any], of: str) -> Changes:
        pairs = zip(reply[1::2], reply[2::2], strict=True)
        items = [Change(name, self._message(text, of) if text else None) for name, text in pairs]
        return Changes(int(reply[0]), items)

    # ---- files

    async def put_blob(self, user: str, file: File, data: bytes) -> None:
        key, listed = keys.blob(user, file.blob), keys.blobs(user)
        text, name = (self._texts.seal(value, key) for value in (base64.b64encode(data).decode(), file.name))

        async def work() -> list[str]:
            pipe = self._redis.pipeline(transaction=True)
            pipe.execute_command("HSET", key, "name", name, "mime", file.mime, "size", file.size, "data", text)
            pipe.execute_command("EXPIRE", key, keys.BLOB_SECONDS)
            pipe.execute_command("LREM", listed, 0, file.blob)
            pipe.execute_command("LPUSH", listed, file.blob)
            pipe.execute_command("EXPIRE", listed, keys.BLOB_SECONDS)
            pipe.execute_command("LRANGE", listed, MAX_BLOBS, -1)
            pipe.execute_command("LTRIM", listed, 0, MAX_BLOBS - 1)
            return cast(list[Any], await pipe.execute())[5]

        if old := await self._store.attempt(work, PATIENCE_SECONDS):
            await self._do("DEL", *(keys.blob(user, blob) for blob in old))

    async def blob(self, user: str, blob: str) -> tuple[File, bytes] | None:
        key = keys.blob(user, blob)
        row = cast(list[str | None], await self._do("HMGET", key, "name", "mime", "size", "data"))
        name, mime, size, data = row
        if mime is None or data is None:
            return None
        opened = self._texts.read(data, key, unreadable="")
        if data and not opened:
            return None
        return File(blob, self._texts.read(name or "", key), mime, int(size or 0)), base64.b64decode(opened)

    async def files(self, user: str, blobs: Sequence[str]) -> list[File]:
        found: list[File] = []
        for blob in blobs:
            key = keys.blob(user, blob)
            row = cast(list[str | None], await self._do("HMGET", key, "name", "mime", "size"))
            name, mime, size = row
            if mime is not None:
                found.append(File(blob, self._texts.read(name or "", key), mime, int(size or 0)))
        return found

    async def claim(self, user: str, ticket: str, value: str) -> str:
        key = keys.ticket(user, ticket)
        await self._do("SET", key, value, "NX", "EX", keys.TICKET_SECONDS)
        return await self._text("GET", key) or value

    # ---- telling browsers

    @asynccontextmanager
    async def watch(self, user: str, conversation: str) -> AsyncGenerator[_Watch]:
        name, watch = f"{user} {conversation}", _Watch()
        watch.is_closed = self._is_closed
        self._watches.setdefault(name, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[name]
            watches.discard(watch)
            if not watches:
                del self._watches[name]

    def close(self) -> None:
        """Ends all watches: the process is stopping."""
        self._is_closed = True
        for watch in self._all_watches():
            watch.is_closed = True
            watch.heard.set()

    async def listen(self) -> None:
        """Keeps one subscription for all browsers of this process, until cancelled."""
        while True:
            pubsub = self._redis.pubsub()
            try:
                await pubsub.subscribe(keys.EVENTS)
                # What was published while nobody listened is found by looking.
                for watch in self._all_watches():
                    watch.heard.set()
                while True:
                    event = await pubsub.get_message(ignore_subscribe_messages=True, timeout=LISTEN_SECONDS)
                    if event is not None:
                        for watch in self._watches.get(str(event["data"]), ()):
                            watch.heard.set()
            except (RedisError, OSError) as error:
                log.warning("web chat hears nothing from redis", cause=type(error).__name__)
                await asyncio.sleep(0.5)
            finally:
                await pubsub.aclose()

    def _all_watches(self) -> list[_Watch]:
        return [watch for watches in self._watches.values() for watch in watches]

    # ---- calls

    async def _do(self, *command: str | int | float) -> Any:
        async def work() -> Any:
            return await cast(Awaitable[Any], self._redis.execute_command(*command))

        return await self._store.attempt(work, PATIENCE_SECONDS)

    async def _text(self, *command: str | int | float) -> str | None:
        return cast(str | None, await self._do(*command))

    async def _pairs(self, *command: str | int | float) -> list[tuple[str, str]]:
        """The reply of a WITHSCORES command, flat in RESP2 and nested in RESP3."""
        reply = cast(list[Any], await self._do(*command))
        if reply and not isinstance(reply[0], (list, tuple)):
            return list(zip(reply[::2], reply[1::2], strict=True))
        return [(row[0], row[1]) for row in reply]

    async def _run(self, name: str, names: Sequence[str], arguments: Sequence[str | int | float]) -> Any:
        return await self._store.run(name, names, arguments, patience=PATIENCE_SECONDS)


def _conversation(name: str, used_at: float, row: str) -> Conversation:
    values: dict[str, str] = json.loads(row)
    return Conversation(name, values["title"], used_at, values["model"])
