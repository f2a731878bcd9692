"""The emergency brake drops what rules ordered, and takes back what they did."""

from __future__ import annotations

import time
from typing import Any

from core.message import Platform
from core.moderation.acts import AUTOMOD, ActKind, Actor
from core.moderation.carrying import Acts
from core.moderation.cases import CaseState
from core.moderation.evidence import Said
from core.moderation.panic import Undone, by_automod, undo_all
from core.storage.client import Store
from tests.core.moderation.test_carrying import act
from tests.core.moderation.town import MODERATOR, PLACE, Town, at_work

RULES = Actor(AUTOMOD, "Automod")


def ordered(kind: ActKind, id: str, account: str = "5", **values: Any) -> Any:
    return act(kind, id, account, **{"actor": RULES, "rule": "spam", "at": time.time(), **values})


async def test_what_is_ordered_and_not_done_yet_is_dropped(store: Store) -> None:
    town, until = Town(), [0.0]

    async def paused_until(place: str) -> float:
        return until[0]

    acts = Acts(store, {Platform.DISCORD: town}, keep_days=1, paused_until=paused_until)
    done, *_ = await acts.order([ordered(ActKind.RESTRICT, "before")])
    await acts.carry(PLACE)
    until[0] = time.time() + 60
    mine, theirs, lets, back = await acts.order(
        [
            ordered(ActKind.BAN, "automod's"),
            act(ActKind.MUTE, "a person's"),
            ordered(ActKind.APPROVE, "lets in", "8"),
            await acts.undoing(PLACE, done, RULES, "back"),
        ]
    )
    await acts.carry(PLACE)
    cases = {case.number: case for case in await acts.cases.some(PLACE, [mine, theirs, lets, back])}
    assert (cases[mine].state, cases[mine].answers[-1].key) == (CaseState.FAILED, "act_paused")
    assert [cases[number].state for number in (theirs, lets, back)] == [CaseState.DONE] * 3
    assert ActKind.BAN not in [kind for kind, _ in town.asked]


async def test_all_that_rules_did_in_the_last_hour_is_taken_back_and_nothing_else(store: Store) -> None:
    town = Town()
    town.messages["77"] = Said("Bob", "hello", "5")
    start = town.now
    acts = Acts(store, {Platform.DISCORD: town}, keep_days=1)
    async with at_work(acts):
        numbers = await acts.order(
            [
                ordered(ActKind.MUTE, "first", seconds=600),
                ordered(ActKind.MUTE, "second", seconds=900),
                ordered(ActKind.DELETE, "third", messages=("77",)),
                ordered(ActKind.WARN, "fourth", strikes=1),
                ordered(ActKind.KICK, "never"),
                ordered(ActKind.MUTE, "join:check", "8"),
                ordered(ActKind.LOCK, "old", "", at=time.time() - 4000),
                act(ActKind.SLOW, "a person's", "", pause=5, at=time.time()),
            ]
        )
        await acts.carried(PLACE, numbers, 5)
        found = await by_automod(acts, PLACE)
        assert sorted(case.number for case in found) == numbers[:4]
        wanted = [case.number for case in found]
        assert await undo_all(acts, PLACE, wanted, MODERATOR, "p1", lambda _: True) == Undone(done=4)
        asked = len(town.asked)
        assert (await undo_all(acts, PLACE, wanted, MODERATOR, "p1", lambda _: True)).failed == 0
        assert len(town.asked) == asked
        assert await by_automod(acts, PLACE) == []
    left = {key: value for key, value in town.now.items() if key not in {("#10", "locked"), ("#10", "pause")}}
    assert left == start


async def test_only_what_the_presser_may_do_is_taken_back(store: Store) -> None:
    acts = Acts(store, {Platform.DISCORD: Town()}, keep_days=1)
    async with at_work(acts):
        numbers = await acts.order([ordered(ActKind.BAN, "one"), ordered(ActKind.MUTE, "two", "8")])
        await acts.carried(PLACE, numbers, 5)
        done = await undo_all(acts, PLACE, numbers, MODERATOR, "p2", lambda act: act.kind is not ActKind.UNBAN)
    assert done.failed >= 1
    assert [case.kind for case in await acts.cases.latest(PLACE) if case.undoes and case.kind == "unban"] == []
