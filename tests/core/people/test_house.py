"""Maintenance and announcements, on a real server."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from core.commands.owner import until_of
from core.conversation.turn import Turn
from core.jobs import Job, Jobs
from core.message import Author
from core.people.broadcasts import RUNNING, Broadcast, Broadcasts, NotConfirmed, OneRuns
from core.people.gate import Reason
from core.people.house import Houses
from core.people.maintenance import Maintenance
from core.people.spaces import Spaces
from core.storage.client import Store
from core.storage.shared import Once
from core.storage.spaces_seen import SpacesSeen
from tests.builders import conversation, message

NOON = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("2H", 7200),
        ("1d", 86400),
        ("18:30", 6.5 * 3600 - 3600),
        # The clock is put forward in the night before.
        ("09:00", 21 * 3600 - 3600 - 3600),
        ("0m", None),
        ("31d", None),
        ("-5m", None),
        ("99999999999m", None),
        ("25:00", None),
        ("٣m", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_time_is_a_length_or_a_clock_in_the_set_zone(text: str, seconds: float | None) -> None:
    until = until_of(text, NOON, "Europe/Berlin")
    assert until is None if seconds is None else until == NOON.timestamp() + seconds


def turn_of(chat: str, account: str) -> Turn:
    asked = message(chat=chat, author=Author(account, "Somebody"))
    return Turn(conversation(chat), "1", "1", asked)


async def test_members_are_told_once_an_hour_in_a_conversation_and_owners_pass(store: Store) -> None:
    houses = Houses(store)
    check = Maintenance(houses, Once(store), ("telegram:1",)).check
    before = store.calls
    assert await check(turn_of("5", "7")) is None
    assert await check(turn_of("5", "7")) is None
    assert store.calls <= before + 1
    await houses.begin("New [disks](http://x) @everyone", 0)
    told = [await check(turn_of(chat, "7")) for chat in ("5", "5", "6")]
    assert [denial.silent for denial in told if denial] == [False, True, False]
    assert told[0] is not None
    assert told[0].reason is Reason.MAINTENANCE
    assert r"\[disks\]" in str(told[0].notice.values["text"])
    assert await check(turn_of("5", "1")) is None
    # Another process knows it, too, and that it is over.
    assert await Maintenance(Houses(store), Once(store), ()).check(turn_of("7", "1")) is not None
    await houses.begin("", time.time() + 0.2)
    assert await check(turn_of("8", "7")) is not None
    await asyncio.sleep(0.25)
    assert await check(turn_of("8", "7")) is None
    await houses.end()
    assert await check(turn_of("9", "7")) is None


async def test_an_announcement_is_confirmed_once_by_who_asked_and_one_runs_at_a_time(store: Store) -> None:
    broadcasts = Broadcasts(store, Spaces(store), SpacesSeen(store))
    first, _ = await broadcasts.ask(Broadcast(text="one", by="telegram:1"))
    second, _ = await broadcasts.ask(Broadcast(text="two", by="telegram:1"))
    for id, by in ((first, "telegram:2"), ("00000000", "telegram:1"), (RUNNING, "")):
        with pytest.raises(NotConfirmed):
            await broadcasts.confirm(id, by)
    await broadcasts.confirm(first, "telegram:1")
    with pytest.raises(OneRuns):
        await broadcasts.confirm(second, "telegram:1")
    assert await broadcasts.cancel()
    await broadcasts.finish(first)
    with pytest.raises(NotConfirmed):
        await broadcasts.confirm(first, "telegram:1")
    assert await broadcasts.current() is None
    assert (await broadcasts.result(first)).broadcast.state == "cancelled"
    await broadcasts.confirm(second, "telegram:1")
    third, _ = await broadcasts.ask(Broadcast(text="three", by="telegram:1"))
    aged = await broadcasts.records.fresh(third)
    await broadcasts.records.change(third, lambda value: value.model_copy(update={"at": time.time() - 4000}))
    assert aged.version == 1
    with pytest.raises(NotConfirmed):
        await broadcasts.confirm(third, "telegram:1")


async def test_jobs_wait_while_there_is_maintenance(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.jobs.PAUSED_SECONDS", 0.2)
    houses, done = Houses(store), asyncio.Event()

    async def work(argument: str) -> None:
        done.set()

    await houses.begin("", 0)
    jobs = Jobs(store, [Job("work", "text", work)], {"text": 1}, idle_seconds=1.0, is_paused=houses.is_paused)
    await jobs.enqueue("work", "one", "a")
    await asyncio.sleep(0.6)
    assert not done.is_set()
    await houses.end()
    await asyncio.wait_for(done.wait(), 20)
    await jobs.close()
