"""What the web chat keeps of a person."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from core.message import ConversationKey, Platform
from core.people.privacy import File, Subject, readable, safe_name
from core.people.said import is_chat_of
from core.storage import web_keys
from core.storage.client import Store
from core.storage.scanning import scan

EMPTY_SECONDS = 86400
"""How long a page that only holds a receipt is kept, unless something is said there again."""
MOST_MESSAGES = 1_000_000


@dataclass(frozen=True, slots=True)
class WebChats:
    """What the web chat shows them, and their uploads. The page on which they asked goes on until their receipt was
    read (``core/people/tidying.py``)."""

    store: Store
    at: ConversationKey | None = None
    own: str = ""
    name: str = "web"

    async def count(self, subject: Subject) -> int:
        return sum([len(await self._titles(user)) for user in subject.ids(Platform.WEB)])

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        redis = self.store.redis
        for user in sorted(subject.ids(Platform.WEB)):
            if titles := await self._titles(user):
                of = web_keys.titles(user)
                told = {id: json.loads(self.store.texts.read_json(row, of)) for id, row in titles.items()}
                yield File("web/conversations.json", readable(told))
            blobs: list[str] = await self.store.attempt(lambda user=user: redis.lrange(web_keys.blobs(user), 0, -1))
            for blob in blobs:
                key = web_keys.blob(user, blob)
                name, data = await self.store.attempt(lambda key=key: redis.hmget(key, ["name", "data"]))
                if data and (opened := self.store.texts.read(data, key, unreadable="")):
                    called = safe_name(self.store.texts.read(name or "", key))
                    yield File(f"web/files/{safe_name(blob)[:12]}-{called}", base64.b64decode(opened))

    async def erase(self, subject: Subject) -> None:
        for user in subject.ids(Platform.WEB):
            open_now = (
                self.at.chat.partition("-")[2]
                if self.at is not None and is_chat_of(self.at, frozenset((user,)))
                else ""
            )
            kept = (web_keys.user(user), web_keys.conversations(user), web_keys.titles(user))
            if open_now:
                kept += (web_keys.messages(user, open_now), web_keys.order(user, open_now))
                kept += (web_keys.revisions(user, open_now),)
                await self._empty(user, open_now)
            await remove_web(self.store, user, kept if open_now else ())

    async def _titles(self, user: str) -> dict[str, str]:
        return await self.store.attempt(lambda: self.store.redis.hgetall(web_keys.titles(user)))

    async def _empty(self, user: str, conversation: str) -> None:
        """Leaves of a conversation what is said by and to the call that asks, and of the list that one alone."""
        redis = self.store.redis
        messages = web_keys.messages(user, conversation)
        found: list[str] = await self.store.attempt(lambda: redis.hkeys(messages))
        gone = [id for id in found if id != "#" and id.partition(".")[0] != self.own]
        others = [id for id in await self._titles(user) if id != conversation]

        names = (
            web_keys.conversations(user),
            web_keys.titles(user),
            messages,
            web_keys.order(user, conversation),
            web_keys.revisions(user, conversation),
        )
        for id in gone:
            # So that pages which show it hear of it.
            told = (web_keys.EVENTS, f"{user} {conversation}")
            arguments = (conversation, id, "", EMPTY_SECONDS, MOST_MESSAGES, time.time(), *told)
            await self.store.run("web_save", names, arguments)

        async def work() -> None:
            pipe = redis.pipeline(transaction=True)
            for id in others:
                pipe.zrem(web_keys.conversations(user), id)
                pipe.hdel(web_keys.titles(user), id)
            pipe.hset(web_keys.titles(user), conversation, json.dumps({"title": "…", "model": ""}))
            await pipe.execute()

        await self.store.attempt(work)


async def remove_web(store: Store, user: str, kept: Sequence[str] = ()) -> None:
    """Removes all keys of a user of the web chat but some, and the codes that let in as them. The owner stays one."""
    redis = store.redis
    owner: str | None = await store.attempt(lambda: redis.get(web_keys.owner()))
    kept = (*kept, web_keys.user(user)) if owner == user else kept
    mine = [key for key in await scan(store, f"{web_keys.PREFIX}{{{user}}}:*") if key not in kept]
    codes = await scan(store, web_keys.code("*"))
    for key in [*mine, *[code for code in codes if await store.attempt(lambda code=code: redis.get(code)) == user]]:
        await store.attempt(lambda key=key: redis.unlink(key))
