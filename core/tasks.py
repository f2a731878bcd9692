"""Ending tasks and child processes for sure."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable
from typing import Any

AGAIN_SECONDS = 0.5


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancels the tasks and returns when all have ended, however they did.

    One cancellation is not always enough: ``asyncio.wait_for`` of Python 3.11 loses one that comes at the moment in
    which it gets its result, and libraries use it. So it is repeated. A cancellation of the caller that comes
    meanwhile, perhaps such a repeated one, is raised afterwards: nothing is left behind for it.
    """
    pending = {task for task in tasks if not task.done()}
    cancelled = False
    while pending:
        for task in pending:
            task.cancel()
        try:
            _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
        except asyncio.CancelledError:
            cancelled = True
            pending = {task for task in pending if not task.done()}
    if cancelled:
        raise asyncio.CancelledError


async def to_the_end(work: Coroutine[Any, Any, None] | asyncio.Task[None], seconds: float) -> None:
    """A stopping task's last work: goes on however often the task is cancelled, but for no longer than ``seconds``.

    A cancellation that came meanwhile is raised afterwards.
    """
    clock = asyncio.get_running_loop()
    until = clock.time() + seconds
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done() and (left := until - clock.time()) > 0:
        try:
            await asyncio.wait((task,), timeout=left)
        except asyncio.CancelledError:
            cancelled = True
    if not task.cancel() and not task.cancelled():
        task.result()
    if cancelled:
        raise asyncio.CancelledError


async def end_child(process: asyncio.subprocess.Process, seconds: float) -> None:
    """Returns when a child has ended: it is to go when its input closes, and is killed after ``seconds``."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
