"""Wakes who follows something that is made in the same process, so that nobody has to look twice a second."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Bells:
    """One bell for each order that is followed here."""

    def __init__(self) -> None:
        self._bells: dict[str, asyncio.Event] = {}

    @contextmanager
    def hung(self, id: str) -> Generator[asyncio.Event]:
        """The bell of an order, while it is followed."""
        bell = self._bells[id] = asyncio.Event()
        try:
            yield bell
        finally:
            if self._bells.get(id) is bell:
                del self._bells[id]

    def ring(self, id: str) -> None:
        """There is something new of the order. Nothing happens where it is followed elsewhere."""
        if (bell := self._bells.get(id)) is not None:
            bell.set()
