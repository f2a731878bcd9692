"""Moderators hear of insults and anger beyond what is usual, and seldom."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from core.mood.alerts import MoodAlerts, has_risen, usual_hours
from core.mood.counting import WHAT
from core.people.spaces import Spaces
from core.storage import keys
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.deadlines import Deadline
from core.storage.mood import HOUR, Cell, MoodCells
from core.storage.shared import Once

SPACE = "discord:9:5"


def cell(begin: int = 0, **values: int) -> Cell:
    return Cell(begin, **{"people": 9, "messages": 100, **values})


@pytest.mark.parametrize(
    ("now", "before", "risen"),
    [
        (cell(anger=20), [2, 3, 2, 4, 3], True),
        (cell(anger=9), [2, 3, 2, 4, 3], False),
        (cell(anger=20), [2, 3, 2, 4], False),
        (cell(anger=20), [18, 22, 20, 19, 25], False),
        (cell(anger=4, messages=20), [0] * 6, False),
        (cell(anger=10, messages=19), [0] * 6, False),
        (cell(anger=6), [0] * 6, False),
        (cell(anger=8), [0] * 6, True),
    ],
)
def test_only_much_more_than_usual_counts(now: Cell, before: list[int], risen: bool) -> None:
    assert has_risen("anger", now, [cell(anger=number) for number in before]) is risen


@dataclass
class Desk:
    """A moderators' channel."""

    posts: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    is_open: bool = True

    async def post(self, space: str, channel: str, text: str, key: str) -> bool:
        if self.is_open:
            self.posts.append((space, channel, text))
        return self.is_open


async def test_moderators_are_told_once_where_they_chose_a_channel(store: Store) -> None:
    desk, spaces, cases = Desk(), Spaces(store), Cases(store, keep_days=30)
    alerts = MoodAlerts(MoodCells(store), spaces, cases, Once(store), desk.post, lambda _, id: f"<#{id}>")
    hour = int(time.time() // HOUR * HOUR)
    for begin, insults in [(hour, 30), *((begin, 1) for begin in usual_hours(hour))]:
        name = keys.mood(SPACE, "hour", str(begin), "77")
        await store.redis.hset(name, mapping={"people": 9, "messages": 100, "insults": insults})
    deadline = Deadline("mood:x", hour + 600.0, WHAT, f"{SPACE} 77")
    await spaces.change(SPACE, lambda now: now.model_copy(update={"mood": True, "moderated": True}))
    await alerts.check(deadline)
    assert desk.posts == []
    await cases.choose_channel(SPACE, "88")
    await alerts.check(Deadline("mood:y", hour + 600.0, WHAT, f"{SPACE} 78"))
    assert desk.posts == []
    desk.is_open = False
    await alerts.check(deadline)
    desk.is_open = True
    await alerts.check(deadline)
    await alerts.check(deadline)
    ((space, channel, text),) = desk.posts
    assert (space, channel) == (SPACE, "88")
    assert "<#77>" in text
    assert "30 %" in text


async def test_what_was_long_ago_is_no_news_and_the_log_comes_first(store: Store) -> None:
    desk, spaces, cases = Desk(), Spaces(store), Cases(store, keep_days=30)
    alerts = MoodAlerts(MoodCells(store), spaces, cases, Once(store), desk.post, lambda _, id: id)
    await cases.choose_channel(SPACE, "88")
    values = {"mood": True, "moderated": True, "log_channel": "99"}
    await spaces.change(SPACE, lambda now: now.model_copy(update=values))
    now = int(time.time() // HOUR * HOUR)
    for hour in (now, now - 3 * HOUR):
        for begin, insults in [(hour, 30), *((begin, 1) for begin in usual_hours(hour))]:
            name = keys.mood(SPACE, "hour", str(begin), "77")
            await store.redis.hset(name, mapping={"people": 9, "messages": 100, "insults": insults})
    await alerts.check(Deadline("mood:x", now - 3 * HOUR + 600.0, WHAT, f"{SPACE} 77"))
    assert desk.posts == []
    await alerts.check(Deadline("mood:x", now + 600.0, WHAT, f"{SPACE} 77"))
    assert [channel for _, channel, _ in desk.posts] == ["99"]
