"""What has been received and is not yet in Redis: in order, bounded, handed over in batches. Commands and presses,
which Discord wants answered at once, have a queue of their own (``waiting.py``).

Discord never sends an event again, so what waits here is kept until the inbox has taken it. Over the bound the
newest is dropped and ``on_overflow`` is called once the rest is through: the channels' history still has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from bots.adapter import Inbox
from core.errors import StorageError
from core.message import Arrival, Incoming, Message, Reacted, Sighting

MAX_BATCH = 100
MAX_PAUSE = 5.0
"""Longest pause, in seconds, between two tries to reach Redis."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Received:
    """An event."""

    incoming: Incoming
    at: float
    """When it came, by the monotonic clock."""


class Intake:
    """A queue with one consumer. Conversations that are being caught up are held back, the others are not."""

    def __init__(self, on_overflow: Callable[[], None], most: int) -> None:
        self._on_overflow = on_overflow
        self._most = most
        self._waiting: deque[Received] = deque()
        self._held: dict[str, list[Received]] = {}
        self._news = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()
        self._lost = 0
        self._unseen = 0
        """What the rules were not shown since the last time that nothing waited."""

    def put(self, incoming: Incoming) -> None:
        """Takes an event in. Never blocks."""
        waiting = len(self._waiting) + sum(map(len, self._held.values()))
        if waiting >= self._most // 2 and self._gives_way(incoming):
            return
        if waiting >= self._most:
            self._lost += 1
            return
        received = Received(incoming, time.monotonic())
        held = self._held.get(incoming.conversation.chat)
        if held is None:
            self._waiting.append(received)
            self._news.set()
        else:
            held.append(received)

    def _gives_way(self, incoming: Incoming) -> bool:
        """What is for others, or for the rules alone, makes room for questions, and is not looked up again."""
        if isinstance(incoming, Sighting | Arrival | Reacted):
            if not self._unseen:
                log.warning("the rules do not see everything: too much waits for the storage")
            self._unseen += 1
            return True
        return isinstance(incoming, Message) and incoming.overheard

    def pause(self) -> None:
        """Nothing goes on until :meth:`hold` has said which channels wait for their history."""
        self._open.clear()

    def hold(self, channels: Collection[str]) -> None:
        """Keeps what comes, and what has come, in these channels back until :meth:`release`; lets the others go on."""
        held: dict[str, list[Received]] = {channel: [] for channel in channels}
        earlier = [*self._waiting, *(received for parked in self._held.values() for received in parked)]
        self._waiting, self._held = deque(), held
        for received in earlier:
            parked = held.get(received.incoming.conversation.chat)
            (self._waiting if parked is None else parked).append(received)
        self._open.set()
        self._news.set()

    def park(self, channel: str) -> None:
        """Keeps what comes in one more channel back until :meth:`release`."""
        self._held.setdefault(channel, [])

    def release(self, channel: str, missed: Collection[Incoming]) -> None:
        """What was missed goes before what came meanwhile."""
        now = time.monotonic()
        self._waiting.extend(Received(incoming, now) for incoming in missed)
        self._waiting.extend(self._held.pop(channel, ()))
        self._news.set()

    @property
    def age(self) -> float:
        """Seconds for which the oldest that is not stored yet has been here; 0.0 when all is stored."""
        every = (self._waiting, *self._held.values())
        oldest = min((received.at for some in every for received in some), default=None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    async def drain(self, inbox: Inbox) -> None:
        """Hands everything to the inbox, for ever."""
        while True:
            await self._news.wait()
            await self._open.wait()
            self._news.clear()
            while self._waiting and self._open.is_set():
                await self._hand_over(inbox)
            if self._unseen and not self._waiting:
                log.warning("the rules see everything again", unseen=self._unseen)
                self._unseen = 0
            if self._lost and not self._waiting:
                log.warning("messages were dropped and are looked up again", count=self._lost)
                self._lost = 0
                self._on_overflow()

    async def finish(self, inbox: Inbox, seconds: float) -> None:
        """Before the end: one last try for what still waits.

        Channels that wait for their history lack what was missed before. What is new there stays out: who receives
        next looks from the last message on that was stored, and finds both.
        """
        for parked in self._held.values():
            parked[:] = [received for received in parked if not _is_in_history(received.incoming)]
        self.hold(())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._waiting:
                    await self._hand_over(inbox)
        if self._waiting:
            log.error("messages could not be stored before the end", count=len(self._waiting))

    async def _hand_over(self, inbox: Inbox) -> None:
        """The oldest batch. It leaves the queue only when the inbox has it."""
        pause = 0.1
        while True:
            batch = [self._waiting[i] for i in range(min(MAX_BATCH, len(self._waiting)))]
            try:
                await inbox.accept([received.incoming for received in batch])
                break
            except StorageError as error:
                log.warning("the storage does not take messages", error=str(error), waiting=len(self._waiting))
                await asyncio.sleep(pause)
                pause = min(MAX_PAUSE, pause * 2)
        # hold() may have changed the queue meanwhile: what is accepted is taken out by identity.
        done = {id(received) for received in batch}
        self._waiting = deque(received for received in self._waiting if id(received) not in done)
        for parked in self._held.values():
            parked[:] = [received for received in parked if id(received) not in done]


def _is_in_history(incoming: Incoming) -> bool:
    return isinstance(incoming, Message | Sighting) and not incoming.edited
