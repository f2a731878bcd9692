"""More questions than can be answered: who waits, who is told, what memory is taken, and how it ends.

    python -m benchmarks.overload [--quick] [--workers 1] [--json FILE]

One Discord with twenty quiet communities and a big one; its 50 calls a second are what binds. Quiet ones ask
at a steady rate first alone, then beside a flood from the big one, then after everybody has flooded with ten
times what can be served. The model is a stub (50 ms to the first token, 100 tokens a second, 40 tokens);
receiver, workers, stub and Valkey are processes of their own, the fake lives in this one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from benchmarks.figures import Row, percentile, table, write
from benchmarks.fleet import Fleet
from benchmarks.people import TAG, Crowd, DiscordPlace, Question, is_whole
from benchmarks.processes import DidNotStart, stub
from benchmarks.turn import valkey
from tests.platforms.discord_server import FakeDiscord

FIRST_TOKEN_SECONDS, TOKENS_PER_SECOND = 0.05, 100.0
SERVED = 45.0
"""Answers a second at most: Discord takes 50 calls, and under load an answer is one."""
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.5
MOST_SLOWER = 1.2
NOTICE = re.compile(r"(\d+) of (?:them|your messages) were not read")
QUIET = 20
"""Communities that ask steadily."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    every: float = 5.0
    """Seconds between two questions of a quiet community."""
    seconds: float = 30.0
    """Of each phase."""
    rooms: int = 120
    """Channels of the community that floods."""
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


QUICK = Size(seconds=12.0)


class Town:
    """Communities on one Discord, and what was asked in each room."""

    def __init__(self, server: FakeDiscord, size: Size) -> None:
        self.server, self.place = server, DiscordPlace(server)
        world = server.world
        self.quiet = [world.add_channel(world.add_guild(f"quiet {n}")["id"], "general") for n in range(QUIET)]
        big = world.add_guild("big")["id"]
        self.big = [world.add_channel(big, f"room {n}") for n in range(size.rooms)]
        self.crowd = Crowd(self.place)
        self.asked: dict[str, list[str]] = {room: [] for room in (*self.quiet, *self.big)}
        """Room -> tags of its questions."""

    def ask(self, room: str) -> Question:
        question = self.crowd.ask(room)
        self.asked[room].append(question.tag)
        return question

    async def steadily(self, every: float, seconds: float) -> list[Question]:
        """Each quiet room asks so often, evenly spread over all of them; their questions with the answers."""
        step = every / len(self.quiet)
        began = time.monotonic()
        waiting: list[asyncio.Task[Question]] = []
        for number in range(int(seconds / step)):
            await asyncio.sleep(began + number * step - time.monotonic())
            question = self.ask(self.quiet[number % len(self.quiet)])
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
        answered: Counter[str] = Counter()
        noticed: Counter[str] = Counter()
        other: list[str] = []
        for room in self.asked:
            for post in self.server.by_bot(room):
                if is_whole(post.text) and (tag := TAG.search(post.text)):
                    answered[tag.group()] += 1
                elif found := NOTICE.search(post.text):
                    noticed[room] += int(found.group(1))
                else:
                    other.append(post.text)
        silent = {
            room: len(tags) - sum(tag in answered for tag in tags) - noticed[room] for room, tags in self.asked.items()
        }
        return Reckoning(
            asked=sum(map(len, self.asked.values())),
            answered=len(answered),
            doubled=sum(count > 1 for count in answered.values()),
            noticed=noticed.total(),
            notices=sum(noticed[room] > 0 for room in noticed),
            silent=sum(count for count in silent.values() if count > 0),
            other=other,
        )

    async def settle(self, seconds: float) -> float:
        """Waits until every question is answered or told of; how long it took."""
        began = time.monotonic()
        while self.reckoning().silent and time.monotonic() - began < seconds:
            await asyncio.sleep(LOOK_SECONDS)
        return time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Reckoning:
    """Questions and what became of them."""

    asked: int
    answered: int
    doubled: int
    noticed: int
    """Questions that a notice tells of."""
    notices: int
    silent: int
    """Neither answered nor told of."""
    other: list[str]
    """Texts of the bot that are neither a whole answer nor such a notice."""


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
async def stage(size: Size, work: Path, env: Mapping[str, str] | None = None) -> AsyncGenerator[Stage]:
    """A receiver and workers before a Discord of many communities."""
    model = stub(work, first=FIRST_TOKEN_SECONDS, per_second=TOKENS_PER_SECOND)
    async with model as models, valkey(work / "v") as server, FakeDiscord() as fake:
        town = Town(fake, size)
        environment = {**models, **town.place.env(), **size.env, "REDIS_URL": server.url, **(env or {})}
        async with Fleet(environment, work) as fleet, contextlib.AsyncExitStack() as stack:
            await fleet.start("receive", "receive", "discord")
            members = ["receive"]
            for number in range(size.workers):
                members.append(f"work-{number}")
                await fleet.start(members[-1], "work")
            redis: Any = Redis.from_url(server.url)  # pyright: ignore[reportUnknownMemberType]
            stack.push_async_callback(redis.aclose)
            await town.steadily(1.0, 2.0)  # connections are made and code is loaded
            yield Stage(town, fleet, members, redis)


