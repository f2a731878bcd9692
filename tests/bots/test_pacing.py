"""Pacing: no limit is exceeded, must-go calls go first and in order, what is unknown is learnt. Time is made up."""

from __future__ import annotations

import asyncio
import gc
import heapq
from collections import Counter
from itertools import count, pairwise

import pytest

from bots.pacing import DISCORD, EDITS_IN_A_ROW, TELEGRAM, TO_COME_PERMITS, WEB, Kind, Limits, Pacer
from bots.pacing_windows import Chat, Rate, Window
from core.errors import StorageError


class Time:
    """A clock that jumps to whatever is slept for next."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), future))
        await future

    async def settle(self) -> None:
        """Lets everything run that waits for no time."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def pass_by(self, seconds: float) -> None:
        end = self.now + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue
            self.now = max(self.now, at)
            future.set_result(None)
            await self.settle()
        self.now = end


class Calls:
    """Draws in the background and notes when each was granted."""

    def __init__(self, pacer: Pacer, time: Time) -> None:
        self.pacer, self.time = pacer, time
        self.granted: list[tuple[float, str]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def draw(
        self, chat: str, kind: Kind = Kind.CREATE, group: bool = False, name: str = "", space: str = ""
    ) -> asyncio.Task[None]:
        async def one() -> None:
            await self.pacer.draw(chat, group, kind, space)
            self.granted.append((self.time.now, name or chat))

        task = asyncio.create_task(one())
        self.tasks.append(task)
        return task

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.granted]

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.granted]


@pytest.fixture
def time() -> Time:
    return Time()


def most_within(times: list[float], seconds: float) -> int:
    return max(sum(start <= at < start + seconds for at in times) for start in times)


async def start(pacer: Pacer, time: Time, wanted: int, chats: int, kind: Kind = Kind.CREATE) -> Calls:
    calls = Calls(pacer, time)
    for number in range(wanted):
        calls.draw(f"c{number % chats}", kind)
    await time.settle()
    return calls


# -- known limits


async def test_the_first_call_waits_for_nothing(time: Time) -> None:
    pacer = Pacer(DISCORD, clock=time, sleep=time.sleep)
    await asyncio.wait_for(pacer.draw("c", False, Kind.CREATE), 1)
    assert time.now == 1000.0


async def test_web_has_no_limits(time: Time) -> None:
    pacer = Pacer(WEB, clock=time, sleep=time.sleep)
    for _ in range(1000):
        await pacer.draw("c", False, Kind.CREATE)
        assert pacer.may("c", False, Kind.EDIT)


async def test_discord_takes_fifty_a_second_and_not_one_more(time: Time) -> None:
    calls = await start(Pacer(DISCORD, clock=time, sleep=time.sleep), time, 400, 200)
    await time.pass_by(10)
    assert len(calls.granted) == 400
    assert most_within(calls.times, 1.0) <= 50
    assert calls.times[-1] - calls.times[0] < 400 / 47


async def test_discord_takes_five_creates_in_five_seconds_in_a_channel(time: Time) -> None:
    pacer = Pacer(DISCORD, clock=time, sleep=time.sleep)
    calls = await start(pacer, time, 12, 1)
    other = Calls(pacer, time)
    other.draw("elsewhere")
    await time.pass_by(4)
    assert len(calls.granted) == 5
    assert other.names == ["elsewhere"], "a full channel holds nobody else back"
    edits = Calls(pacer, time)
    edits.draw("c0", Kind.FINAL_EDIT)
    await time.settle()
    assert edits.names == ["c0"], "edits have a bucket of their own"
    await time.pass_by(20)
    assert len(calls.granted) == 12
    assert most_within(calls.times, 5.0) <= 5


async def test_telegram_takes_twenty_a_minute_in_a_group(time: Time) -> None:
    pacer = Pacer(TELEGRAM, clock=time, sleep=time.sleep)
    calls = Calls(pacer, time)
    for number in range(50):
        calls.draw("group", Kind.FINAL_EDIT if number % 2 else Kind.CREATE, group=True)
    await time.pass_by(200)
    assert len(calls.granted) == 50
    assert most_within(calls.times, 60.0) <= 20
    assert most_within(calls.times, 1.0) <= 3


