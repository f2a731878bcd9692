"""What attachments were read as, kept for an hour: a turn that is taken over, or a caption that is edited, pays nothing
twice."""

from __future__ import annotations

import hashlib
import json

from core.conversation.attached import Attached
from core.message import Attachment, ConversationKey, Message
from core.storage import keys
from core.storage.client import Store
from core.storage.sealing import SealedError


def reading_id(message: Message, index: int) -> str:
    """Names an attachment of a message. Its reference does not: platforms give another one with every update."""
    attachment: Attachment = message.attachments[index]
    told = (message.id, index, attachment.name, attachment.mime, attachment.size, attachment.seconds)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:24]


class Readings:
    """The readings of all conversations."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, conversation: ConversationKey, id: str) -> Attached | None:
        """Raises StorageError."""
        key = keys.ConversationKeys.of(conversation).blob(id)
        kept: str | None = await self._store.attempt(lambda: self._store.redis.get(key))
        try:
            opened = self._store.texts.open_json(kept, str(conversation)) if kept else ""
        except SealedError:
            return None  # read anew
        return Attached.of(json.loads(opened)) if opened else None

    async def put(self, conversation: ConversationKey, id: str, read: Attached) -> None:
        """Raises StorageError."""
        key, redis = keys.ConversationKeys.of(conversation).blob(id), self._store.redis
        value = self._store.texts.seal_json(json.dumps(read.to_values(), ensure_ascii=False), str(conversation))
        await self._store.attempt(lambda: redis.set(key, value, ex=keys.READING_SECONDS))
