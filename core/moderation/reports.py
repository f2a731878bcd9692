"""When several members report somebody: the moderators are alerted, and what was reported may be hidden at once.

It is read from the reports in the book of cases: nothing is counted anywhere else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.message import ConversationKey
from core.moderation.acts import Act, ActKind
from core.moderation.cases import Case, CaseKind, CaseState
from core.moderation.consequences import BOT
from core.moderation.durations import DAY, HOUR, MINUTE
from core.people.spaces import Spaces, SpaceSettings
from core.storage.cases import Cases
from core.texts import say

USUAL_MEMBERS = 3
"""Who have to report somebody, where a space chose nothing."""
WITHIN_SECONDS = HOUR
DISMISSED_SECONDS = 7 * DAY
MOST_DISMISSED = 3
"""Reports of a member that were dismissed within that time: more of theirs alert nobody."""
LOOKED_AT = 1000
"""Cases of a space among which dismissed reports are looked for."""
MUTED_SECONDS = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Reported:
    """What several members have reported of somebody within an hour."""

    place: str
    newest: Case
    """By which the alert is named."""
    reports: Sequence[Case]
    """One of each member at least, the newest first."""

    @property
    def members(self) -> int:
        """How many different ones."""
        return len({report.actor for report in self.reports})

    @property
    def messages(self) -> tuple[str, ...]:
        """Ids of those that were reported in the conversation of the newest, in the order in which they were."""
        where = self.newest.conversation
        ids = [report.evidence.message_id for report in reversed(self.reports) if report.conversation == where]
        return tuple(dict.fromkeys(filter(None, ids))) if where else ()

    def hidden(self, settings: SpaceSettings) -> Act | None:
        """What is done by itself."""
        kind, newest = None, self.newest
        if settings.report_hides == "delete" and self.messages:
            kind = deletes(self.messages)
        elif settings.report_hides == "mute":
            kind = ActKind.MUTE
        if kind is None or not newest.conversation:
            return None
        return Act(
            id=f"reports:{self.place}:{newest.number}",
            kind=kind,
            conversation=ConversationKey.parse(newest.conversation),
            space=self.place.split(":", 2)[2],
            actor=BOT,
            account=newest.account,
            name=newest.name,
            seconds=MUTED_SECONDS if kind is ActKind.MUTE else None,
            messages=self.messages if kind is not ActKind.MUTE else (),
            reason=say("reports_reason", settings.language, count=self.members),
            at=time.time(),
            evidence=newest.evidence,
            where=newest.where,
        )


@dataclass(frozen=True, slots=True)
class Reports:
    """Those of all spaces. Every method raises StorageError."""

    cases: Cases
    spaces: Spaces

    async def about(self, place: str, account: str, since: float) -> Sequence[Case]:
        """The reports of somebody after that time (unix seconds) that nobody dismissed, newest first."""
        found = await self.cases.newest(place, account)
        return [case for case in found if is_open(case) and case.at > since]

    async def reached(self, place: str, number: int) -> Reported | None:
        """What was reported, where the report with this number is that of the member who makes them enough; the same
        report gives the same answer."""
        newest = await self.cases.get(place, number)
        if newest is None or not is_open(newest):
            return None
        earlier = [
            case
            for case in await self.about(place, newest.account, newest.at - WITHIN_SECONDS)
            if case.number < newest.number
        ]
        needed = (await self.spaces.of(place)).report_alert or USUAL_MEMBERS
        if len({newest.actor, *(case.actor for case in earlier)}) < needed:
            return None
        unheard = await self._unheard(place)
        trusted = [case for case in earlier if case.actor not in unheard]
        before = {case.actor for case in trusted}
        if newest.actor in unheard or newest.actor in before or len(before) + 1 != needed:
            return None
        return Reported(place, newest, (newest, *trusted))

    async def dismiss(self, place: str, newest: Case) -> int:
        """Notes that nothing was wrong with what was reported up to there; how many reports that were."""
        found = await self.about(place, newest.account, newest.at - WITHIN_SECONDS)
        gone = [case for case in found if case.number <= newest.number]
        for case in gone:
            await self.cases.change(place, case.number, _dismissed)
        return len(gone)

    async def _unheard(self, place: str) -> set[str]:
        """Whose reports were dismissed too often."""
        since = time.time() - DISMISSED_SECONDS
        latest = await self.cases.latest(place, LOOKED_AT)
        dismissed = Counter(
            case.actor
            for case in latest
            if case.kind is CaseKind.REPORT and case.state is CaseState.UNDONE and case.at > since
        )
        return {actor for actor, count in dismissed.items() if count >= MOST_DISMISSED}


async def channel_of(place: str, cases: Cases, spaces: Spaces) -> str:
    """Where moderators are told what they should look at; empty where no channel was chosen. Raises StorageError."""
    return await cases.channel(place) or (await spaces.of(place)).log_channel


def is_open(case: Case) -> bool:
    """Whether it is a report that nobody dismissed."""
    return case.kind is CaseKind.REPORT and case.state is CaseState.DONE


def deletes(messages: Sequence[str]) -> ActKind:
    """The act that deletes so many."""
    return ActKind.DELETE if len(messages) == 1 else ActKind.PURGE


def _dismissed(case: Case) -> Case:
    return replace(case, state=CaseState.UNDONE) if is_open(case) else case
