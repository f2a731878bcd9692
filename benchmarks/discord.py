"""Discord with its rate limits switched on: calls an answer, time to the first text, many channels, interactions.

    python -m benchmarks.discord [--quick] [--workers 2] [--json FILE]

The fake Discord takes 50 calls a second in all, and 5 messages and 5 edits in 5 seconds in a channel, answers 429
beyond, and checks every call against Discord's own description of its API. Nobody may be lost or answered twice, no
call may be wrong or refused for a limit, and while hundreds of channels wait for answers, or Redis for a moment says
nothing, commands and buttons are acknowledged in time. The model is a stub (0.2 s to the first token, 50 tokens a
second, 40 tokens); Parley, the stub and Valkey are processes of their own, the fake lives in this one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from benchmarks.figures import Row, milliseconds, percentile, table, write
from benchmarks.fleet import Fleet
from benchmarks.people import RAMP_SECONDS, Crowd, DiscordPlace, Question
from benchmarks.processes import DidNotStart, stub
from benchmarks.turn import Server, latency, valkey
from benchmarks.turn import Size as Samples
from tests.platforms.discord_components import walk
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.discord_world import LOADING, Interaction, Posted

PATIENCE_SECONDS = 60.0
SETTLE_SECONDS = 2.0
"""After a load: a doubled answer may still come."""
WALL = 50.0
"""Discord's calls a second for one bot."""
MOST_CALLS, MOST_UNDER_LOAD = 3.0, 2.0
"""An answer: the message with its beginning, and its last edit; where there is room, edits that show it growing."""
LEAST_USED = 0.8
"""Of Discord's calls a second, while there is enough to do."""
ACKNOWLEDGED_MS, DEADLINE_MS = 1000.0, 3000.0
"""What an interaction should wait at most for its first answer, and what Discord allows."""
BUTTON = "feedback up"
PAUSE_SECONDS = 4.0
"""How long Redis says nothing at all."""
ROOMS_IN_GUILD = 50
SPARE = 20
"""Channels for the first answers and for commands."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    samples: int = 12
    """Answers of which each is measured alone."""
    few: int = 50
    many: int = 500
    questions: int = 3
    """Of each of the few; the many ask one each."""
    commands: float = 20.0
    """Used each second, beside the questions."""


QUICK = Size(samples=4, many=100, questions=1)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that runs."""

    fake: FakeDiscord
    place: DiscordPlace
    server: Server

    def refused(self) -> int:
        """Calls answered with 429 so far."""
        return sum(call.status == 429 for call in self.fake.calls)


@asynccontextmanager
async def scene(work: Path, size: Size, workers: int) -> AsyncGenerator[Scene]:
    """One process that does all, or a receiver and so many workers."""
    async with stub(work) as model, valkey(work / "v") as server, FakeDiscord() as fake, AsyncExitStack() as stack:
        place = DiscordPlace(fake)
        # In guilds of some size each: of one alone only so many questions may wait (``chat.max_waiting_space``).
        guild = ""
        for number in range(size.samples + size.few + size.many + SPARE):
            if number % ROOMS_IN_GUILD == 0:
                guild = fake.world.add_guild(f"guild {number // ROOMS_IN_GUILD}")["id"]
            place.rooms.append(fake.world.add_channel(guild, f"room-{number}"))
        fleet = await stack.enter_async_context(Fleet({**model, **place.env(), "REDIS_URL": server.url}, work))
        if workers:
            await fleet.start("receive", "receive", "discord")
            for number in range(workers):
                await fleet.start(f"work-{number}", "work")
        else:
            await fleet.start("up", "up")
        await Crowd(place).at_once(workers + 1, 1, PATIENCE_SECONDS)  # connections are made and code is loaded
        yield Scene(fake, place, server)


def _tell(part: str) -> None:
    print(f"-- {part}", file=sys.stderr, flush=True)


@dataclass(slots=True)
class Users:
    """People who use commands, in channels of their own, and press buttons under old answers, by turns."""

    fake: FakeDiscord
    rooms: Sequence[str]
    used: list[Interaction] = field(default_factory=list[Interaction])

    async def use(self, per_second: float) -> None:
        """Until it is cancelled."""
        began = time.monotonic()
        answers = [post.id for post in self.fake.by_bot() if BUTTON in _buttons(post)]
        while True:
            number = len(self.used)
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            if number % 2 and answers:
                self.used.append(self.fake.press(answers[number % len(answers)], BUTTON))
            else:
                self.used.append(self.fake.slash("help", {}, self.rooms[number % len(self.rooms)]))

    def rows(self, name: str, most_ms: float = ACKNOWLEDGED_MS) -> list[Row]:
        took = [made.answered - made.created for made in self.used if made.answered]
        presses = sum(bool(made.message) for made in self.used)
        return [
            Row(f"{name}: commands beside it", len(self.used) - presses, ""),
            Row(f"{name}: buttons beside it", presses, ""),
            Row(f"{name}: of both, not acknowledged", len(self.used) - len(took), "", 0),
            Row(f"{name}: acknowledged, median", milliseconds(percentile(took, 0.5)), "ms"),
            Row(f"{name}: acknowledged, p99", milliseconds(percentile(took, 0.99)), "ms", most_ms),
        ]


