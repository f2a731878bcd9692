"""Strikes: read from the cases that gave them, not counted anywhere else. So undoing a case takes back exactly what it
gave, and a strike goes by itself when its time is over.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from core.moderation.cases import Case
from core.moderation.durations import DAY
from core.people.kin import Kin
from core.people.spaces import Spaces
from core.storage.cases import Cases

USUAL_DAYS = 30
"""A strike counts for so long where a space chose nothing."""


@dataclass(frozen=True, slots=True)
class Strikes:
    """Those of all spaces. Both methods raise StorageError."""

    cases: Cases
    spaces: Spaces

    async def of(self, place: str, account: str) -> int:
        """How many strikes are in force against an account, of those given in this space."""
        return sum(case.strikes for _, case in await self.given(place, [(place, account)]))

    async def given(self, place: str, kin: Kin) -> list[tuple[str, Case]]:
        """The cases that gave them to a person, oldest first, each with its space. They count for as long as ``place``
        has chosen."""
        days = (await self.spaces.of(place)).strike_days or USUAL_DAYS
        since = time.time() - days * DAY
        kept = [(where, case) for where, account in kin for case in await self.cases.newest(where, account)]
        counted = [(where, case) for where, case in kept if case.gives_strikes and case.at > since]
        return sorted(counted, key=lambda one: (one[1].at, one[0], one[1].number))
