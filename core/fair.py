"""Who is next when many wait: shares take turns, so that one that floods delays the others by one place at most.

A share is whoever stands for its own queue: a space, or a private chat.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sized
from typing import Generic, TypeVar

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

    def before(self, item: Item) -> int:
        """Items that would be served before one that waits, if no other came meanwhile."""
        share = self._where[item]
        own = list(self._shares[share]).index(item)
        return own + _turns_of_others(self._shares, share, own)

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


class FairLine(Generic[Item]):
    """Shares in turn as in a :class:`FairQueue`, and within a share its members in turn: neither a community nor one of
    its people takes all places."""

    __slots__ = ("_shares", "_where")

    def __init__(self) -> None:
        self._shares: OrderedDict[str, FairQueue[Item]] = OrderedDict()
        self._where: dict[Item, str] = {}

    def __len__(self) -> int:
        return len(self._where)

    def count(self, share: str) -> int:
        """Items of a share that wait."""
        return len(self._shares.get(share, ()))

    def ahead(self, share: str, member: str) -> int:
        """Items that would be served before one that a member added now, if no other came meanwhile."""
        queue = self._shares.get(share)
        own = queue.ahead(member) if queue is not None else 0
        return own + _turns_of_others(self._shares, share, own)

    def before(self, item: Item) -> int:
        """Items that would be served before one that waits, if no other came meanwhile."""
        share = self._where[item]
        own = self._shares[share].before(item)
        return own + _turns_of_others(self._shares, share, own)

    def push(self, share: str, member: str, item: Item) -> None:
        """Adds an item; one that waits already keeps its place."""
        if item not in self._where:
            self._where[item] = share
            self._shares.setdefault(share, FairQueue()).push(member, item)

    def pop(self) -> Item | None:
        """Takes the next item; None when there is none."""
        for share, queue in self._shares.items():
            item = queue.pop()
            if item is not None:
                del self._where[item]
            if queue:
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
        queue = self._shares[share]
        queue.remove(item)
        if not queue:
            del self._shares[share]
        return True


def _turns_of_others(shares: Mapping[str, Sized], share: str, own: int) -> int:
    """Items of other shares that are served before one that has ``own`` items of its own share before it. Who stands
    before it in the round has one turn more; a share that is not there stands at the end."""
    total, turns = 0, own + 1
    for other, items in shares.items():
        if other == share:
            turns = own
        else:
            total += min(len(items), turns)
    return total
