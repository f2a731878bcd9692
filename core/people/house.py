"""What whoever runs Parley decides for all of it at once: a pause for maintenance, and when settings are read anew."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.errors import StorageError
from core.storage.client import Store
from core.storage.records import Record, Records

HOUSE = "house"
"""The only record of its kind."""
MAX_TEXT = 500
"""Characters that the owner may say about a pause."""
MOST_SECONDS = 30 * 86400
"""The longest pause that ends by itself."""


class Pause(Record):
    """Maintenance: only the owners are answered."""

    text: str = ""
    """What the owner says about it."""
    since: float = 0.0
    """Unix seconds."""
    until: float = 0.0
    """Unix seconds at which it ends by itself; 0: when the owner ends it."""


class House(Record):
    """The record."""

    pause: Pause | None = None
    reloads: int = 0
    """How often all processes were told to read their settings anew."""


class Houses:
    """The one record, as each process knows it."""

    def __init__(self, store: Store) -> None:
        self.records = Records(store, "house", House())

    async def now(self) -> House:
        """As this process knows it, a second old at most. Raises StorageError."""
        return (await self.records.get(HOUSE)).value

    async def change(self, change: Callable[[House], House]) -> House:
        """Raises Conflict, StorageError."""
        return (await self.records.change(HOUSE, change)).value

    async def pause(self) -> Pause | None:
        """The maintenance that is going on now. Raises StorageError."""
        pause = (await self.now()).pause
        return None if pause is None or (pause.until and time.time() >= pause.until) else pause

    async def is_paused(self) -> bool:
        """Whether there is maintenance, as far as it can be known: without the store there is none."""
        try:
            return await self.pause() is not None
        except StorageError:
            return False

    async def begin(self, text: str, until: float) -> None:
        """Begins maintenance, or says something else about it. Raises Conflict, StorageError."""
        pause = Pause(text=text[:MAX_TEXT], since=time.time(), until=until)
        await self.change(lambda house: house.model_copy(update={"pause": pause}))

    async def end(self) -> None:
        """Raises Conflict, StorageError."""
        await self.change(lambda house: house.model_copy(update={"pause": None}))

    async def reload(self) -> int:
        """Has all processes read their settings anew; the number of this time. Raises Conflict, StorageError."""
        return (await self.change(lambda house: house.model_copy(update={"reloads": house.reloads + 1}))).reloads
