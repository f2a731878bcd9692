"""Ends of acts that cross each other, or come late: nothing is ended by an older one's, and nothing lasts for ever."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from core.errors import StorageError
from core.moderation import hands
from core.moderation.acts import AUTOMOD, ActKind, Actor, Answer, Outcome
from core.moderation.cases import Case, CaseState
from core.moderation.durations import DAY, Span
from core.moderation.evidence import Said
from core.moderation.members import Rank
from core.storage.client import Store
from core.storage.deadlines import Deadlines
from tests.core.moderation.test_carrying import World, act
from tests.core.moderation.town import MODERATOR, PLACE, SQUARE


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


@pytest.mark.parametrize("kind", [ActKind.SLOW, ActKind.BAN])
async def test_of_two_ends_that_are_due_together_none_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: ActKind
) -> None:
    """As after a night in which no process ran."""
    before = world.town.now
    await world.do(kind, "one", seconds=600)
    await world.do(kind, "two", seconds=1200)
    await world.pass_time(monkeypatch, DAY)
    await world.pass_time(monkeypatch, 5)
    assert world.town.now == before
    assert [(await world.case(number)).state for number in (1, 2)] == [CaseState.ENDED] * 2


async def test_an_end_that_another_process_thinks_too_early_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their clocks differ."""
    await world.do(ActKind.BAN, seconds=600)
    now = time.time()
    times = Deadlines(world.store)
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: now + 605)
        taken = [one for one in await times.take(20) if one.what == "act"]
    assert len(taken) == 1
    for deadline in taken:
        await world.acts.handlers[deadline.what](deadline)
        await times.done(deadline)
    assert world.town.now["5", "banned"] == "yes"
    await world.pass_time(monkeypatch, 700)
    assert ("5", "banned") not in world.town.now


async def test_a_mute_is_not_ended_by_an_older_quarantine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.do(ActKind.QUARANTINE, seconds=600)
    await world.do(ActKind.MUTE, seconds=3600)
    await world.pass_time(monkeypatch, 700)
    assert ActKind.RELEASE not in [kind for kind, _ in world.town.log]
    await world.pass_time(monkeypatch, 3600)
    await world.pass_time(monkeypatch, 5)
    assert world.town.now["5", "roles"] == "fan,artist"
    assert [(await world.case(number)).state for number in (1, 2)] == [CaseState.ENDED] * 2