async def test_telegram_drafts_and_typing_do_not_count_in_a_chat(time: Time) -> None:
    pacer = Pacer(TELEGRAM, clock=time, sleep=time.sleep)
    assert all(pacer.may("c", False, Kind.DRAFT) and pacer.may("c", False, Kind.TYPING) for _ in range(30))
    await pacer.draw("c", False, Kind.CREATE)
    assert time.now == 1000.0


# -- order


async def test_final_edits_go_before_creates_and_each_in_order(time: Time) -> None:
    pacer = Pacer(DISCORD, clock=time, sleep=time.sleep)
    full = await start(pacer, time, 50, 50)
    await time.pass_by(1.0)
    assert len(full.granted) == 50
    calls = Calls(pacer, time)
    for number in range(20):
        calls.draw(f"a{number}", Kind.CREATE)
    await time.settle()
    for number in range(30):
        calls.draw(f"b{number}", Kind.FINAL_EDIT)
    await time.pass_by(5)
    creates = [name for name in calls.names if name[0] == "a"]
    edits = [name for name in calls.names if name[0] == "b"]
    assert creates == [f"a{n}" for n in range(20)]
    assert edits == [f"b{n}" for n in range(30)]
    assert calls.names == _mixed(edits, creates, EDITS_IN_A_ROW)


def _mixed(edits: list[str], creates: list[str], row: int) -> list[str]:
    """So many edits, then a create, and so on."""
    return [name for n, create in enumerate(creates) for name in (*edits[row * n : row * n + row], create)]


async def test_a_space_that_floods_holds_another_back_by_one_call_at_a_time(time: Time) -> None:
    pacer = Pacer(DISCORD, clock=time, sleep=time.sleep)
    calls = Calls(pacer, time)
    for number in range(500):
        calls.draw(f"f{number}", space="flood")
    await time.pass_by(2)
    before = len(calls.granted)
    for number in range(4):
        calls.draw(f"q{number}", space="quiet")
    calls.draw("private")
    await time.pass_by(1)
    names = calls.names[before:]
    places = [place for place, name in enumerate(names) if not name.startswith("f")]
    assert [names[place] for place in places] == ["q0", "private", "q1", "q2", "q3"]
    assert all(after - before <= 2 for before, after in pairwise([-1, *places]))
    flood = [name for name in calls.names if name.startswith("f")]
    assert flood == [f"f{n}" for n in range(len(flood))], "within a space the order of asking"


async def test_a_space_that_ends_many_answers_does_not_keep_another_from_beginning_one(time: Time) -> None:
    pacer = Pacer(DISCORD, clock=time, sleep=time.sleep)
    full = await start(pacer, time, 50, 50)
    await time.pass_by(1.0)
    assert len(full.granted) == 50
    calls = Calls(pacer, time)
    for number in range(50):
        calls.draw(f"f{number}", Kind.FINAL_EDIT, space="flood")
        calls.draw(f"g{number}", Kind.CREATE, space="flood")
    calls.draw("q", space="quiet")
    await time.pass_by(3)
    assert calls.names.index("q") <= 2 * (EDITS_IN_A_ROW + 1)


async def test_one_chat_keeps_its_order(time: Time) -> None:
    calls = Calls(Pacer(TELEGRAM, clock=time, sleep=time.sleep), time)
    for number in range(12):
        calls.draw("c", Kind.CREATE, name=str(number))
    await time.pass_by(60)
    assert calls.names == [str(n) for n in range(12)]


async def test_two_hundred_chats_on_discord_are_served_fairly(time: Time) -> None:
    pacer = Pacer(DISCORD, clock=time, sleep=time.sleep)
    done: dict[str, float] = {}

    async def answer(chat: str) -> None:
        await pacer.draw(chat, False, Kind.CREATE)
        await time.sleep(0.5)
        await pacer.draw(chat, False, Kind.FINAL_EDIT)
        done[chat] = time.now - 1000

    tasks = [asyncio.create_task(answer(f"c{n}")) for n in range(200)]
    await time.pass_by(20)
    assert all(task.done() for task in tasks)
    took = sorted(done.values())
    assert took[-1] <= 200 / 24 + 0.6
    assert list(done) == [f"c{n}" for n in range(200)]