def p95(questions: Sequence[Question]) -> float:
    """Seconds to the whole answer; one that did not come counts as patience."""
    return percentile([q.took if q.done else PATIENCE_SECONDS for q in questions], 0.95) or 0.0


@dataclass(frozen=True, slots=True)
class Phases:
    """What the quiet ones had to wait for in each phase, and what it took."""

    calm: list[Question]
    beside_flood: list[Question]
    afterwards: list[Question]
    after_flood: Reckoning
    in_the_end: Reckoning
    refused: int
    """Calls that Discord refused for its limits."""
    drained: float
    """Seconds from the end of the load on all to the last answer or notice."""
    rest: Peaks
    first_half: Peaks
    second_half: Peaks
    load: dict[str, float]
    """Share of a core that each process took while everybody flooded."""


async def play(scene: Stage, size: Size) -> Phases:
    """All phases, one after the other."""
    town = scene.town
    calm = await town.steadily(size.every, size.seconds)
    flood = asyncio.create_task(town.flood(town.big, size.flood * SERVED, size.seconds))
    beside = await town.steadily(size.every, size.seconds)
    await flood
    await town.settle(PATIENCE_SECONDS)
    after_flood = town.reckoning()
    async with scene.watched() as rest:
        pass
    everybody = [*town.quiet, *town.big]
    used, began = {name: scene.fleet.cpu_of(name) for name in scene.members}, time.monotonic()
    async with scene.watched() as first:
        await town.flood(everybody, size.all * SERVED, size.seconds / 2)
    async with scene.watched() as second:
        await town.flood(everybody, size.all * SERVED, size.seconds / 2)
    passed = time.monotonic() - began
    load = {name: (scene.fleet.cpu_of(name) - used[name]) / passed for name in scene.members}
    drained = await town.settle(4 * PATIENCE_SECONDS)
    in_the_end = town.reckoning()
    afterwards = await town.steadily(size.every, size.seconds)
    refused = sum(call.status == 429 for call in town.server.calls)
    return Phases(calm, beside, afterwards, after_flood, in_the_end, refused, drained, rest, first, second, load)


def rows(phases: Phases, size: Size) -> list[Row]:
    calm = p95(phases.calm)
    flood, end = phases.after_flood, phases.in_the_end
    big = flood.asked - len(phases.calm) - len(phases.beside_flood)
    return [
        Row("calm: p95 of a whole answer", calm * 1000, "ms"),
        Row("beside a flood: p95 of the quiet", p95(phases.beside_flood) * 1000, "ms"),
        Row("beside a flood: p95 against calm", p95(phases.beside_flood) / calm, "times", MOST_SLOWER),
        Row("flood: messages", big, ""),
        Row("flood: neither answered nor told of", flood.silent, "", 0),
        Row("flood: answered", flood.answered - len(phases.calm) - len(phases.beside_flood), ""),
        Row("flood: messages that notices tell of", flood.noticed, ""),
        Row("load on all: messages", end.asked - flood.asked, ""),
        Row("load on all: neither answered nor told of", end.silent, "", 0),
        Row("load on all: answered", end.answered - flood.answered, ""),
        Row("load on all: seconds until the last word", phases.drained, "s"),
        *(Row(f"load on all: share of a core, {name}", share, "") for name, share in phases.load.items()),
        *(
            Row(f"load on all: memory of {name} at its peak", megabytes, "MB")
            for name, megabytes in phases.second_half.parley.items()
        ),
        *(
            Row(
                f"load on all: growth of {name} in the second half",
                megabytes / phases.first_half.parley[name],
                "times",
                1.1,
            )
            for name, megabytes in phases.second_half.parley.items()
        ),
        Row("load on all: memory of Redis before", phases.rest.redis, "MB"),
        Row("load on all: memory of Redis at its peak", phases.second_half.redis, "MB"),
        Row(
            "load on all: growth of Redis in the second half",
            phases.second_half.redis / phases.first_half.redis,
            "times",
            1.2,
        ),
        Row("afterwards: p95 against calm", p95(phases.afterwards) / calm, "times", MOST_SLOWER),
        Row("in all: answered twice", end.doubled, "", 0),
        Row("in all: other words of the bot", len(end.other), "", 0),
        Row("in all: calls that Discord refused", phases.refused, "", 0),
    ]


async def measure(size: Size) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as work:
        async with stage(size, Path(work)) as scene:
            return rows(await play(scene, size), size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter phases")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here")
    given = parser.parse_args()
    size = Size(seconds=QUICK.seconds if given.quick else Size().seconds, workers=given.workers)
    try:
        measured = asyncio.run(measure(size))
    except DidNotStart as error:
        sys.exit(f"did not start: {error}")
    print(table(measured))
    if given.json:
        write(given.json, measured)


if __name__ == "__main__":
    main()
