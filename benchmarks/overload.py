"""More questions than can be answered: who waits, who is told, what memory is taken, and how it ends.

    python -m benchmarks.overload [--quick] [--only discord,telegram] [--workers 1] [--json FILE]

Discord has twenty quiet communities and a big one, and its 50 calls a second are what binds. The quiet ones ask at a
steady rate, alone and beside a flood from the big one by turns, and again after everybody has flooded with ten times
what can be served. Telegram has private chats only, and the processor is what binds. The model is a stub (50 ms to the
first token, 100 tokens a second, 40 tokens); receiver, workers, stub and Valkey are processes of their own, the fake
platform lives in this one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
from redis.asyncio import Redis

from benchmarks.figures import Row, percentile, table, write
from benchmarks.fleet import Fleet
from benchmarks.people import TAG, Crowd, DiscordPlace, Place, Question, TelegramPlace, is_whole
from benchmarks.processes import DidNotStart, stub
from benchmarks.turn import valkey
from tests.notices import left_out
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.telegram_server import TelegramServer

FIRST_TOKEN_SECONDS, TOKENS_PER_SECOND = 0.05, 100.0
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.5
MOST_SLOWER = 1.2
MOST_GROWTH = 1.1
"""Of memory in the second half of a load: what grows with the number of questions is not bounded."""
QUIET = 20
"""Communities that ask steadily."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    every: float = 5.0
    """Seconds between two questions of a quiet community."""
    seconds: float = 20.0
    """Of each phase."""
    rounds: int = 3
    """Of calm and flood by turns: the machine may be busy with something else in one of them."""
    rooms: int = 120
    """Channels of the community that floods."""
    chats: int = 3000
    """Private chats on Telegram: so many that each may ask little and all together far too much."""
    flood: float = 4.0
    """Times what can be served, from the one."""
    all: float = 10.0
    """Times what can be served, from everybody."""
    workers: int = 1
    waiting: int = 10
    """Messages that may wait in one conversation, and ten times that in a space."""

    @property
    def env(self) -> dict[str, str]:
        return {
            "PARLEY__CHAT__MAX_WAITING": str(self.waiting),
            "PARLEY__CHAT__MAX_WAITING_SPACE": str(10 * self.waiting),
        }


QUICK = Size(seconds=10.0, rounds=1, chats=1000)


@dataclass(frozen=True, slots=True)
class Grounds:
    """A platform and its rooms."""

    place: Place
    quiet: list[str]
    big: list[str]
    served: float
    """Answers a second, at most."""
    said: Callable[[str], list[tuple[float, str]]]
    """The bot's messages in a room: since when each says what."""
    refused: Callable[[], int]
    """Calls refused for the platform's limits."""


def discord(server: FakeDiscord, size: Size) -> Grounds:
    """Discord takes 50 calls a second, and under load an answer is one."""
    world = server.world
    quiet = [world.add_channel(world.add_guild(f"quiet {n}")["id"], "general") for n in range(QUIET)]
    guild = world.add_guild("big")["id"]
    big = [world.add_channel(guild, f"room {n}") for n in range(size.rooms)]
    return Grounds(
        DiscordPlace(server),
        quiet,
        big,
        45.0,
        lambda room: [post.history[-1] for post in server.by_bot(room)],
        lambda: sum(call.status == 429 for call in server.calls),
    )


def telegram(server: TelegramServer, size: Size) -> Grounds:
    """Telegram takes whatever comes: a processor answers about so many a second."""
    place = TelegramPlace(server)
    quiet, big = place.chats(QUIET), place.chats(size.chats)
    return Grounds(
        place, quiet, big, 60.0, lambda room: [post.history[-1] for post in server.world.shown(int(room))], lambda: 0
    )


class Town:
    """Communities that ask, and what was asked in each room."""

    def __init__(self, grounds: Grounds) -> None:
        self.grounds = grounds
        self.crowd = Crowd(grounds.place)
        self.asked: dict[str, list[Question]] = {room: [] for room in (*grounds.quiet, *grounds.big)}
        """By room."""

    def ask(self, room: str) -> Question:
        question = self.crowd.ask(room)
        self.asked[room].append(question)
        return question

    async def steadily(self, every: float, seconds: float) -> list[Question]:
        """Each quiet room asks so often, evenly spread over all of them; their questions with the answers."""
        rooms = self.grounds.quiet
        step = every / len(rooms)
        began = time.monotonic()
        waiting: list[asyncio.Task[Question]] = []
        for number in range(int(seconds / step)):
            await asyncio.sleep(began + number * step - time.monotonic())
            question = self.ask(rooms[number % len(rooms)])
            waiting.append(asyncio.create_task(self.crowd.see(question, PATIENCE_SECONDS)))
        return list(await asyncio.gather(*waiting))

    async def flood(self, rooms: Sequence[str], per_second: float, seconds: float) -> None:
        """Asks in turn in all rooms, and does not wait for answers."""
        began = time.monotonic()
        for number, room in zip(range(int(per_second * seconds)), itertools.cycle(rooms), strict=False):
            if (ahead := began + number / per_second - time.monotonic()) > 0.01:
                await asyncio.sleep(ahead)
            self.ask(room)

    def reckoning(self) -> Reckoning:
        """What became of every question so far."""
        result = Reckoning()
        for room, questions in self.asked.items():
            by_tag = {question.tag: question for question in questions}
            told = 0
            for at, text in self.grounds.said(room):
                if is_whole(text) and (tag := TAG.search(text)):
                    result.answered[tag.group()] += 1
                    result.waits.setdefault(room, []).append(at - by_tag[tag.group()].asked)
                elif count := left_out(text):
                    told += count
                    result.notices += 1
                else:
                    result.other.append(text)
            result.asked += len(questions)
            result.told += told
            result.silent += max(0, sum(tag not in result.answered for tag in by_tag) - told)
        return result

    async def settle(self, seconds: float) -> float:
        """Waits until every question is answered or told of; how long it took."""
        began = time.monotonic()
        while self.reckoning().silent and time.monotonic() - began < seconds:
            await asyncio.sleep(LOOK_SECONDS)
        return time.monotonic() - began


