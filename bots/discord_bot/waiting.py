"""Calls on their way into Redis, each with its first answer to Discord within three seconds.

Normally a call is in Redis first and deferred then: a person whose call is lost with the process reads from Discord
that there was no answer. Where Redis is slow the call is deferred first, and goes in later; where it does not go in at
all, its caller is told by the interaction's token. Calls do not wait behind messages: they have a queue of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from bots.adapter import Inbox
from bots.discord_bot.interactions import DEFERRED_MESSAGE, Deferrals
from bots.discord_bot.layout import NO_MENTIONS
from bots.discord_bot.rest import Rest
from core.errors import OutboundError, OutboundFault, StorageError
from core.message import Incoming
from core.tasks import end
from core.texts import say

DEFER_SECONDS = 1.0
"""After so long a call is deferred, in Redis or not."""
GIVE_UP_SECONDS = 30.0
"""A call that is not in Redis by then is not carried out: its caller is told."""
TRY_SECONDS = 5.0
"""One try to hand a batch over. What came meanwhile goes with the next."""
PAUSE = 0.1
MAX_BATCH = 100
TELL_PAUSES = (0.5, 3.0)
"""Seconds between tries to tell a caller."""
MAX_WAITING = 5000
"""Over it, calls are refused with a word."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Ticket:
    """One interaction that a call comes from, and how far its first answer is."""

    application: str
    interaction: str
    token: str
    language: str
    ephemeral: bool
    """The answer is for the caller alone."""
    at: float
    """When it came, by the monotonic clock."""
    timer: asyncio.TimerHandle | None = None
    is_deferred: bool = False

    @classmethod
    def of(cls, payload: dict[str, Any], *, ephemeral: bool) -> Ticket:
        """For an INTERACTION_CREATE that comes now."""
        token, language = payload["token"], payload.get("locale", "")
        return cls(payload["application_id"], payload["id"], token, language, ephemeral, time.monotonic())


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    incoming: Incoming
    ticket: Ticket | None
    then: Callable[[], None] | None
    at: float


class Waiting:
    """The queue of one process. :meth:`drain` it once."""

    def __init__(self, rest: Rest, deferrals: Deferrals) -> None:
        self._rest = rest
        self._deferrals = deferrals
        self._entries: list[_Entry] = []
        self._news = asyncio.Event()
        self._telling: set[asyncio.Task[None]] = set()

    def begin(self, ticket: Ticket, age: float) -> None:
        """Has the interaction deferred in time. ``age`` in seconds: how long ago it was made."""
        delay = min(max(0.0, DEFER_SECONDS - age), DEFER_SECONDS)
        ticket.timer = asyncio.get_running_loop().call_later(delay, self._defer, ticket)

    def put(
        self, incoming: Incoming, then: Callable[[], None] | None = None, ticket: Ticket | None = None
    ) -> Callable[[], None]:
        """Takes a value in; ``then`` is called once it is in Redis. Never blocks. With a ticket, its caller is told
        where it does not come to that; without, nobody is. What it returns takes the value back, if it still waits."""
        entry = _Entry(incoming, ticket, then, ticket.at if ticket else time.monotonic())
        if len(self._entries) < MAX_WAITING:
            self._entries.append(entry)
            self._news.set()
        else:
            log.error("too many calls wait for the storage", waiting=len(self._entries))
            if ticket:
                self.refuse(ticket)
        return partial(self._take_out, [entry])

    def refuse(self, ticket: Ticket, sentence: str = "call_lost") -> None:
        """Tells the caller that the call is not carried out."""
        self._defer(ticket)
        task = asyncio.create_task(self._tell(ticket, sentence))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def drain(self, inbox: Inbox) -> None:
        """Hands everything to the inbox, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._entries:
                if not await self._hand_over(inbox):
                    await asyncio.sleep(PAUSE)
                    self._give_up(time.monotonic() - GIVE_UP_SECONDS)

    async def finish(self, inbox: Inbox, seconds: float) -> None:
        """Before the end: one last try for what still waits; all of it is answered."""
        for entry in self._entries:
            if entry.ticket:
                self._defer(entry.ticket)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._entries:
                    if not await self._hand_over(inbox):
                        await asyncio.sleep(PAUSE)
        self._give_up(time.monotonic())
        if self._telling:
            await asyncio.wait(self._telling, timeout=seconds)
        await end(self._telling)

    async def _hand_over(self, inbox: Inbox) -> bool:
        """The oldest batch; whether the inbox has it."""
        batch = self._entries[:MAX_BATCH]
        try:
            async with asyncio.timeout(TRY_SECONDS):
                too_many = await inbox.accept([entry.incoming for entry in batch]) or ()
        except (StorageError, TimeoutError) as error:
            log.warning("the storage does not take calls", error=str(error), waiting=len(self._entries))
            return False
        except Exception:
            # Whatever it is, the calls after these may not wait for it.
            log.exception("calls could not be taken", count=len(batch))
            self._take_out(batch)
            self._refuse_all(batch)
            return True
        self._take_out(batch)
        for entry in batch:
            if entry.ticket and entry.incoming in too_many:
                # A notice that stands for many is shown in one place, and this would wait in vain.
                self.refuse(entry.ticket, "call_too_many")
            elif entry.ticket:
                self._defer(entry.ticket)
            if entry.then:
                entry.then()
        return True

    def _give_up(self, before: float) -> None:
        late = [entry for entry in self._entries if entry.at <= before]
        self._take_out(late)
        if late:
            log.error("calls were not taken", count=len(late))
            self._refuse_all(late)

    def _take_out(self, entries: Sequence[_Entry]) -> None:
        gone = {*entries}
        self._entries = [entry for entry in self._entries if entry not in gone]

    def _refuse_all(self, entries: Sequence[_Entry]) -> None:
        for entry in entries:
            if entry.ticket:
                self.refuse(entry.ticket)

    def _defer(self, ticket: Ticket) -> None:
        if ticket.timer:
            ticket.timer.cancel()
        if not ticket.is_deferred:
            ticket.is_deferred = True
            self._deferrals.start(ticket.interaction, ticket.token, DEFERRED_MESSAGE, ephemeral=ticket.ephemeral)

    async def _tell(self, ticket: Ticket, sentence: str) -> None:
        await self._deferrals.wait(ticket.token)
        path = f"/webhooks/{ticket.application}/{ticket.token}/messages/@original"
        body = {"content": say(sentence, ticket.language), "allowed_mentions": NO_MENTIONS}
        for pause in (*TELL_PAUSES, None):
            try:
                await self._rest.call("PATCH", path, body)
                return
            except OutboundError as error:
                if pause is None or error.fault not in (OutboundFault.TRANSIENT, OutboundFault.RATE_LIMITED):
                    log.info("a caller could not be told", interaction=ticket.interaction, cause=str(error))
                    return
            await asyncio.sleep(pause)
