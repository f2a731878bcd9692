"""Which message ids are known, so that a send whose outcome is not known can be found again.

Telegram numbers the messages of all private chats and basic groups of a bot by one counter, and those of each
supergroup by a counter of its own. A message that was created after another one has a higher number.

All processes of a bot tell each other what they know, half a second later: receivers what came in, workers what they
sent and for which turn. It is read only when something is looked for.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from core.errors import StorageError
from core.tasks import end

log = structlog.get_logger()

MAX_COUNTERS = 5_000
"""Groups remembered; the one unseen for longest is forgotten first."""
MAX_SHARED = 5_000
"""Ids remembered of the counter of private chats and basic groups."""
MAX_RECENT = 128
"""The same of a supergroup's counter."""
TELL_SECONDS = 0.5
MAX_UNTOLD = 10_000
"""Ids that wait to be told while the storage is away; of more than these, the oldest are not told."""
_SUPERGROUP = "-100"
_CAME = "-"
"""In place of a turn: a message of someone else."""


class Tellings(Protocol):
    """How processes tell each other (``core.storage.shared.Sightings``). Both raise StorageError."""

    async def tell(self, text: str) -> None: ...

    async def hear(self) -> list[str]: ...


@dataclass(slots=True)
class _Counter:
    highest: int = 0
    known: dict[int, str] = field(default_factory=dict[int, str])
    """Id -> mark of the turn that it was sent for."""


class Seen:
    """The ids that this process has seen, sent and received, and has heard of from the others of the bot."""

    def __init__(self, tellings: Tellings | None = None) -> None:
        """Without ``tellings`` it is this process's knowledge alone."""
        self._tellings = tellings
        self._counters: dict[str, _Counter] = {}
        self._untold: list[str] = []
        self._telling: asyncio.Task[None] | None = None

    def came(self, chat: str, message_id: int) -> None:
        """A message of someone else."""
        self._add(_name(chat), message_id, _CAME)
        if not _name(chat):
            # In a supergroup it would only spare a look: nothing but its own messages lies between.
            self._tell("", message_id, _CAME)

    def sent(self, chat: str, message_id: int, turn: str) -> None:
        """A message of ours, once its id is known."""
        self._add(_name(chat), message_id, _mark(turn))
        self._tell(_name(chat), message_id, _mark(turn))

    def reached(self, chat: str, message_id: int) -> None:
        """The chat's counter is at least so far."""
        counter = self._counter(_name(chat))
        counter.highest = max(counter.highest, message_id)

    def highest(self, chat: str) -> int:
        return self._counter(_name(chat)).highest

    def is_other(self, chat: str, message_id: int, turn: str) -> bool:
        """Whether it is known to be something else than a message of the turn."""
        return self._counter(_name(chat)).known.get(message_id, _mark(turn)) != _mark(turn)

    def of_turn(self, chat: str, turn: str) -> Iterable[int]:
        """Ids of messages that were sent for the turn."""
        mark = _mark(turn)
        return [number for number, by in self._counter(_name(chat)).known.items() if by == mark]

    async def learn(self) -> None:
        """Hears what the others told. Raises StorageError."""
        if self._tellings is None:
            return
        for text in await self._tellings.hear():
            for word in text.split():
                counter, number, mark = word.rsplit(":", 2)
                self._add(counter, int(number), mark)

    async def tell(self) -> None:
        """Tells the others what this process has seen, now. While the storage is away it is kept for later."""
        told, self._untold = self._untold, []
        if not told or self._tellings is None:
            return
        try:
            await self._tellings.tell(" ".join(told))
        except (StorageError, asyncio.CancelledError) as error:
            self._untold = [*told, *self._untold][-MAX_UNTOLD:]
            if not isinstance(error, StorageError):
                raise
            log.debug("telegram: other processes were not told what was sent", cause=str(error))

    async def close(self) -> None:
        """Tells what is left to tell."""
        if self._telling is not None:
            await end([self._telling])
        await self.tell()

    def _tell(self, counter: str, message_id: int, mark: str) -> None:
        if self._tellings is None:
            return
        self._untold.append(f"{counter}:{message_id}:{mark}")
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_soon(), name="telegram sightings")

    async def _tell_soon(self) -> None:
        while self._untold:
            await asyncio.sleep(TELL_SECONDS)
            await self.tell()

    def _add(self, name: str, message_id: int, mark: str) -> None:
        counter = self._counter(name)
        counter.highest = max(counter.highest, message_id)
        counter.known[message_id] = mark
        if len(counter.known) > (MAX_RECENT if name else MAX_SHARED):
            del counter.known[next(iter(counter.known))]

    def _counter(self, name: str) -> _Counter:
        counter = self._counters.pop(name, None) or _Counter()
        self._counters[name] = counter
        if len(self._counters) > MAX_COUNTERS:
            del self._counters[next(iter(self._counters))]
        return counter


def _name(chat: str) -> str:
    """The counter's; empty for the one of private chats and basic groups."""
    return chat if chat.startswith(_SUPERGROUP) else ""


def _mark(turn: str) -> str:
    return f"{zlib.crc32(turn.encode()):08x}"
