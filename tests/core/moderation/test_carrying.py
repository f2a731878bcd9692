"""Acts on their way, over a real Valkey and a town with state."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.errors import StorageError
from core.message import Platform
from core.moderation import carrying as carried
from core.moderation import hands
from core.moderation.acts import AUTOMOD, Act, ActKind, Actor, Answer, Outcome
from core.moderation.carrying import Acts
from core.moderation.cases import Case, CaseKind, CaseState
from core.moderation.durations import DAY
from core.moderation.evidence import Said
from core.moderation.timers import Timers
from core.moderation.undoing import Refused
from core.storage import deadlines
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.deadlines import Deadlines
from tests.core.moderation.town import MODERATOR, PLACE, SPACE, SQUARE, Town


def act(kind: ActKind, id: str = "", account: str = "5", **values: Any) -> Act:
    values = {"actor": MODERATOR, "name": "Bob", "reason": "spam", "at": 1.0, "where": "Chess Club", **values}
    return Act(id or f"{kind}-{account}", kind, SQUARE, SPACE, account=account, **values)


@dataclass
class World:
    store: Store
    town: Town = field(default_factory=Town)

    def __post_init__(self) -> None:
        self.acts = self.process()
        self.timers = Timers(Deadlines(self.store), self.acts.handlers)
        self.heard: list[Case] = []

        async def hear(place: str, case: Case) -> None:
            self.heard.append(case)

        self.acts.listeners.append(hear)

    def process(self, lease_seconds: float = 15.0) -> Acts:
        """Another one."""
        return Acts(self.store, {Platform.DISCORD: self.town}, keep_days=1, lease_seconds=lease_seconds)

    async def do(self, kind: ActKind, id: str = "", account: str = "5", **values: Any) -> Case:
        [number] = await self.acts.order([act(kind, id, account, **values)])
        await self.acts.carry(PLACE)
        return await self.case(number)

    async def case(self, number: int) -> Case:
        case = await self.acts.cases.get(PLACE, number)
        assert case is not None
        return case

    async def undo(self, number: int) -> Case:
        kept = await self.acts.undo(PLACE, number, MODERATOR, f"undo-{number}")
        await self.acts.carry(PLACE)
        return await self.case(kept)

    async def pass_time(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        """Everybody's clock goes on, and all that is due by then is done."""
        then = time.time() + seconds
        monkeypatch.setattr(time, "time", lambda: then)
        while await self.timers.step():
            pass


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


async def test_an_act_is_written_down_and_then_done_once(world: World) -> None:
    ordered = [act(ActKind.MUTE, seconds=3600)]
    assert await world.acts.order(ordered) == [1]
    case = await world.case(1)
    assert (case.state, case.before, case.reason) == (CaseState.PLANNED, None, "spam")
    assert await world.acts.order(ordered) == [1], "the same act again is the same"
    await asyncio.gather(*(world.process().carry(PLACE) for _ in range(4)))
    case = await world.case(1)
    assert (case.state, case.before, case.is_told) == (CaseState.DONE, {"muted": ""}, True)
    assert case.answers == (Answer(Outcome.DONE),)
    assert case.until is not None
    assert abs(case.until - time.time() - 3600) < 5
    assert world.town.asked == [(ActKind.MUTE, 3600)]
    assert Case.from_json(case.to_json(), 1) == case
    [(who, words)] = world.town.told
    assert who == "5"
    assert "“Chess Club”" in words
    assert "`spam`" in words
    assert await world.acts.carry(PLACE) is None, "nothing is left to be done"


async def test_a_ban_is_told_before_it_is_done(world: World) -> None:
    """Afterwards the bot cannot reach them."""
    world.town.held = asyncio.Event()
    [number] = await world.acts.order([act(ActKind.BAN)])
    task = asyncio.create_task(world.acts.carry(PLACE))
    while not world.town.told:
        await asyncio.sleep(0.005)
    assert (await world.case(number)).state is CaseState.PLANNED
    assert world.town.now.get(("5", "banned")) is None
    world.town.held.set()
    await task
    assert (await world.case(number)).state is CaseState.DONE
    assert len(world.town.told) == 1


