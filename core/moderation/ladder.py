"""The ladder: when somebody's strikes come to a number that their space chose, the rules act."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import structlog

from core.moderation.acts import Act, ActKind
from core.moderation.carrying import Acts
from core.moderation.cases import Case
from core.moderation.checking import is_spared
from core.moderation.consequences import BOT
from core.moderation.steps import Step, parse
from core.moderation.strikes import Strikes
from core.moderation.undoing import holding, kind_of
from core.moderation.watch import STAFF
from core.people.kin import Kin
from core.people.spaces import Spaces
from core.texts import say

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ladder:
    """Those of all spaces."""

    acts: Acts
    spaces: Spaces
    strikes: Strikes
    kin: Callable[[str, str], Awaitable[Kin]]
    """:func:`core.people.kin.kin` of a space and an account."""

    async def climb(self, place: str, case: Case) -> None:
        """Orders the step that somebody's strikes have come to with a case: a listener of :class:`Acts`.

        Of several steps at once the highest is done. However often, and by however many processes, the same case is
        looked at, a step is done once: its act is named after the case that brought the strikes there. Raises
        StorageError, RightsUnknownError, OutboundError.
        """
        settings = await self.spaces.of(place)
        if not (settings.ladder and case.account and case.gives_strikes):
            return
        kin = await self.kin(place, case.account)
        given = await self.strikes.given(place, kin)
        total = sum(each.strikes for _, each in given)
        reached = [step for step in parse(settings.ladder) if total - case.strikes < step.strikes <= total]
        if not reached or _is_staff(kin, settings.roles):
            return
        step = reached[-1]
        act = self._act(place, case, _brought(place, given, step), step, settings.language)
        enforcer = self.acts.enforcer(act.conversation.platform)
        if enforcer is None or await is_spared(act, enforcer):
            log.info("the ladder spares somebody", place=place, number=case.number)
        elif not _is_worse(await self.acts.cases.newest(place, case.account), act):
            await self.acts.order([act])

    def _act(self, place: str, case: Case, by: str, step: Step, language: str) -> Act:
        asked = case.as_act(place)
        return Act(
            id=f"ladder:{place}:{by}:{step.strikes}",
            kind=step.kind,
            conversation=asked.conversation,
            space=asked.space,
            actor=BOT,
            account=case.account,
            name=case.name,
            seconds=step.seconds,
            reason=say("ladder_reason", language, count=step.strikes),
            at=case.at,
            where=case.where,
        )


def _brought(place: str, given: Sequence[tuple[str, Case]], step: Step) -> str:
    """The case with which the strikes came to a step: its number, and its space where that is another."""
    totals = accumulate(case.strikes for _, case in given)
    reached = (one for one, total in zip(given, totals, strict=True) if total >= step.strikes)
    where, case = next(reached)
    return str(case.number) if where == place else f"{where}/{case.number}"


def _is_worse(others: Sequence[Case], act: Act) -> bool:
    """Whether they are shut out, or silent for longer, already: a step never shortens what holds."""
    held = holding(others)
    if held is None or kind_of(held) not in (act.kind, ActKind.BAN):
        return False
    return held.until is None or (act.seconds is not None and held.until >= act.at + act.seconds)


def _is_staff(kin: Kin, roles: Mapping[str, str]) -> bool:
    return any(roles.get(f"{where.partition(':')[0]}:{account}", "") in STAFF for where, account in kin)
