"""When a platform call may be made: known limits are kept ahead of time, unknown ones are learnt from refusals.

Calls that must be made (creates and final edits) wait for their turn: final edits before creates, a few at a time, each
kind in turn between the spaces that ask, in a space in the order of asking. Optional ones (intermediate edits, drafts,
typing) are made only where much of a limit is left, so that they never cost a must-go call its place.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import count, islice
from typing import Protocol

import structlog

from bots.pacing_windows import Chat, Rate, Window, Windows
from core.errors import StorageError
from core.fair import FairQueue

log = structlog.get_logger()

PERMIT_SECONDS = 3.0
"""How long a drawn permit may be kept in hand."""
PERMIT_SHARE = 0.2
"""Permits are drawn for this part of a second at a time. As many are granted in any such time to all processes, so a
whole number of these times makes a second: what a platform counts is never more than its limit."""
TO_COME_PERMITS = 5
"""So many are drawn ahead of their time. A few only: each process waits until all others have had as many."""
EDITS_IN_A_ROW = 3
"""Final edits go first, since they end an answer; after so many a create has its turn. Without that a space that ends
many answers would keep others from beginning one."""
FRESH_SECONDS = 0.03
"""A permit that is used later than this counts from its use, not from when it was drawn."""
SPARE_PERMITS = 3
"""Drawn beyond what waits, for the optional calls that follow a create."""
SUSPECT_CHATS = 8
SUSPECT_CHATS_AGAIN = 3
SUSPECT_SECONDS = 2.0
"""So many chats refused in this time mean that the bot's own limit was met, whatever the platform says: fewer once it
was met before. A few can be refused at once by limits of their own."""
KNOWN_SECONDS = 60.0
"""A chat that is refused again within this time has a limit of its own: it says nothing about the bot's."""


class Kind(IntEnum):
    """What a call is for; lower goes first."""

    FINAL_EDIT = 0
    CREATE = 1
    EDIT = 2
    DRAFT = 3
    TYPING = 4


_EDITS = frozenset((Kind.FINAL_EDIT, Kind.EDIT))
_CREATES = frozenset((Kind.CREATE,))


@dataclass(frozen=True, slots=True)
class Limits:
    """A platform's limits, as data."""

    bot_per_second: float | None = None
    """Calls of the whole bot. None: unknown, learnt when it is met."""
    chat: tuple[Window, ...] = ()
    """In one chat."""
    group: tuple[Window, ...] = ()
    """In one group, besides those of a chat."""

    @property
    def longest(self) -> float:
        """Seconds after which a chat's calls count nowhere any more."""
        return max((window.seconds for window in (*self.chat, *self.group)), default=0.0)


DISCORD = Limits(
    # Documented: 50 requests a second for a bot in all.
    bot_per_second=50.0,
    # Told by the headers of each channel's buckets: 5 in 5 s, for creates and for edits apart. A little
    # longer, since the server's window begins when the call arrives.
    chat=(Window(5, 5.2, _CREATES), Window(5, 5.2, _EDITS)),
)
TELEGRAM = Limits(
    # The Bot API's FAQ: about one message a second in a chat with short bursts, 20 a minute in a group. The
    # 30 a second it names for the whole bot is for broadcasts; what holds for answers is not published.
    chat=(Window(3, 3.1, _CREATES | _EDITS),),
    group=(Window(20, 61.0, _CREATES | _EDITS),),
)
WEB = Limits()


class Permits(Protocol):
    """Permits that all processes of a bot share, given in the order of asking."""

    async def take(
        self, bucket: str, most: int, seconds: float, needed: int, spare: int, to_come: int, late: int
    ) -> tuple[float, Sequence[float]]:
        """At most ``most`` in any ``seconds`` over all processes. Raises StorageError.

        Seconds until one more is free, and for each permit granted those until it holds. Of what is ``needed`` up to
        ``to_come`` are granted for a time to come; ``spare`` ones beyond only when they are free now. ``late`` ones
        of an earlier time were used just now.
        """
        ...


class _Waiter:
    __slots__ = ("chat", "future", "group", "kind", "share")

    def __init__(self, chat: str, group: bool, kind: Kind, share: str, future: asyncio.Future[None]) -> None:
        self.chat, self.group, self.kind, self.share, self.future = chat, group, kind, share, future