async def test_what_a_dead_process_left_is_done_by_another(world: World) -> None:
    """It stopped between the platform's doing it and writing that down: what was before is still what was before."""
    world.town.held = asyncio.Event()
    dying = world.process(lease_seconds=0.3)
    await dying.order([act(ActKind.QUARANTINE)])
    task = asyncio.create_task(dying.carry(PLACE))
    while (await world.case(1)).before is None:
        await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    world.town.state["5", "roles"] = ""  # it was done, as far as the platform knows
    world.town.held = None
    assert await world.acts.carry(PLACE) is not None, "the dead one's time is not over"
    await asyncio.sleep(0.35)
    await world.acts.carry(PLACE)
    case = await world.case(1)
    assert (case.state, case.before) == (CaseState.DONE, {"roles": "fan,artist"})
    await world.undo(1)
    assert world.town.state["5", "roles"] == "fan,artist"


async def test_whoever_was_overtaken_writes_nothing(world: World) -> None:
    world.town.held = asyncio.Event()
    slow = world.process(lease_seconds=60)
    await slow.order([act(ActKind.MUTE)])
    task = asyncio.create_task(slow.carry(PLACE))
    while (await world.case(1)).before is None:
        await asyncio.sleep(0.005)
    await world.store.redis.zadd(f"parley:cases:{{{PLACE}}}:waits", {"1": 1})
    taker = asyncio.create_task(world.acts.carry(PLACE))
    await asyncio.sleep(0.05)
    world.town.held.set()
    await asyncio.gather(task, taker)
    assert (await world.case(1)).answers == (Answer(Outcome.NOTHING),), (
        "the second one's answer; nothing was changed twice"
    )
    assert world.town.log == [(ActKind.MUTE, "5")]


async def test_acts_on_one_person_keep_their_order(world: World) -> None:
    """However many processes there are."""
    wanted = [
        act((ActKind.MUTE, ActKind.UNMUTE)[n % 2], f"a{n}-{account}", account)
        for n in range(6)
        for account in ("5", "8", "6")
    ]
    await world.acts.order(wanted)
    await asyncio.gather(*(world.process().carry(PLACE) for _ in range(3)))
    while await world.acts.carry(PLACE) is not None:
        await asyncio.sleep(0.01)
    for account in ("5", "8", "6"):
        assert [kind for kind, who in world.town.log if who == account] == [ActKind.MUTE, ActKind.UNMUTE] * 3
    assert not any(value for (_, what), value in world.town.now.items() if what == "muted")


async def test_deletions_wait_for_nothing_and_their_undoing_for_them(world: World) -> None:
    """Not for a mute that the platform does not do now."""
    world.town.messages = {"70": Said("Bob", "hello", "5")}
    world.town.outages = 1
    await world.acts.order([act(ActKind.MUTE)])
    await world.acts.carry(PLACE)
    [deletion] = await world.acts.order([act(ActKind.DELETE, messages=("70",))])
    back = await world.acts.undo(PLACE, deletion, MODERATOR, "back")
    await world.store.redis.zadd(f"parley:cases:{{{PLACE}}}:waits", {str(deletion): 2e15})
    await world.acts.carry(PLACE)
    assert (await world.case(back)).state is CaseState.PLANNED
    for number in (deletion, back):
        await world.store.redis.zadd(f"parley:cases:{{{PLACE}}}:waits", {str(number): 1})
        await world.acts.carry(PLACE)
    assert (await world.case(deletion)).state is CaseState.UNDONE
    assert world.town.messages["70"].text == "hello"


async def test_a_platform_that_is_away_is_tried_again_and_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(tries: int) -> float:
        return 0.0

    monkeypatch.setattr(hands, "pause", at_once)
    world.town.outages = 3
    assert (await world.do(ActKind.MUTE)).state is CaseState.DONE
    assert len(world.town.asked) == 4
    world.town.outages = 1000
    case = await world.do(ActKind.UNMUTE)
    assert (case.state, case.tries) == (CaseState.FAILED, hands.MOST_TRIES + 1)
    assert case.answers[-1].key == "act_unreachable"


