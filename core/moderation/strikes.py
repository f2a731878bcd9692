"""Strikes: read from the cases that gave them, not counted anywhere else. So undoing a case takes back exactly what it
gave, and a strike goes by itself when its time is over.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from core.moderation.cases import Case
from core.moderation.durations import DAY
from core.people.spaces import Spaces
from core.storage.cases import Cases

USUAL_DAYS = 30
"""A strike counts for so long where a space chose nothing."""

Kin = Callable[[str, str], Awaitable[Sequence[str]]]
"""The accounts, in a space, of the person whose account this is, itself among them. Raises StorageError."""


@dataclass(frozen=True, slots=True)
class Strikes:
    """Those of all spaces. Both methods raise StorageError."""

    cases: Cases
    spaces: Spaces

    async def of(self, place: str, accounts: Sequence[str]) -> int:
        """How many strikes are in force against the person with these accounts."""
        return sum(case.strikes for case in await self.given(place, accounts))

    async def given(self, place: str, accounts: Sequence[str]) -> list[Case]:
        """The cases that gave them, oldest first."""
        days = (await self.spaces.of(place)).strike_days or USUAL_DAYS
        since = time.time() - days * DAY
        kept = [case for account in dict.fromkeys(accounts) for case in await self.cases.newest(place, account)]
        return sorted((case for case in kept if case.gives_strikes and case.at > since), key=lambda case: case.number)