class Pacer:
    """The budget of one bot on one platform. One per process and bot; ``permits`` makes the processes share it.

    ``bucket`` names the bot among all that share the permits. While ``is_frugal`` says so, no optional call is made.
    ``clock`` gives seconds and never goes back.
    """

    def __init__(
        self,
        limits: Limits,
        bucket: str = "",
        permits: Permits | None = None,
        *,
        is_frugal: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limits, self._bucket, self._permits = limits, bucket, permits
        self._is_frugal, self._clock, self._sleep = is_frugal, clock, sleep
        self._rate = Rate(limits.bot_per_second, clock())
        self._chats: OrderedDict[str, Chat] = OrderedDict()
        """Whose calls may still count, the one asked for longest ago first."""
        self._suspects: dict[str, float] = {}
        self._numbers = count()
        self._lanes: dict[tuple[str, Kind], deque[_Waiter]] = {}
        """Who waits, by chat and kind; only the first of each stands in one of the next two."""
        self._ready: dict[Kind, FairQueue[_Waiter]] = {kind: FairQueue() for kind in Kind}
        """Those whose chat lets them, by space."""
        self._edits_in_a_row = 0
        self._later: list[tuple[float, int, _Waiter]] = []
        """By the time at which their chat lets them."""
        self._pump: asyncio.Task[None] | None = None
        self._nap: asyncio.Future[None] | None = None
        self._hand: deque[float] = deque()
        """Permits drawn and not used yet: the time from which each holds."""
        self._late = 0
        """Used so long after they were drawn that they are counted anew."""
        self._dry_until = -math.inf
        """No spare permits before."""
        self._refill: asyncio.Task[None] | None = None

    # -- asking

    async def draw(self, chat: str, group: bool, kind: Kind, space: str = "") -> None:
        """Returns when the call may be made; it must be made then. Waits as long as it takes.

        Where many wait, spaces take turns; a chat without one (a private chat) stands for itself.
        """
        now = self._clock()
        if not self._waiting() and (chat, kind) not in self._lanes:
            state = self._chat(chat, group, now)
            if state.free_at(kind, now) <= now and self._rate.free_at(now) <= now and self._has_permit(now):
                self._grant(state, kind, now)
                return
        waiter = _Waiter(chat, group, kind, space or chat, asyncio.get_running_loop().create_future())
        lane = self._lanes.setdefault((chat, kind), deque())
        lane.append(waiter)
        if len(lane) == 1:
            self._queue(waiter, now)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run())
        elif self._nap is not None:
            self._nap.cancel()
        await waiter.future

    def may(self, chat: str, group: bool, kind: Kind) -> bool:
        """Whether an optional call may be made now; it counts as made when the answer is yes."""
        now = self._clock()
        if self._is_frugal() or self._waiting():
            return False
        if (chat, Kind.CREATE) in self._lanes or (chat, Kind.FINAL_EDIT) in self._lanes:
            return False
        state = self._chat(chat, group, now)
        if not (state.is_roomy(kind, now) and self._rate.is_roomy(now)):
            return False
        granted = self._has_permit(now)
        if granted:
            self._grant(state, kind, now)
        if not self._has_permit(now) and now >= self._dry_until:
            self._refill_soon(0)
        return granted

    def may_renew(self, chat: str, group: bool) -> bool:
        """Whether a preview may be shown again before it vanishes; it counts as shown when the answer is yes.

        Once in many seconds, so also while others wait or the chat was refused: only the bot's own limit holds.
        """
        now = self._clock()
        if self._rate.free_at(now) > now or not self._has_permit(now):
            return False
        self._grant(self._chat(chat, group, now), Kind.DRAFT, now)
        return True

    def refused(self, chat: str, retry_after: float, everywhere: bool) -> None:
        """A call was refused for ``retry_after`` seconds: the chat waits, and with ``everywhere`` the whole bot.

        The bot's rate falls as well when several chats are refused at once that were not before: platforms do not
        always say which limit was met.
        """
        now = self._clock()
        until = now + max(0.05, retry_after)
        self._suspects = {name: at for name, at in self._suspects.items() if now - at < SUSPECT_SECONDS}
        if not everywhere:
            state = self._chats.get(chat) or self._chat(chat, False, now)
            is_known = now - state.refused_at < KNOWN_SECONDS
            state.paused_until, state.refused_at = max(state.paused_until, until), now
            if is_known:
                return
            self._suspects[chat] = now
            if len(self._suspects) < (SUSPECT_CHATS if self._rate.value == math.inf else SUSPECT_CHATS_AGAIN):
                return
        if self._rate.fall(now, until if everywhere else now):
            self._hand.clear()
            log.warning("platform limits the bot", bucket=self._bucket, calls_per_second=round(self._rate.value, 1))

    # -- granting

    def _waiting(self) -> int:
        """Those who could go but for the bot's own limit."""
        return sum(map(len, self._ready.values()))

    async def _run(self) -> None:
        """Grants to those who wait, as long as there are any."""
        while self._later or self._waiting():
            now = self._clock()
            while self._later and self._later[0][0] <= now:
                self._queue(heapq.heappop(self._later)[2], now)
            wait = self._grant_next(now)
            if wait is None:
                await self._refill_soon(self._waiting())
            elif wait > 0:
                await self._rest(wait)

    def _grant_next(self, now: float) -> float | None:
        """Grants to the first that may go; seconds until it makes sense to try again, None for want of permits."""
        queue = self._next_queue()
        if queue is None:
            return max(0.0, self._later[0][0] - now) if self._later else 0.0
        permit_at = self._permit_at(now)
        if permit_at is None:
            return None
        free_at = max(permit_at, self._rate.free_at(now))
        if free_at > now:
            return free_at - now
        waiter = queue.pop()
        assert waiter is not None  # the queue is not empty
        if waiter.future.done():
            self._leave(waiter, now)
            return 0.0
        state = self._chat(waiter.chat, waiter.group, now)
        if state.free_at(waiter.kind, now) > now:  # refused, or used by another kind, while it stood ready
            self._queue(waiter, now)
            return 0.0
        self._edits_in_a_row = self._edits_in_a_row + 1 if waiter.kind is Kind.FINAL_EDIT else 0
        self._grant(state, waiter.kind, now)
        waiter.future.set_result(None)
        self._leave(waiter, now)
        return 0.0

    def _next_queue(self) -> FairQueue[_Waiter] | None:
        edits, *others = self._ready.values()
        other = next((queue for queue in others if queue), None)
        if edits and (other is None or self._edits_in_a_row < EDITS_IN_A_ROW):
            return edits
        return other

    def _queue(self, waiter: _Waiter, now: float) -> None:
        free_at = self._chat(waiter.chat, waiter.group, now).free_at(waiter.kind, now)
        if free_at <= now or waiter.future.done():
            self._ready[waiter.kind].push(waiter.share, waiter)
        else:
            heapq.heappush(self._later, (free_at, next(self._numbers), waiter))

    def _leave(self, waiter: _Waiter, now: float) -> None:
        """The next of the lane steps forward."""
        lane = self._lanes[waiter.chat, waiter.kind]
        lane.popleft()
        if lane:
            self._queue(lane[0], now)
        else:
            del self._lanes[waiter.chat, waiter.kind]

    def _grant(self, state: Chat, kind: Kind, now: float) -> None:
        state.took(kind, now)
        self._rate.took(now)
        if self._shares():
            self._late += now - self._hand.popleft() > FRESH_SECONDS

    async def _rest(self, seconds: float) -> None:
        """Sleeps until then, or until someone new waits."""
        self._nap = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait((self._nap,))
        finally:
            self._nap.cancel()
            self._nap = None

    # -- permits shared with other processes

    def _shares(self) -> bool:
        """Nothing is to be shared while the bot's limit is unknown."""
        return self._permits is not None and self._rate.value < math.inf

    def _permit_at(self, now: float) -> float | None:
        """From when there is a permit in hand; None: one has to be drawn."""
        if not self._shares():
            return now
        while self._hand and self._hand[0] + PERMIT_SECONDS <= now:
            self._hand.popleft()
        return self._hand[0] if self._hand else None

    def _has_permit(self, now: float) -> bool:
        at = self._permit_at(now)
        return at is not None and at <= now

    def _refill_soon(self, needed: int) -> asyncio.Task[None]:
        if self._refill is None or self._refill.done():
            self._refill = asyncio.create_task(self._take(needed))
        return self._refill

    async def _take(self, needed: int) -> None:
        """Draws permits for those who wait, and spare ones for the optional calls that follow."""
        permits = self._permits
        assert permits is not None  # asked for only where permits are shared
        most = max(1, round(self._rate.value * PERMIT_SHARE))
        needed = min(most, needed)
        late, self._late = self._late, 0
        seconds = most / self._rate.value
        try:
            following, waits = await permits.take(
                self._bucket, most, seconds, needed, SPARE_PERMITS, TO_COME_PERMITS, late
            )
        except StorageError as error:
            # Answers are worth more than a refusal by the platform: this process keeps its own count.
            log.warning("permits not reached", cause=str(error))
            following, waits = 0.0, [0.0] * (needed + SPARE_PERMITS)
        now = self._clock()
        self._hand.extend(now + wait for wait in waits)
        self._dry_until = now + following

    # -- chats

    def _chat(self, chat: str, group: bool, now: float) -> Chat:
        self._forget_idle(now)
        state = self._chats.get(chat)
        if state is None:
            windows = self._limits.chat + self._limits.group if group else self._limits.chat
            state = self._chats[chat] = Chat([Windows(window) for window in windows])
        else:
            self._chats.move_to_end(chat)
        return state

    def _forget_idle(self, now: float) -> None:
        """Two at most, with each chat that is asked for: so none pile up, and nobody waits for a sweep."""
        for name, state in list(islice(self._chats.items(), 2)):
            if state.paused_until > now:
                self._chats.move_to_end(name)
            elif state.used_at < now - self._limits.longest:
                del self._chats[name]
