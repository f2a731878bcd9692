"""Has each piece of a text worked on by a model, some at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from core.tasks import end
from core.writing import Written

AT_ONCE = 3
"""Pieces of one text that are worked on at the same time."""


async def mapped(
    parts: Sequence[str], write: Callable[[int, str], Awaitable[Written]], written: list[Written]
) -> AsyncGenerator[int]:
    """Tells how many are done, from 0 on. ``written`` grows by what came of the parts, in their order; the first that
    went wrong is the last. ``write`` gets a part's number, from 1 on."""
    places = asyncio.Semaphore(AT_ONCE)
    is_over = False

    async def one(number: int, part: str) -> Written | None:
        nonlocal is_over
        async with places:
            if is_over:
                return None
            found = await write(number, part)
            # What ended this one, no money or no model, would end the next as well.
            is_over = is_over or not found.is_good
            return found

    tasks = [asyncio.create_task(one(number, part)) for number, part in enumerate(parts, 1)]
    try:
        yield 0
        for done, task in enumerate(tasks, 1):
            found = await task
            if found is not None:
                written.append(found)
            if found is None or not found.is_good:
                return
            yield done
    finally:
        await end(tasks)