async def test_who_gives_up_waiting_takes_nothing(time: Time) -> None:
    pacer = Pacer(DISCORD, clock=time, sleep=time.sleep)
    calls = await start(pacer, time, 100, 100)
    for task in calls.tasks[60:]:
        task.cancel()
    await time.settle()
    calls.draw("next")
    await time.pass_by(1.2)
    assert len(calls.granted) == 61
    assert calls.names[-1] == "next"


# -- optional calls


async def test_optional_calls_leave_a_reserve(time: Time) -> None:
    pacer = Pacer(DISCORD, clock=time, sleep=time.sleep)
    await pacer.draw("c", False, Kind.CREATE)
    edits = [pacer.may("c", False, Kind.EDIT) for _ in range(5)]
    assert edits == [True, True, True, False, False]
    await pacer.draw("c", False, Kind.FINAL_EDIT)
    assert time.now == 1000.0, "the last edit did not have to wait"


async def test_optional_calls_of_many_chats_leave_half_of_the_bots_limit(time: Time) -> None:
    pacer = Pacer(DISCORD, clock=time, sleep=time.sleep)
    granted = 0
    for number in range(400):
        granted += pacer.may(f"c{number}", False, Kind.TYPING)
        await time.pass_by(0.005)
    assert granted <= 2.1 * 27
    assert granted >= 40


async def test_no_optional_call_while_others_wait(time: Time) -> None:
    pacer = Pacer(DISCORD, clock=time, sleep=time.sleep)
    await start(pacer, time, 60, 60)
    assert not pacer.may("idle", False, Kind.EDIT)
    await time.pass_by(3)
    assert pacer.may("idle", False, Kind.EDIT)


async def test_no_optional_call_while_calls_are_to_be_saved(time: Time) -> None:
    saves = True
    pacer = Pacer(DISCORD, is_frugal=lambda: saves, clock=time, sleep=time.sleep)
    assert not pacer.may("c", False, Kind.TYPING)
    await pacer.draw("c", False, Kind.CREATE)
    assert not pacer.may("c", False, Kind.EDIT)
    saves = False
    assert pacer.may("c", False, Kind.EDIT)


async def test_no_optional_call_in_a_chat_where_one_waits(time: Time) -> None:
    pacer = Pacer(TELEGRAM, clock=time, sleep=time.sleep)
    await start(pacer, time, 4, 1)
    assert not pacer.may("c0", False, Kind.DRAFT)
    assert pacer.may("c1", False, Kind.DRAFT)


# -- refusals


async def test_a_preview_is_renewed_also_while_its_chat_waits(time: Time) -> None:
    pacer = Pacer(TELEGRAM, clock=time, sleep=time.sleep)
    calls = Calls(pacer, time)
    pacer.refused("a", 60.0, everywhere=False)
    calls.draw("a")
    await time.settle()
    assert not pacer.may("a", False, Kind.DRAFT)
    assert pacer.may_renew("a", False)
    pacer.refused("b", 60.0, everywhere=True)
    assert not pacer.may_renew("a", False), "the bot's own limit holds"


async def test_a_refused_chat_waits_and_no_other(time: Time) -> None:
    pacer = Pacer(TELEGRAM, clock=time, sleep=time.sleep)
    pacer.refused("c0", 7.0, everywhere=False)
    assert not pacer.may("c0", False, Kind.DRAFT)
    calls = await start(pacer, time, 3, 3)
    assert calls.names == ["c1", "c2"]
    await time.pass_by(6.9)
    assert len(calls.granted) == 2
    await time.pass_by(0.2)
    assert calls.names == ["c1", "c2", "c0"]


async def test_a_chat_refused_while_it_waits_in_line_waits_longer(time: Time) -> None:
    pacer = Pacer(DISCORD, clock=time, sleep=time.sleep)
    calls = await start(pacer, time, 60, 60)
    pacer.refused("c59", 5.0, everywhere=False)
    await time.pass_by(4.9)
    assert len(calls.granted) == 59
    await time.pass_by(0.2)
    assert calls.names[-1] == "c59"


