"""Workers take conversations: the lease, then turn after turn, oldest first, until the mailbox is empty."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from core import faults
from core.conversation.history import Answer, count_tokens
from core.conversation.mailbox import LEASE_SECONDS, Bot, Mailbox
from core.conversation.turn import Turn, Work, share_of
from core.engine import MAX_TAKEOVERS, Engine
from core.errors import LeaseLost, StorageError
from core.fair import FairQueue
from core.message import ConversationKey
from core.parts import Ending, Part, Usage
from core.storage.failed import Failure, Kind, cause_of
from core.strain import Strain
from core.tasks import end

log = structlog.get_logger()

SWEEP_SECONDS = 1.0
RETRY_SECONDS = 1.0
CROWDED_SECONDS = 0.05
MOST_HEARD = 64
"""Wake-ups taken at once: few enough that other workers get their part."""
MOST_SWEPT = 200
"""Of each partition in one sweep."""
MOST_QUEUED = 10_000
"""Conversations waiting for room in this process. More are left in Redis, where sweeps find them."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of an answer: its whole text as Markdown, how it ended, what it took."""

    text: str
    ending: Ending
    usage: Usage
    causes: tuple[str, ...] = ()
    """What failed while the answer was made."""
    undelivered: str = ""
    """Why the platform did not take all of it."""
    closed: bool = False
    """Nothing can be written there any more: what waits is dropped."""


class Deliver(Protocol):
    """Shows an answer on its platform and returns when the last edit is done; notes created messages in the turn."""

    async def __call__(self, turn: Turn, parts: AsyncGenerator[Part]) -> Delivered: ...


