"""What a person said against what moderators did to them, and the codes by which they can."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.people.privacy import File, Subject, readable
from core.storage.appeals import Appeal, AppealBook
from core.storage.client import Store


@dataclass(frozen=True, slots=True)
class Appealed:
    """In all spaces. Whoever has it erased can appeal no more against what was done before."""

    store: Store
    name: str = "appeals"

    async def count(self, subject: Subject) -> int:
        return len([appeal async for _, appeal in self._find(subject) if appeal.words])

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        told: list[dict[str, Any]] = []
        async for _, appeal in self._find(subject):
            if appeal.words:
                at = datetime.fromtimestamp(appeal.at, UTC).isoformat()
                told.append({"case": appeal.number, "at": at, "text": appeal.words, "state": appeal.state})
        if told:
            yield File("appeals.json", readable(told))

    async def erase(self, subject: Subject) -> None:
        book = AppealBook(self.store)
        for code, _ in [found async for found in self._find(subject)]:
            await book.forget(code)

    async def _find(self, subject: Subject) -> AsyncIterator[tuple[str, Appeal]]:
        book = AppealBook(self.store)
        for code in await book.appeals.ids():
            appeal = (await book.appeals.fresh(code)).value
            if appeal.account in subject.ids(appeal.place.partition(":")[0]):
                yield code, appeal
