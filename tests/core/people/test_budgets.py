"""Budgets: what is reserved, settled, returned, refused, and on which day."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.errors import StorageError
from core.models.budget import MOST, Amounts, Budget, Cap, Period, Scope, Span, Thing
from core.models.model import Model
from core.models.paying import LowBudget, OverBudget, Payer, Reservation
from core.parts import Notice, Usage
from core.people.budgets import Budgets
from core.people.identity import People
from core.people.spaces import Allowance, Spaces
from core.settings import BudgetSettings
from core.storage.budgets import Granted, Row
from core.storage.client import Store
from core.storage.shared import Once
from core.texts import Label

MODEL = Model("big", "p", "big", price_prompt=1_000_000)
ANNA = Payer("telegram:1", "discord:9:5", "安娜")
BEN = Payer("telegram:2", "discord:9:5", "Ben")
ALONE = Payer("telegram:1", "", "安娜")


def budgets(store: Store, **settings: object) -> Budgets:
    return Budgets(store, BudgetSettings.model_validate(settings), People(store), Spaces(store))


async def reserve(
    at: Budgets, payer: Payer = ANNA, money: int = 0, least: int | None = None, **amounts: int
) -> Reservation:
    most = Amounts(money, **amounts)
    return await at.reserve(payer, MODEL, most, Amounts(money if least is None else least, **amounts), seconds=60)


async def spend(at: Budgets, payer: Payer = ANNA, money: int = 0, **amounts: int) -> tuple[Notice, ...]:
    took = Amounts(money, **amounts)
    return await at.settle(await reserve(at, payer, money, **amounts), took, Usage("big", 3, 4, money, 1))


async def refused(at: Budgets, payer: Payer = ANNA, money: int = 1, **amounts: int) -> Budget:
    with pytest.raises(OverBudget) as caught:
        await reserve(at, payer, money, **amounts)
    assert not caught.value.is_passing
    return caught.value.budget


async def test_a_budget_is_used_up_and_then_refused(store: Store) -> None:
    at = budgets(store, person={"day_money": 0.0001})
    await spend(at, money=60)
    await spend(at, money=40)
    budget = await refused(at)
    assert (budget.scope, budget.span, budget.thing) == (Scope.PERSON, Span.DAY, Thing.MONEY)
    assert (budget.most, budget.used) == (100, 100)
    assert budget.until > datetime.now(ZoneInfo("UTC"))
    await spend(at, BEN, money=100)


async def test_what_is_under_way_is_held_and_comes_back(store: Store) -> None:
    at = budgets(store, all={"day_money": 0.0001})
    first = await reserve(at, money=70)
    with pytest.raises(OverBudget) as caught:
        await reserve(at, BEN, money=70)
    assert caught.value.is_passing
    assert caught.value.notice() == Notice("budget_held")
    await at.settle(first, Amounts(20), Usage("big", 1, 1, 20, 1))
    second = await reserve(at, BEN, money=80)
    await at.give_back(second)
    await spend(at, BEN, money=80)
    await refused(at)


async def test_less_money_is_granted_where_there_is_not_so_much(store: Store) -> None:
    at = budgets(store, person={"day_money": 0.0001}, all={"month_money": 0.00009})
    assert (await reserve(at, money=500, least=10)).granted == Amounts(90)
    with pytest.raises(OverBudget):
        await reserve(at, money=500, least=10)


async def test_every_budget_that_holds_is_looked_at(store: Store) -> None:
    at = budgets(
        store,
        person={"day_images": 3},
        space={"month_seconds": 100, "day_images": 10},
        all={"day_images": 5},
    )
    await spend(at, images=3, seconds=100)
    assert (await refused(at, ANNA, 0, images=1)).scope is Scope.PERSON
    budget = await refused(at, BEN, 0, seconds=1)
    assert (budget.scope, budget.span, budget.thing) == (Scope.SPACE, Span.MONTH, Thing.SECONDS)
    await spend(at, BEN, images=2)
    assert (await refused(at, BEN, 0, images=1)).scope is Scope.ALL
    # In private no space pays.
    await spend(at, Payer("telegram:3"), seconds=500)


async def test_administrators_choose_less_but_never_more(store: Store) -> None:
    at = budgets(store, space={"day_money": 0.0001})
    spaces = Spaces(store)
    at = Budgets(store, BudgetSettings(space={"day_money": 0.0001}), People(store), spaces)

    async def choose(**fields: Allowance) -> None:
        await spaces.change(ANNA.space, lambda space: space.model_copy(update=fields))

    await choose(allowance=Allowance(day_money=10**9), person_allowance=Allowance(day_money=30))
    await spend(at, money=30)
    assert (await refused(at)).scope is Scope.MEMBER
    await spend(at, BEN, money=30)
    await choose(allowance=Allowance(day_money=50), person_allowance=Allowance())
    assert (await refused(at, BEN)).scope is Scope.SPACE


async def test_the_owner_sets_a_budget_for_a_person(store: Store) -> None:
    people = People(store)
    at = Budgets(store, BudgetSettings(person={"day_money": 0.0001}), people, Spaces(store))
    await people.change(ANNA.person, lambda one: one.model_copy(update={"allowance": Allowance(day_money=300)}))
    await spend(at, money=300)
    await refused(at)
    await people.change(BEN.person, lambda one: one.model_copy(update={"allowance": Allowance(day_money=0)}))
    await refused(at, BEN)


async def test_who_is_killed_loses_the_reservation_alone(store: Store) -> None:
    at = budgets(store, all={"day_money": 0.0001})
    late = await at.reserve(ANNA, MODEL, Amounts(100), Amounts(100), seconds=0.05)
    await asyncio.sleep(0.06)
    await spend(at, BEN, money=60)
    # What was spent all the same counts, though it had been returned.
    await at.settle(late, Amounts(70), Usage("big", 1, 1, 70, 1))
    assert (await at.used("all"))[Span.DAY].money == 130
    await refused(at, money=1)
    assert await store.redis.hlen("parley:{budget}:held") == 0


async def test_a_call_is_counted_once_however_often_it_is_settled(store: Store) -> None:
    at = budgets(store, all={"day_money": 1})
    reservation = await reserve(at, money=100)
    for _ in range(3):
        await at.settle(reservation, Amounts(40), Usage("big", 1, 1, 40, 1))
    await at.give_back(reservation)
    assert (await at.used("all"))[Span.MONTH].money == 40
    assert [row.amounts["calls"] async for row in at.ledger.rows([(await at.period()).day])] == [1]


async def test_little_left_makes_way_for_cheaper_models(store: Store) -> None:
    at = budgets(store, person={"day_money": 0.0001})
    most = Amounts(5)
    await spend(at, money=79)
    await at.give_back(await at.reserve(ANNA, MODEL, most, most, seconds=60, sparing=True))
    await spend(at, money=2)
    with pytest.raises(LowBudget):
        await at.reserve(ANNA, MODEL, most, most, seconds=60, sparing=True)
    await at.give_back(await at.reserve(ANNA, MODEL, most, most, seconds=60))


async def test_the_person_is_told_once_in_the_day_and_others_by_a_word(store: Store) -> None:
    told: list[tuple[Scope, str]] = []

    async def tell(budget: Budget, space: str) -> None:
        told.append((budget.scope, space))

    at, other = (
        budgets(store, person={"day_images": 10}, space={"day_images": 12}, all={"day_images": 12}) for _ in "12"
    )
    at.tell = other.tell = tell
    assert await spend(at, images=7) == ()
    (notice,) = await spend(at, images=1)
    assert (notice.key, notice.values["percent"]) == ("budget_near", 80)
    assert await spend(at, images=1) == ()
    assert await spend(other, images=1) == ()
    await at.close()
    await other.close()
    assert told == [(Scope.ALL, ""), (Scope.SPACE, ANNA.space)]


async def test_of_two_budgets_that_are_near_at_once_each_is_told_with_an_answer_of_its_own(store: Store) -> None:
    at = budgets(store, person={"day_images": 10, "month_images": 10})
    told = [notice.values["span"] for images in (8, 1, 1) for notice in await spend(at, images=images)]
    assert told == [Label("budget_span", span) for span in Span]


async def test_what_could_not_be_told_is_told_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    at = budgets(store, person={"day_images": 10})

    async def away(*_: object) -> bool:
        raise StorageError("away")

    with monkeypatch.context() as patch:
        patch.setattr(Once, "may", away)
        assert await spend(at, images=8) == ()
    (notice,) = await spend(at, images=1)
    assert notice.key == "budget_near"


async def test_where_no_limit_holds_calls_are_only_counted(store: Store) -> None:
    at = budgets(store)
    await at.caps(ANNA)
    before = store.calls
    for _ in range(5):
        await spend(at, money=20)
    await spend(at, ALONE, money=1)
    assert store.calls == before
    await at.close()
    assert store.calls == before + 1
    assert (await at.used("all"))[Span.DAY].money == 101
    assert (await at.used(f"space:{ANNA.space}"))[Span.DAY].money == 100
    assert (await at.used(f"person:{ANNA.person}"))[Span.MONTH].money == 101
    day = (await at.period()).day
    amounts = {"money": 100, "prompt": 15, "answer": 20, "calls": 5}
    assert [row async for row in at.ledger.rows([day], ANNA.space)] == [Row(day, ANNA.person, "big", amounts)]
    assert await at.ledger.names([ANNA.person, "telegram:77"]) == {ANNA.person: "安娜"}


async def test_a_key_of_ones_own_passes_the_budgets_and_is_listed_apart(store: Store) -> None:
    at = budgets(store, all={"day_money": 0.00001})
    own = Payer("telegram:1", "", "Anna", {"p": "sk-own"})
    await spend(at, own, money=500)
    await at.close()
    assert (await at.used("all"))[Span.DAY].money == 0
    (row,) = [row async for row in at.ledger.rows([(await at.period()).day])]
    assert (row.amounts["own"], "money" in row.amounts) == (500, False)
    assert "sk-own" not in repr(own)


async def test_only_the_clock_of_redis_tells_the_day(store: Store) -> None:
    at = budgets(store, all={"day_money": 0.0001})
    zone = ZoneInfo("UTC")
    true = await at.period()
    at.today = Period.at(0, zone)
    await spend(at, money=60)
    at.today = Period.at(4_102_444_800_000, zone)
    await spend(at, money=40)
    await refused(at)
    assert (await at.used("all"))[Span.DAY].money == 100
    assert at.today == true


async def test_a_call_counts_for_the_day_on_which_it_began(store: Store) -> None:
    at = budgets(store, all={"day_money": 1})
    reservation = await reserve(at, money=100)
    true = await at.period()
    at.today = Period.at(true.ends, ZoneInfo("UTC"))
    await at.settle(reservation, Amounts(70), Usage("big", 1, 1, 70, 1))
    at.today = true
    assert (await at.used("all"))[Span.DAY].money == 70


async def test_amounts_that_cannot_be_counted_are_refused(store: Store) -> None:
    for amount in (-1, MOST + 1):
        with pytest.raises(ValueError, match="amounts lie between"):
            Amounts(amount)
    at = budgets(store, all={"day_money": 1})
    with pytest.raises(OverBudget):
        await reserve(at, money=MOST)


@pytest.mark.parametrize(
    ("zone", "now", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25T23:59:59", "2026-10-25", 25),
        ("Africa/Cairo", "2026-04-24T00:30", "2026-04-24", 23),
        ("Pacific/Kiritimati", "2026-12-31T23:59", "2026-12-31", 24),
        ("Asia/Kathmandu", "2024-02-29T00:00", "2024-02-29", 24),
    ],
)
def test_days_are_the_zones(zone: str, now: str, day: str, hours: int) -> None:
    at = ZoneInfo(zone)
    milliseconds = round(datetime.fromisoformat(now).replace(tzinfo=at).timestamp() * 1000)
    period = Period.at(milliseconds, at)
    assert period.day == day
    assert period.begins <= milliseconds < period.ends
    assert (period.ends - period.begins) / 3_600_000 == hours
    assert Period.at(period.begins - 1, at).day < day < Period.at(period.ends, at).day


def test_a_day_that_has_begun_stays_begun_where_clocks_go_back_over_midnight() -> None:
    zone = ZoneInfo("America/St_Johns")
    # On 29 October 2006 at 00:01 clocks were set back to 23:01 of the day before.
    begins = round(datetime(2006, 10, 29, tzinfo=zone).timestamp() * 1000)
    days = [Period.at(begins + minutes * 60_000, zone) for minutes in (-1, 0, 1, 30, 61, 500)]
    assert [period.day[-2:] for period in days] == ["28", "29", "29", "29", "29", "29"]
    assert all(period.begins == begins for period in days[1:])


def test_months_end_with_their_year() -> None:
    period = Period.at(round(datetime(2026, 12, 31, 23, tzinfo=ZoneInfo("UTC")).timestamp() * 1000), ZoneInfo("UTC"))
    assert period.until(Span.MONTH) == datetime(2027, 1, 1, tzinfo=ZoneInfo("UTC"))
    assert {span: period.date_of(span) for span in Span} == {Span.DAY: "2026-12-31", Span.MONTH: "2026-12"}


@pytest.mark.parametrize("spending", [{"day_money": -1}, {"day_money": float("nan")}, {"day_money": 1e18}, {"day": 1}])
def test_settings_take_no_nonsense(spending: Mapping[str, float]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        BudgetSettings.model_validate({"all": spending})


async def test_of_two_budgets_the_one_that_lasts_longer_is_told(store: Store) -> None:
    at = budgets(store, person={"day_money": 0.00001, "month_money": 0.00001})
    await spend(at, money=10)
    assert (await refused(at)).span is Span.MONTH


async def test_what_is_only_counted_counts_for_the_day_that_redis_tells(store: Store) -> None:
    at = budgets(store)
    at.today = Period.at(0, ZoneInfo("UTC"))
    await spend(at, money=5)
    await at.flush()
    assert (await at.used("all"))[Span.DAY].money == 5


async def test_a_reservation_whose_reply_got_lost_is_the_same_when_it_is_made_again(store: Store) -> None:
    at = budgets(store)
    caps = (Cap("all", Span.DAY, Thing.MONEY, 100),)
    for _ in range(2):
        made = await at.ledger.reserve("one", await at.period(), caps, Amounts(90), 90, seconds=60, low_share=None)
        assert made == Granted(90)
    assert await store.redis.hvals("parley:{budget}:held") == ["90"]
    # So it is where the day ended meanwhile.
    over = replace(await at.period(), ends=0)
    assert await at.ledger.reserve("one", over, caps, Amounts(90), 90, seconds=60, low_share=None) == Granted(90)


async def test_what_is_set_aside_for_who_no_longer_waits_for_it_comes_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, run, is_set_aside = budgets(store, all={"day_money": 0.0001}), store.run, asyncio.Event()

    async def slow(name: str, *rest: Any, **named: Any) -> Any:
        reply = await run(name, *rest, **named)
        if name == "reserve":
            is_set_aside.set()
            await asyncio.Event().wait()
        return reply

    with monkeypatch.context() as patch:
        patch.setattr(store, "run", slow)
        asking = asyncio.create_task(reserve(at, money=100))
        await is_set_aside.wait()
        asking.cancel()
        await asyncio.wait((asking,))
    await at.close()
    await spend(budgets(store, all={"day_money": 0.0001}), BEN, money=100)


async def test_a_clock_that_is_set_back_holds_nothing_for_ever(store: Store) -> None:
    at = budgets(store, all={"day_money": 1})
    await reserve(at, money=5)
    day_ahead = (await at.ledger.now()) + 86_400_000
    (id,) = await store.redis.zrange("parley:{budget}:ends", 0, -1)
    await store.redis.zadd("parley:{budget}:ends", {id: day_ahead})
    await reserve(at, money=5)
    assert await store.redis.zscore("parley:{budget}:ends", id) <= day_ahead - 86_400_000 + 3_600_000 * 2


async def test_what_cannot_be_counted_now_is_counted_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    at = budgets(store, all={"day_money": 1})
    reservation = await reserve(at, money=50)
    run = store.run

    async def away(*_: object, **__: object) -> None:
        raise StorageError("away")

    monkeypatch.setattr(store, "run", away)
    assert await at.settle(reservation, Amounts(30), Usage("big", 1, 1, 30, 1)) == ()
    monkeypatch.setattr(store, "run", run)
    await at.close()
    assert (await at.used("all"))[Span.DAY].money == 30
    assert await store.redis.hlen("parley:{budget}:held") == 0


async def test_a_group_that_gets_another_id_takes_what_it_spent_along(store: Store) -> None:
    at = budgets(store, space={"day_money": 0.0001})
    await spend(at, money=60)
    for _ in range(2):
        await at.moved(ANNA.space, "discord:9:50")
    moved = Payer(ANNA.person, "discord:9:50", "Anna")
    assert (await refused(at, moved, 50)).used == 60
    assert (await at.used(f"member:{moved.space} {moved.person}"))[Span.MONTH].money == 60
    assert await at.used(f"space:{ANNA.space}") == dict.fromkeys(Span, Amounts())
    assert [row.amounts["money"] async for row in at.ledger.rows([at.today.day], moved.space)] == [60]
