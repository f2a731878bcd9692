"""Who leaves and comes back is as silent as before: what held them is carried out again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from core.message import Arrival, Movement
from core.moderation.acts import ActKind
from core.moderation.carrying import Acts
from core.moderation.cases import Case
from core.moderation.undoing import kind_of, stops_renewal

AGAIN = frozenset((ActKind.MUTE, ActKind.RESTRICT, ActKind.QUARANTINE))
"""A ban keeps them out by itself; who comes in all the same was let in by somebody."""
LEAST_SECONDS = 5.0
"""What ends sooner is over before it is done."""


@dataclass(frozen=True, slots=True)
class Rejoining:
    """Looks at all who come to spaces with rules: one of ``core.moderation.watch.Watch.arrivals``."""

    acts: Acts

    async def hear(self, place: str, arrival: Arrival) -> None:
        """Has set anew, until the same end, what holds for somebody, where the platform has not kept it. No case is
        made: who comes and goes a hundred times fills no book. Raises StorageError."""
        enforcer = self.acts.enforcer(arrival.conversation.platform)
        if arrival.movement is not Movement.JOINED or enforcer is None:
            return
        lost = {kind for kind in AGAIN if kind in enforcer.abilities and not enforcer.abilities[kind].stays}
        held = _held(await self.acts.cases.newest(place, arrival.author.id))
        await self.acts.renew(place, [case.number for case in held if case.kind in lost])


def _held(cases: Sequence[Case]) -> list[Case]:
    """What is to be set anew, oldest first."""
    soon = time.time() + LEAST_SECONDS
    return [
        case
        for case in reversed(cases)
        if kind_of(case) in AGAIN
        and case.state.is_in_force
        and not case.undoes
        and (case.until is None or case.until > soon)
        and not any(stops_renewal(case, other) for other in cases)
    ]
