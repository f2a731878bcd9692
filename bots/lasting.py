"""The parts of a process that run as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from core.errors import ParleyError


class Tasks:
    """The parts that run as long as Parley does: when one ends, all end."""

    def __init__(self, stop: asyncio.Event) -> None:
        """``stop`` is set when one of them ends."""
        self._stop = stop
        self.all: list[asyncio.Task[None]] = []
        self.failure: BaseException | None = None

    def start(self, work: Coroutine[Any, Any, None], name: str, *, lasting: bool = True) -> asyncio.Task[None]:
        """Begins one; that of a part that is not ``lasting`` may end by itself, without an error."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(partial(self._ended, lasting))
        self.all.append(task)
        return task

    def _ended(self, lasting: bool, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None and not lasting:
            return
        if self.failure is None and not self._stop.is_set():
            self.failure = error or ParleyError(f"{task.get_name()} ended by itself.")
        self._stop.set()
