"""Many who come at once are a raid: it begins and ends by itself, and gives back exactly what was before."""

from __future__ import annotations

import time

import pytest

from core.message import Movement
from core.moderation.acts import AUTOMOD, ActKind, Actor
from core.moderation.cases import CaseState
from core.moderation.rulebook import RuleBook
from core.storage.client import Store
from tests.core.moderation.doorstep import Doorstep, doorstep
from tests.core.moderation.town import PLACE, SQUARE

BEFORE = {("#10", "pause"): "5", ("#11", "pause"): ""}


async def test_it_begins_with_the_rate_and_ends_when_nobody_has_come_for_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with doorstep(store, raid="3/minute", raid_minutes=10, raid_channels=("10", "11")) as here:
        here.town.state |= BEFORE
        first = await here.comes("20")
        for _ in range(3):
            # The same arrival is no second one.
            await here.tell(first)
        await here.comes("21")
        await here.work()
        assert (here.town.questions, await here.doors.raids.checks_all(PLACE)) == ([], False)
        await here.comes("22")
        await here.work()
        assert {key: here.town.state[key] for key in BEFORE} == {("#10", "pause"): "30", ("#11", "pause"): "30"}
        assert [one.account for one in here.town.questions] == ["22"]
        assert ["many come at once" in text for _, text, _ in here.town.posted] == [True]
        await here.later(monkeypatch, 500)
        await here.comes("23")
        await here.later(monkeypatch, 500)
        assert here.town.state["#10", "pause"] == "30"
        await here.later(monkeypatch, 101)
        assert {key: here.town.state[key] for key in BEFORE} == BEFORE
        assert "is over" in here.town.posted[-1][1]
        await here.comes("24")
        await here.work()
        assert "24" not in {one.account for one in here.town.questions}


async def test_a_raid_can_lock_instead_and_restores_a_lock_of_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with doorstep(store, raid="2/minute", raid_does="lock") as here:
        await here.comes("20")
        await here.comes("21")
        await here.work()
        assert here.town.state["#10", "locked"] == "yes"
        assert here.town.questions == []
        other = Doorstep(store, here.town)
        await other.later(monkeypatch, 601)
        assert here.town.state["#10", "locked"] == ""


async def test_what_moderators_set_since_stays(store: Store) -> None:
    async with doorstep(store) as here:
        assert await here.doors.raids.begin(PLACE, SQUARE, "2")
        assert not await here.doors.raids.begin(PLACE, SQUARE, "2")
        await here.work()
        [raised] = await here.cases()
        await here.acts.undo(PLACE, raised.number, Actor("2", "Mo"), "by hand")
        await here.work()
        assert await here.doors.raids.end(PLACE, Actor("2", "Mo")) == []
        assert await here.doors.raids.end(PLACE, Actor("2", "Mo")) is None
        await here.work()
        assert [case.state for case in await here.cases()] == [CaseState.UNDONE, CaseState.DONE]


async def test_old_arrivals_leavers_and_the_brake_begin_none(store: Store) -> None:
    async with doorstep(store, raid="2/minute") as here:
        for account in ("20", "21", "22"):
            await here.comes(account, at=time.time() - 7200)
            await here.comes(account, Movement.LEFT)
        await here.community.policy.books.change(PLACE, lambda _: RuleBook(paused_until=time.time() + 60))
        for account in ("23", "24", "25"):
            await here.comes(account)
        await here.work()
        assert await here.cases() == []
        assert not (await here.doors.raids.of(PLACE)).since


async def test_moderators_hear_of_a_right_that_is_missing(store: Store) -> None:
    async with doorstep(store) as here:
        here.town.missing[ActKind.SLOW] = "permission.manage_channels"
        await here.doors.raids.begin(PLACE, SQUARE, AUTOMOD)
        await here.work()
        assert "lacks a right" in here.town.posted[-1][1]
        assert await here.doors.raids.checks_all(PLACE)
