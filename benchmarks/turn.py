"""What an answer costs: time added to the model's own, round trips, processor time, fairness under load.

    python -m benchmarks.turn [--quick] [--only telegram,discord,start,history] [--json FILE]

The model is a stub (0.2 s to the first token, 50 tokens a second, 40 tokens), the platforms are the tests'
fakes; Parley, the stub, the server and the bare loop are processes of their own, the fakes live in this one.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil
from redis.asyncio import Redis

from benchmarks.figures import Row, milliseconds, percentile, table, write
from benchmarks.people import Crowd, DiscordPlace, Place, Question, TelegramPlace
from benchmarks.processes import DidNotStart, bare, parley, stub
from benchmarks.seed import converse
from core.message import ConversationKey, Platform
from core.storage.client import SCRIPTS
from core.storage.embedded import EmbeddedServer
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.telegram_server import TelegramServer
from tests.ports import free_port

PATIENCE_SECONDS = 60.0
SETTLE_SECONDS = 2.0
"""After a load: a doubled answer may still come."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    chats: int = 200
    questions: int = 3
    samples: int = 20
    starts: int = 3
    floor_chats: int = 10
    """Chats on Discord for the comparison with the bare loop: so few that the 50 calls a second do not bind."""
    past: int = 10_000


QUICK = Size(chats=40, questions=2, samples=6, starts=1, floor_chats=5, past=1_000)