async def test_what_a_mute_kept_from_ending_ends_once_that_is_ended_by_hand(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.do(ActKind.QUARANTINE, seconds=600)
    await world.do(ActKind.MUTE)
    await world.pass_time(monkeypatch, 700)
    await world.do(ActKind.UNMUTE)
    await world.pass_time(monkeypatch, 5)
    assert world.town.now["5", "roles"] == "fan,artist"


async def test_who_left_is_muted_again_as_long_as_the_mute_lasts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.do(ActKind.MUTE, seconds=90 * DAY)
    world.town.answers = [Answer(Outcome.GONE)] * 2
    await world.pass_time(monkeypatch, 27 * DAY + 60)
    await world.pass_time(monkeypatch, DAY + 60)
    assert (await world.case(1)).state is CaseState.DONE
    await world.pass_time(monkeypatch, DAY + 60)
    assert world.town.asked[-1] == (ActKind.MUTE, 28 * DAY)
    assert len(world.town.asked) == 4
    await world.pass_time(monkeypatch, 70 * DAY)
    assert (await world.case(1)).state is CaseState.ENDED


async def test_rules_go_on_elsewhere_where_the_bot_lacks_a_right_in_one_channel(world: World) -> None:
    world.town.missing[ActKind.DELETE] = "permission.manage_messages"
    one = act(ActKind.DELETE, "one", messages=("1",), actor=Actor(AUTOMOD))
    await world.acts.order([one])
    await world.acts.carry(PLACE)
    world.town.missing.clear()
    elsewhere = replace(one, id="two", conversation=replace(SQUARE, chat="11"))
    await world.acts.order([elsewhere])
    await world.acts.carry(PLACE)
    assert [(await world.case(number)).state for number in (1, 2)] == [CaseState.FAILED, CaseState.DONE]


async def test_of_an_end_those_who_listen_are_told_until_they_heard(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[CaseState] = []
    away = [CaseState.ENDED] * 2

    async def hear(place: str, case: Case) -> None:
        if case.state in away:
            away.remove(case.state)
            raise StorageError("away")
        heard.append(case.state)

    world.acts.listeners.append(hear)
    await world.do(ActKind.BAN, seconds=600)
    for seconds in (700, 5, 5, 5):
        await world.pass_time(monkeypatch, seconds)
        await world.store.redis.zadd(f"parley:cases:{{{PLACE}}}:waits", {"1:end": 1}, xx=True)
        await world.acts.carry(PLACE)
    assert heard == [CaseState.DONE, CaseState.ENDED]
    assert [kind for kind, _ in world.town.asked] == [ActKind.BAN, ActKind.UNBAN], "it is done once"


async def test_of_two_who_undo_the_same_at_once_one_does(world: World) -> None:
    world.town.messages = {"70": Said("Bob", "hello", "5")}
    await world.do(ActKind.PURGE, account="", messages=("70",))
    undoing = [await world.acts.undoing(PLACE, 1, Actor(who), f"undo by {who}") for who in ("2", "7")]
    await world.acts.order(undoing)
    world.town.held = asyncio.Event()
    async with asyncio.TaskGroup() as both:
        for _ in undoing:
            both.create_task(world.process().carry(PLACE))
        await asyncio.sleep(0.2)
        world.town.held.set()
    assert [kind for kind, _ in world.town.asked].count(ActKind.REPOST) == 1
    assert (await world.case(1)).undone_by in (2, 3)


async def test_an_undoing_that_failed_can_be_tried_again(world: World) -> None:
    await world.do(ActKind.LOCK, account="")
    world.town.answers = [Answer(Outcome.FORBIDDEN, "permission.manage_roles")]
    assert (await world.undo(1)).state is CaseState.FAILED
    kept = await world.acts.undo(PLACE, 1, MODERATOR, "once more")
    await world.acts.carry(PLACE)
    assert (await world.case(kept)).state is CaseState.DONE
    assert (await world.case(1)).undone_by == kept


async def test_what_was_given_back_by_hand_is_over_in_the_book_at_its_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.do(ActKind.RESTRICT, seconds=600)
    await world.do(ActKind.MUTE)
    await world.do(ActKind.UNMUTE)
    asked = len(world.town.asked)
    await world.pass_time(monkeypatch, 700)
    assert (await world.case(1)).state is CaseState.ENDED
    assert len(world.town.asked) == asked


@pytest.mark.parametrize("later", [ActKind.UNRESTRICT, ActKind.UNBAN])
async def test_who_gave_nothing_back_keeps_no_act_from_ending(
    world: World, monkeypatch: pytest.MonkeyPatch, later: ActKind
) -> None:
    """Somebody who is muted was neither restricted nor banned."""
    world.town.abilities = {**world.town.abilities, ActKind.MUTE: Span(longest=None)}
    await world.do(ActKind.MUTE, seconds=600)
    assert (await world.do(later)).answers == (Answer(Outcome.NOTHING),)
    await world.pass_time(monkeypatch, 700)
    assert ("5", "muted") not in world.town.now
    assert (await world.case(1)).state is CaseState.ENDED


async def test_an_act_that_cannot_be_ended_is_in_force_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.do(ActKind.BAN, seconds=600)
    world.town.state = None  # pyright: ignore[reportAttributeAccessIssue] # a mistake of ours
    await world.pass_time(monkeypatch, 700)
    case = await world.case(1)
    assert (case.state, case.answers[-1].key, case.until) == (CaseState.PARTLY, "act_broken", None)


async def test_who_became_staff_while_an_act_waited_is_let_be(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands, "LONGEST_PAUSE", 0.1)
    world.town.outages = 1
    await world.acts.order([act(ActKind.MUTE)])
    wait = await world.acts.carry(PLACE)
    assert wait is not None
    await asyncio.sleep(wait)
    world.town.people["5"] = replace(world.town.people["5"], rank=Rank.ABOVE, is_admin=True)
    await world.acts.carry(PLACE)
    assert (await world.case(1)).answers == (Answer(Outcome.REFUSED, "act_risen"),)
    assert world.town.log == []


async def test_what_was_too_old_to_be_deleted_is_not_said_a_second_time(world: World) -> None:
    world.town.messages = {id: Said("Bob", f"m{id}", "5") for id in ("9", "10", "11")}
    world.town.answers = [Answer(Outcome.DONE, "old_messages_left", count=2)]
    assert (await world.do(ActKind.PURGE, account="", messages=("9", "11", "10"))).state is CaseState.PARTLY
    world.town.messages.clear()
    await world.undo(1)
    assert set(world.town.messages) == {"10", "11"}