@dataclass(slots=True)
class Reckoning:
    """Questions and what became of them."""

    asked: int = 0
    answered: Counter[str] = field(default_factory=Counter[str])
    """How often, by tag."""
    waits: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """Seconds until the answer, of those with one, by room."""
    told: int = 0
    """Questions that a notice tells of."""
    notices: int = 0
    silent: int = 0
    """Neither answered nor told of."""
    other: list[str] = field(default_factory=list[str])
    """Texts of the bot that are neither a whole answer nor such a notice."""

    def median_wait(self, rooms: Sequence[str]) -> float:
        """Seconds; of the questions in these rooms that were answered."""
        return statistics.median([wait for room in rooms for wait in self.waits.get(room, ())] or [0.0])

    @property
    def doubled(self) -> int:
        return sum(count > 1 for count in self.answered.values())


@dataclass(slots=True)
class Peaks:
    """Memory while something goes on, in MB."""

    parley: dict[str, float] = field(default_factory=dict[str, float])
    redis: float = 0.0
    keys: int = 0

    def saw(self, name: str, megabytes: float) -> None:
        self.parley[name] = max(self.parley.get(name, 0.0), megabytes)


@dataclass(slots=True)
class Stage:
    """Everything that runs."""

    town: Town
    fleet: Fleet
    members: list[str]
    redis: Any

    async def look(self, peaks: Peaks) -> None:
        for name in self.members:
            peaks.saw(name, self.fleet[name].memory())
        peaks.redis = max(peaks.redis, (await self.redis.info("memory"))["used_memory"] / 1e6)
        peaks.keys = max(peaks.keys, await self.redis.dbsize())

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[Peaks]:
        """The peaks of what happens inside."""
        peaks = Peaks()
        await self.look(peaks)

        async def keep_looking() -> None:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                await self.look(peaks)

        looking = asyncio.create_task(keep_looking())
        try:
            yield peaks
        finally:
            looking.cancel()
            await asyncio.wait((looking,))
            await self.look(peaks)


@asynccontextmanager
async def stage(platform: str, size: Size, work: Path) -> AsyncGenerator[Stage]:
    """A receiver and workers before a platform."""
    model = stub(work, first=FIRST_TOKEN_SECONDS, per_second=TOKENS_PER_SECOND)
    async with AsyncExitStack() as stack, model as models, valkey(work / "v") as server:
        if platform == "discord":
            grounds = discord(await stack.enter_async_context(FakeDiscord()), size)
        else:
            grounds = telegram(await stack.enter_async_context(TelegramServer()), size)
        environment = {**models, **grounds.place.env(), **size.env, "REDIS_URL": server.url}
        fleet = await stack.enter_async_context(Fleet(environment, work))
        await fleet.start("receive", "receive", platform)
        members = ["receive", *(f"work-{number}" for number in range(size.workers))]
        for name in members[1:]:
            await fleet.start(name, "work")
        redis: Any = Redis.from_url(server.url)  # pyright: ignore[reportUnknownMemberType]
        stack.push_async_callback(redis.aclose)
        town = Town(grounds)
        await town.steadily(1.0, 2.0)  # connections are made and code is loaded
        yield Stage(town, fleet, members, redis)


def p95(questions: Sequence[Question]) -> float:
    """Seconds to the whole answer; one that did not come counts as patience."""
    return percentile([q.took if q.done else PATIENCE_SECONDS for q in questions], 0.95) or 0.0


