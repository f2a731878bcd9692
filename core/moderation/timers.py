"""Does at its time what was put off: in every process that works, each deadline in one of them at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from core.errors import OutboundError, RightsUnknownError, StorageError
from core.storage.deadlines import Deadline, Deadlines
from core.tasks import end

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
        self._doing: dict[str, asyncio.Task[None]] = {}
        """By their ids. What takes long, like the acts of a raid, holds up nothing else that is due."""

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    while await self._begin():
                        pass
                except StorageError as error:
                    log.warning("what is due waits for the storage", cause=str(error))
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await end(self._doing.values())

    async def step(self) -> int:
        """Does what is due; how many there were. Raises StorageError."""
        begun = await self._begin()
        await asyncio.gather(*begun)
        return len(begun)

    async def _begin(self) -> list[asyncio.Task[None]]:
        self._doing = {id: task for id, task in self._doing.items() if not task.done()}
        room = MOST_AT_ONCE - len(self._doing)
        found = await self._deadlines.take(room) if room else []
        # One that takes longer than it is ours for comes again.
        begun = {
            one.id: asyncio.create_task(self._do(one), name=f"timer {one.id}")
            for one in found
            if one.id not in self._doing
        }
        self._doing |= begun
        return list(begun.values())

    async def _do(self, deadline: Deadline) -> None:
        handler = self._handlers.get(deadline.what)
        if handler is None:
            # A newer version's: it is left to a process of that one.
            log.warning("a deadline that is not known here", what=deadline.what)
            return
        try:
            await self._safely(handler, deadline)
            await self._deadlines.done(deadline)
        except (StorageError, OutboundError, RightsUnknownError) as error:
            log.warning("what was due is tried again", what=deadline.what, id=deadline.id, cause=str(error))

    async def _safely(self, handler: Handler, deadline: Deadline) -> None:
        try:
            await handler(deadline)
        except (StorageError, OutboundError, RightsUnknownError):
            raise
        except Exception:
            # A mistake of ours would be the same again.
            log.exception("what was due could not be done", what=deadline.what, id=deadline.id)
