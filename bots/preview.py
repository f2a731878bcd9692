"""The preview of an answer in a private chat: shown again before it is forgotten, until the message is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from bots.adapter import Outbound, Page, Slot, Target
from bots.pacing import Kind, Pacer
from core import clock
from core.conversation.turn import Turn
from core.errors import LeaseLost, OutboundError, OutboundFault
from core.tasks import end

log = structlog.get_logger()

RENEWED_AFTER = 2 / 3
"""Of a preview's life; what is left is for the calls that are in the way."""
RETRY_SECONDS = 2.0
"""Until the next try, when a preview that is due could not be shown."""
STOPPABLE_AFTER_SECONDS = 1.5
"""A button to stop an answer that is there in a moment would only flicker."""
FINAL = frozenset((OutboundFault.FORBIDDEN, OutboundFault.CLOSED, OutboundFault.MOVED, OutboundFault.FORM))
"""Faults that the message itself would meet too: no optional call passes over them."""
THINKING = Page("", 0)
"""Tells that an answer is being made."""


class Preview:
    """One answer's preview, its pages one after the other."""

    def __init__(self, turn: Turn, target: Target, outbound: Outbound, pacer: Pacer) -> None:
        able = outbound.capabilities
        self._turn, self._target, self._outbound, self._pacer = turn, target, outbound, pacer
        self._chat, self._group = target.conversation.chat, not target.private
        self._life = able.draft_lifetime
        self.works = able.drafts and target.private
        """The platform has previews here; False from the first one on that it refuses."""
        self.thinks = self.works
        """Also of answers without a word yet; older servers want one."""
        self._number = 0
        self._newest: Page | None = None
        """What it is to look like; None while there is none."""
        self._shown: tuple[int, Page, bool] | None = None
        """Its number, how it looks, and whether it has the button."""
        self._shown_at = 0.0
        self._lock = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None
        self._began = clock.seconds()

    async def show(self, number: int, page: Page) -> None:
        """Shows a page, where there is room for that. Raises OutboundError for a fault that is FINAL."""
        self._number, self._newest = number, page
        if self._shown == (number, page, self._stoppable) or not self._pacer.may(self._chat, self._group, Kind.DRAFT):
            return
        await self._draw()
        if self._life and self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    @asynccontextmanager
    async def still(self) -> AsyncGenerator[None]:
        """Meanwhile nothing of it is on its way."""
        async with self._lock:
            yield

    def replaced(self) -> None:
        """Its message is there."""
        self._newest = self._shown = None

    async def end(self) -> None:
        """Nothing is shown again."""
        self._newest = None
        if self._keeper is not None:
            await end([self._keeper])

    @property
    def _stoppable(self) -> bool:
        return clock.seconds() - self._began >= STOPPABLE_AFTER_SECONDS

    async def _draw(self) -> None:
        async with self._lock:
            page = self._newest
            if page is None:
                return
            self._turn.check_lease()
            try:
                slot, stoppable = Slot(self._turn.id, self._number), self._stoppable
                await self._outbound.draft(self._target, slot, page, stoppable=stoppable)
            except OutboundError as error:
                self._failed(page, error)
                return
            self._shown, self._shown_at = (self._number, page, stoppable), clock.seconds()

    def _failed(self, page: Page, error: OutboundError) -> None:
        if error.fault is OutboundFault.RATE_LIMITED:
            self._pacer.refused(self._chat, error.retry_after, error.everywhere)
        elif error.fault is OutboundFault.REFUSED:
            self.works = self.works and page == THINKING
            self.thinks, self._newest = False, None
            log.debug("preview refused", turn=self._turn.id, cause=error.detail)
        elif error.fault in FINAL:
            raise error
        else:
            log.debug("preview failed", turn=self._turn.id, cause=error.detail)

    async def _keep(self) -> None:
        """Shows it again when it is due, whatever else the answer waits for."""
        pause = due = self._life * RENEWED_AFTER
        while self.works:
            await asyncio.sleep(pause)
            pause = self._shown_at + due - clock.seconds()
            if self._newest is None:
                pause = due
            elif pause <= 0:
                if self._pacer.may_renew(self._chat, self._group):
                    try:
                        await self._draw()
                    except (OutboundError, LeaseLost):
                        return  # whoever shows the answer meets it too
                pause = max(RETRY_SECONDS, self._shown_at + due - clock.seconds())
