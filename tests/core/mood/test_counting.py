"""Sums over many: told first, never about one, and gone in time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from core.message import Author, ConversationKey, Platform, Sighting
from core.moderation.classify import Classifier
from core.mood.counting import WHAT, MoodCounter
from core.mood.trend import trend
from core.people.community import Community
from core.people.spaces import SpaceSettings
from core.settings import Settings
from core.storage import keys
from core.storage.client import Store
from core.storage.deadlines import Deadlines
from core.storage.key_table import known
from core.storage.mood import DAY, HOUR, MoodCells, Span

HERE = ConversationKey(Platform.TELEGRAM, "1", "-100")
SPACE = "telegram:1:-100"
CLASSIFIER = Classifier.load()


def said(who: int, text: str, number: int = 0, **values: object) -> tuple[str, Sighting]:
    author = Author(f"human-{who}", f"Zebrowska{who}")
    one = Sighting(HERE, f"{who}-{number}", f"u{who}-{number}", author, text, time.time(), "-100")
    return SPACE, replace(one, **values)


@dataclass
class Town:
    """A group that chose to count."""

    community: Community
    cells: MoodCells
    can_tell: bool = True
    told: list[str] = field(default_factory=list[str])

    @classmethod
    async def of(cls, store: Store, *, is_told: bool = True) -> Town:
        town = cls(Community.of(Settings(), store), MoodCells(store))
        await town.change(moderated=True, mood=True)
        if is_told:
            await town.cells.told(SPACE)
        return town

    async def change(self, **values: object) -> None:
        def chosen(now: SpaceSettings) -> SpaceSettings:
            return now.model_copy(update=values)

        await self.community.spaces.change(SPACE, chosen)

    def counter(self) -> MoodCounter:
        community = self.community
        deadlines = Deadlines(community.store)
        return MoodCounter(self.cells, community.spaces, community.people, deadlines, self._classifier, self._tell)

    async def _classifier(self) -> Classifier:
        return CLASSIFIER

    async def hear(self, batch: Sequence[tuple[str, Sighting]]) -> None:
        counter = self.counter()
        await counter.hear(batch)
        await counter.close()

    async def _tell(self, seen: Sighting, text: str, key: str) -> bool:
        self.told.append(text)
        return self.can_tell

    async def cell(self, channel: str = "", span: Span = Span.DAY) -> tuple[int, ...]:
        begin = int(time.time() // span.seconds * span.seconds)
        cells = await self.cells.cells(SPACE, channel, span, [begin, begin - span.seconds])
        return tuple(
            sum(getattr(cell, name) for cell in cells) for name in ("people", "messages", "low", "high", "anger")
        )


@pytest.fixture
async def town(store: Store) -> Town:
    return await Town.of(store)


async def kept(store: Store) -> str:
    """All names and values under the keys of moods."""
    texts: list[str] = []
    async for key in store.redis.scan_iter("parley:mood:*"):
        texts.append(key)
        kind = await store.redis.type(key)
        if kind == "hash":
            texts.append(str(await store.redis.hgetall(key)))
        elif kind == "set":
            texts.append(str(await store.redis.smembers(key)))
        elif kind == "zset":
            texts.append(str(await store.redis.zrange(key, 0, -1)))
        elif "people" not in key:
            # What is left are HyperLogLogs, of registers alone.
            texts.append(str(await store.redis.get(key)))
    return "\n".join(texts)


async def test_five_people_make_a_cell_and_four_make_none(town: Town) -> None:
    await town.hear([said(who, "great, thanks") for who in range(4)])
    assert await town.cell() == (0, 0, 0, 0, 0)
    await town.hear([said(0, "great", 1), said(4, "I hate this")])
    for channel in ("", "-100"):
        for span in Span:
            assert await town.cell(channel, span) == (5, 6, 1, 5, 1)
    assert await town.cell("-200") == (0, 0, 0, 0, 0)


async def test_nothing_is_counted_before_members_were_told(store: Store) -> None:
    town = await Town.of(store, is_told=False)
    town.can_tell = False
    batch = [said(who, "great") for who in range(6)]
    await town.hear(batch)
    assert len(town.told) == 1
    assert "/privacy mood off" in town.told[0]
    assert await kept(store) == ""
    town.can_tell = True
    await town.hear(batch)
    assert await town.cell() == (0, 0, 0, 0, 0)
    await town.hear(batch)
    assert len(town.told) == 2
    assert (await town.cell())[:2] == (6, 6)


async def test_who_does_not_want_it_and_what_is_not_new_is_left_out(town: Town) -> None:
    await town.community.people.change(
        "telegram:human-0", lambda person: person.model_copy(update={"is_out_of_mood": True})
    )
    others = [said(who, "great") for who in range(1, 6)]
    late, soon = time.time() - 2 * HOUR, time.time() + HOUR
    left_out = [
        said(0, "great"),
        said(6, "great", edited=True),
        said(7, "great", sent_at=late),
        said(7, "great", 1, sent_at=soon),
        said(8, "great", author=Author("9", "Bot", is_bot=True)),
        said(9, ""),
    ]
    await town.hear([*others, *left_out])
    assert (await town.cell())[:2] == (5, 5)
    await town.hear(others)
    assert (await town.cell())[:2] == (5, 5)


async def test_spaces_that_did_not_choose_it_are_not_counted(town: Town, store: Store) -> None:
    await town.change(mood=None)
    before = await kept(store)
    await town.hear([said(who, "great") for who in range(6)])
    assert await kept(store) == before


async def test_nothing_is_kept_of_one_person_nor_words_of_few(town: Town, store: Store) -> None:
    await town.hear([said(who, "volcano") for who in range(5)])
    await town.hear([said(0, f"xylophone marzipan {n} 马铃薯", n) for n in range(1, 40)])
    await town.hear([said(who, "xylophone", 50) for who in range(1, 4)])
    text = await kept(store)
    assert "volcano" in text
    assert not [mark for mark in ("xylophone", "marzipan", "马铃", "Zebrowska", "human-", f"{HERE} ") if mark in text]
    found = await trend(town.cells, SPACE, "-100", 7)
    assert list(found.topics) == ["volcano"]
    await town.hear([said(4, "xylophone", 51)])
    assert set((await trend(town.cells, SPACE, "", 7)).topics) == {"volcano", "xylophone"}


async def test_marks_of_people_and_cells_of_few_are_gone_when_their_time_is_over(town: Town, store: Store) -> None:
    await town.hear([said(0, "volcano great")])
    names = [key async for key in store.redis.scan_iter("parley:mood:*")]
    lives = {key: await store.redis.ttl(key) for key in names}
    assert all(0 < life <= DAY + HOUR for key, life in lives.items() if not key.endswith(":told"))
    short = [key for key in names if ":hour" in key or ":counted:" in key]
    assert short
    assert all(lives[key] <= 2 * HOUR for key in short)
    await town.hear([said(who, "volcano great") for who in range(1, 6)])
    hour = int(time.time() // HOUR * HOUR)
    assert await store.redis.ttl(keys.mood(SPACE, "hour", str(hour), "-100")) > 6 * DAY
    # What shows who took part is in no backup.
    assert {known(key).fields["what"].split(":")[0] for key in names if not known(key).kind.kept} == {
        "salt",
        "counted",
        "hour-people",
        "day-people",
        "few",
    }


async def test_blocked_words_and_insults_are_no_topics(town: Town) -> None:
    await town.change(blocked_words=("volcano",))
    await town.hear([said(who, "volcano picnic") for who in range(5)])
    await town.hear([said(who, "you are a worthless idiot and nobody likes a clown", 1) for who in range(5)])
    found = await trend(town.cells, SPACE, "", 1)
    assert list(found.topics) == ["picnic"]
    assert found.percent("insults") == 50


async def test_no_piece_of_a_blocked_phrase_is_a_topic(town: Town) -> None:
    await town.change(blocked_words=("\u8d4c\u535a\u7f51\u7ad9", "free money"))
    text = "\u8ced\u535a\u7db2\u7ad9 \u706b\u9505 money picnic"
    await town.hear([said(who, text) for who in range(5)])
    assert set((await trend(town.cells, SPACE, "", 1)).topics) == {"\u706b\u9505", "picnic"}


async def test_the_week_is_told_on_monday_where_that_is_wanted(town: Town, store: Store) -> None:
    await town.hear([said(0, "lovely weather")])
    assert await store.redis.zcard(keys.DEADLINES) == 0
    await town.change(mood_digest=True, time_zone="Asia/Shanghai")
    counter = town.counter()
    for number in (1, 2):
        await counter.hear([said(0, "lovely weather", number)])
    ((_, at),) = await store.redis.zrange(keys.DEADLINES, 0, -1, withscores=True)
    there = datetime.fromtimestamp(at, ZoneInfo("Asia/Shanghai"))
    assert (there.weekday(), there.hour, there.minute) == (0, 9, 0)
    assert 0 < at - time.time() <= 7 * DAY


async def test_anger_has_somebody_look_later_and_calm_has_not(town: Town, store: Store) -> None:
    await town.hear([said(0, "lovely weather")])
    assert await store.redis.zcard(keys.DEADLINES) == 0
    await town.hear([said(0, "this is outrageous", 1), said(1, "so annoying")])
    (text,) = (await store.redis.hgetall(keys.DEADLINE_TEXTS)).values()
    assert WHAT in text
    assert f"{SPACE} -100" in text
    assert await store.redis.zcard(keys.DEADLINES) == 1
