"""What is in force is kept until it ends: through a crowded book, through a long time, and through an erasure."""

from __future__ import annotations

import pytest

from core.moderation.acts import ActKind
from core.moderation.durations import DAY
from core.moderation.evidence import Said
from core.people.noted import CaseBooks
from core.people.privacy import Subject
from core.storage import keys, planned
from core.storage.client import Store
from tests.core.moderation.test_carrying import World

BOOK = keys.CaseKeys("discord:1:100")


async def erase(store: Store) -> None:
    await CaseBooks(store).erase(Subject("p", ("discord:5",), "gone1"))


async def test_a_ban_ends_however_many_cases_came_after_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planned, "MOST_CASES", 3)
    world = World(store)
    await world.do(ActKind.BAN, seconds=3600)
    for index in range(5):
        await world.do(ActKind.WARN, f"w{index}", account="8")
    assert await world.acts.cases.get("discord:1:100", 2) is None
    await world.pass_time(monkeypatch, 3700)
    assert world.town.now.get(("5", "banned")) is None


async def test_a_book_lives_as_long_as_what_it_has_to_end(store: Store) -> None:
    await World(store).do(ActKind.BAN, seconds=900 * DAY)
    assert await store.redis.ttl(BOOK.cases) > 900 * DAY
    await World(store).do(ActKind.WARN, "w", account="8")
    assert await store.redis.ttl(BOOK.cases) > 900 * DAY


async def test_who_was_erased_is_let_in_again_and_nameless_then(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(store)
    await world.do(ActKind.BAN, seconds=3600)
    await erase(store)
    case = await world.case(1)
    assert (case.account, case.name, case.evidence.text) == ("5", "", "")
    await world.pass_time(monkeypatch, 3700)
    assert world.town.now.get(("5", "banned")) is None
    case = await world.case(1)
    assert (case.account, case.alias, case.before) == ("gone1", "", {})


async def test_who_was_erased_gets_back_what_was_taken(store: Store) -> None:
    world = World(store)
    before = dict(world.town.now)
    await world.do(ActKind.QUARANTINE)
    await erase(store)
    await world.undo(1)
    assert world.town.now.get(("5", "roles")) == before.get(("5", "roles"), "fan,artist")
    assert (await world.case(1)).account == "gone1"


async def test_what_nobody_has_to_end_is_nameless_at_once(store: Store) -> None:
    world = World(store)
    await world.do(ActKind.WARN)
    await world.do(ActKind.BAN, "b")
    await erase(store)
    assert {(await world.case(number)).account for number in (1, 2)} == {"gone1"}


async def test_what_somebody_wrote_among_others_is_not_said_again_once_they_were_erased(store: Store) -> None:
    world = World(store)
    world.town.messages = {"70": Said("Bob", "mine", "5"), "71": Said("Ann", "hers", "7")}
    await world.do(ActKind.PURGE, account="", messages=("70", "71"))
    await erase(store)
    assert "mine" not in (await world.case(1)).to_json()
    await world.undo(1)
    assert list(world.town.messages) == ["71"]
