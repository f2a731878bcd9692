"""What is said beside the bot, where a space's administrators had it read along: it is kept for a while, and becomes a
part of the history with the next question there, so that the answer knows what was talked about.

It is no turn and wakes no worker. Of a flood the newest count, and in a process only so many a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core import clock
from core.conversation.history import Question
from core.message import Message
from core.people.hearing import LONGEST_OVERHEARD
from core.storage.client import Store, conversation_keys
from core.storage.keys import HEARD_SECONDS, ConversationKeys

MOST = 50
"""Messages kept of one conversation."""
MOST_PER_SECOND = 200
"""Messages that one process keeps: over it they are let go, so that questions do not wait for gossip."""


class Overheard:
    """All conversations' messages that are for others."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._second = 0.0
        self._kept = 0

    async def keep(self, messages: Sequence[Message]) -> None:
        """In one round trip. What has no words, or is too much, is let go. Raises StorageError."""
        messages = self._bounded([message for message in messages if message.text])
        if not messages:
            return
        calls: list[tuple[Sequence[str], Sequence[str | int | float]]] = []
        for message in messages:
            question = Question.of(replace(message, text=message.text[:LONGEST_OVERHEARD], attachments=()))
            keys = ConversationKeys.of(message.conversation)
            payload = self._store.texts.seal_json(question.to_payload(), keys.name)
            arguments = (MOST, HEARD_SECONDS, message.id, question.tokens, payload, int(message.edited))
            calls.append((conversation_keys(keys), arguments))
        await self._store.run_many("overhear", calls)

    def _bounded(self, messages: Sequence[Message]) -> Sequence[Message]:
        now = clock.seconds()
        if now >= self._second + 1:
            self._second, self._kept = now, 0
        room = max(0, MOST_PER_SECOND - self._kept)
        self._kept += min(room, len(messages))
        return messages[:room]
