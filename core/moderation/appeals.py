"""Appeals: whom an act is about may ask the moderators once more, and somebody else than who acted decides."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from core.access import Right
from core.errors import UnreadableError
from core.moderation.acts import NEEDS
from core.moderation.cases import Case
from core.moderation.durations import DAY
from core.moderation.telling import TOLD, Recourse
from core.moderation.undoing import kind_of, takes_back
from core.people.spaces import Spaces
from core.storage.appeals import AppealBook
from core.storage.records import Conflict

log = structlog.get_logger()

USUAL_DAYS = 14
"""In which an appeal can be made, where a space chose nothing."""
COOLDOWN_SECONDS = 7 * DAY
"""After a decision, before the same case can be appealed against again."""
ALONE_SECONDS = 2 * DAY
"""So long others have to decide, before who acted may keep it themselves."""
MOST_A_DAY = 5
"""Appeals that one account may make."""
MAX_WORDS = 1000


@dataclass(frozen=True, slots=True)
class Appeals:
    """Those of all spaces. The methods raise StorageError."""

    book: AppealBook
    spaces: Spaces

    async def recourse(self, place: str, case: Case) -> Recourse | None:
        """How somebody can appeal against a case; None where that is of no use, or not to be."""
        days = await self._days(place)
        if not days or case.kind not in TOLD or takes_back(case) is None or not case.account:
            return None
        try:
            code = await self.book.ticket(place, case.number, case.account)
        except (Conflict, UnreadableError) as error:
            # What is done to them does not wait for it.
            log.warning("somebody cannot appeal", place=place, number=case.number, cause=str(error))
            return None
        return Recourse(code, case.at + days * DAY)

    async def until(self, place: str, case: Case) -> float:
        """Unix seconds until which somebody can appeal against a case."""
        return case.at + await self._days(place) * DAY

    async def _days(self, place: str) -> int:
        days = (await self.spaces.of(place)).appeal_days
        return USUAL_DAYS if days is None else days


def right_over(case: Case) -> Right:
    """What a person needs for deciding."""
    kind = kind_of(case)
    return NEEDS.get(kind, Right.WARN) if kind is not None else Right.WARN


def is_too_near(case: Case, account: str, appealed_at: float) -> bool:
    """Whether who decides is who acted, and others have had no time yet to do it."""
    return account == case.actor and time.time() < appealed_at + ALONE_SECONDS
