"""Which message ids are known, so that a send whose outcome is not known can be found again.

Telegram numbers the messages of all private chats and basic groups of a bot by one counter, and those of each
supergroup by a counter of its own. A message that was created after another one has a higher number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_COUNTERS = 5_000
"""Groups remembered; the one unseen for longest is forgotten first."""
MAX_RECENT = 512
"""Ids remembered for each counter."""
_SUPERGROUP = "-100"


@dataclass(slots=True)
class _Counter:
    highest: int = 0
    recent: dict[int, None] = field(default_factory=dict[int, None])


class Seen:
    """The ids this process has seen, sent and received. Memory only: after a crash a slot's mark takes its place."""

    def __init__(self) -> None:
        self._counters: dict[str, _Counter] = {}

    def add(self, chat: str, message_id: int) -> None:
        counter = self._counter(chat)
        counter.highest = max(counter.highest, message_id)
        counter.recent[message_id] = None
        if len(counter.recent) > MAX_RECENT:
            del counter.recent[next(iter(counter.recent))]

    def highest(self, chat: str) -> int:
        return self._counter(chat).highest

    def has(self, chat: str, message_id: int) -> bool:
        return message_id in self._counter(chat).recent

    def _counter(self, chat: str) -> _Counter:
        name = chat if chat.startswith(_SUPERGROUP) else ""
        counter = self._counters.pop(name, None) or _Counter()
        self._counters[name] = counter
        if len(self._counters) > MAX_COUNTERS:
            del self._counters[next(iter(self._counters))]
        return counter
