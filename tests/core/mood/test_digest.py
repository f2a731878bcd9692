"""Moderators are told of a week on Monday, once, where they want it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from core.errors import OutboundError, OutboundFault
from core.moderation.cases import Case, CaseKind, CaseState
from core.mood.digest import MoodDigest, bars, next_digest
from core.mood.trend import Trend
from core.people.hearing import zone_of
from core.people.spaces import Spaces
from core.storage import keys
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.deadlines import Deadline, Deadlines
from core.storage.marks import Hit, Marks
from core.storage.mood import DAY, Cell, MoodCells, Span
from core.storage.shared import Memory

SPACE = "discord:9:5"


@pytest.mark.parametrize(
    ("zone", "now", "then"),
    [
        ("UTC", "2026-11-25T12:00+00:00", "2026-11-30T09:00+00:00"),
        ("UTC", "2026-11-30T08:59:59+00:00", "2026-11-30T09:00+00:00"),
        ("UTC", "2026-11-30T09:00+00:00", "2026-12-07T09:00+00:00"),
        ("Asia/Shanghai", "2026-11-29T23:00+00:00", "2026-11-30T09:00+08:00"),
        # Clocks go back in the night before.
        ("Europe/Berlin", "2026-10-24T12:00+02:00", "2026-10-26T09:00+01:00"),
        ("nowhere", "2026-12-31T12:00+00:00", "2027-01-04T09:00+00:00"),
    ],
)
def test_monday_at_nine_where_people_are(zone: str, now: str, then: str) -> None:
    found = next_digest(SPACE, datetime.fromisoformat(now).timestamp(), zone_of(zone))
    assert found.at == datetime.fromisoformat(then).timestamp()


def test_a_week_that_is_due_is_not_moved_by_the_next() -> None:
    monday, zone = datetime(2026, 11, 30, 9, tzinfo=UTC).timestamp(), zone_of("UTC")
    due, after = next_digest(SPACE, monday - 1, zone), next_digest(SPACE, monday + 1, zone)
    assert due.id != after.id
    assert next_digest(SPACE, monday - 1, zone_of("Asia/Tokyo")).id == after.id
    assert next_digest(SPACE, monday - DAY, zone_of("Asia/Tokyo")).id == due.id


def test_bars_are_of_the_days_that_are_shown() -> None:
    cells = [Cell(0, 9, 4), Cell(DAY, 9, 400), Cell(3 * DAY, 9, 200)]
    assert bars(Trend(Span.DAY, [DAY * n for n in range(4)], cells, [])) == "▁█·▅"
    assert bars(Trend(Span.DAY, [0], [], [])) == "·"


@dataclass
class Desk:
    """A moderators' channel."""

    posts: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    is_open: bool = True
    is_known: bool = True

    async def post(self, space: str, channel: str, text: str, key: str) -> bool:
        if not self.is_known:
            raise OutboundError(OutboundFault.TRANSIENT, "another process has that platform")
        if self.is_open:
            self.posts.append((channel, text, key))
        return self.is_open


@dataclass
class Town:
    """A space whose week is to be told."""

    store: Store
    desk: Desk
    spaces: Spaces
    cases: Cases
    monday: date

    def digest(self) -> MoodDigest:
        """Of any process."""
        store = self.store
        deadlines, memory = Deadlines(store), Memory(store)
        return MoodDigest(
            MoodCells(store), self.spaces, self.cases, Marks(store), deadlines, memory, self.desk.post, zone="UTC"
        )

    def deadline(self, back: int = 0) -> Deadline:
        day = self.monday - timedelta(days=back)
        about = f"{SPACE} {day.isoformat()}"
        return Deadline(f"mood-week:{about}", time.time() - 1, "mood-week", about)

    async def change(self, **values: object) -> None:
        await self.spaces.change(SPACE, lambda now: now.model_copy(update=values))

    async def day(self, back: int, **values: int) -> None:
        """So many days before that Monday."""
        midnight = datetime(self.monday.year, self.monday.month, self.monday.day, tzinfo=UTC)
        begin = int(midnight.timestamp()) - back * DAY
        name = keys.mood(SPACE, Span.DAY, str(begin))
        await self.store.redis.hset(name, mapping={"people": 12, "messages": 100, **values})
        await self.store.redis.zadd(keys.mood(SPACE, "topics", str(begin)), {"pizza": 30})


@pytest.fixture
async def town(store: Store) -> Town:
    # Whatever day it is: the newest of those on which the digest may be told still.
    monday = datetime.now(UTC).date()
    town = Town(store, Desk(), Spaces(store), Cases(store, keep_days=365), monday)
    await town.change(mood=True, moderated=True, mood_digest=True)
    await town.cases.choose_channel(SPACE, "88")
    await town.day(1, high=30, low=10)
    await town.day(9, high=60)
    return town


async def test_a_week_is_told_once_with_what_was_done(town: Town, store: Store) -> None:
    midnight = datetime(town.monday.year, town.monday.month, town.monday.day, tzinfo=UTC).timestamp()
    case = Case(CaseKind.MUTE, "7", "Eve", "1", "Ada", "spam", midnight - DAY)
    others = [
        replace(case, kind=CaseKind.REPORT),
        replace(case, kind=CaseKind.BAN, at=midnight - 8 * DAY),
        replace(case, kind=CaseKind.KICK, state=CaseState.FAILED),
    ]
    for number, one in enumerate([case, *others]):
        await town.cases.make(SPACE, one, f"k{number}")
    await Marks(store).count(SPACE, [("no `links`", Hit.ACTED)] * 3)
    await town.digest().send(town.deadline())
    await town.digest().send(town.deadline())
    ((channel, text, key),) = town.desk.posts
    assert channel == "88"
    assert str(town.monday) in key
    for shown in (
        "about 100;",
        "glad: 30 %",
        "glad: 60 %",
        "`······█`",
        "`pizza`",
        "muting 1",
        "1 report",
        "links'` 3",
    ):
        assert shown in text, text
    assert not [word for word in ("Eve", "Ada", "banning", "kicking") if word in text]


async def test_nobody_is_told_who_did_not_choose_it_or_where_it_is_too_late(town: Town) -> None:
    await town.digest().send(town.deadline(back=7))
    for values in ({"mood_digest": None}, {"mood_digest": True, "mood": None}):
        await town.change(**values)
        await town.digest().send(town.deadline())
    await town.change(mood=True)
    await town.cases.choose_channel(SPACE, "")
    await town.digest().send(town.deadline())
    assert town.desk.posts == []
    await town.change(log_channel="99")
    await town.digest().send(town.deadline())
    assert [channel for channel, _, _ in town.desk.posts] == ["99"]


async def test_a_channel_that_does_not_take_it_is_tried_again(town: Town, store: Store) -> None:
    town.desk.is_open = False
    await Deadlines(store).set(town.deadline())
    (due,) = await Deadlines(store).take(9)
    await town.digest().send(due)
    await Deadlines(store).done(due)
    ((_, at),) = await store.redis.zrange(keys.DEADLINES, 0, -1, withscores=True)
    assert at > time.time() + 60
    town.desk.is_open, town.desk.is_known = True, False
    with pytest.raises(OutboundError):
        await town.digest().send(due)
    town.desk.is_known = True
    await town.digest().send(due)
    assert len(town.desk.posts) == 1
