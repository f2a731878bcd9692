"""Workers take conversations: the lease, then turn after turn, oldest first, until the mailbox is empty."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import structlog

from core import faults
from core.conversation.history import Answer, count_tokens
from core.conversation.mailbox import LEASE_SECONDS, Mailbox, Turn
from core.engine import MAX_TAKEOVERS, Engine
from core.errors import LeaseLost, StorageError
from core.message import ConversationKey, Platform
from core.parts import Ending, Part, Usage
from core.tasks import end

log = structlog.get_logger()

SWEEP_SECONDS = 1.0
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of an answer: its whole text as Markdown, how it ended, what it took."""

    text: str
    ending: Ending
    usage: Usage


class Deliver(Protocol):
    """Shows an answer on its platform and returns when the last edit is done; notes created messages in the turn."""

    async def __call__(self, turn: Turn, parts: AsyncGenerator[Part]) -> Delivered: ...


class Worker:
    """Answers conversations, many at once, one turn at a time in each."""

    def __init__(
        self,
        mailbox: Mailbox,
        engine: Engine,
        deliver: Deliver,
        platforms: frozenset[Platform],
        *,
        max_concurrent: int,
    ) -> None:
        """``platforms`` are those that this process can show answers on; it leaves the others' turns alone."""
        self._mailbox = mailbox
        self._engine = engine
        self._deliver = deliver
        self._platforms = platforms
        self._max_concurrent = max_concurrent
        self._tasks: dict[ConversationKey, asyncio.Task[None]] = {}
        self._turns: dict[ConversationKey, Turn] = {}
        self._woken: set[ConversationKey] = set()
        """Woken again while they were busy."""
        self._queue: dict[ConversationKey, None] = {}
        """Woken when there was no room, in the order of waking."""
        self._draining = False

    @property
    def busy(self) -> int:
        """Conversations being answered now."""
        return len(self._tasks)

    def wake(self, conversation: ConversationKey) -> None:
        """A hint that the conversation has work. The truth is in the mailbox."""
        if self._draining or conversation.platform not in self._platforms:
            return
        if conversation in self._tasks:
            self._woken.add(conversation)
        elif len(self._tasks) >= self._max_concurrent:
            self._queue[conversation] = None
        else:
            task = asyncio.create_task(self._converse(conversation), name=f"conversation {conversation}")
            self._tasks[conversation] = task
            task.add_done_callback(lambda _: self._done(conversation))

    def interrupt(self, conversation: ConversationKey, reason: str, is_meant: Callable[[Turn], bool]) -> None:
        """Ends the answer being made here, if its turn is the one that is meant: it may be the next one by now."""
        turn = self._turns.get(conversation)
        if turn is not None and is_meant(turn):
            turn.interrupt(reason)

    async def run(self) -> None:
        """Renews leases and finds what lost wake-ups and dead workers left, until cancelled."""
        own = True  # what this worker held before it died is its own again at once
        while True:
            try:
                for conversation in await self._mailbox.waiting(own=own):
                    if conversation not in self._tasks and conversation not in self._queue:
                        self.wake(conversation)
                own = False
            except StorageError as error:
                log.warning("sweep failed", cause=str(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def renew(self) -> None:
        """Keeps the leases of all open turns, until cancelled."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                await self._mailbox.renew(list(self._turns.values()))
            except StorageError as error:
                log.warning("leases not renewed", cause=str(error))

    async def drain(self, grace_seconds: float) -> None:
        """Takes nothing new, finishes what is open within the grace time, hands the rest over."""
        self._draining = True
        self._queue.clear()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=grace_seconds)
        left = list(self._turns.values())
        await end(list(self._tasks.values()))
        for turn in left:
            try:
                await self._mailbox.release(turn)
            except (LeaseLost, StorageError) as error:
                log.warning("turn not handed over", turn=turn.id, cause=str(error))

    def _done(self, conversation: ConversationKey) -> None:
        self._tasks.pop(conversation, None)
        self._turns.pop(conversation, None)
        if conversation in self._woken:
            self._woken.discard(conversation)
            self._queue[conversation] = None
        while self._queue and len(self._tasks) < self._max_concurrent and not self._draining:
            following = next(iter(self._queue))
            del self._queue[following]
            self.wake(following)

    async def _converse(self, conversation: ConversationKey) -> None:
        turn: Turn | None = None
        while True:
            try:
                if turn is None:
                    if self._draining:
                        return
                    turn = await self._mailbox.take(conversation)
                    faults.reached("taken")
                if turn is None:
                    return
                self._turns[conversation] = turn
                turn = await self._answer(turn)
                if turn is not None and self._draining:
                    await self._mailbox.release(turn)
                    return
                if turn is None:
                    return
            except LeaseLost as error:
                # Another worker's, or nobody's when it was only not renewed in time: taking it tells.
                log.warning("lease lost", conversation=str(conversation), cause=str(error))
                turn = None
                self._turns.pop(conversation, None)
            except Exception:
                # The turn stays open: taking it again counts as a takeover, and too many end it with a notice.
                log.exception("turn failed", conversation=str(conversation))
                turn = None
                self._turns.pop(conversation, None)
                await asyncio.sleep(RETRY_SECONDS)

    async def _answer(self, turn: Turn) -> Turn | None:
        try:
            async with aclosing(self._engine.respond(turn)) as parts:
                delivered = await self._deliver(turn, parts)
        except (LeaseLost, StorageError):
            raise
        except Exception:
            if turn.takeovers <= MAX_TAKEOVERS:
                raise
            log.exception("turn closed without an answer", turn=turn.id)
            delivered = Delivered("", Ending.FAILED, Usage())
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
        faults.reached("edited")
        return await self._mailbox.finish(turn, answer.to_payload(), count_tokens(delivered.text), usage)
