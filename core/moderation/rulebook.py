"""The rules that a space chose: kept as the TOML that people write, and read once for each change of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import structlog

from core.storage.client import Store
from core.storage.marks import Marks
from core.storage.records import Kept, Record, Records
from core.storage.watched import Watched

if TYPE_CHECKING:
    from core.moderation.rules import RuleSet

log = structlog.get_logger()

MOST_READ = 2000
"""Spaces whose rules a process keeps ready."""
MOST_TEXTS = 200
"""Different rules that a process keeps ready besides."""


class RuleBook(Record):
    """A space's rules, and what was switched since."""

    text: str = ""
    """As people wrote it (``core/moderation/rules.py``)."""
    off: tuple[str, ...] = ()
    """Names of rules that are switched off."""
    shadow: tuple[str, ...] = ()
    """Names of rules that only count, whatever the text says."""
    live: tuple[str, ...] = ()
    """Names of rules that act, though the text has them in the shadow."""
    paused_until: float = 0.0
    """Unix seconds until which no rule acts: somebody pulled the emergency brake."""
    by: str = ""
    """Account of who changed it last."""


EMPTY = RuleBook()


class RuleBooks:
    """All spaces' (``core.people.spaces.space_id``)."""

    def __init__(self, store: Store) -> None:
        self.records = Records(store, "rules", EMPTY)
        self._read: OrderedDict[str, tuple[int, RuleSet | None]] = OrderedDict()

    async def of(self, space: str) -> Kept[RuleBook]:
        """As this process knows it. Raises StorageError."""
        return await self.records.get(space)

    async def paused_until(self, space: str) -> float:
        """Unix seconds until which nothing happens there by itself. Raises StorageError."""
        return (await self.records.get(space)).value.paused_until

    async def rules(self, space: str) -> RuleSet | None:
        """A space's rules as they are switched now; None where there are none, or none that this program can read.
        Raises StorageError."""
        kept = await self.records.get(space)
        if not kept.value.text:
            return None
        known = self._read.get(space)
        if known is not None and known[0] == kept.version:
            self._read.move_to_end(space)
            return known[1]
        book = kept.value
        # Beside the event loop: long lists of words take a fifth of a second.
        rules = await asyncio.to_thread(_rules, book.text, book.off, book.shadow, book.live)
        if rules is None:
            log.error("the rules of a space cannot be read", space=space)
        self._read[space] = kept.version, rules
        if len(self._read) > MOST_READ:
            self._read.popitem(last=False)
        return rules

    async def change(
        self, space: str, change: Callable[[RuleBook], RuleBook], *, seen: int | None = None
    ) -> Kept[RuleBook]:
        """Raises Conflict, StorageError."""
        return await self.records.change(space, change, seen=seen)


@lru_cache(maxsize=MOST_TEXTS)
def _rules(text: str, off: tuple[str, ...], shadow: tuple[str, ...], live: tuple[str, ...]) -> RuleSet | None:
    """Ready-made rules are the same in many spaces. None for what is no rules to this program."""
    # Its libraries are loaded where a space has rules, and nowhere else.
    from core.moderation.rules import RulesError, RuleSet

    try:
        return RuleSet.parse(text).switched(off=off, shadow=shadow, live=live)
    except RulesError:
        return None


@dataclass(frozen=True, slots=True)
class Policy:
    """What spaces' rules go by, and what they did."""

    books: RuleBooks
    watched: Watched
    marks: Marks
