"""The emergency brake: what automod did of late, taken back in one go."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from core.moderation.acts import AUTOMOD, Act, Actor
from core.moderation.carrying import Acts
from core.moderation.cases import Case, CaseState
from core.moderation.durations import HOUR
from core.moderation.joining import is_of_check
from core.moderation.undoing import Refused, takes_back

RECENT_SECONDS = HOUR
MOST = 1000
"""Cases of a space that are looked at, the newest."""
WAIT_SECONDS = 8.0
ROUNDS = 5
"""Acts on one person are taken back one after the other, the last one first: so many at most in one go."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What came of it, in numbers of acts."""

    done: int = 0
    failed: int = 0
    waiting: int = 0
    """The platform does not answer: they are taken back as soon as it does."""


async def by_automod(acts: Acts, place: str) -> list[Case]:
    """What automod did in the last :data:`RECENT_SECONDS` and can be taken back, newest first. The steps of the join
    check are not among it: that goes on. Raises StorageError."""
    since = time.time() - RECENT_SECONDS
    return [case for case in await acts.cases.latest(place, MOST) if case.at >= since and _can_be_undone(case)]


def _can_be_undone(case: Case) -> bool:
    if case.actor != AUTOMOD or is_of_check(case) or case.undoes or takes_back(case) is None:
        return False
    return case.state.is_in_force or case.state is CaseState.PLANNED


async def undo_all(
    acts: Acts, place: str, numbers: Collection[int], actor: Actor, id: str, may: Callable[[Act], bool]
) -> Undone:
    """Takes these cases back, once for an ``id``. ``may`` tells whether the actor may do an act. Raises
    StorageError."""
    left, ordered, failed = sorted(numbers, reverse=True), list[int](), 0
    for _ in range(ROUNDS):
        now, later = list[Act](), list[int]()
        for number in left:
            try:
                act = await acts.undoing(place, number, actor, f"panic:{id}:{number}")
            except Refused as refused:
                if refused.key == "undo_later":
                    later.append(number)
                else:
                    failed += refused.key != "undo_already"
                continue
            if may(act):
                now.append(act)
            else:
                failed += 1
        left = later
        if not now:
            break
        kept = await acts.order(now)
        ordered += kept
        await acts.carried(place, kept, WAIT_SECONDS)
    return _counted(await acts.cases.some(place, ordered), failed + len(left))


def _counted(cases: Sequence[Case], failed: int) -> Undone:
    states = [case.state for case in cases]
    waiting = states.count(CaseState.PLANNED)
    lost = states.count(CaseState.FAILED)
    return Undone(len(cases) - waiting - lost, failed + lost, waiting)
