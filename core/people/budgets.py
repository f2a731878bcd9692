"""Budgets: who may spend how much in a day and in a month, and what they spent.

Where a limit holds, what a call may cost at most is reserved before it and what it did cost settled after it, each in
one round trip. Where none holds, calls are only counted, many in one round trip.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import structlog

from core.errors import StorageError
from core.models.budget import NOTHING, Amounts, Budget, Cap, Period, Scope, Span, Thing
from core.models.model import Model
from core.models.paying import LowBudget, OverBudget, Payer, Reservation, told_of
from core.parts import Notice, Usage
from core.people.identity import People
from core.people.spaces import Allowance, Spaces
from core.settings import BudgetSettings, Spending
from core.storage.budgets import Entry, Granted, Ledger, OtherDay, Refused
from core.storage.client import Store
from core.storage.shared import Once
from core.tasks import end, to_the_end

log = structlog.get_logger()
Value = TypeVar("Value")

BATCH_SECONDS = 0.2
"""So long calls wait to be counted that no budget waits for: a process that is killed loses as much of the lists."""
PAUSE_SECONDS = 5.0
"""Before it is tried again."""
MOST_WAITING = 10_000
"""Calls that wait to be counted while Redis is away."""
MOST_AT_ONCE = 200
STOP_SECONDS = 5.0
TRIES = 5
"""How often it may turn out to be another day."""
MOST_NAME = 64
SHOWN_DAYS = 90
"""The longest that lists of what was used go back."""
MILLION = 1_000_000
_UNLIMITED = Allowance()

Tell = Callable[[Budget, str], Coroutine[Any, Any, None]]
"""Told that much of a budget of a space (its ``space_id``), or of all (empty), is used. Never fails."""


class Budgets:
    """Keeps all budgets, as one process sees them: the purse that models are paid from."""

    def __init__(self, store: Store, settings: BudgetSettings, people: People, spaces: Spaces) -> None:
        self.ledger = Ledger(store)
        self._settings = settings
        self._allowed = _allowed(settings)
        self._people = people
        self._spaces = spaces
        self._once = Once(store)
        self._zone = ZoneInfo(settings.time_zone)
        self.today = Period.at(round(time.time() * 1000), self._zone)
        """As far as this process knows; Redis puts it right."""
        self._waiting: deque[Entry] = deque()
        self._flushing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._told: set[str] = set()
        self.tell: Tell | None = None
        """Who runs the process sets it where spaces' administrators and owners can be reached."""

    def update(self, settings: BudgetSettings) -> None:
        """Takes other settings over, for all calls from now on."""
        self._settings = settings
        self._allowed = _allowed(settings)
        self._zone = ZoneInfo(settings.time_zone)
        self.today = Period.at(round(time.time() * 1000), self._zone)

    @property
    def usual(self) -> Allowance:
        """What a person may spend where the owner said nothing of them."""
        return self._allowed["person"]

    async def close(self) -> None:
        """Writes what waits to be counted."""
        if self._flushing is not None:
            await end([self._flushing])
        with contextlib.suppress(StorageError, TimeoutError):
            await to_the_end(self._finish(), STOP_SECONDS)

    # ---- the purse

    async def reserve(
        self, payer: Payer, model: Model, most: Amounts, least: Amounts, *, seconds: float, sparing: bool = False
    ) -> Reservation:
        id = secrets.token_hex(12)
        caps = [] if payer.pays(model) else [cap for cap in await self.caps(payer) if most.of(cap.thing)]
        if not caps:
            return Reservation(id, payer, model, most)
        low = self._settings.low_percent / 100 if sparing and self._settings.low_percent else None
        for _ in range(TRIES):
            period = self.today
            wanted = Reservation(id, payer, model, most, tuple(caps), period)
            try:
                reply = await self.ledger.reserve(id, period, caps, most, least.money, seconds=seconds, low_share=low)
            except BaseException:
                # It may be set aside all the same, for nobody.
                self._start(self._settle(self._entry(wanted, NOTHING, Usage()), listens=False))
                raise
            if isinstance(reply, Granted):
                return replace(wanted, granted=replace(most, money=reply.money))
            if isinstance(reply, Refused):
                if reply.cap is None:
                    raise LowBudget(f"little is left for {model.name}")
                raise OverBudget(_budget(reply.cap, reply.used, period), is_passing=reply.is_passing)
            self._correct(reply)
        raise StorageError("The clock of Redis says another day each time.")

    async def settle(self, reservation: Reservation, took: Amounts, usage: Usage) -> tuple[Notice, ...]:
        entry = self._entry(reservation, took, usage)
        if not reservation.caps:
            self._later(entry)
            return ()
        return await self._to_the_end(self._settle(entry, listens=reservation.payer.listens))

    async def give_back(self, reservation: Reservation) -> None:
        if reservation.caps:
            await self._to_the_end(self._settle(self._entry(reservation, NOTHING, Usage()), listens=False))

    # ---- what holds

    async def caps(self, payer: Payer) -> tuple[Cap, ...]:
        """The limits that hold for somebody. Raises StorageError."""
        found = _caps("all", self._allowed["all"])
        if payer.space:
            space = await self._spaces.of(payer.space)
            found += _caps(f"space:{payer.space}", _least(self._allowed["space"], space.allowance))
            if payer.person:
                found += _caps(f"member:{payer.space} {payer.person}", space.person_allowance)
        if payer.person:
            person = await self._people.of(payer.person)
            found += _caps(f"person:{payer.person}", _instead(self._allowed["person"], person.allowance))
        return tuple(found)

    async def standing(self, payer: Payer) -> tuple[Budget, ...]:
        """How the budgets stand that hold for somebody. Raises StorageError."""
        caps, period = await self.caps(payer), await self.period()
        used = await self.ledger.used(period, sorted({cap.whose for cap in caps})) if caps else {}
        return tuple(_budget(cap, used[cap.whose, cap.span].of(cap.thing), period) for cap in caps)

    async def joined(self, person: str, other: str) -> None:
        """Accounts were linked: what the one person spent counts for the other, whose accounts they are now. Calls
        under way count for whoever made them. Raises StorageError."""
        await self.ledger.carry_over(await self.period(), person, other, gone=True)

    async def parted(self, person: str, other: str) -> None:
        """Accounts were parted: both have spent what they spent together. Raises StorageError."""
        await self.ledger.carry_over(await self.period(), person, other, gone=False)

    async def moved(self, old: str, new: str) -> None:
        """A space goes on under another id: what was spent there was spent here. Raises StorageError."""
        period = await self.period()
        await self.ledger.move(period, days_to(period, SHOWN_DAYS), old, new)

    async def used(self, whose: str) -> Mapping[Span, Amounts]:
        """What a sum came to today and this month: ``all``, ``person:ID`` or ``space:ID``. Raises StorageError."""
        found = await self.ledger.used(await self.period(), [whose])
        return {span: found[whose, span] for span in Span}

    async def period(self) -> Period:
        """Today, by the clock of Redis. Raises StorageError."""
        self._correct(OtherDay(await self.ledger.now()))
        return self.today

    # ---- counting

    def _entry(self, reservation: Reservation, took: Amounts, usage: Usage) -> Entry:
        payer = reservation.payer
        is_own = payer.pays(reservation.model)
        whose = ["all"]
        if payer.space:
            whose.append(f"space:{payer.space}")
        if payer.person:
            whose.append(f"person:{payer.person}")
        if payer.space and payer.person:
            whose.append(f"member:{payer.space} {payer.person}")
        return Entry(
            reservation.id,
            () if is_own else tuple(whose),
            took,
            payer.space,
            payer.person,
            reservation.model.name,
            {
                "own" if is_own else "money": took.money,
                "images": took.images,
                "seconds": took.seconds,
                "prompt": usage.prompt_tokens,
                "answer": usage.answer_tokens,
                "calls": usage.calls,
            },
            payer.name[:MOST_NAME],
            reservation.caps,
            reservation.period,
        )

    async def _settle(self, entry: Entry, *, listens: bool) -> tuple[Notice, ...]:
        try:
            (near,) = await self._write([entry])
        except StorageError as error:
            log.warning("a call is counted later", cause=str(error))
            self._later(entry)
            return ()
        notices: list[Notice] = []
        for cap in near:
            # One with an answer: of another budget the next answer tells.
            notice = await self._told_of(cap, entry, listens=listens and not notices)
            if notice is not None:
                notices.append(notice)
        return tuple(notices)

    async def _write(self, entries: Sequence[Entry]) -> list[tuple[Cap, ...]]:
        for _ in range(TRIES):
            reply = await self.ledger.settle(entries, self.today, told_share=self._settings.told_percent / 100)
            if not isinstance(reply, OtherDay):
                return reply
            self._correct(reply)
        raise StorageError("The clock of Redis says another day each time.")

    def _later(self, entry: Entry) -> None:
        self._waiting.append(entry)
        if len(self._waiting) > MOST_WAITING:
            lost = self._waiting.popleft()
            log.error("a call is not counted", call=lost.id, money=lost.took.money)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush_soon(), name="usage")

    async def _flush_soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(BATCH_SECONDS)
            try:
                await self.flush()
            except StorageError as error:
                log.warning("calls are counted later", waiting=len(self._waiting), cause=str(error))
                await asyncio.sleep(PAUSE_SECONDS)

    async def flush(self) -> None:
        """Counts what waits for it. Raises StorageError: it then goes on waiting."""
        while self._waiting:
            entries = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
            try:
                await self._write(entries)
            except BaseException:
                # Counted perhaps, and known by their ids then.
                self._waiting.extendleft(reversed(entries))
                raise

    async def _finish(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.flush()

    async def _to_the_end(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Goes on though the caller is cancelled."""
        return await asyncio.shield(self._start(work))

    def _start(self, work: Coroutine[Any, Any, Value]) -> asyncio.Task[Value]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _correct(self, reply: OtherDay) -> None:
        if not self.today.begins <= reply.milliseconds < self.today.ends:
            self.today = Period.at(reply.milliseconds, self._zone)
            self._told.clear()

    # ---- telling

    async def _told_of(self, cap: Cap, entry: Entry, *, listens: bool) -> Notice | None:
        """Once in the day or month: a notice for the person themselves, or a word to whoever else it concerns."""
        period = entry.period or self.today
        what = f"budget:{period.date_of(cap.span)}:{cap.whose}:{cap.thing}"
        budget = _budget(cap, 0, period)
        is_theirs = budget.scope in (Scope.PERSON, Scope.MEMBER)
        if not cap.most or what in self._told or (is_theirs and not listens):
            return None
        self._told.add(what)
        lasting = max(60, round(budget.until.timestamp() - time.time()) + 86_400)
        try:
            if not await self._once.may(what, lasting):
                return None
        except StorageError as error:
            log.warning("nobody is told of a budget", cause=str(error))
            self._told.discard(what)
            return None
        log.warning("much of a budget is used", whose=cap.whose, span=cap.span, thing=cap.thing, most=cap.most)
        if is_theirs:
            return Notice("budget_near", {"percent": self._settings.told_percent, **told_of(budget)})
        if self.tell is not None:
            self._start(self.tell(budget, entry.space if budget.scope is Scope.SPACE else ""))
        return None


def _budget(cap: Cap, used: int, period: Period) -> Budget:
    return Budget(Scope(cap.whose.partition(":")[0]), cap.span, cap.thing, cap.most, used, period.until(cap.span))


def days_to(period: Period, days: int) -> list[str]:
    """So many days up to that of the period, oldest first."""
    last = date.fromisoformat(period.day)
    return [(last - timedelta(days=ago)).isoformat() for ago in reversed(range(days))]


def _allowed(settings: BudgetSettings) -> dict[str, Allowance]:
    return {
        "person": allowance_of(settings.person),
        "space": allowance_of(settings.space),
        "all": allowance_of(settings.all),
    }


def _caps(whose: str, allowance: Allowance) -> list[Cap]:
    found: list[Cap] = []
    if allowance == _UNLIMITED:
        return found
    for span in Span:
        for thing in Thing:
            most: int | None = getattr(allowance, f"{span}_{thing}")
            if most is not None:
                found.append(Cap(whose, span, thing, most))
    return found


def allowance_of(spending: Spending) -> Allowance:
    """A budget of the configuration, with money in millionths."""
    values: Mapping[str, float] = {str(name): value for name, value in spending.items()}
    return Allowance(
        **{name: round(value * MILLION) if name.endswith("money") else int(value) for name, value in values.items()}
    )


def _least(allowed: Allowance, chosen: Allowance) -> Allowance:
    """What administrators chose, where it is less than what the configuration allows."""
    return _merged(allowed, chosen, min)


def _instead(allowed: Allowance, chosen: Allowance) -> Allowance:
    return _merged(allowed, chosen, lambda _, own: own)


def _merged(first: Allowance, second: Allowance, both: Callable[[int, int], int]) -> Allowance:
    if _UNLIMITED in (first, second):
        return second if first == _UNLIMITED else first
    values: dict[str, int | None] = {}
    for name in Allowance.model_fields:
        one: int | None = getattr(first, name)
        other: int | None = getattr(second, name)
        values[name] = other if one is None else one if other is None else both(one, other)
    return Allowance.model_validate(values)