async def test_chats_that_are_throttled_do_not_slow_the_others(time: Time) -> None:
    pacer = Pacer(TELEGRAM, clock=time, sleep=time.sleep)
    slow = [f"slow{number}" for number in range(5)]
    calls = Calls(pacer, time)
    for step in range(20):
        for number in range(20):
            calls.draw(f"c{step}-{number}")
        if step == 10:
            slow += [f"more{number}" for number in range(5)]
        for chat in slow:
            calls.draw(chat)
        await time.settle()
        for chat in slow:
            pacer.refused(chat, 1.0, everywhere=False)
        await time.pass_by(2.0)
    assert [calls.times.count(1000.0 + 2 * step) for step in range(20)] == [25] * 10 + [30] * 10


async def test_a_chat_that_is_throttled_again_and_again_keeps_its_order_and_loses_nothing(time: Time) -> None:
    pacer = Pacer(TELEGRAM, clock=time, sleep=time.sleep)
    done: list[int] = []
    free_at = time.now + 20.0

    async def answer(number: int) -> None:
        while True:
            await pacer.draw("slow", False, Kind.CREATE)
            if time.now >= free_at:
                done.append(number)
                return
            pacer.refused("slow", 1.5, everywhere=False)

    async def answers() -> None:
        for number in range(5):  # one turn at a time, as a conversation has them
            await answer(number)

    task = asyncio.create_task(answers())
    others = Calls(pacer, time)
    for second in range(40):
        others.draw(f"c{second}")
        await time.pass_by(1.0)
    assert (task.done(), done) == (True, list(range(5)))
    assert others.times == [1000.0 + second for second in range(40)]


async def test_a_refusal_everywhere_stops_all_and_halves_nothing_for_good(time: Time) -> None:
    pacer = Pacer(DISCORD, clock=time, sleep=time.sleep)
    pacer.refused("c0", 2.0, everywhere=True)
    calls = await start(pacer, time, 2000, 1000)
    await time.pass_by(1.9)
    assert not calls.granted
    await time.pass_by(60)
    assert len(calls.granted) == 2000
    per_second = Counter(int(at) for at in calls.times)
    assert per_second[1004] <= 30
    assert per_second[1040] >= 47


class Server:
    """Takes so many calls in any second; refuses the rest for half a second."""

    def __init__(self, capacity: int, time: Time) -> None:
        self.capacity, self.time = capacity, time
        self.taken: list[float] = []
        self.refused = 0

    def call(self) -> bool:
        self.taken = [at for at in self.taken if at > self.time.now - 1.0]
        if len(self.taken) >= self.capacity:
            self.refused += 1
            return False
        self.taken.append(self.time.now)
        return True


@pytest.mark.parametrize("everywhere", [True, False])
async def test_an_unknown_limit_is_learnt(time: Time, everywhere: bool) -> None:
    pacer = Pacer(TELEGRAM, clock=time, sleep=time.sleep)
    server = Server(80, time)
    answered: list[float] = []

    async def answer(chat: str) -> None:
        while True:
            await pacer.draw(chat, False, Kind.CREATE)
            if server.call():
                answered.append(time.now)
                return
            pacer.refused(chat, 0.5, everywhere)

    tasks = [asyncio.create_task(answer(f"c{n}")) for n in range(3000)]
    await time.pass_by(20)
    early = server.refused
    assert len([at for at in answered if at > 1005]) >= 15 * 80 * 0.55, "most of the limit is used"
    await time.pass_by(60)
    assert all(task.done() for task in tasks)
    assert server.refused - early < 60, "refusals are rare once it is learnt"


async def test_an_unknown_limit_is_not_guessed(time: Time) -> None:
    pacer = Pacer(TELEGRAM, clock=time, sleep=time.sleep)
    calls = await start(pacer, time, 2000, 2000)
    assert len(calls.granted) == 2000
    assert set(calls.times) == {1000.0}