class Worker:
    """Answers conversations, many at once, one turn at a time in each; spaces take turns where there is no room."""

    def __init__(self, mailbox: Mailbox, engine: Engine, deliver: Deliver, *, max_concurrent: int) -> None:
        self._mailbox = mailbox
        self._engine = engine
        self._deliver = deliver
        self._strain = Strain(max_concurrent)
        self._bots: set[Bot] = set()
        self._tasks: dict[ConversationKey, asyncio.Task[None]] = {}
        self._turns: dict[ConversationKey, Turn] = {}
        self._shares: dict[ConversationKey, str] = {}
        """Of the conversations that are answered or wait: the space, or the chat itself where there is none."""
        self._active: Counter[str] = Counter()
        """Conversations of a share that are being answered."""
        self._queue: FairQueue[ConversationKey] = FairQueue()
        self._woken: set[ConversationKey] = set()
        """Woken again while they were busy."""
        self._draining = False

    def serve(self, bot: Bot) -> None:
        """From now on this process can show answers as that bot. The turns of all others are left alone."""
        self._bots.add(bot)

    def wake(self, work: Work) -> None:
        """A hint that the conversation has work. The truth is in the mailbox."""
        conversation = work.conversation
        if Bot(conversation.platform, conversation.bot) in self._bots:
            self._wake(conversation, share_of(work))

    def _wake(self, conversation: ConversationKey, share: str) -> None:
        if conversation in self._tasks:
            self._woken.add(conversation)
        elif not self._draining and conversation not in self._queue and len(self._queue) < MOST_QUEUED:
            self._enqueue(conversation, share)
            self._fill()

    def _wake_later(self, conversation: ConversationKey, seconds: float) -> None:
        """Should this process end before, a sweep finds it."""
        asyncio.get_running_loop().call_later(seconds, self._wake, conversation, self._shares[conversation])

    async def run(self) -> None:
        """Finds what lost wake-ups and dead workers left, until cancelled."""
        own = True  # what this worker held before it died is its own again at once
        while True:
            try:
                if self._bots:
                    for work in await self._mailbox.waiting(self._bots, own=own, most=MOST_SWEPT):
                        if work.conversation not in self._tasks:
                            self.wake(work)
                    own = False
            except StorageError as error:
                log.warning("sweep failed", cause=str(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def listen(self) -> None:
        """Hears wake-ups and calls of other processes, until cancelled."""
        while True:
            try:
                heard = await self._mailbox.wake_ups(self._bots, MOST_HEARD)
                called = [turn for work in heard if (turn := self._turns.get(work.conversation))]
                await self._mailbox.renew(called)
            except StorageError as error:
                log.warning("wake-ups not heard", cause=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for work in heard:
                self.wake(work)
            if len(self._queue) > 0:
                # No room: a worker that has some goes first.
                await asyncio.sleep(CROWDED_SECONDS)

    async def renew(self) -> None:
        """Keeps the leases of all open turns, until cancelled."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                await self._mailbox.renew(list(self._turns.values()))
            except StorageError as error:
                log.warning("leases not renewed", cause=str(error))

    async def measure(self) -> None:
        """Takes on as many conversations as the processor bears, until cancelled."""
        while True:
            await self._strain.tick(len(self._tasks), len(self._queue))
            self._fill()

    async def drain(self, grace_seconds: float) -> None:
        """Takes nothing new, finishes what is open within the grace time, hands the rest over."""
        self._draining = True
        self._queue.clear()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=grace_seconds)
        left = list(self._turns.values())
        await end(list(self._tasks.values()))
        # All at once: while the storage is away each of them takes its time.
        await asyncio.gather(*map(self._hand_over, left))

    async def _hand_over(self, turn: Turn) -> None:
        """Another worker goes on with it now, or after the lease's end if this fails."""
        try:
            await self._mailbox.release(turn)
        except (LeaseLost, StorageError) as error:
            log.warning("turn not handed over", turn=turn.id, cause=str(error))

    def _enqueue(self, conversation: ConversationKey, share: str) -> None:
        self._shares[conversation] = share
        self._queue.push(share, conversation)

    def _may(self, share: str) -> bool:
        """One share never takes all the places, however much it has to do: the next one to come finds some."""
        return self._active[share] < max(1, self._strain.limit // 2)

    def _fill(self) -> None:
        while len(self._tasks) < self._strain.limit and not self._draining:
            conversation = self._queue.pop(self._may)
            if conversation is None:
                return
            self._active[self._shares[conversation]] += 1
            task = asyncio.create_task(self._converse(conversation), name=f"conversation {conversation}")
            self._tasks[conversation] = task
            task.add_done_callback(partial(self._done, conversation))

    def _done(self, conversation: ConversationKey, _: asyncio.Task[None]) -> None:
        self._tasks.pop(conversation, None)
        self._turns.pop(conversation, None)
        share = self._shares.pop(conversation)
        self._active[share] -= 1
        if not self._active[share]:
            del self._active[share]
        if conversation in self._woken:
            self._woken.discard(conversation)
            self._enqueue(conversation, share)
        self._fill()

    async def _converse(self, conversation: ConversationKey) -> None:
        turn: Turn | None = None
        while True:
            try:
                if turn is None:
                    if self._draining:
                        return
                    turn = await self._mailbox.take(conversation, partial(self._wake_later, conversation))
                    faults.reached("taken")
                if turn is None:
                    return
                self._turns[conversation] = turn
                turn = await self._answer(turn)
                if turn is not None and self._draining:
                    await self._hand_over(turn)
                    return
                if turn is None:
                    return
            except LeaseLost as error:
                # Another worker's, or nobody's when it was only not renewed in time: taking it tells.
                log.warning("lease lost", conversation=str(conversation), cause=str(error))
                turn = None
                self._turns.pop(conversation, None)
            except Exception as error:
                # The turn stays open: taking it again counts as a takeover, and too many end it with a notice.
                log.exception("turn failed", conversation=str(conversation))
                failed = self._turns.get(conversation)
                await self._note_cause(failed, error)
                # It stays among the turns until then, so that a process that ends hands it over.
                await asyncio.sleep(RETRY_SECONDS)
                turn = None
                self._turns.pop(conversation, None)
                if self._draining and failed is not None:
                    await self._hand_over(failed)
                    return

    async def _note_cause(self, turn: Turn | None, error: Exception) -> None:
        if turn is not None and not isinstance(error, StorageError):
            with contextlib.suppress(LeaseLost, StorageError):
                await self._mailbox.failed(turn, cause_of(error))

    async def _answer(self, turn: Turn) -> Turn | None:
        try:
            # In whose name and language it is shown has to be known before there is an answer.
            await self._engine.know(turn)
            async with aclosing(self._engine.respond(turn)) as parts:
                delivered = await self._deliver(turn, parts)
        except (LeaseLost, StorageError):
            raise
        except Exception:
            if turn.takeovers <= MAX_TAKEOVERS:
                raise
            log.exception("turn closed without an answer", turn=turn.id)
            delivered = Delivered("", Ending.FAILED, Usage())
        failure = _failure(turn, delivered)
        await self._engine.delivered(turn)
        turn.check_lease()
        usage = delivered.usage
        if not usage.calls and delivered.text:
            usage = self._engine.estimate(turn, delivered.text)
        pages = tuple(turn.pages[number] for number in sorted(turn.pages))
        answer = Answer(delivered.text, pages, delivered.ending, usage.model, usage.cost)
        log.info(
            "answered",
            turn=turn.id,
            ending=str(delivered.ending),
            model=usage.model,
            calls=usage.calls,
            pages=len(pages),
            cost=usage.cost,
        )
        if delivered.closed:
            await self._mailbox.leave(turn.conversation)
        faults.reached("edited")
        later = partial(self._wake_later, turn.conversation)
        tokens = count_tokens(delivered.text)
        return await self._mailbox.finish(turn, answer.to_payload(), tokens, failure, later)


def _failure(turn: Turn, delivered: Delivered) -> Failure | None:
    """What is kept for the owner about a turn that is closed without its answer."""
    if turn.unreadable:
        return Failure(Kind.ENTRY, (turn.unreadable,))
    if turn.takeovers > MAX_TAKEOVERS:
        return Failure(Kind.TURN, (*turn.causes, f"given up after {turn.takeovers} takeovers"))
    if delivered.undelivered:
        return Failure(Kind.DELIVERY, (delivered.undelivered,))
    if delivered.ending is Ending.FAILED and delivered.causes:
        return Failure(Kind.MODEL, delivered.causes)
    return None
