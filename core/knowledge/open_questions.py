"""What could not be answered from a space's documents, until staff answer it: once, for all who asked.

A record per space, kept in memory like all records. Only the newest questions are kept, for a while.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from core.knowledge.faq import fold
from core.storage.client import Store
from core.storage.records import Record, Records

MOST_OPEN = 100
"""Of a space; the oldest go first."""
MOST_ASKERS = 50
"""Of a question: so many are told."""
LONGEST_QUESTION = 500
"""Characters."""
MOST_CLOSED = 20
MOST_OF_ONE = 5
"""Questions that one person may have on a list."""
CLAIM_SECONDS = 600
"""After that, whoever claimed a question will not answer it any more."""
KEEP_SECONDS = 90 * 86_400
"""After the last change of a space's list it is forgotten."""


class Asker(Record):
    """Who is told the answer, and where."""

    account: str
    """``core.people.identity.account_of``."""
    name: str
    conversation: str
    message: str
    """Id of their message."""
    language: str = ""


class Open(Record):
    """A question that waits for staff."""

    number: int
    text: str
    at: float
    """Unix seconds of the first time it was asked."""
    askers: tuple[Asker, ...] = ()
    claim: str = ""
    """The turn that answers it: of two of the staff at once, one does."""
    claimed_at: float = 0.0
    """Unix seconds."""


class OpenQuestions(Record):
    """Those of a space, oldest first."""

    questions: tuple[Open, ...] = ()
    last: int = 0
    """The highest number ever given."""
    closed: tuple[str, ...] = ()
    """Which turns answered the last ones: one that is run again after a crash knows by it that it was the one."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """All spaces' lists."""

    records: Records[OpenQuestions]

    @classmethod
    def of_store(cls, store: Store) -> Waiting:
        return cls(Records(store, "questions", OpenQuestions(), keep_seconds=KEEP_SECONDS))

    async def of(self, space: str) -> tuple[Open, ...]:
        """Those of a space as they are now. Raises StorageError."""
        return (await self.records.fresh(space)).value.questions

    async def add(self, space: str, text: str, asker: Asker) -> int:
        """Puts a question on the list, or its asker to one that is there already; its number, 0 where somebody has too
        many on it. The same asker asks it once. Raises Conflict, StorageError."""
        text = " ".join(text.split())[:LONGEST_QUESTION]
        kept = await self.records.change(space, lambda found: with_question(found, text, asker, time.time()))
        return next((one.number for one in kept.value.questions if fold(one.text) == fold(text)), 0)

    async def claim(self, space: str, number: int, turn: str) -> Open | None:
        """A question for ``turn`` alone to answer, also when it is run again; None where it is not there, or another
        one is about it. Raises Conflict, StorageError."""
        kept = await self.records.change(space, lambda found: claimed(found, number, turn, time.time()))
        return next((one for one in kept.value.questions if one.number == number and one.claim == turn), None)

    async def close(self, space: str, number: int, turn: str) -> bool:
        """Takes a question that was answered from the list; whether it was ``turn`` that did, now or before. Raises
        Conflict, StorageError."""
        kept = await self.records.change(space, lambda found: without_question(found, number, turn))
        return _mark(number, turn) in kept.value.closed

    async def forget(self, accounts: frozenset[str]) -> None:
        """Names those people nowhere any more; questions that nobody else asked go with them. Raises StorageError."""
        for id in await self.records.ids():
            await self.records.change(id, lambda found: without_people(found, accounts))


def with_question(found: OpenQuestions, text: str, asker: Asker, at: float) -> OpenQuestions:
    """The list with that question, and its asker among those who are told. The same value where all is there."""
    asked = fold(text)
    for index, one in enumerate(found.questions):
        if fold(one.text) != asked:
            continue
        if any(known.account == asker.account for known in one.askers) or len(one.askers) >= MOST_ASKERS:
            return found
        changed = one.model_copy(update={"askers": (*one.askers, asker)})
        return found.model_copy(
            update={"questions": (*found.questions[:index], changed, *found.questions[index + 1 :])}
        )
    if sum(known.account == asker.account for one in found.questions for known in one.askers) >= MOST_OF_ONE:
        return found
    number = found.last + 1
    new = Open(number=number, text=text, at=at, askers=(asker,))
    return found.model_copy(update={"questions": (*found.questions, new)[-MOST_OPEN:], "last": number})


def claimed(found: OpenQuestions, number: int, turn: str, at: float) -> OpenQuestions:
    """With a question claimed by a turn, where no other one has it; the same value where nothing changes."""
    questions = tuple(
        one.model_copy(update={"claim": turn, "claimed_at": at})
        if one.number == number and one.claim != turn and one.claimed_at + CLAIM_SECONDS < at
        else one
        for one in found.questions
    )
    return found if questions == found.questions else found.model_copy(update={"questions": questions})


def without_question(found: OpenQuestions, number: int, turn: str) -> OpenQuestions:
    """Without the one that the turn claimed, and with a note of it; the same value where there is none."""
    kept = tuple(one for one in found.questions if (one.number, one.claim) != (number, turn))
    if len(kept) == len(found.questions):
        return found
    closed = (*found.closed, _mark(number, turn))[-MOST_CLOSED:]
    return found.model_copy(update={"questions": kept, "closed": closed})


def without_people(found: OpenQuestions, accounts: frozenset[str]) -> OpenQuestions:
    """Without those askers, and without questions that nobody else asked."""
    kept: list[Open] = []
    for one in found.questions:
        askers = tuple(asker for asker in one.askers if asker.account not in accounts)
        if len(askers) == len(one.askers):
            kept.append(one)
        elif askers:
            kept.append(one.model_copy(update={"askers": askers}))
    return found if tuple(kept) == found.questions else found.model_copy(update={"questions": tuple(kept)})


def _mark(number: int, turn: str) -> str:
    return f"{number} {turn}"