async def test_pauses_grow_and_have_an_end() -> None:
    pauses = [hands.pause(tries) for tries in range(1, 20)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses == sorted(pauses)
    assert pauses[-1] == hands.LONGEST_PAUSE


async def test_a_missing_right_is_said_and_not_tried_for_ever(world: World) -> None:
    world.town.missing[ActKind.BAN] = "permission.ban_members"
    case = await world.do(ActKind.BAN)
    assert (case.state, case.answers[0].key) == (CaseState.FAILED, "permission.ban_members")
    assert (world.town.asked, world.town.told) == ([], []), "nobody is told of a ban that is not"
    world.town.missing.clear()
    rules = [act(ActKind.BAN, f"rule-{n}", str(n + 20), actor=Actor(AUTOMOD)) for n in range(5)]
    await world.acts.order(rules)
    await world.acts.carry(PLACE)
    assert world.town.asked == [], "the rules do not try it again at once"
    assert (await world.do(ActKind.BAN, "again")).state is CaseState.DONE, "people may"


@pytest.mark.parametrize(("account", "state"), [("6", "failed"), ("3", "failed"), ("1", "failed"), ("5", "done")])
async def test_rules_act_on_nobody_who_stands_high(world: World, account: str, state: str) -> None:
    """Whatever they were told when the act was ordered."""
    case = await world.do(ActKind.MUTE, account=account, actor=Actor(AUTOMOD))
    assert case.state == state
    assert [kind for kind, _ in world.town.asked] == [ActKind.MUTE] * (state == "done")


async def test_what_the_platform_refuses_fails_with_its_words(world: World) -> None:
    world.town.answers = [Answer(Outcome.FORBIDDEN, "bot_below", "50013")]
    case = await world.do(ActKind.MUTE, seconds=60)
    assert (case.state, case.answers[0].detail) == (CaseState.FAILED, "50013")
    assert world.town.told == []
    with pytest.raises(Refused, match="undo_over"):
        await world.undo(case.number)


async def test_the_timer_of_a_short_ban_does_not_end_a_later_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await world.do(ActKind.BAN, "one", seconds=DAY)
    await world.do(ActKind.BAN, "two")
    await world.pass_time(monkeypatch, DAY + 5)
    assert world.town.now["5", "banned"] == "yes"
    assert (await world.case(first.number)).state is CaseState.DONE
    # Once the later one is undone, the first holds again, and its time is over.
    await world.undo(2)
    await world.pass_time(monkeypatch, 5)
    assert ("5", "banned") not in world.town.now
    assert (await world.case(first.number)).state is CaseState.ENDED


async def test_a_ban_that_only_waits_is_not_ended_by_an_older_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.do(ActKind.BAN, "one", seconds=DAY)
    await world.acts.order([act(ActKind.BAN, "two")])
    await world.pass_time(monkeypatch, DAY + 5)
    assert world.town.log == [(ActKind.BAN, "5")]
    assert world.town.now["5", "banned"] == "yes"


async def test_mute_unmute_by_hand_mute_longer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.do(ActKind.MUTE, "one", seconds=60)
    await world.do(ActKind.UNMUTE, "two")
    assert (await world.case(1)).state is CaseState.ENDED
    await world.do(ActKind.MUTE, "three", seconds=3600)
    await world.pass_time(monkeypatch, 120)
    assert world.town.now["5", "muted"] == "yes"
    assert (await world.case(3)).state is CaseState.DONE
    await world.pass_time(monkeypatch, 3600)
    assert (await world.case(3)).state is CaseState.ENDED


async def test_an_end_is_ours_where_the_platform_has_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    case = await world.do(ActKind.BAN, seconds=7 * DAY)
    assert world.town.asked == [(ActKind.BAN, None)]
    await world.pass_time(monkeypatch, DAY)
    assert world.town.now["5", "banned"] == "yes"
    world.town.outages = 2
    await world.pass_time(monkeypatch, 6 * DAY + 5)
    for _ in range(2):
        await world.store.redis.zadd(f"parley:cases:{{{PLACE}}}:waits", {f"{case.number}:end": 1})
        await world.acts.carry(PLACE)
    assert ("5", "banned") not in world.town.now
    assert (await world.case(case.number)).state is CaseState.ENDED
    assert [one.state for one in world.heard] == [CaseState.DONE, CaseState.ENDED]


async def test_a_mute_beyond_28_days_is_renewed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.do(ActKind.MUTE, seconds=60 * DAY)
    await world.pass_time(monkeypatch, 27 * DAY + 60)
    await world.pass_time(monkeypatch, 27 * DAY + 60)
    assert [kind for kind, _ in world.town.asked] == [ActKind.MUTE] * 3
    first, second, third = (seconds for _, seconds in world.town.asked)
    assert (first, second) == (28 * DAY, 28 * DAY)
    assert third is not None
    assert abs(third - 6 * DAY) < 300
    await world.pass_time(monkeypatch, 6 * DAY)
    assert (await world.case(1)).state is CaseState.ENDED
    await world.do(ActKind.MUTE, "for good")
    await world.do(ActKind.UNMUTE)
    asked = len(world.town.asked)
    await world.pass_time(monkeypatch, 40 * DAY)
    assert len(world.town.asked) == asked, "nobody renews what somebody ended"


async def test_an_end_that_the_bot_may_not_do_is_tried_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.do(ActKind.BAN, seconds=60)
    world.town.answers = [Answer(Outcome.FORBIDDEN, "permission.ban_members")] * 9
    await world.pass_time(monkeypatch, 100)
    await world.pass_time(monkeypatch, DAY)
    case = await world.case(1)
    assert (case.state, case.answers[-1].outcome) == (CaseState.PARTLY, Outcome.FORBIDDEN)
    assert len(world.town.asked) == 2


UNDONE = (
    ActKind.MUTE,
    ActKind.RESTRICT,
    ActKind.QUARANTINE,
    ActKind.BAN,
    ActKind.SLOW,
    ActKind.LOCK,
    ActKind.PIN,
    ActKind.DELETE,
    ActKind.PURGE,
    ActKind.UNMUTE,
    ActKind.UNBAN,
    ActKind.UNLOCK,
    ActKind.RELEASE,
)


@pytest.mark.parametrize("kind", UNDONE)
@pytest.mark.parametrize("was", ["", "yes"])
async def test_undoing_is_the_mirror_image(world: World, kind: ActKind, was: str) -> None:
    """Whatever was before is so again."""
    for what in ("muted", "banned", "restricted"):
        world.town.state["5", what] = was
    world.town.state["#10", "locked"] = was
    world.town.state["#10", "pause"] = was and "300"
    world.town.messages = {"70": Said("Bob", "hello", "5"), "71": Said("Ann", "hi", "7")}
    before = world.town.now
    account = "" if kind in (ActKind.SLOW, ActKind.LOCK, ActKind.UNLOCK, ActKind.PIN) else "5"
    case = await world.do(kind, "it", account, messages=("70", "71"))
    back = await world.undo(case.number)
    assert world.town.now == before
    assert (await world.case(case.number)).state is CaseState.UNDONE
    assert (await world.case(case.number)).undone_by == back.number
    with pytest.raises(Refused, match="undo_already"):
        await world.undo(case.number)
    with pytest.raises(Refused, match="undo_undoing"):
        await world.undo(back.number)


async def test_a_warning_is_undone_in_the_book_and_a_kick_never(world: World) -> None:
    warning = await world.do(ActKind.WARN)
    back = await world.undo(warning.number)
    assert (back.kind, (await world.case(warning.number)).state) == (CaseKind.UNDO, CaseState.UNDONE)
    kick = await world.do(ActKind.KICK)
    with pytest.raises(Refused, match=r"undo_never\.kick"):
        await world.undo(kick.number)
    with pytest.raises(Refused, match="undo_none"):
        await world.undo(99)


async def test_the_newer_act_is_undone_first(world: World) -> None:
    await world.do(ActKind.MUTE, "one", seconds=60)
    await world.do(ActKind.MUTE, "two", seconds=600)
    with pytest.raises(Refused, match="undo_later"):
        await world.undo(1)
    await world.undo(2)
    await world.undo(1)
    assert ("5", "muted") not in world.town.now


async def test_undoing_an_end_by_hand_brings_the_act_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.do(ActKind.BAN, "one", seconds=DAY)
    await world.do(ActKind.UNBAN, "two")
    await world.undo(2)
    assert world.town.now["5", "banned"] == "yes"
    assert (await world.case(1)).state is CaseState.DONE
    await world.pass_time(monkeypatch, DAY + 5)
    assert ("5", "banned") not in world.town.now, "and its end as well"


async def test_who_listens_is_told_until_they_heard(world: World) -> None:
    failing = [StorageError("away")]

    async def fail_once(place: str, case: Case) -> None:
        if failing:
            raise failing.pop()

    world.acts.listeners.insert(0, fail_once)
    await world.do(ActKind.WARN)
    assert world.heard == []
    await world.store.redis.zadd(f"parley:cases:{{{PLACE}}}:waits", {"1": 1})
    await world.acts.carry(PLACE)
    assert [case.number for case in world.heard] == [1]
    assert len(world.town.told) == 1


async def test_what_nobody_carried_out_is_found_by_the_timers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.acts.order([act(ActKind.MUTE)])
    assert await world.timers.step() == 0
    await world.pass_time(monkeypatch, carried.HINT_SECONDS + 1)
    assert (await world.case(1)).state is CaseState.DONE
    monkeypatch.setattr(deadlines, "CLAIM_SECONDS", 0.0)
    await world.pass_time(monkeypatch, 100)
    assert await Deadlines(world.store).take(10) == []


async def test_a_running_process_carries_out_at_once(world: World) -> None:
    task = asyncio.create_task(world.acts.run())
    numbers = await world.acts.order([act(ActKind.MUTE, f"m{n}", str(n)) for n in range(20)])
    cases = await world.acts.carried(PLACE, numbers, 5.0)
    assert [case.state for case in cases] == [CaseState.DONE] * 20
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_reason_changed_meanwhile_stays(world: World) -> None:
    """Two write one case: neither loses what the other wrote."""
    await world.do(ActKind.MUTE, seconds=60)

    async def edit(n: int) -> None:
        await world.acts.cases.change(PLACE, 1, lambda case: case.with_reason(f"reason {n}", "2", "Mo", 1.0))

    await asyncio.gather(*map(edit, range(8)), world.undo(1))
    case = await world.case(1)
    assert (case.state, len(case.edits)) == (CaseState.UNDONE, 8)
    assert case.edits[0].reason == "spam"


async def test_an_act_goes_along_when_the_group_moves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.do(ActKind.BAN, "one", seconds=60)
    await world.acts.order([act(ActKind.LOCK, "two", "")])
    await Cases(world.store, keep_days=1).move(PLACE, "discord:1:200")
    await world.pass_time(monkeypatch, 100)
    moved = await world.acts.cases.some("discord:1:200", [1, 2])
    assert [case.state for case in moved] == [CaseState.ENDED, CaseState.DONE]
    assert [kind for kind, _ in world.town.log] == [ActKind.BAN, ActKind.LOCK, ActKind.UNBAN]


async def test_an_act_of_a_newer_program_is_left_to_that(world: World) -> None:
    await world.acts.order([act(ActKind.MUTE), act(ActKind.BAN, account="7")])
    book = f"parley:cases:{{{PLACE}}}"
    text = await world.store.redis.hget(book, "1")
    await world.store.redis.hset(book, "1", text.replace('"mute"', '"exile"'))
    await world.acts.carry(PLACE)
    assert (await world.case(2)).state is CaseState.DONE
    await world.store.redis.hset(book, "1", text)
    await world.store.redis.zadd(f"{book}:waits", {"1": 1})
    await world.acts.carry(PLACE)
    assert (await world.case(1)).state is CaseState.DONE


def test_every_act_has_a_kind_of_case() -> None:
    assert {kind.value for kind in ActKind} <= {kind.value for kind in CaseKind}


async def test_an_error_of_ours_is_no_act_for_ever(world: World) -> None:
    async def broken(act: Act) -> dict[str, str]:
        raise ZeroDivisionError

    world.town.before = broken
    case = await world.do(ActKind.MUTE)
    assert (case.state, case.answers[0].key) == (CaseState.FAILED, "act_broken")