def _buttons(post: Posted) -> set[str]:
    return {part.get("custom_id", "") for part in walk(post.data["components"])}


async def load(name: str, scene: Scene, chats: int, questions: int, commands: float, *, is_full: bool) -> list[Row]:
    """Many channels at once, and commands beside them; ``is_full``: more than Discord lets a bot answer at once."""
    _tell(name)
    beside = Users(scene.fake, scene.place.chats(4))
    using = asyncio.create_task(beside.use(commands))
    crowd, first_call, began = Crowd(scene.place), len(scene.fake.calls), time.time()
    talks = [
        crowd.converse(chat, questions, PATIENCE_SECONDS, number / chats * RAMP_SECONDS)
        for number, chat in enumerate(scene.place.chats(chats))
    ]
    asked = [question for talk in await asyncio.gather(*talks) for question in talk]
    using.cancel()
    await asyncio.sleep(SETTLE_SECONDS)
    return [
        *_answers(name, scene, asked, began),
        *_calls(name, scene, first_call, len(asked), is_full=is_full),
        *beside.rows(name),
    ]


def _answers(name: str, scene: Scene, asked: Sequence[Question], began: float) -> list[Row]:
    done = [question for question in asked if question.done is not None]
    ends = [question.asked + question.took for question in done]
    first = [question.added_first for question in done if question.added_first is not None]
    whole = [question.added for question in done if question.added is not None]
    return [
        Row(f"{name}: questions", len(asked), ""),
        Row(f"{name}: lost", len(asked) - len(done), "", 0),
        Row(f"{name}: doubled", Crowd(scene.place).doubled(asked), "", 0),
        Row(f"{name}: answers a second", len(done) / (max(ends) - began) if ends else 0.0, ""),
        Row(f"{name}: added to the first text, median", milliseconds(percentile(first, 0.5)), "ms"),
        Row(f"{name}: added to the first text, p95", milliseconds(percentile(first, 0.95)), "ms"),
        Row(f"{name}: added to the whole answer, p95", milliseconds(percentile(whole, 0.95)), "ms"),
    ]


def _calls(name: str, scene: Scene, since: int, questions: int, *, is_full: bool) -> list[Row]:
    made = [call for call in scene.fake.calls[since:] if not call.path.startswith(("/interactions/", "/webhooks/"))]
    seconds = Counter(int(call.at - made[0].at) for call in made) if made else Counter[int]()
    # Of the seconds in which there was enough to do: not those of the beginning and the end.
    steady = sorted(count for second, count in seconds.items() if 2 <= second < max(seconds) - 2)
    used = percentile(steady, 0.5) if steady else None
    share = None if used is None else used / WALL
    refused = sum(call.status == 429 for call in scene.fake.calls[since:])
    return [
        Row(f"{name}: platform calls an answer", len(made) / questions, "", MOST_UNDER_LOAD),
        Row(f"{name}: calls in the busiest second", max(seconds.values(), default=0), "", WALL),
        *(
            [Row(f"{name}: of Discord's calls a second that are used", share, "", LEAST_USED, "higher")]
            if is_full
            else []
        ),
        Row(f"{name}: calls answered with 429", refused, "", 0),
    ]


async def paused(scene: Scene, commands: float) -> list[Row]:
    """Commands and buttons while Redis says nothing."""
    name = f"Redis silent for {PAUSE_SECONDS:g} s"
    _tell(name)
    beside = Users(scene.fake, scene.place.chats(4))
    using = asyncio.create_task(beside.use(commands))
    await asyncio.sleep(1.0)
    redis: Any = Redis.from_url(scene.server.url)  # pyright: ignore[reportUnknownMemberType]
    await redis.client_pause(int(PAUSE_SECONDS * 1000), all=True)
    await redis.aclose()
    await asyncio.sleep(PAUSE_SECONDS)
    using.cancel()
    end = time.monotonic() + PATIENCE_SECONDS
    while (open_ := _unanswered(scene.fake, beside.used)) and time.monotonic() < end:
        await asyncio.sleep(0.1)
    return [*beside.rows(name, DEADLINE_MS), Row(f"{name}: commands without an answer", open_, "", 0)]


def _unanswered(fake: FakeDiscord, used: Sequence[Interaction]) -> int:
    """Commands whose message still says that the bot thinks, or that have none."""
    mine = [made for made in used if not made.message]
    return sum(not made.original or bool(fake.world.find(made.original).data["flags"] & LOADING) for made in mine)


async def measure(size: Size, workers: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as work:
        async with scene(Path(work), size, workers) as stage:
            _tell("one channel at a time")
            measured = await latency(stage.place, stage.server, Samples(samples=size.samples))
            rows = [replace(row, goal=MOST_CALLS) if "platform calls" in row.name else row for row in measured]
            few, many = f"{size.few} channels", f"{size.many} channels"
            rows += await load(few, stage, size.few, size.questions, size.commands, is_full=False)
            rows += await load(many, stage, size.many, 1, size.commands, is_full=True)
            rows += await paused(stage, size.commands)
            wrong = stage.fake.pardon()
            print("\n".join(sorted(set(wrong))), file=sys.stderr)
            rows.append(Row("in all: calls that are wrong", len(wrong), "", 0))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer channels: half a minute instead of two")
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
