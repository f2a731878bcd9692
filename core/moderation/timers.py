"""Does at its time what was put off: in every process that works, each deadline in one of them at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from core.errors import OutboundError, RightsUnknownError, StorageError
from core.storage.deadlines import Deadline, Deadlines

log = structlog.get_logger()

LOOK_SECONDS = 1.0
MOST_AT_ONCE = 20

Handler = Callable[[Deadline], Awaitable[None]]
"""May be run again for the same deadline. Raises StorageError, OutboundError, RightsUnknownError: then it is, later."""


class Timers:
    """``handlers`` by :attr:`Deadline.what`."""

    def __init__(self, deadlines: Deadlines, handlers: Mapping[str, Handler]) -> None:
        self._deadlines = deadlines
        self._handlers = handlers

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                while await self.step():
                    pass
            except StorageError as error:
                log.warning("what is due waits for the storage", cause=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def step(self) -> int:
        """Does what is due; how many there were. Raises StorageError."""
        found = await self._deadlines.take(MOST_AT_ONCE)
        await asyncio.gather(*map(self._do, found))
        return len(found)

    async def _do(self, deadline: Deadline) -> None:
        handler = self._handlers.get(deadline.what)
        if handler is None:
            # A newer version's: it is left to a process of that one.
            log.warning("a deadline that is not known here", what=deadline.what)
            return
        try:
            await handler(deadline)
            await self._deadlines.done(deadline)
        except (StorageError, OutboundError, RightsUnknownError) as error:
            log.warning("what was due is tried again", what=deadline.what, id=deadline.id, cause=str(error))
        except Exception:
            # A mistake of ours would be the same again.
            log.exception("what was due could not be done", what=deadline.what, id=deadline.id)
            await self._deadlines.done(deadline)
