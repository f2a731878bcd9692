"""What people think of answers: one vote a person and answer, counted for the model that gave the answer.

A vote lies with its conversation, the counts in each partition: one script writes both. The votes hold a digest of the
person's id and nothing of what was said.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.message import ConversationKey, Reaction, Verdict
from core.storage import keys
from core.storage.client import Store, conversation_keys
from core.storage.keys import ConversationKeys

THREADS_SECONDS = 90 * 24 * 3600
MOST_KNOWN = 10_000
"""Threads that this process remembers to have told of."""
MOST_THREADS = 200
"""Threads of a chat in which an answer is looked for."""


@dataclass(frozen=True, slots=True)
class Score:
    """What people think of a model's answers."""

    model: str
    up: int
    down: int


class Feedback:
    """All conversations' votes. Every method raises StorageError."""

    def __init__(self, store: Store, *, keep_days: int) -> None:
        self._store = store
        self._keep_seconds = keep_days * 86400
        self._told: set[ConversationKey] = set()

    async def came(self, conversation: ConversationKey) -> None:
        """Someone wrote there: reactions to what is answered do not tell the thread."""
        if not conversation.thread or conversation in self._told:
            return
        key = keys.threads(_chat(conversation))

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.sadd(key, conversation.thread)
            pipe.expire(key, THREADS_SECONDS)
            await pipe.execute()

        await self._store.attempt(work)
        if len(self._told) >= MOST_KNOWN:
            self._told.clear()
        self._told.add(conversation)

    async def vote(self, reaction: Reaction) -> bool:
        """Counts it. False when the message is no answer of a model, or is forgotten."""
        if await self._count([reaction]):
            return True
        conversation = reaction.conversation
        key = keys.threads(_chat(conversation))
        threads: set[str] = await self._store.attempt(lambda: self._store.redis.smembers(key))
        others = sorted(threads - {conversation.thread}, key=lambda thread: (len(thread), thread), reverse=True)
        # Message ids are unique in a chat: one of its threads has it, or none.
        return bool(others) and await self._count(
            [replace(reaction, conversation=replace(conversation, thread=other)) for other in others[:MOST_THREADS]]
        )

    async def scores(self) -> list[Score]:
        """Of all models that were voted for, the one with the most votes first."""

        async def work() -> list[Mapping[str, str]]:
            pipe = self._store.redis.pipeline(transaction=False)
            for partition in range(keys.PARTITIONS):
                pipe.hgetall(keys.feedback(partition))
            return await pipe.execute()

        counts: Counter[tuple[str, str]] = Counter()
        for found in await self._store.attempt(work):
            for name, amount in found.items():
                model, _, verdict = name.rpartition(":")
                counts[model, verdict] += int(amount)
        scores = [
            # Below 0 is a vote taken back whose count had expired.
            Score(model, max(0, counts[model, Verdict.UP]), max(0, counts[model, Verdict.DOWN]))
            for model in sorted({model for model, _ in counts})
        ]
        # What was taken back in full is no vote.
        return sorted((s for s in scores if s.up or s.down), key=lambda s: s.up + s.down, reverse=True)

    async def _count(self, reactions: Sequence[Reaction]) -> bool:
        calls: list[tuple[Sequence[str], Sequence[str | int | float]]] = []
        for reaction in reactions:
            place = ConversationKeys.of(reaction.conversation)
            voter = hashlib.sha256(f"{reaction.conversation.bot}:{reaction.voter}".encode()).hexdigest()[:16]
            arguments = (
                reaction.message_id,
                voter,
                reaction.verdict,
                int(reaction.at),
                self._keep_seconds,
                keys.USAGE_SECONDS,
            )
            calls.append(([*conversation_keys(place, feedback=keys.feedback(place.partition)), place.votes], arguments))
        return any(await self._store.run_many("vote", calls))


def _chat(conversation: ConversationKey) -> str:
    return f"{conversation.platform}:{conversation.bot}:{conversation.chat}"