class Server:
    """The Valkey between, started by us so that it can be asked and its time be told apart."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self._pid = url, pid
        self._redis: Any = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]

    def cpu(self) -> float:
        times = psutil.Process(self._pid).cpu_times()
        return times.user + times.system

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[list[str]]:
        """Every command that a client sends meanwhile; what scripts do inside is no round trip."""
        commands: list[str] = []

        async def listen(monitor: Any) -> None:
            async for entry in monitor.listen():
                if entry["client_type"] == "lua":
                    continue
                commands.append(entry["command"])

        async with self._redis.monitor() as monitor:
            listener = asyncio.create_task(listen(monitor))
            try:
                yield commands
            finally:
                listener.cancel()
                await asyncio.wait((listener,))

    async def close(self) -> None:
        await self._redis.aclose()


@asynccontextmanager
async def valkey(folder: Path) -> AsyncGenerator[Server]:
    embedded = EmbeddedServer(folder)
    async with embedded as url:
        server = Server(url, embedded.pid)
        try:
            yield server
        finally:
            await server.close()


async def latency(place: Place, server: Server, size: Size) -> list[Row]:
    """One chat at a time."""
    crowd = Crowd(place)
    await crowd.at_once(1, 1, PATIENCE_SECONDS)
    renewal = script_sha("renew")
    questions: list[Question] = []
    trips: list[int] = []
    calls = place.calls()
    for chat in place.chats(size.samples):
        async with server.listening() as commands:
            questions += await crowd.converse(chat, 1, PATIENCE_SECONDS)
            await asyncio.sleep(0.3)  # the turn is closed after the answer is shown
        own = sum(command.startswith("EVALSHA") and f":{chat}:" in command for command in commands)
        own -= sum(renewal in command and f":{chat}:" in command for command in commands)
        trips.append(own)
    name = place.name
    first = statistics.median([q.added_first for q in questions if q.added_first is not None] or [9.0])
    whole = statistics.median([q.added for q in questions if q.added is not None] or [9.0])
    return [
        Row(f"{name}, one chat: added to the first text, median", first * 1000, "ms", 25),
        Row(f"{name}, one chat: added to the whole answer, median", whole * 1000, "ms"),
        Row(f"{name}, one chat: server round trips a turn", statistics.median(trips), "", 6),
        Row(f"{name}, one chat: platform calls an answer", (place.calls() - calls) / len(questions), "", 5),
    ]


@dataclass(frozen=True, slots=True)
class Load:
    """What a load came to."""

    questions: list[Question]
    doubled: int
    cpu: float
    """Processor seconds an answer, server included."""
    server_cpu: float
    bench_share: float
    """Of one core, used by the fakes: near 1 they are what is measured."""

    @property
    def done(self) -> list[Question]:
        return [question for question in self.questions if question.done is not None]

    @property
    def per_second(self) -> float:
        if not self.done:
            return 0.0
        return len(self.done) / (max(q.asked + q.took for q in self.done) - min(q.asked for q in self.questions))


class Measured(Protocol):
    """One process or several."""

    def cpu(self) -> float:
        """Processor seconds so far."""
        ...


async def load(place: Place, process: Measured, server: Server | None, chats: int, questions: int) -> Load:
    """Many chats at once. The process is warm."""
    crowd = Crowd(place)
    served = server.cpu() if server else 0.0
    used, own, began = process.cpu(), time.process_time(), time.perf_counter()
    asked = await crowd.at_once(chats, questions, PATIENCE_SECONDS)
    share = (time.process_time() - own) / (time.perf_counter() - began)
    await asyncio.sleep(SETTLE_SECONDS)
    count = max(1, sum(question.done is not None for question in asked))
    served = server.cpu() - served if server else 0.0
    cpu = (process.cpu() - used + served) / count
    return Load(asked, crowd.doubled(asked), cpu, served / count, share)


def load_rows(name: str, result: Load, *, per_second: float | None, added: float | None) -> list[Row]:
    times = [question.took for question in result.done]
    p50, p95 = percentile(times, 0.5), percentile(times, 0.95)
    first = percentile([q.added_first for q in result.done if q.added_first is not None], 0.95)
    whole = percentile([q.added for q in result.done if q.added is not None], 0.95)
    return [
        Row(f"{name}: lost", len(result.questions) - len(result.done), "", 0),
        Row(f"{name}: doubled", result.doubled, "", 0),
        Row(f"{name}: answers a second", result.per_second, "", per_second, "higher"),
        Row(f"{name}: added to the first text, p95", milliseconds(first), "ms", added),
        Row(f"{name}: added to the whole answer, p95", milliseconds(whole), "ms", added),
        Row(f"{name}: fairness, p95 to median of whole answers", p95 / p50 if p50 and p95 else None, "", 2),
        Row(f"{name}: processor time an answer, server included", result.cpu * 1000, "ms", 20),
        Row(f"{name}: of that the server", result.server_cpu * 1000, "ms"),
        Row(f"{name}: share of a core that the fakes took", result.bench_share, ""),
    ]


async def on_telegram(size: Size, work: Path) -> list[Row]:
    rows: list[Row] = []
    name = f"Telegram, {size.chats} chats"
    async with stub(work) as model, valkey(work / "v") as server:
        async with TelegramServer() as fake:
            place = TelegramPlace(fake)
            env = {**model, **place.env(), "REDIS_URL": server.url}
            async with parley(env, work / "p") as process:
                rows += await latency(place, server, size)
                calls = place.calls()
                result = await load(place, process, server, size.chats, size.questions)
                rows += load_rows(name, result, per_second=60 if size.chats >= 100 else None, added=300)
                rows.append(
                    Row(f"{name}: platform calls an answer", (place.calls() - calls) / len(result.questions), "", 5)
                )
                rows.append(Row(f"{name}: memory after it", process.memory(), "MB"))
        async with TelegramServer() as fake:
            place = TelegramPlace(fake)
            async with bare("telegram", {**model, **place.env()}, work / "b") as process:
                await Crowd(place).at_once(1, 2, PATIENCE_SECONDS)
                floor = await load(place, process, None, size.chats, size.questions)
    rows.append(Row(f"{name}: the bare loop's processor time an answer", floor.cpu * 1000, "ms"))
    rows.append(Row(f"{name}: processor time against the bare loop's", result.cpu / floor.cpu, "times", 1.5))
    return rows


async def on_discord(size: Size, work: Path) -> list[Row]:
    rows: list[Row] = []
    name = f"Discord, {size.chats} chats"
    few = f"Discord, {size.floor_chats} chats"
    rooms = size.samples + size.chats + size.floor_chats + 10
    async with stub(work) as model, valkey(work / "v") as server:
        async with FakeDiscord() as fake:
            place = DiscordPlace(fake)
            place.build(rooms)
            async with parley({**model, **place.env(), "REDIS_URL": server.url}, work / "p") as process:
                rows += await latency(place, server, size)
                small = await load(place, process, server, size.floor_chats, 2 * size.questions)
                calls = place.calls()
                refused = sum(call.status == 429 for call in fake.calls)
                result = await load(place, process, server, size.chats, size.questions)
                rows += load_rows(name, result, per_second=24 if size.chats >= 100 else None, added=None)
                rows.append(
                    Row(f"{name}: platform calls an answer", (place.calls() - calls) / len(result.questions), "", 5)
                )
                refused = sum(call.status == 429 for call in fake.calls) - refused
                rows.append(Row(f"{name}: calls refused by the limits", refused, "", 0))
        async with FakeDiscord() as fake:
            place = DiscordPlace(fake)
            place.build(rooms)
            async with bare("discord", {**model, **place.env()}, work / "b") as process:
                await Crowd(place).at_once(1, 2, PATIENCE_SECONDS)
                floor = await load(place, process, None, size.floor_chats, 2 * size.questions)
            # discord.py sends a field with its edits that Discord's description does not have.
            fake.pardon()
    rows.append(Row(f"{few}: processor time an answer, server included", small.cpu * 1000, "ms", 20))
    rows.append(Row(f"{few}: the bare loop's processor time an answer", floor.cpu * 1000, "ms"))
    rows.append(Row(f"{few}: processor time against the bare loop's", small.cpu / floor.cpu, "times", 1.5))
    return rows


async def starting(size: Size, work: Path) -> list[Row]:
    """From nothing to ready, the embedded server included; memory of Parley itself two seconds later."""
    rows: list[Row] = []
    async with stub(work) as model, TelegramServer() as telegram, FakeDiscord() as discord:
        one = TelegramPlace(telegram).env()
        two = DiscordPlace(discord).env()
        variants = [
            ("Telegram", one, 2.0, 110.0),
            ("Discord", two, 2.0, 110.0),
            ("web chat", {"PARLEY_WEB_PORT": str(free_port())}, 2.0, 110.0),
            ("all platforms", {**one, **two, "PARLEY_WEB_PORT": str(free_port())}, 3.0, 150.0),
        ]
        for name, env, seconds, memory in variants:
            times: list[float] = []
            resident: list[float] = []
            for number in range(size.starts + 1):
                async with parley({**model, **env}, work / f"{name}-{number}") as process:
                    await asyncio.sleep(SETTLE_SECONDS)
                    times.append(process.ready_seconds)
                    resident.append(process.memory())
            # The first start fills the caches of the disk.
            rows.append(Row(f"start with {name}: ready after", statistics.median(times[1:]), "s", seconds))
            rows.append(Row(f"start with {name}: memory", max(resident), "MB", memory))
    return rows


async def remembering(size: Size, work: Path) -> list[Row]:
    """The next answer of a conversation with a short and with a long past."""
    times: dict[int, list[float]] = {10: [], size.past: []}
    added: dict[int, list[float]] = {10: [], size.past: []}
    async with stub(work) as model, valkey(work / "v") as server, TelegramServer() as fake:
        place = TelegramPlace(fake)
        bot = str(fake.me["id"])
        chats = dict(zip(times, place.chats(2), strict=True))
        for past, chat in chats.items():
            await converse(server.url, ConversationKey(Platform.TELEGRAM, bot, chat), past // 2)
        async with parley({**model, **place.env(), "REDIS_URL": server.url}, work / "p"):
            crowd = Crowd(place)
            await crowd.at_once(1, 1, PATIENCE_SECONDS)
            for _ in range(max(3, size.samples // 2)):
                for past, chat in chats.items():
                    question = await crowd.see(crowd.ask(chat), PATIENCE_SECONDS)
                    times[past].append(question.took if question.done else PATIENCE_SECONDS)
                    added[past].append(question.added_first or PATIENCE_SECONDS)
    ratio = statistics.median(times[size.past]) / statistics.median(times[10])
    return [
        Row(f"a history of {size.past:,} messages against 10: time of the next answer", ratio, "times", 1.2),
        *(
            Row(f"a history of {past:,} messages: added to the first text", statistics.median(added[past]) * 1000, "ms")
            for past in times
        ),
    ]


def script_sha(name: str) -> str:
    """How a conversation's script is called on the server."""
    text = (SCRIPTS / "prelude.lua").read_text("utf-8") + (SCRIPTS / f"{name}.lua").read_text("utf-8")
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


PARTS = {"telegram": on_telegram, "discord": on_discord, "start": starting, "history": remembering}


async def measure(names: Sequence[str], size: Size) -> list[Row]:
    rows: list[Row] = []
    for name in names:
        print(f"-- {name}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="parley-bench-") as work:
            rows += await PARTS[name](size, Path(work))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer chats and samples: a minute instead of five")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here")
    given = parser.parse_args()
    names = given.only.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    try:
        rows = asyncio.run(measure(names, QUICK if given.quick else Size()))
    except DidNotStart as error:
        sys.exit(f"did not start: {error}")
    print(table(rows))
    if given.json:
        write(given.json, rows)


if __name__ == "__main__":
    main()
