"""Telegram with its flood limits switched on: calls an answer, time to the first text, and one chat that is throttled.

    python -m benchmarks.telegram [--quick] [--workers 2] [--json FILE]

The fake Bot API server takes one call a second in a chat (three at once), 20 a minute in a group and 30 a second in
all, and answers 429 beyond. Nobody may be lost or answered twice, no call may be wrong, and while one chat is
throttled for long the others notice nothing. The model is a stub (0.2 s to the first token, 50 tokens a second, 40
tokens); Parley, the stub and Valkey are processes of their own, the fake lives in this one.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.figures import Row, milliseconds, percentile, table, write
from benchmarks.fleet import Fleet
from benchmarks.overload import MOST_SLOWER, Grounds, Town, p95
from benchmarks.people import RAMP_SECONDS, TAG, Crowd, Question, TelegramPlace
from benchmarks.processes import DidNotStart, stub
from benchmarks.turn import Server, latency, valkey
from benchmarks.turn import Size as Samples
from tests.platforms.telegram_server import TelegramServer

PATIENCE_SECONDS = 150.0
"""A group that asks more than 20 calls a minute answer waits for the next minute."""
SETTLE_SECONDS = 2.0
"""After a load: a doubled answer may still come."""
TOLD_SECONDS = 2
"""After which a throttled chat says to try again: it says so again and again."""
PRIVATE_CALLS, GROUP_CALLS = 5.0, 4.0
"""Calls an answer, at most; in groups each counts against 20 a minute."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    samples: int = 12
    """Answers of which each is measured alone."""
    few: int = 50
    many: int = 500
    groups: int = 50
    questions: int = 3
    """Of each of the few; the many ask one each."""
    busy: int = 10
    """Of each group, one after another."""
    per_second: float | None = 20.0
    """Answers in all, where the calls of a bot are limited to 30 a second."""
    every: float = 5.0
    """Seconds between two questions of a chat beside the throttled one."""
    seconds: float = 20.0
    """How long a chat is throttled."""
    rounds: int = 3
    """Of calm and of throttling by turns: the machine may be busy with something else in one of them."""
    throttled: int = 5
    """Chats at once, the second time."""


