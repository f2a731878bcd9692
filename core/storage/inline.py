"""Questions that an inline message may be sent with: kept until it is, for platforms that do not tell of that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from core.storage import keys
from core.storage.client import Store

KEPT_SECONDS = 3600
DIGEST = 32
PATIENCE_SECONDS = 2.0
"""Longer nobody waits while typing."""


@dataclass(frozen=True, slots=True)
class InlineQuestion:
    """What somebody is about to ask."""

    asker: str
    """Their account id."""
    text: str
    model: str = ""
    """The one that is to answer; empty for the default."""

    @property
    def digest(self) -> str:
        """Names it where there is little room."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:DIGEST]

    def to_json(self) -> str:
        """The form in which it is kept."""
        return json.dumps(asdict(self), ensure_ascii=False)


class InlineQuestions:
    """Those of one bot. Every method raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, bot: str, questions: Sequence[InlineQuestion]) -> None:
        """In one round trip."""

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            for question in questions:
                text = self._store.texts.seal_json(question.to_json(), bot)
                pipe.set(keys.inline_question(bot, question.digest), text, ex=KEPT_SECONDS)
            await pipe.execute()

        await self._store.attempt(work, PATIENCE_SECONDS)

    async def get(self, bot: str, digest: str) -> InlineQuestion | None:
        """None when there is no such question any more."""
        kept: str | None = await self._store.attempt(lambda: self._store.redis.get(keys.inline_question(bot, digest)))
        return InlineQuestion(**json.loads(self._store.texts.read_json(kept, bot))) if kept else None
