"""What people chose for the channels of one bot, as its receivers need it: before a conversation is known, and without
asking Redis for each message.

It stands a second time here, beside the conversations' own states: one hash for all channels, which each receiver
keeps in memory and looks at every so often for changes.
"""

from __future__ import annotations

import asyncio

import structlog

from core.conversation.preferences import ALWAYS, MENTIONS, OF_CHANNELS, OFF, ON
from core.errors import StorageError
from core.message import ConversationKey, Platform
from core.storage import keys
from core.storage.client import Store

SECONDS = 400 * 86400
"""A choice is kept for so long after the last one, or after a receiver's last start."""
LOOK_SECONDS = 1.0
"""Between two looks: so soon a choice holds in every process."""
PATIENCE_SECONDS = 2.0
CHANGES = ""
"""Field that counts the changes: while it stays the same, nothing else is read."""

log = structlog.get_logger()


class Channels:
    """The choices for one bot's channels, in memory. :meth:`refresh` it once, then :meth:`follow`."""

    def __init__(self, store: Store, platform: Platform, bot: str) -> None:
        self._store = store
        self._key = keys.channels(platform, bot)
        self._changes: str | None = None
        self._chosen: dict[str, str] = {}

    def answers(self, channel: str) -> str:
        """What is answered there: ``always``, ``mentions``, or empty where nobody chose."""
        found = self._chosen.get(f"{channel}:answers", "")
        return found if found in (ALWAYS, MENTIONS) else ""

    def threads(self, channel: str) -> bool | None:
        """Whether questions there are answered in threads; None where nobody chose."""
        return {ON: True, OFF: False}.get(self._chosen.get(f"{channel}:threads", ""))

    async def refresh(self) -> None:
        """Reads what has changed. Raises StorageError."""
        redis, is_first = self._store.redis, self._changes is None
        changes: str = await self._store.attempt(lambda: redis.hget(self._key, CHANGES), PATIENCE_SECONDS) or ""
        if changes == self._changes:
            return
        chosen: dict[str, str] = await self._store.attempt(lambda: redis.hgetall(self._key), PATIENCE_SECONDS)
        if is_first and chosen:
            await self._store.attempt(lambda: redis.expire(self._key, SECONDS), PATIENCE_SECONDS)
        self._changes, self._chosen = chosen.get(CHANGES, ""), chosen

    async def follow(self) -> None:
        """Keeps up with changes, for ever; while the storage is away, what was known holds."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.refresh()
            except StorageError as error:
                log.warning("choices for channels could not be read", cause=str(error))


async def forget(store: Store, conversation: ConversationKey) -> None:
    """The channel is gone, and what was chosen for it with it. Raises StorageError."""
    key, fields = (
        keys.channels(conversation.platform, conversation.bot),
        [f"{conversation.chat}:{n}" for n in OF_CHANNELS],
    )
    if await store.attempt(lambda: store.redis.hdel(key, *fields)):
        await store.attempt(lambda: store.redis.hincrby(key, CHANGES, 1))


async def choose(store: Store, conversation: ConversationKey, name: str, value: str) -> None:
    """Keeps a choice for receivers; an empty value takes it back. Raises StorageError."""
    key, field = keys.channels(conversation.platform, conversation.bot), f"{conversation.chat}:{name}"

    async def work() -> None:
        pipe = store.redis.pipeline(transaction=False)
        if value:
            pipe.hset(key, field, value)
        else:
            pipe.hdel(key, field)
        pipe.hincrby(key, CHANGES, 1)
        pipe.expire(key, SECONDS)
        await pipe.execute()

    await store.attempt(work)