QUICK = Size(samples=4, few=20, many=100, groups=10, questions=2, busy=4, per_second=None, seconds=10.0, rounds=1)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that runs."""

    fake: TelegramServer
    private: TelegramPlace
    groups: TelegramPlace
    server: Server

    def refused(self) -> int:
        """Calls answered with 429 so far."""
        return sum(call.status == 429 for call in self.fake.calls)


@asynccontextmanager
async def scene(work: Path, workers: int) -> AsyncGenerator[Scene]:
    """One process that does all, or a receiver and so many workers."""
    async with stub(work) as model, valkey(work / "v") as server, TelegramServer() as fake, AsyncExitStack() as stack:
        private, groups = TelegramPlace(fake), TelegramPlace(fake, "Telegram groups", in_groups=True)
        fleet = await stack.enter_async_context(Fleet({**model, **private.env(), "REDIS_URL": server.url}, work))
        if workers:
            await fleet.start("receive", "receive", "telegram")
            for number in range(workers):
                await fleet.start(f"work-{number}", "work")
        else:
            await fleet.start("up", "up")
        await Crowd(private).at_once(workers + 1, 1, PATIENCE_SECONDS)  # connections are made and code is loaded
        fake.methods.flood.on = True
        yield Scene(fake, private, groups, server)


def _tell(part: str) -> None:
    print(f"-- {part}", file=sys.stderr, flush=True)


async def alone(scene: Scene, size: Size) -> list[Row]:
    """One chat at a time."""
    _tell("one chat at a time")
    rows: list[Row] = []
    for place, calls in ((scene.private, PRIVATE_CALLS), (scene.groups, GROUP_CALLS)):
        measured = await latency(place, scene.server, Samples(samples=size.samples))
        rows += [replace(row, goal=calls) if "platform calls" in row.name else row for row in measured]
    return rows


@dataclass(frozen=True, slots=True)
class Asking:
    """Chats that ask at the same time as others."""

    place: TelegramPlace
    chats: int
    questions: int


async def load(name: str, scene: Scene, asking: Sequence[Asking], per_second: float | None = None) -> list[Row]:
    """Many chats at once; ``per_second`` is the goal."""
    _tell(name)
    calls, refused, began = scene.private.calls(), scene.refused(), time.time()
    talks = [
        Crowd(some.place).converse(chat, some.questions, PATIENCE_SECONDS, number / some.chats * RAMP_SECONDS)
        for some in asking
        for number, chat in enumerate(some.place.chats(some.chats))
    ]
    asked = [question for talk in await asyncio.gather(*talks) for question in talk]
    await asyncio.sleep(SETTLE_SECONDS)
    done = [question for question in asked if question.done is not None]
    ends = [question.asked + question.took for question in done]
    first = [question.added_first for question in done if question.added_first is not None]
    whole = [question.added for question in done if question.added is not None]
    return [
        Row(f"{name}: questions", len(asked), ""),
        Row(f"{name}: lost", len(asked) - len(done), "", 0),
        Row(f"{name}: doubled", Crowd(scene.private).doubled(asked), "", 0),
        Row(f"{name}: answers a second", len(done) / (max(ends) - began) if ends else 0.0, "", per_second, "higher"),
        Row(f"{name}: added to the first text, median", milliseconds(percentile(first, 0.5)), "ms"),
        Row(f"{name}: added to the first text, p95", milliseconds(percentile(first, 0.95)), "ms"),
        Row(f"{name}: added to the whole answer, p95", milliseconds(percentile(whole, 0.95)), "ms"),
        Row(f"{name}: platform calls an answer", (scene.private.calls() - calls) / len(asked), ""),
        Row(f"{name}: calls answered with 429", scene.refused() - refused, ""),
    ]


def in_order(asked: Sequence[Question], texts: Sequence[str]) -> bool:
    """Whether the answers stand in the order of the questions."""
    seen = [found.group() for text in texts if (found := TAG.search(text))]
    return [question.tag for question in asked if question.tag in seen] == list(dict.fromkeys(seen))


async def throttled(scene: Scene, size: Size, count: int, rounds: int) -> list[Row]:
    """The others, with every chat let through and with ``count`` throttled, by turns; the median round counts."""
    _tell(f"{count} throttled")
    others, slow = scene.private.chats(size.few), scene.private.chats(count)
    town = Town(
        Grounds(
            scene.private,
            others,
            slow,
            30.0,
            lambda room: [post.history[-1] for post in scene.fake.world.shown(int(room))],
            scene.refused,
        )
    )
    calm: list[float] = []
    beside: list[float] = []
    refused = scene.refused()
    for _ in range(rounds):
        calm.append(p95(await town.steadily(size.every, size.seconds)))
        for chat in slow:
            town.ask(chat)
        await asyncio.sleep(0.5)  # the answers have begun
        for chat in slow:
            scene.fake.methods.flood.throttle(int(chat), size.seconds, told=TOLD_SECONDS)
        asking = asyncio.create_task(town.flood(slow, 0.3 * count, size.seconds))
        beside.append(p95(await town.steadily(size.every, size.seconds)))
        await asking
        await town.settle(PATIENCE_SECONDS)
    end = town.reckoning()
    disorder = sum(not in_order(town.asked[chat], scene.fake.world.texts(int(chat))) for chat in slow)
    slower = statistics.median(second / first for first, second in zip(calm, beside, strict=True))
    name = f"{count} throttled"
    return [
        Row(f"{name}: p95 of the others before", statistics.median(calm) * 1000, "ms"),
        Row(f"{name}: p95 of the others meanwhile", statistics.median(beside) * 1000, "ms"),
        Row(f"{name}: p95 of the others against before", slower, "times", MOST_SLOWER),
        Row(f"{name}: questions there", sum(len(town.asked[chat]) for chat in slow), ""),
        Row(f"{name}: neither answered nor told of", end.silent, "", 0),
        Row(f"{name}: doubled", end.doubled, "", 0),
        Row(f"{name}: chats with answers out of order", disorder, "", 0),
        Row(f"{name}: calls answered with 429", scene.refused() - refused, ""),
    ]


async def measure(size: Size, workers: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as work:
        async with scene(Path(work), workers) as stage:
            few = Asking(stage.private, size.few, size.questions)
            many = Asking(stage.private, size.many, 1)
            groups = Asking(stage.groups, size.groups, size.busy)
            rows = await alone(stage, size)
            rows += await throttled(stage, size, 1, size.rounds)
            rows += await throttled(stage, size, size.throttled, 1)
            rows += await load(f"{size.few} private chats", stage, [few])
            name = f"{size.many} private chats and {size.groups} busy groups"
            rows += await load(name, stage, [many, groups], size.per_second)
            wrong = stage.fake.pardon()
            print("\n".join(sorted(set(wrong))), file=sys.stderr)
            rows.append(Row("in all: calls that are wrong", len(wrong), "", 0))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer chats: a minute instead of six")
    parser.add_argument("--workers", type=int, default=0, help="beside a receiver; default: one process does all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here")
    given = parser.parse_args()
    try:
        rows = asyncio.run(measure(QUICK if given.quick else Size(), given.workers))
    except DidNotStart as error:
        sys.exit(f"did not start: {error}")
    print(table(rows))
    if given.json:
        write(given.json, rows)


if __name__ == "__main__":
    main()
