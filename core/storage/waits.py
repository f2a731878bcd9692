"""Waiting until one of many lists has something, on a single server and on a cluster alike."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from core.errors import StorageError
from core.tasks import end

Call = Callable[[Sequence[str], int, float], Awaitable[list[str]]]
"""One blocking call on lists of one slot: keys, most values, seconds."""


class Waits:
    """The blocking calls of one caller.

    A call can wait on lists of one slot only. So on a cluster one call waits in each slot, and goes on waiting
    when another had something first: what it takes later comes with the next :meth:`pop`, and nothing is lost.
    """

    def __init__(self, call: Call, split: Callable[[Sequence[str]], list[tuple[str, ...]]]) -> None:
        """``split`` puts keys of one slot together."""
        self._call = call
        self._split = split
        self._waiting: dict[tuple[str, ...], asyncio.Task[list[str]]] = {}
        self._taken: deque[str] = deque()
        self._turn = 0

    async def pop(self, keys: Sequence[str], count: int, seconds: float) -> list[str]:
        """Up to ``count`` values, as soon as there are any; none after ``seconds``. Raises StorageError."""
        groups = self._split(keys)
        if len(groups) == 1:
            # The first list that has something is taken from: each is the first one in its turn.
            self._turn = (self._turn + 1) % len(keys)
            return await self._call([*keys[self._turn :], *keys[: self._turn]], count, seconds)
        if not self._taken:
            await self._wait(groups, max(1, count // len(groups)), seconds)
        return [self._taken.popleft() for _ in range(min(count, len(self._taken)))]

    async def _wait(self, groups: list[tuple[str, ...]], count: int, seconds: float) -> None:
        """Waits until something was taken, or all of ``seconds``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not self._taken and (left := deadline - loop.time()) > 0:
            for group in groups:
                if group not in self._waiting:
                    self._waiting[group] = asyncio.create_task(self._one(group, count, seconds), name="pop")
            await asyncio.wait(self._waiting.values(), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            self._collect()

    def _collect(self) -> None:
        failure: BaseException | None = None
        for group, task in list(self._waiting.items()):
            if task.done():
                del self._waiting[group]
                failure = task.exception() or failure
                self._taken.extend(() if task.exception() else task.result())
        if failure is not None and not self._taken:
            raise StorageError(str(failure)) from failure

    async def _one(self, group: tuple[str, ...], count: int, seconds: float) -> list[str]:
        return await self._call(group, count, seconds)

    async def close(self) -> None:
        """Ends the calls that still wait."""
        await end(self._waiting.values())
        self._waiting.clear()
