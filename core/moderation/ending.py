"""The ends of acts: which are ours, when, and what is done then. No later act is undone by an older one's end."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace

from core.moderation.acts import AUTOMOD, LASTING, ON_PEOPLE, OPPOSITE, Act, ActKind, Actor, Answer, Outcome
from core.moderation.cases import Case, CaseState
from core.moderation.durations import DAY, Span
from core.moderation.enforcer import Enforcer
from core.moderation.undoing import holding, is_void, kind_of, replaced_later, stops_renewal, voids
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.deadlines import Deadline, Deadlines
from core.storage.planned import Planned

WHAT = "act"
"""Of the deadlines (:attr:`Deadline.what`)."""
EARLY_SECONDS = 1.0
"""By which the clocks of two machines may differ."""


def timer(place: str, number: int) -> str:
    """Id of the deadline of a case."""
    return f"act:{place}:{number}"


class Ending:
    """All ends of all spaces. Every method raises StorageError."""

    def __init__(self, store: Store, cases: Cases, planned: Planned) -> None:
        self._cases = cases
        self._planned = planned
        self._deadlines = Deadlines(store)

    async def set(self, place: str, case: Case, enforcer: Enforcer) -> None:
        """An act was done; what is to follow it does so."""
        kind = kind_of(case)
        if kind is None or kind not in LASTING:
            return
        span = enforcer.abilities[kind]
        due = _due(case, span)
        if due is not None:
            await self._set(place, case, due)

    async def drop(self, place: str, number: int) -> None:
        """It was undone, or ended by hand."""
        await self._deadlines.drop(timer(place, number))

    async def renew(self, place: str, number: int) -> None:
        """Has what holds set anew as soon as may be, until the same end: the platform may have forgotten it."""
        about = json.dumps([place, number])
        await self._deadlines.set(Deadline(timer(place, number), time.time(), WHAT, about))

    async def resume(self, place: str, case: Case) -> None:
        """After an act on somebody is over, the one before it may hold again: its end, too."""
        held = holding([one for one in await self._cases.newest(place, case.about) if one.number != case.number])
        if held is not None and held.until is not None:
            await self._set(place, held, held.until)

    async def due(self, deadline: Deadline) -> str:
        """Puts an end into line with what else is done to that person or place; the space where that is by now."""
        place, number = json.loads(deadline.about)
        here = await self._cases.place(place)
        if case := await self._cases.get(here, number):
            await self._planned.again(here, number, case.about)
        return here

    async def end(self, place: str, case: Case, enforcer: Enforcer) -> tuple[Case, bool]:
        """What is due of an act: its end, or setting it anew; the case as it is to be, and whether anybody wants to
        hear of it. Raises OutboundError, RightsUnknownError."""
        kind = kind_of(case)
        if kind is not None and kind in LASTING and _is_over(case):
            # Whoever ended it died, or could not tell everybody.
            return case, True
        if kind is None or kind not in LASTING or not case.state.is_in_force:
            return case, False
        others = await self._cases.newest(place, case.about)
        if case.until is not None and case.until <= time.time() + EARLY_SECONDS:
            if is_void(case, others):
                # What an opposite gave back is over; what another act stands in place of may come back.
                is_gone = any(voids(case, other) and kind_of(other) not in LASTING for other in others)
                return (replace(case, state=CaseState.ENDED), True) if is_gone else (case, False)
            is_sure = replaced_later(case, others)
            return await self._ended(place, case, kind, enforcer, must=is_sure), True
        if not any(stops_renewal(case, other) for other in others):
            return await self._renewed(place, case, kind, enforcer)
        return case, False

    async def _ended(self, place: str, case: Case, kind: ActKind, enforcer: Enforcer, *, must: bool) -> Case:
        answer = Answer(Outcome.DONE)
        is_ours = any(answer.needs_end for answer in case.answers) or enforcer.abilities[kind].needs_us(case.seconds)
        if must or is_ours:
            answer = await enforcer.carry_out(self._against(place, case, kind), None)
        if answer.is_done or answer.outcome is Outcome.GONE:
            return replace(case, state=CaseState.ENDED)
        # It is not tried for ever; whoever reads the case does it by hand.
        return replace(case, state=CaseState.PARTLY, until=None, answers=(*case.answers, answer))

    def _against(self, place: str, case: Case, kind: ActKind) -> Act:
        # Something else may have been there before: it comes back, to end in its turn.
        act = case.as_act(place, before=case.before)
        return replace(act, id=f"{act.id}:end", kind=OPPOSITE[kind], actor=Actor(AUTOMOD), seconds=None, reason="")

    async def _renewed(self, place: str, case: Case, kind: ActKind, enforcer: Enforcer) -> tuple[Case, bool]:
        span, left = enforcer.abilities[kind], None
        if case.until is not None:
            left = max(1, round(case.until - time.time()))
        is_too_long = _is_too_long(span, case.seconds)
        if not is_too_long and (span.stays or kind not in ON_PEOPLE):
            # It came too early: a clock was set back.
            if case.until is not None:
                await self._set(place, case, case.until)
            return case, False
        answer = await enforcer.carry_out(case.as_act(place), span.native(left))
        due = _due(case, span) if answer.is_done else case.until
        if answer.outcome is Outcome.GONE and is_too_long:
            # Who has left may come back.
            due = min(time.time() + DAY, case.until or math.inf)
        if due is not None:
            await self._set(place, case, due)
        if answer.is_done or answer.outcome is Outcome.GONE:
            return case, False
        return replace(case, state=CaseState.PARTLY, answers=(*case.answers, answer)), True

    async def _set(self, place: str, case: Case, at: float) -> None:
        about = json.dumps([place, case.number])
        await self._deadlines.set(Deadline(timer(place, case.number), at, WHAT, about))


def _is_over(case: Case) -> bool:
    """Whether its time is over, and what there was to do about that was done or given up."""
    is_given_up = case.state.is_in_force and case.seconds is not None and case.until is None
    return is_given_up or (case.state is CaseState.ENDED and not case.undone_by)


def _is_too_long(span: Span, seconds: int | None) -> bool:
    """Whether the platform has to be told again before the end."""
    return not span.for_good and span.longest is not None and (seconds is None or seconds > span.longest)


def _due(case: Case, span: Span) -> float | None:
    """Unix seconds at which something is to be done about an act that was done now; None: never."""
    now = time.time()
    left = None if case.until is None else round(case.until - now)
    if span.longest is not None and _is_too_long(span, left):
        return now + span.longest - min(DAY, span.longest / 4)
    return case.until
