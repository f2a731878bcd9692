"""Who is next when many wait: shares take turns, so that one that floods delays the others by one place at most.

A share is whoever stands for its own queue: a space, or a private chat.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from core.errors import Crowded

Item = TypeVar("Item", bound=Hashable)


def _everyone(_share: str) -> bool:
    return True


class FairQueue(Generic[Item]):
    """Items of different shares in turn, those of one share in their order.

    A share that begins to wait comes after those that wait already, and after every service goes behind them again:
    before the n-th item of a share at most n items of any other are served. Nothing is kept of a share without items.
    """

    __slots__ = ("_shares", "_where")

    def __init__(self) -> None:
        # Plain dicts are slow to give their first key when those before it were deleted.
        self._shares: OrderedDict[str, OrderedDict[Item, None]] = OrderedDict()
        self._where: dict[Item, str] = {}

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, item: object) -> bool:
        return item in self._where

    @property
    def shares(self) -> int:
        """Shares that wait."""
        return len(self._shares)

    def count(self, share: str) -> int:
        """Items of a share that wait."""
        return len(self._shares.get(share, ()))

    def ahead(self, share: str) -> int:
        """Items that would be served before one that a share added now, if no other came meanwhile."""
        own = self.count(share)
        total, turns = own, own + bool(own)
        for other, items in self._shares.items():
            if other == share:
                turns = own  # who stands behind it in the round has one turn less
            else:
                total += min(len(items), turns if own else 1)
        return total

    def push(self, share: str, item: Item) -> None:
        """Adds an item; one that waits already keeps its place."""
        if item not in self._where:
            self._where[item] = share
            self._shares.setdefault(share, OrderedDict())[item] = None

    def pop(self, may: Callable[[str], bool] = _everyone) -> Item | None:
        """Takes the next item; None when there is none. A share that may not be served now keeps its place."""
        for share, items in self._shares.items():
            if may(share):
                item, _ = items.popitem(last=False)
                del self._where[item]
                if items:
                    self._shares.move_to_end(share)
                else:
                    del self._shares[share]
                return item
        return None

    def remove(self, item: Item) -> bool:
        """Takes an item out, wherever it stands; False when it does not wait."""
        share = self._where.pop(item, None)
        if share is None:
            return False
        items = self._shares[share]
        del items[item]
        if not items:
            del self._shares[share]
        return True

    def clear(self) -> None:
        """Drops all items."""
        self._shares.clear()
        self._where.clear()


class FairPlaces:
    """So many places to be taken at once, handed on fairly between the shares that wait for one."""

    def __init__(self, places: int, *, most_waiting: int, most_of_share: int) -> None:
        """``most_waiting`` may wait in all, ``most_of_share`` of one share."""
        self._free = places
        self._most_waiting = most_waiting
        self._most_of_share = most_of_share
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._queue)

    def position(self, share: str) -> int:
        """How many would get a place before one of this share that asked now; 0: nobody waits before it."""
        return self._queue.ahead(share)

    @asynccontextmanager
    async def taken(self, share: str) -> AsyncGenerator[None]:
        """Holds a place. Raises Crowded."""
        await self.acquire(share)
        try:
            yield
        finally:
            self.release()

    async def acquire(self, share: str) -> None:
        """Returns with a place, to be given back by :meth:`release`. Raises Crowded when too many wait for one."""
        if self._free:
            self._free -= 1
            return
        if len(self._queue) >= self._most_waiting or self._queue.count(share) >= self._most_of_share:
            raise Crowded(f"{len(self._queue)} wait for a place")
        place = asyncio.get_running_loop().create_future()
        self._queue.push(share, place)
        try:
            await place
        except asyncio.CancelledError:
            if not self._queue.remove(place) and not place.cancelled():
                self.release()  # it was given a place that it can use no more
            raise

    def release(self) -> None:
        """Gives a place back: to the next who waits, if anybody does."""
        while (place := self._queue.pop()) is not None:
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
