"""Acts on their way: checked, written into the space's book, carried out once, undone.

The book is the truth: what waits there is carried out by whichever process comes first, one thing at a time on each
person and place, in the order in which it came. A deadline names the books in which something waits
(``core/storage/deadlines.py``): it is set before ``order`` returns, so that whoever orders has only to order again,
under the same ids, when it does not return.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

import structlog

from core.errors import LeaseLost, ParleyError, StorageError
from core.moderation.acts import Act, Actor
from core.moderation.cases import Case, CaseState
from core.moderation.checking import check
from core.moderation.ending import WHAT as END
from core.moderation.ending import Ending
from core.moderation.enforcer import Enforcer
from core.moderation.hands import Hands, Listener, PausedUntil, RecourseOf, TextsOf
from core.moderation.timers import Handler
from core.moderation.undoing import Refused, Undoing, act_against, later_on
from core.parts import Notice
from core.people.access import Access, Asker
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.deadlines import Deadline, Deadlines
from core.storage.planned import Claim, Planned
from core.tasks import end

log = structlog.get_logger()

LEASE_SECONDS = 15.0
"""What a process took and does not renew is free for others after that."""
HINT_SECONDS = 3.0
"""After which another process looks whether what was ordered was carried out."""
UNREADABLE_SECONDS = 30.0
AT_ONCE = 8
"""Acts that one process carries out at a time."""
WAITING = "acts"
"""Of the deadlines that name a book in which something waits."""


class Acts:
    """All acts of all spaces. One per process."""

    def __init__(
        self,
        store: Store,
        enforcers: Mapping[str, Enforcer],
        *,
        keep_days: int,
        access: Access | None = None,
        texts_of: TextsOf | None = None,
        lease_seconds: float = LEASE_SECONDS,
        paused_until: PausedUntil | None = None,
        recourse_of: RecourseOf | None = None,
    ) -> None:
        """``enforcers`` by their platforms. Without ``texts_of`` only those tell what a deleted message said; without
        ``recourse_of`` nobody is told how to appeal."""
        self.cases = Cases(store, keep_days=keep_days)
        self.listeners: list[Listener] = []
        """Told of every case that was carried out, undone or has ended: at least once, by whichever process did it."""
        self.handlers: Mapping[str, Handler] = {WAITING: self._look, END: self._end}
        """For :class:`core.moderation.timers.Timers`."""
        self._enforcers = enforcers
        self._access = access
        self._planned = Planned(store, keep_days=keep_days)
        self._deadlines = Deadlines(store)
        self._ending = Ending(store, self.cases, self._planned)
        self._hands = Hands(
            store,
            enforcers,
            self.cases,
            self._planned,
            self._ending,
            self.listeners,
            texts_of,
            paused_until,
            recourse_of,
        )
        self._lease = lease_seconds
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._wanted: dict[str, None] = {}
        self._woken = asyncio.Event()
        self._moved = asyncio.Event()

    def enforcer(self, platform: str) -> Enforcer | None:
        """The hands on a platform; None where this process has none."""
        return self._enforcers.get(platform)

    async def check(self, act: Act, asker: Asker | None) -> Notice | None:
        """The sentence for why an act may not be done; None: it may. ``asker`` None: the space's rules act. Raises
        RightsUnknownError, OutboundError, StorageError."""
        return await check(act, asker, self.enforcer(act.conversation.platform), self._access)

    async def order(self, acts: Sequence[Act]) -> list[int]:
        """Writes acts down, to be carried out; their case numbers. The same id is the same act. Raises StorageError:
        then ordering them again is of no harm."""
        places: dict[str, list[Act]] = defaultdict(list)
        for act in acts:
            places[act.place].append(act)
        numbers: dict[str, int] = {}
        for place, there in places.items():
            kept = await self._planned.order(place, [(act.id, Case.of(act)) for act in there])
            numbers |= {act.id: number for act, number in zip(there, kept, strict=True)}
            await self._remember(place, HINT_SECONDS)
            self._wake(place)
        return [numbers[act.id] for act in acts]

    async def carried(self, place: str, numbers: Sequence[int], seconds: float) -> list[Case]:
        """The cases, once all are carried out, or after so long. Raises StorageError."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + seconds, 0.05
        while True:
            self._moved.clear()
            cases = await self.cases.some(place, numbers)
            left = until - loop.time()
            if left <= 0 or all(case.state is not CaseState.PLANNED for case in cases):
                return cases
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), min(left, pause))
            pause = min(0.5, pause * 1.5)

    async def renew(self, place: str, numbers: Sequence[int]) -> None:
        """Has what these cases hold set anew, until the same end, by whichever process works. Raises StorageError."""
        for number in numbers:
            await self._ending.renew(place, number)

    async def undo(self, place: str, number: int, actor: Actor, id: str) -> int:
        """Orders that a case is taken back; the number of the case that does it. ``id`` is that act's. Raises
        ``core.moderation.undoing.Refused`` with the sentence for what cannot be, StorageError."""
        act = await self.undoing(place, number, actor, id)
        [kept] = await self.order([act])
        return kept

    async def undoing(self, place: str, number: int, actor: Actor, id: str) -> Act:
        """The act that takes a case back. Raises Refused, StorageError."""
        case = await self.cases.get(place, number)
        if case is None:
            raise Refused("undo_none", {"number": str(number)})
        act = act_against(case, place, Undoing(actor, id, time.time()))
        later = later_on(case, await self.cases.newest(place, case.about))
        if later is not None:
            raise Refused("undo_later", {"number": str(number), "later": str(later.number)})
        return act

    async def run(self) -> None:
        """Carries out what this process ordered, until cancelled. What it leaves, and what others left, is found by the
        :attr:`handlers`."""
        working: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                for place in list(self._wanted):
                    if place not in working or working[place].done():
                        del self._wanted[place]
                        working[place] = asyncio.create_task(self._safely(place), name=f"acts {place}")
                        working[place].add_done_callback(lambda _: self._woken.set() if self._wanted else None)
                working = {place: task for place, task in working.items() if not task.done()}
        finally:
            await end(working.values())

    async def carry(self, place: str) -> float | None:
        """Carries out what is due in a space's book; seconds until the next thing is, None where nothing waits. Raises
        StorageError."""
        while True:
            wait, due = await self._planned.due(place)
            done = await asyncio.gather(*(self._try(Claim(place, one, secrets.token_hex(8))) for one in due))
            if not any(done):
                return wait

    def _wake(self, place: str) -> None:
        self._wanted[place] = None
        self._woken.set()

    async def _safely(self, place: str) -> None:
        try:
            await self.carry(place)
        except (ParleyError, OSError) as error:
            log.warning("acts wait", place=place, cause=str(error))
        except Exception:
            log.exception("acts of a space failed", place=place)

    async def _try(self, claim: Claim) -> bool:
        """Takes one and does it; whether it was ours."""
        async with self._slots:
            text = await self._planned.claim(claim, self._lease)
            if text is None:
                return False
            if not text:
                # It went with the oldest of its book.
                await self._planned.drop(claim)
                return True
            case = await self.cases.get(claim.space, claim.number)
            if case is None:
                # A newer version's: it is left to a process of that one.
                await self._planned.later(claim, UNREADABLE_SECONDS)
                return True
            renewing = asyncio.create_task(self._renew(claim), name=f"act {claim.space} {claim.member}")
            try:
                await self._hands.work(claim, case)
            except LeaseLost:
                log.warning("an act was taken over", place=claim.space, number=claim.number)
            except StorageError as error:
                log.warning("an act waits for the storage", place=claim.space, number=claim.number, cause=str(error))
                return False
            finally:
                await end([renewing])
                self._moved.set()
            return True

    async def _renew(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            try:
                await self._planned.keep(claim, self._lease)
            except LeaseLost:
                return
            except StorageError as error:
                log.warning("an act is not held", place=claim.space, number=claim.number, cause=str(error))

    async def _look(self, deadline: Deadline) -> None:
        """Goes on with a book in which something waited."""
        place = await self.cases.place(deadline.about)
        wait = await self.carry(place)
        if wait is not None:
            await self._remember(place, max(1.0, wait))

    async def _end(self, deadline: Deadline) -> None:
        """An act's time, or a piece of it, is over."""
        place = await self._ending.due(deadline)
        await self._remember(place, HINT_SECONDS)
        self._wake(place)
        await self.carry(place)

    async def _remember(self, place: str, seconds: float) -> None:
        """Has somebody look at the book then."""
        await self._deadlines.set(Deadline(f"{WAITING}:{place}", time.time() + seconds, WAITING, place))
