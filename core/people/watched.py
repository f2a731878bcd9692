"""What a person said in spaces whose rules look at everything, and what moderators thought of rules that hit it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.message import Sighting
from core.people.privacy import File, Subject, readable
from core.storage.client import Store
from core.storage.marks import Marks
from core.storage.scanning import scan
from core.storage.watched import Watched


@dataclass(frozen=True, slots=True)
class WatchedMessages:
    """Of all spaces."""

    store: Store
    name: str = "watched"

    async def count(self, subject: Subject) -> int:
        return len([one async for one in self._said(subject)])

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        told: list[dict[str, Any]] = []
        async for one in self._said(subject):
            at = datetime.fromtimestamp(one.sent_at, UTC).isoformat()
            told.append({"in": str(one.conversation), "at": at, "text": one.text})
        if told:
            yield File("seen-by-rules.json", readable(told))

    async def erase(self, subject: Subject) -> None:
        for space, ids in [found async for found in self._spaces(subject)]:
            await Watched(self.store).forget(space, ids)
            await Marks(self.store).forget(space, ids)

    async def _said(self, subject: Subject) -> AsyncIterator[Sighting]:
        async for space, ids in self._spaces(subject):
            async for one in Watched(self.store).since(space, 0.0):
                if one.author.id in ids:
                    yield one

    async def _spaces(self, subject: Subject) -> AsyncIterator[tuple[str, frozenset[str]]]:
        begin = "parley:watched:{"
        found = {key.removeprefix(begin).partition("}")[0] for key in await scan(self.store, f"{begin}*")}
        for space in sorted(found):
            if ids := subject.ids(space.partition(":")[0]):
                yield space, ids
