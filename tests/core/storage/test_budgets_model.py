"""Reserving, settling and expiring in any order, against a plain model of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.models.budget import Amounts, Cap, Period, Span, Thing
from core.storage.budgets import Entry, Granted, Ledger, OtherDay, Refused
from core.storage.client import Store

LIMIT = {Span.DAY: 100, Span.MONTH: 130}
CAPS = tuple(Cap("all", span, Thing.MONEY, LIMIT[span]) for span in Span)
NEVER = datetime.max.replace(tzinfo=UTC)
FIRST = Period("2026-01-30", "2026-01", 0, 2**52, NEVER, NEVER)
SECOND = Period("2026-01-31", "2026-01", 0, 2**52, NEVER, NEVER)
NEXT = Period("2026-02-01", "2026-02", 0, 2**52, NEVER, NEVER)

STEP = st.one_of(
    st.tuples(st.just("reserve"), st.integers(0, 70), st.integers(0, 70)),
    st.tuples(st.just("settle"), st.integers(0, 9), st.integers(0, 90)),
    st.tuples(st.just("expire"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("tomorrow"), st.just(0), st.just(0)),
)


@dataclass
class Plain:
    """What the scripts should do."""

    used: dict[str, int] = field(default_factory=dict[str, int])
    open: dict[str, tuple[Period, int]] = field(default_factory=dict[str, tuple[Period, int]])
    settled: set[str] = field(default_factory=set[str])

    def left(self, period: Period) -> int:
        """The least of what day and month have left."""
        lefts: list[int] = []
        for span in Span:
            date = period.date_of(span)
            held = sum(money for of, money in self.open.values() if of.date_of(span) == date)
            lefts.append(LIMIT[span] - self.used.get(date, 0) - held)
        return min(lefts)

    def settle(self, id: str, period: Period, money: int) -> None:
        self.open.pop(id, None)
        if id not in self.settled:
            self.settled.add(id)
            for span in Span:
                date = period.date_of(span)
                self.used[date] = self.used.get(date, 0) + money


@given(st.lists(STEP, max_size=25))
@example(
    [("reserve", 0, 0), ("reserve", 0, 0), ("reserve", 0, 30), ("reserve", 0, 70), ("reserve", 0, 1), ("settle", 4, 0)]
)
@example([("reserve", 0, 1), ("reserve", 0, 0), ("expire", 1, 0), ("expire", 0, 0)])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_scripts_do_what_the_model_does(valkey_url: str, steps: list[tuple[str, int, int]]) -> None:
    asyncio.run(compare(valkey_url, steps))


async def compare(url: str, steps: list[tuple[str, int, int]]) -> None:
    store = Store(url)
    try:
        await store.redis.flushall()
        ledger, plain = Ledger(store), Plain()
        days, made = [FIRST, SECOND, NEXT], list[tuple[str, Period]]()
        for number, (what, first, second) in enumerate(steps):
            period = days[0]
            if what == "tomorrow" and len(days) > 1:
                days.pop(0)
            elif what == "reserve":
                most, least = max(first, second), min(first, second)
                id, left = f"r{number}", plain.left(period)
                reply = await ledger.reserve(id, period, CAPS, Amounts(most), least, seconds=60, low_share=None)
                if most and left < least:
                    assert isinstance(reply, Refused)
                else:
                    money = min(most, left) if most else 0
                    assert reply == Granted(money)
                    plain.open[id] = period, money
                    made.append((id, period))
            elif made and what == "settle":
                id, of = made[first % len(made)]
                entry = Entry(id, ("all",), Amounts(second), "", "", "m", {"money": second}, period=of)
                for _ in range(1 + second % 2):
                    assert not isinstance(await ledger.settle([entry], period, told_share=0.8), OtherDay)
                plain.settle(id, of, second)
            elif made and what == "expire":
                id, of = made[first % len(made)]
                if id in plain.open:
                    await store.redis.zadd("parley:{budget}:ends", {id: 1})
                    # It is swept before the next reservation is looked at.
                    plain.open.pop(id)
                    await ledger.reserve("sweep", period, CAPS, Amounts(), 0, seconds=0, low_share=None)
                    plain.open.pop("sweep", None)
        for period in (FIRST, SECOND, NEXT):
            found = await ledger.used(period, ["all"])
            for span in Span:
                assert found["all", span].money == plain.used.get(period.date_of(span), 0)
        held = sum(map(int, await store.redis.hvals("parley:{budget}:held")))
        # Each reservation is held for its day and for its month.
        assert held == 2 * sum(money for _, money in plain.open.values())
    finally:
        await store.close()
