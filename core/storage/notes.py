"""Why something was not answered, kept for a day for those who ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from core.message import ConversationKey
from core.storage import keys
from core.storage.client import Store
from core.storage.records import Record

MOST = 30
"""Notes of a conversation, the newest."""
KEEP_SECONDS = 86_400
LONGEST_CAUSE = 200
Plain = str | int | tuple[str, ...]
"""What a sentence is filled with, as JSON has it; a tuple begins with what it is."""


class Note(Record):
    """One thing that was not answered as it was wished. It holds no word of it."""

    message: str
    """Its message id."""
    account: str
    """Account id of who wrote it."""
    reason: str
    """A ``core.people.gate.Reason``."""
    at: float
    """Unix seconds."""
    key: str
    """The sentence that was said, and its values."""
    values: Mapping[str, Plain] = {}
    causes: Sequence[str] = ()
    """For whoever runs Parley."""


class Notes:
    """All notes, by conversations."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, conversation: ConversationKey, note: Note) -> None:
        """Raises StorageError."""
        key, text = keys.notes(str(conversation)), note.model_dump_json(exclude_defaults=True)

        async def keep() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.lpush(key, text)
            pipe.ltrim(key, 0, MOST - 1)
            pipe.expire(key, KEEP_SECONDS)
            await pipe.execute()

        await self._store.attempt(keep)

    async def of(self, conversation: ConversationKey) -> list[Note]:
        """Newest first; without those of a newer program. Raises StorageError."""
        key, redis = keys.notes(str(conversation)), self._store.redis
        found: list[str] = await self._store.attempt(lambda: redis.lrange(key, 0, MOST - 1))
        return [note for note in map(_read, found) if note is not None]


def _read(text: str) -> Note | None:
    try:
        return Note.model_validate_json(text)
    except ValidationError:
        return None
