"""Records: in memory, of one version, changed all or none."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import StorageError
from core.storage import keys
from core.storage.client import Store
from core.storage.records import Change, Conflict, Record, Records


class Note(Record):
    text: str = ""
    count: int = 0


def notes(store: Store) -> Records[Note]:
    return Records(store, "notes", Note())


async def test_a_change_is_known_to_other_processes_after_their_next_look(store: Store) -> None:
    here, there = notes(store), notes(store)
    await there.refresh()
    assert (await there.get("a")).version == 0
    assert (await here.change("a", lambda note: note.model_copy(update={"text": "new"}))).version == 1
    assert (await there.get("a")).value.text == ""
    await there.refresh()
    assert (await there.get("a")).value.text == "new"
    await here.change("a", lambda note: note.model_copy(update={"text": "newer"}))
    await here.change("b", lambda note: note.model_copy(update={"text": "other"}))
    await there.refresh()
    assert [(await there.get(id)).value.text for id in ("a", "b")] == ["newer", "other"]


async def test_what_is_known_costs_no_round_trip(store: Store) -> None:
    kept = notes(store)
    await kept.get("a")
    before = store.calls
    await kept.get("a")
    assert store.calls == before


async def test_of_two_changes_at_once_the_second_is_told(store: Store) -> None:
    first, second = notes(store), notes(store)
    seen = (await first.get("a")).version
    await first.change("a", lambda note: note.model_copy(update={"text": "first"}), seen=seen)
    with pytest.raises(Conflict):
        await second.change("a", lambda note: note.model_copy(update={"text": "second"}), seen=seen)
    assert (await second.fresh("a")).value.text == "first"


async def test_changes_that_go_by_the_newest_version_are_all_made(store: Store) -> None:
    kept = [notes(store) for _ in range(4)]

    async def count(records: Records[Note]) -> None:
        for _ in range(5):
            await records.change("a", lambda note: note.model_copy(update={"count": note.count + 1}))

    await asyncio.gather(*map(count, kept))
    assert (await kept[0].fresh("a")).value.count == 20


async def test_several_are_changed_or_none(store: Store) -> None:
    kept, other = notes(store), notes(store)
    a, b = await kept.fresh("a"), await kept.fresh("b")
    await other.change("b", lambda note: note.model_copy(update={"text": "other"}))
    assert await kept.write([Change(a, Note(text="a")), Change(b, Note(text="b"))]) is None
    assert (await kept.get("a")).version == 0
    b = await kept.fresh("b")
    written = await kept.write([Change(a, Note(text="a")), Change(b, None)])
    assert written is not None
    assert (await kept.fresh("a")).value.text == "a"
    assert (await kept.fresh("b")).version == 0
    assert await kept.ids() == ["a"]


async def test_what_a_newer_program_wrote_is_kept_along(store: Store) -> None:
    name = keys.record("notes", "a")
    await store.redis.hset(name, mapping={"v": 3, "json": '{"text":"a","colour":"red"}', "by": "x"})
    kept = await notes(store).change("a", lambda note: note.model_copy(update={"count": 1}))
    assert kept.version == 4
    assert '"colour":"red"' in await store.redis.hget(name, "json")


async def test_what_cannot_be_read_is_not_written_over(store: Store) -> None:
    name = keys.record("notes", "a")
    await store.redis.hset(name, mapping={"v": 3, "json": '{"count":"many"}', "by": "x"})
    with pytest.raises(StorageError, match="cannot be read"):
        await notes(store).change("a", lambda note: Note())
    assert await store.redis.hget(name, "json") == '{"count":"many"}'
