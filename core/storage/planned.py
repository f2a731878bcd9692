"""What is to be done of the books of cases: who takes what, one thing at a time on each person and place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.moderation.cases import Case
from core.storage import keys
from core.storage.cases import MOST_CASES
from core.storage.client import Store

END = "end"
"""What is done besides the act itself: its end, or its renewal."""
MOST_DUE = 50
MOST_AT_ONCE = 200
"""Acts written down by one script."""


def member_of(number: int, what: str = "") -> str:
    """Names what is to be done with a case."""
    return f"{number}:{what}" if what else str(number)


def number_in(member: str) -> int:
    """The case's."""
    return int(member.partition(":")[0])


@dataclass(frozen=True, slots=True)
class Claim:
    """What this process may do now, until it is given back or its time is over."""

    space: str
    member: str
    token: str

    @property
    def number(self) -> int:
        return number_in(self.member)

    @property
    def is_end(self) -> bool:
        return self.member.endswith(f":{END}")


class Planned:
    """Of all spaces. Every method raises StorageError; those with a claim raise LeaseLost where it is over."""

    def __init__(self, store: Store, *, keep_days: int) -> None:
        self._store = store
        self._keep_seconds = keep_days * 86400

    async def order(self, space: str, acts: Sequence[tuple[str, Case]]) -> list[int]:
        """Writes acts, each with its id, into the book; their numbers. The same id again is the same case."""
        numbers: list[int] = []
        for at in range(0, len(acts), MOST_AT_ONCE):
            numbers += await self._order(space, acts[at : at + MOST_AT_ONCE])
        return numbers

    async def _order(self, space: str, acts: Sequence[tuple[str, Case]]) -> list[int]:
        book = keys.CaseKeys(space)
        names = [name for id, case in acts for name in (book.of(case.about), book.made(id))]
        texts = [text for _, case in acts for text in (case.to_json(), case.line)]
        kept: list[str] = await self._store.run(
            "planned",
            [*_names(book), *names],
            ["order", self._keep_seconds, MOST_CASES, keys.SEEN_SECONDS, *texts],
        )
        return list(map(int, kept))

    async def again(self, space: str, number: int, line: str) -> None:
        """The end of an act is to be looked at."""
        await self._run(space, "again", member_of(number, END), line)

    async def due(self, space: str) -> tuple[float | None, list[str]]:
        """Seconds until the next one is due, None where none waits, and those that are."""
        first, *found = await self._run(space, "due", MOST_DUE)
        return (int(first) / 1000 if first else None), found

    async def claim(self, claim: Claim, seconds: float) -> str | None:
        """The case's text, empty where there is none any more; None where another process is at it, or something else
        comes first."""
        found = await self._run(claim.space, "claim", claim.member, claim.token, int(seconds * 1000))
        return found[0] if found else None

    async def keep(self, claim: Claim, seconds: float) -> None:
        """Has it for so long from now."""
        await self._run(claim.space, "keep", claim.member, claim.token, int(seconds * 1000))

    async def later(self, claim: Claim, seconds: float) -> None:
        """Nobody looks at it before that."""
        await self._run(claim.space, "later", claim.member, claim.token, int(seconds * 1000))

    async def drop(self, claim: Claim) -> None:
        """Nothing is left to be done."""
        await self._run(claim.space, "drop", claim.member, claim.token)

    async def _run(self, space: str, *arguments: str | int | float) -> list[str]:
        return await self._store.run("planned", _names(keys.CaseKeys(space)), list(arguments))


def _names(book: keys.CaseKeys) -> list[str]:
    return [book.cases, book.order, book.waits, book.claims, book.lines]