def test_the_rate_falls_at_once_and_rises_slowly() -> None:
    rate, now = Rate(None, 0.0), 0.0
    for _ in range(100):
        rate.took(now)
        now += 0.01
    assert rate.fall(now, now)
    fallen = rate.value
    assert 60 < fallen <= 72
    assert not rate.fall(now + 0.1, now), "one burst of refusals is one fall"
    rises: list[float] = []
    for _ in range(3000):
        now = rate.free_at(now)
        rate.took(now)
        rises.append(rate.value)
    assert all(after <= before * 1.031 for before, after in pairwise(rises))
    assert rises[-1] > 2 * fallen


def test_a_rate_that_is_not_used_does_not_rise() -> None:
    rate = Rate(None, 0.0)
    for step in range(50):
        rate.took(step * 0.02)
    rate.fall(1.0, 1.0)
    fallen = rate.value
    for step in range(200):
        rate.took(2.0 + step)
    assert rate.value == fallen


# -- shared over processes


class SharedBucket:
    """Permits as the store gives them, with the time a round trip takes."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.times: list[float] = []
        self.calls = 0
        self.down = False

    async def take(
        self, bucket: str, most: int, seconds: float, needed: int, spare: int, to_come: int, late: int
    ) -> tuple[float, list[float]]:
        assert bucket == "bot"
        self.calls += 1
        await self.time.sleep(0.001)
        if self.down:
            raise StorageError("away")
        now = self.time.now
        for _ in range(late):
            self.times.append(self.free_at(most, seconds))
        waits: list[float] = []
        while len(waits) < needed + spare:
            at = self.free_at(most, seconds)
            if at > now and len(waits) >= min(needed, to_come):
                break
            self.times.append(at)
            waits.append(at - now)
        return self.free_at(most, seconds) - now, waits

    def free_at(self, most: int, seconds: float) -> float:
        """When the next permit can hold."""
        now = self.time.now
        self.times[:] = [at for at in self.times if at > now - 5 * seconds]
        last = max(self.times, default=0.0)
        at = max(last, self.times[-most] + seconds if len(self.times) >= most else 0.0)
        if at > now or len(self.times) >= 2.5 * most:
            at = max(at, last + seconds / most)
        return max(at, now)


@pytest.mark.parametrize("idle", [0.0, 2.0, 10.0])
@pytest.mark.parametrize("processes", [1, 2, 3, 5])
async def test_processes_that_start_at_once_never_exceed_the_bots_limit(
    time: Time, processes: int, idle: float
) -> None:
    """Whether they were idle, or one answer before left each of them with spare permits."""
    bucket = SharedBucket(time)
    pacers = [Pacer(DISCORD, "bot", bucket, clock=time, sleep=time.sleep) for _ in range(processes)]
    for number, pacer in enumerate(pacers):
        warm = Calls(pacer, time)
        warm.draw(f"warm{number}")
        await time.pass_by(0.2)
        assert warm.granted
    await time.pass_by(idle)
    calls = [await start(pacer, time, 150, 150) for pacer in pacers]
    began = time.now
    await time.pass_by(30)
    times = sorted(at for one in calls for at in one.times)
    assert len(times) == 150 * processes
    assert most_within(times, 1.0) <= 50
    assert times[-1] - began < 150 * processes / 46 + 0.3
    lasts = sorted(one.times[-1] for one in calls)
    assert lasts[-1] - lasts[0] < 1.5, "none of the processes was served before the others"


async def test_a_call_of_a_quiet_space_waits_for_few_of_a_flood(time: Time) -> None:
    pacer = Pacer(DISCORD, "bot", SharedBucket(time), clock=time, sleep=time.sleep)
    flood = Calls(pacer, time)
    for number in range(1000):
        flood.draw(f"f{number}", space="flood")
    await time.pass_by(2)
    waits: list[float] = []
    for number in range(10):
        calls = Calls(pacer, time)
        asked = time.now
        calls.draw(f"q{number}", space="quiet")
        await time.pass_by(0.77)
        waits.append(calls.times[0] - asked)
    assert max(waits) < 0.06, "calls are spread, not made by the batch"


async def test_a_process_with_little_to_say_does_not_wait_for_one_with_much(time: Time) -> None:
    bucket = SharedBucket(time)
    busy, quiet = (Pacer(DISCORD, "bot", bucket, clock=time, sleep=time.sleep) for _ in range(2))
    await start(busy, time, 1000, 1000)
    await time.pass_by(1)
    waits: list[float] = []
    for number in range(10):
        calls = Calls(quiet, time)
        asked = time.now
        calls.draw(f"q{number}")
        await time.pass_by(0.7)
        waits.append(calls.times[0] - asked)
    assert max(waits) < 0.45, "two batches of the other at most"


async def test_permits_are_drawn_in_batches_and_not_when_idle(time: Time) -> None:
    bucket = SharedBucket(time)
    calls = await start(Pacer(DISCORD, "bot", bucket, clock=time, sleep=time.sleep), time, 480, 480)
    await time.pass_by(11)
    assert len(calls.granted) == 480
    assert bucket.calls <= 480 / TO_COME_PERMITS
    before = bucket.calls
    await time.pass_by(600)
    assert bucket.calls == before


async def test_one_chat_draws_for_its_edits_as_well(time: Time) -> None:
    bucket = SharedBucket(time)
    pacer = Pacer(DISCORD, "bot", bucket, clock=time, sleep=time.sleep)
    calls = Calls(pacer, time)
    calls.draw("c")
    await time.pass_by(1.0)
    assert pacer.may("c", False, Kind.EDIT)
    await time.pass_by(1.0)
    assert pacer.may("c", False, Kind.EDIT)
    assert bucket.calls == 1


async def test_an_optional_call_without_a_permit_gets_one_for_the_next(time: Time) -> None:
    bucket = SharedBucket(time)
    pacer = Pacer(DISCORD, "bot", bucket, clock=time, sleep=time.sleep)
    assert not pacer.may("c", False, Kind.TYPING)
    await time.pass_by(0.01)
    assert pacer.may("c", False, Kind.TYPING)


async def test_an_unknown_limit_costs_no_round_trip_until_it_is_met(time: Time) -> None:
    bucket = SharedBucket(time)
    pacer = Pacer(TELEGRAM, "bot", bucket, clock=time, sleep=time.sleep)
    await start(pacer, time, 100, 100)
    assert bucket.calls == 0
    pacer.refused("c", 1.0, everywhere=True)
    calls = await start(pacer, time, 100, 100)
    await time.pass_by(10)
    assert len(calls.granted) == 100
    assert 0 < bucket.calls <= 20


async def test_answers_go_on_while_redis_is_away(time: Time) -> None:
    bucket = SharedBucket(time)
    bucket.down = True
    calls = await start(Pacer(DISCORD, "bot", bucket, clock=time, sleep=time.sleep), time, 100, 100)
    await time.pass_by(3)
    assert len(calls.granted) == 100
    assert most_within(calls.times, 1.0) <= 50


# -- bounds


async def test_idle_chats_are_forgotten(time: Time) -> None:
    pacer = Pacer(Limits(None, chat=(Window(3, 3.0, frozenset({Kind.CREATE})),)), clock=time, sleep=time.sleep)
    others = chats_in_memory()
    # A burst, and after it a few chats at a time.
    for number in range(1000):
        await pacer.draw(f"burst{number}", False, Kind.CREATE)
    for number in range(2000):
        await pacer.draw(f"c{number}", False, Kind.CREATE)
        time.now += 0.1
    assert 30 <= chats_in_memory() - others <= 40


def chats_in_memory() -> int:
    gc.collect()
    return sum(isinstance(found, Chat) for found in gc.get_objects())


async def test_a_chat_in_use_is_not_forgotten(time: Time) -> None:
    pacer = Pacer(TELEGRAM, clock=time, sleep=time.sleep)
    pacer.refused("paused", 100.0, everywhere=False)
    for _ in range(3):
        await pacer.draw("busy", True, Kind.CREATE)
    for number in range(2000):
        await pacer.draw(f"c{number}", False, Kind.CREATE)
    calls = Calls(pacer, time)
    calls.draw("paused")
    calls.draw("busy", group=True)
    await time.settle()
    assert not calls.granted
    await time.pass_by(101)
    assert calls.names == ["busy", "paused"]
