"""Settings of a space: every change has its entry, of two at once the second is told, the last can be taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from core.people.changing import Actor, NothingToUndo, change_space, history, undo
from core.people.community import Community
from core.people.spaces import Allowance, SpaceSettings
from core.settings import Settings
from core.storage import keys
from core.storage.client import Store
from core.storage.records import Change, Conflict, Logged

SPACE = "discord:1:2"
ADA, BOB = Actor("discord:7", "Ada"), Actor("telegram:8", "Bob")


def community(store: Store) -> Community:
    return Community.of(Settings(), store)


def to(**fields: object) -> Callable[[SpaceSettings], SpaceSettings]:
    return lambda value: value.model_copy(update=fields)


async def test_an_entry_tells_who_when_what_from_and_what_to(store: Store) -> None:
    spaces = community(store)
    await change_space(spaces, SPACE, ADA, to(language="en"))
    allowance = Allowance(day_money=5_000_000)
    kept = await change_space(spaces, SPACE, BOB, to(language="zh_Hans", person_allowance=allowance))
    newest, oldest = await history(spaces, SPACE)
    now = float((await store.redis.time())[0])
    assert (newest.actor, newest.name, newest.version) == ("telegram:8", "Bob", kept.version)
    assert now - 60 <= oldest.at <= newest.at <= now
    assert [(each.path, each.before, each.after) for each in newest.differences] == [
        (("language",), "en", "zh_Hans"),
        (("person_allowance", "day_money"), None, 5_000_000),
    ]


async def test_what_changes_nothing_is_not_logged(store: Store) -> None:
    spaces = community(store)
    await change_space(spaces, SPACE, ADA, to(language=""))
    assert await history(spaces, SPACE) == []


async def test_no_change_without_its_entry_also_of_many_at_once(store: Store) -> None:
    def later(value: SpaceSettings) -> SpaceSettings:
        return value.model_copy(update={"keep_days": (value.keep_days or 0) + 1})

    await asyncio.gather(*(change_space(community(store), SPACE, ADA, later) for _ in range(8)))
    log = await history(community(store), SPACE)
    assert [entry.differences[0].after for entry in log] == [8, 7, 6, 5, 4, 3, 2, 1]


async def test_a_change_whose_reply_got_lost_is_logged_once(store: Store) -> None:
    names = [keys.record_changes("spaces"), keys.record_log("spaces", SPACE), keys.record("spaces", SPACE)]
    arguments = ("token", 10, 60, "{}", 10, 60, SPACE, 0, '{"model":"a"}', 0)
    assert await store.run("record", names, arguments) == [1]
    assert await store.run("record", names, arguments) == [1]
    assert await store.redis.llen(names[1]) == 1
    # Where the record was changed meanwhile nothing is logged.
    assert await store.run("record", names, ("other", *arguments[1:])) == []
    assert await store.redis.llen(names[1]) == 1


async def test_the_log_is_bounded_and_has_a_lifetime(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.people.changing.MOST_ENTRIES", 3)
    for days in range(1, 6):
        await change_space(community(store), SPACE, ADA, to(keep_days=days))
    assert [entry.version for entry in await history(community(store), SPACE)] == [5, 4, 3]
    seconds = await store.redis.ttl(keys.record_log("spaces", SPACE))
    assert 399 * 86400 < seconds <= 400 * 86400


async def test_the_second_of_two_administrators_sees_a_conflict(store: Store) -> None:
    seen = (await community(store).spaces.records.fresh(SPACE)).version
    await change_space(community(store), SPACE, ADA, to(model="a"), seen=seen)
    with pytest.raises(Conflict):
        await change_space(community(store), SPACE, BOB, to(model="b"), seen=seen)
    assert (await community(store).spaces.records.fresh(SPACE)).value.model == "a"
    assert len(await history(community(store), SPACE)) == 1


async def test_the_last_change_is_taken_back_and_made_again(store: Store) -> None:
    spaces = community(store)
    await change_space(spaces, SPACE, ADA, to(model="a", roles={"discord:9": "admin"}))
    await change_space(spaces, SPACE, ADA, to(model="", person_allowance=Allowance(day_money=1, day_images=2)))
    await undo(spaces, SPACE, BOB)
    kept = await spaces.spaces.of(SPACE)
    assert (kept.model, kept.person_allowance, kept.roles) == ("a", Allowance(), {"discord:9": "admin"})
    await undo(spaces, SPACE, BOB)
    kept = await spaces.spaces.of(SPACE)
    assert (kept.model, kept.person_allowance) == ("", Allowance(day_money=1, day_images=2))
    assert [entry.name for entry in await history(spaces, SPACE)] == ["Bob", "Bob", "Ada", "Ada"]


async def test_a_turn_that_is_begun_anew_takes_back_once(store: Store) -> None:
    spaces = community(store)
    await change_space(spaces, SPACE, ADA, to(model="a"))
    await change_space(spaces, SPACE, ADA, to(model="b"))
    for _ in range(2):
        assert (await undo(spaces, SPACE, BOB, turn="one")).version == 2
        assert (await spaces.spaces.of(SPACE)).model == "a"
    await undo(spaces, SPACE, BOB, turn="two")
    assert (await spaces.spaces.of(SPACE)).model == "b"


async def test_another_lifetime_is_applied_though_its_process_dies(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaces = community(store)
    write = spaces.spaces.records.write

    async def killed(changes: Sequence[Change[SpaceSettings]], logged: Logged | None = None) -> None:
        await write(changes, logged)
        raise ConnectionAbortedError

    monkeypatch.setattr(spaces.spaces.records, "write", killed)
    with pytest.raises(ConnectionAbortedError):
        await change_space(spaces, SPACE, ADA, to(keep_days=3))
    assert (await community(store).spaces.of(SPACE)).keep_days == 3
    assert await store.redis.zrange(keys.to_retain(), 0, -1) == [SPACE]


async def test_what_was_changed_since_is_not_undone(store: Store) -> None:
    spaces = community(store)
    await change_space(spaces, SPACE, ADA, to(model="a", language="en"))
    # By something that keeps no log.
    await spaces.spaces.change(SPACE, to(model="b"))
    with pytest.raises(Conflict):
        await undo(spaces, SPACE, ADA)
    assert (await spaces.spaces.of(SPACE)).model == "b"
    seen = (await spaces.spaces.records.fresh(SPACE)).version
    await change_space(spaces, SPACE, BOB, to(model="c"))
    with pytest.raises(Conflict):
        await undo(spaces, SPACE, ADA, seen=seen)


async def test_nothing_to_undo(store: Store) -> None:
    spaces = community(store)
    with pytest.raises(NothingToUndo):
        await undo(spaces, SPACE, ADA)
    await change_space(spaces, SPACE, ADA, to(roles={"discord:9": "admin"}), undoable=False)
    with pytest.raises(NothingToUndo):
        await undo(spaces, SPACE, ADA)


async def test_entries_of_a_newer_program_are_left_out(store: Store) -> None:
    spaces = community(store)
    await change_space(spaces, SPACE, ADA, to(model="a"))
    await store.redis.lpush(keys.record_log("spaces", SPACE), '1700000000 {"form":3}')
    assert [entry.version for entry in await history(spaces, SPACE)] == [1]
