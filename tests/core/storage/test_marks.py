"""What rules hit, and what moderators think of that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from core.storage import keys
from core.storage.client import Store
from core.storage.marks import Hit, Mark, Marks

SPACE = "telegram:1:-100"


async def test_hits_are_counted_by_rule_and_day(store: Store) -> None:
    marks = Marks(store)
    await marks.count(SPACE, [("links", Hit.ACTED), ("links", Hit.ACTED), ("caps", Hit.SHADOW)])
    await marks.count(SPACE, [])
    old = datetime.now(UTC).date() - timedelta(days=8)
    ancient = datetime.now(UTC).date() - timedelta(days=500)
    for day in (old, ancient):
        await store.redis.hset(keys.hits(SPACE), f"links\t{day.isoformat()}\tacted", 5)
    assert await marks.counts(SPACE, 7) == {"links": {Hit.ACTED: 2}, "caps": {Hit.SHADOW: 1}}
    assert (await marks.counts(SPACE, 30))["links"] == {Hit.ACTED: 7}
    assert await store.redis.hlen(keys.hits(SPACE)) == 3


async def test_a_case_is_marked_once_and_may_be_thought_of_otherwise(store: Store) -> None:
    marks, mark = Marks(store), Mark(3, "links", False, "my own shop", "7", 1e9 * 2)
    assert await marks.mark(SPACE, mark)
    assert not await marks.mark(SPACE, replace(mark, by="8"))
    assert await marks.mark(SPACE, replace(mark, is_right=True, by="8"))
    await marks.mark(SPACE, Mark(4, "caps", True, "LOUD", "7", 1e9 * 2 + 5))
    assert [(one.number, one.is_right, one.by) for one in await marks.marks(SPACE)] == [(4, True, "7"), (3, True, "8")]
    assert (await marks.counts(SPACE, 1))["links"] == {Hit.WRONG: 1, Hit.RIGHT: 1}