async def beside_flood(scene: Stage, size: Size) -> list[Row]:
    """The quiet ones alone and beside a space that floods, by turns; the median round counts."""
    town = scene.town
    before = town.reckoning()
    calm: list[float] = []
    beside: list[float] = []
    quiet = 0
    for _ in range(size.rounds):
        alone = await town.steadily(size.every, size.seconds)
        flood = asyncio.create_task(town.flood(town.grounds.big, size.flood * town.grounds.served, size.seconds))
        together = await town.steadily(size.every, size.seconds)
        await flood
        await town.settle(PATIENCE_SECONDS)
        calm.append(p95(alone))
        beside.append(p95(together))
        quiet += len(alone) + len(together)
    after = town.reckoning()
    slower = statistics.median(second / first for first, second in zip(calm, beside, strict=True))
    return [
        Row("calm: p95 of a whole answer", statistics.median(calm) * 1000, "ms"),
        Row("beside a flood: p95 of the quiet", statistics.median(beside) * 1000, "ms"),
        Row("beside a flood: p95 of the quiet against calm", slower, "times", MOST_SLOWER),
        Row("flood: messages", after.asked - before.asked - quiet, ""),
        Row("flood: answered", len(after.answered) - len(before.answered) - quiet, ""),
        Row("flood: its own median wait", after.median_wait(town.grounds.big), "s"),
        Row("flood: told of by notices", after.told - before.told, ""),
        Row("flood: notices", after.notices - before.notices, ""),
        Row("flood: neither answered nor told of", after.silent, "", 0),
    ]


async def load_on_all(scene: Stage, size: Size) -> list[Row]:
    """Everybody asks ten times as much as can be served; afterwards all is as before."""
    town = scene.town
    calm = await town.steadily(size.every, size.seconds)
    before = town.reckoning()
    everybody, rate = [*town.grounds.quiet, *town.grounds.big], size.all * town.grounds.served
    halves: list[Peaks] = []
    async with scene.watched() as rest:
        pass
    psutil.cpu_percent()  # from now on
    used, began = {name: scene.fleet.cpu_of(name) for name in scene.members}, time.monotonic()
    for _ in range(2):
        async with scene.watched() as peaks:
            await town.flood(everybody, rate, size.seconds / 2)
        halves.append(peaks)
    passed, busy = time.monotonic() - began, psutil.cpu_percent() / 100
    shares = {name: (scene.fleet.cpu_of(name) - used[name]) / passed for name in scene.members}
    drained = await town.settle(4 * PATIENCE_SECONDS)
    after = town.reckoning()
    afterwards = await town.steadily(size.every, size.seconds)
    first, second = halves
    each = (second.redis - first.redis) * 1e6 / (rate * size.seconds / 2)
    return [
        Row("load on all: messages", after.asked - before.asked, ""),
        Row("load on all: messages a second", (after.asked - before.asked) / passed, ""),
        Row("load on all: answered", len(after.answered) - len(before.answered), ""),
        Row("load on all: told of by notices", after.told - before.told, ""),
        Row("load on all: notices", after.notices - before.notices, ""),
        Row("load on all: neither answered nor told of", after.silent, "", 0),
        Row("load on all: seconds from its end to the last word", drained, "s"),
        *(Row(f"load on all: share of a core, {name}", share, "") for name, share in shares.items()),
        Row("load on all: share of all processors that was in use", busy, ""),
        *(Row(f"before: memory of {name}", megabytes, "MB") for name, megabytes in rest.parley.items()),
        *(Row(f"load on all: peak of {name}", megabytes, "MB") for name, megabytes in second.parley.items()),
        *(
            Row(f"load on all: growth of {name} in its second half", peak / first.parley[name], "times", MOST_GROWTH)
            for name, peak in second.parley.items()
        ),
        Row("before: memory of Redis", rest.redis, "MB"),
        Row("load on all: peak of Redis", second.redis, "MB"),
        Row("load on all: growth of Redis in its second half, each message", each, "B"),
        Row("afterwards: p95 of a whole answer", p95(afterwards) * 1000, "ms"),
        Row("afterwards: p95 against before", p95(afterwards) / p95(calm), "times", MOST_SLOWER),
    ]


def at_last(scene: Stage) -> list[Row]:
    """What may never happen."""
    town = scene.town
    end = town.reckoning()
    return [
        Row("in all: answered twice", end.doubled, "", 0),
        Row("in all: other words of the bot", len(end.other), "", 0),
        Row("in all: calls that the platform refused", town.grounds.refused(), "", 0),
    ]


PLATFORMS = ("discord", "telegram")


async def measure(platform: str, size: Size) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as work:
        async with stage(platform, size, Path(work)) as scene:
            measured = await beside_flood(scene, size) if platform == "discord" else []
            measured += await load_on_all(scene, size)
            measured += at_last(scene)
    return [replace(row, name=f"{platform}, {row.name}") for row in measured]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter phases")
    parser.add_argument("--only", default=",".join(PLATFORMS), help="platforms, with commas between: %(default)s")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here")
    given = parser.parse_args()
    names = given.only.split(",")
    if unknown := [name for name in names if name not in PLATFORMS]:
        parser.error(f"there is no platform {unknown[0]!r}; there are {', '.join(PLATFORMS)}")
    size = replace(QUICK if given.quick else Size(), workers=given.workers)
    measured: list[Row] = []
    try:
        for platform in names:
            measured += asyncio.run(measure(platform, size))
    except DidNotStart as error:
        sys.exit(f"did not start: {error}")
    print(table(measured))
    if given.json:
        write(given.json, measured)


if __name__ == "__main__":
    main()
