"""Questions of a person's that wait for a community's staff."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from core.knowledge.open_questions import Open, Waiting
from core.people.privacy import File, Subject, readable


@dataclass(frozen=True, slots=True)
class Questions:
    """What they asked that nobody has answered yet. Where others asked the same, it waits on for those."""

    waiting: Waiting
    name: str = "questions"

    async def count(self, subject: Subject) -> int:
        return len(await self._theirs(subject))

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        told = [
            {"in": space, "at": datetime.fromtimestamp(one.at, UTC).isoformat(), "question": one.text}
            for space, one in await self._theirs(subject)
        ]
        if told:
            yield File("questions.json", readable(told))

    async def erase(self, subject: Subject) -> None:
        await self.waiting.forget(frozenset(subject.accounts))

    async def _theirs(self, subject: Subject) -> list[tuple[str, Open]]:
        return [
            (space, one)
            for space in await self.waiting.records.ids()
            for one in await self.waiting.of(space)
            if any(asker.account in subject.accounts for asker in one.askers)
        ]
