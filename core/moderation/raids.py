"""Raids: when many come at once, everybody who comes is checked, or nobody may write, until it is calm again.

Where arrivals are received a raid is only written down; what it brings is done at deadlines, by any process that works,
and taken back exactly when nobody has come for a while.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from core.message import Arrival, ConversationKey, Movement, Platform
from core.moderation.acts import AUTOMOD, Act, ActKind, Actor
from core.moderation.alarm import Alarm
from core.moderation.carrying import Acts
from core.moderation.cases import CaseState
from core.moderation.consequences import BOT
from core.moderation.durations import DAY, MINUTE
from core.moderation.hands import PausedUntil
from core.moderation.joining import OLD_SECONDS, WAIT_SECONDS
from core.moderation.timers import Handler
from core.moderation.undoing import Refused
from core.people.spaces import Spaces, SpaceSettings
from core.storage.client import Store
from core.storage.deadlines import Deadline, Deadlines
from core.storage.joining import Newcomers
from core.storage.records import Conflict, Record, Records
from core.storage.windows import windows_of
from core.texts import say

log = structlog.get_logger()

BEGIN, END = "raid", "raid-end"
"""Of the deadlines (:attr:`Deadline.what`)."""
USUAL_MINUTES = 10
PAUSE_SECONDS = 30
"""Between two messages of a person, in slow mode."""


class Raid(Record):
    """One that goes on in a space."""

    since: float = 0.0
    """Unix seconds; 0.0: there is none."""
    by: str = ""
    """Account of who began it, or ``acts.AUTOMOD``."""
    where: str = ""
    """The conversation in which it was told."""
    is_ready: bool = False
    """What it brings was ordered."""
    cases: tuple[int, ...] = ()
    """Numbers of that."""


def minutes_of(settings: SpaceSettings) -> int:
    """A raid is over when nobody has come for so long."""
    return settings.raid_minutes or USUAL_MINUTES


class Raids:
    """Those of all spaces. One per process."""

    def __init__(
        self,
        store: Store,
        newcomers: Newcomers,
        spaces: Spaces,
        acts: Acts,
        deadlines: Deadlines,
        alarm: Alarm,
        paused_until: PausedUntil,
    ) -> None:
        self.records = Records(store, "raids", Raid())
        self._newcomers = newcomers
        self._spaces = spaces
        self._acts = acts
        self._deadlines = deadlines
        self._alarm = alarm
        self._paused_until = paused_until

    @property
    def handlers(self) -> dict[str, Handler]:
        return {BEGIN: self._begun, END: self._over}

    async def of(self, space: str) -> Raid:
        """As this process knows it. Raises StorageError."""
        return (await self.records.get(space)).value

    async def checks_all(self, space: str) -> bool:
        """Whether everybody who comes is to be checked. Raises StorageError."""
        return bool((await self.of(space)).since) and (await self._spaces.of(space)).raid_does != "lock"

    # ------------------------------------------------------------------ where arrivals are received
    async def arrived(self, space: str, arrival: Arrival) -> None:
        """Somebody came or asks to. Raises StorageError; may be told twice."""
        settings, now = await self._spaces.of(space), time.time()
        raid = await self.of(space)
        if arrival.movement is Movement.LEFT or arrival.author.is_bot or arrival.at < now - OLD_SECONDS:
            return
        if raid.since:
            await self._set(space, settings, is_new=not raid.is_ready)
        elif settings.raid and now >= await self._paused_until(space):
            windows = windows_of(settings.raid)
            longest = max(window.seconds for window in windows)
            came = await self._newcomers.count(space, arrival.author.id, arrival.at, longest)
            if any(sum(at > arrival.at - window.seconds for at in came) >= window.most for window in windows):
                with contextlib.suppress(Conflict):
                    # Another receiver has seen it.
                    await self.begin(space, arrival.conversation, AUTOMOD)

    async def begin(self, space: str, where: ConversationKey, by: str) -> bool:
        """Whether none went on before. Raises Conflict, StorageError."""
        new = Raid(since=time.time(), by=by, where=str(where))
        kept = await self.records.change(space, lambda raid: raid if raid.since else new)
        await self._set(space, await self._spaces.of(space), is_new=not kept.value.is_ready)
        return kept.value == new

    async def end(self, space: str, actor: Actor) -> list[int] | None:
        """Takes back what it brought; numbers of the cases that do it, None where none went on. Raises Conflict,
        StorageError."""
        raid, numbers = (await self.records.fresh(space)).value, list[int]()
        if not raid.since:
            return None
        for number in reversed(raid.cases):
            try:
                id = f"raid:{space}:{raid.since}:undo:{number}"
                numbers.append(await self._acts.undo(space, number, actor, id))
            except Refused:
                # Somebody has ended it, or set it anew since: theirs holds.
                log.info("what a raid brought stays as it is", space=space, case=number)
        await self.records.change(space, lambda now: None if now.since == raid.since else now)
        await self._deadlines.drop(f"{END}:{space}")
        await self._alarm.tell(space, "raid_over", about=str(raid.since))
        return numbers

    async def _set(self, space: str, settings: SpaceSettings, *, is_new: bool) -> None:
        now = time.time()
        if is_new:
            await self._deadlines.set(Deadline(f"{BEGIN}:{space}", now, BEGIN, space))
        await self._deadlines.set(Deadline(f"{END}:{space}", now + minutes_of(settings) * MINUTE, END, space))

    # ------------------------------------------------------------------ where work is done
    async def _begun(self, deadline: Deadline) -> None:
        """Orders what it brings, and calls the moderators."""
        space = deadline.about
        raid = (await self.records.fresh(space)).value
        if not raid.since or raid.is_ready:
            return
        settings = await self._spaces.of(space)
        numbers = await self._acts.order(self._brings(space, raid, settings))
        await self.records.change(
            space,
            lambda now: (
                now.model_copy(update={"is_ready": True, "cases": tuple(numbers)}) if now.since == raid.since else now
            ),
        )
        cases = await self._acts.carried(space, numbers, WAIT_SECONDS)
        await self._alarm.tell(
            space,
            f"raid_began.{settings.raid_does or 'check'}",
            about=str(raid.since),
            count=minutes_of(settings),
        )
        if any(case.state is CaseState.FAILED for case in cases):
            await self._alarm.tell(space, "raid_cannot", about=str(raid.since))

    async def _over(self, deadline: Deadline) -> None:
        await self.end(deadline.about, BOT)

    def _brings(self, space: str, raid: Raid, settings: SpaceSettings) -> Sequence[Act]:
        where = ConversationKey.parse(raid.where)
        enforcer = self._acts.enforcer(where.platform)
        kind = ActKind.LOCK if settings.raid_does == "lock" else ActKind.SLOW
        if enforcer is None or kind not in enforcer.abilities:
            return ()
        # A group of Telegram is locked as a whole.
        chosen = settings.raid_channels if where.platform is not Platform.TELEGRAM else ()
        return [
            Act(
                f"raid:{space}:{raid.since}:{kind}:{channel}",
                kind,
                replace(where, chat=channel, thread=""),
                space.split(":", 2)[2],
                BOT,
                seconds=DAY,
                pause=PAUSE_SECONDS if kind is ActKind.SLOW else 0,
                reason=say("raid_reason", settings.language),
                at=raid.since,
            )
            for channel in chosen or filter(None, (where.chat,))
        ]
