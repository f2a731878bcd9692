"""Documents that were searched lately, in memory as far as there is room."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from core.knowledge.shelf import Shelf

Key = tuple[str, str, str]
"""Scope, document, and the model of its vectors."""


class Shelves:
    """What was searched last is kept longest."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[Key, Shelf] = OrderedDict()
        self._bytes = 0
        # One after the other: of many who look for the same at the same time the first one reads it.
        self._loading = asyncio.Lock()

    @property
    def bytes(self) -> int:
        """Memory that is in use, about."""
        return self._bytes

    async def get(self, key: Key, load: Callable[[], Awaitable[Shelf]]) -> Shelf:
        """A document's shelf, loaded where it is not at hand. Raises what ``load`` raises."""
        if (shelf := self._kept.get(key)) is None:
            async with self._loading:
                if (shelf := self._kept.get(key)) is None:
                    shelf = await load()
                    self._kept[key] = shelf
                    self._bytes += shelf.bytes
        if key in self._kept:
            self._kept.move_to_end(key)
        while self._bytes > self._most and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.bytes
        return shelf
