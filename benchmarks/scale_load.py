"""Scale, under load: answers a second over one and several processes, what they ask of Redis, and durability."""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from benchmarks.figures import Row
from benchmarks.fleet import Fleet
from benchmarks.people import Crowd, TelegramPlace
from benchmarks.processes import stub
from benchmarks.turn import PATIENCE_SECONDS, Load, Server, load, valkey
from tests.platforms.telegram_server import TelegramServer

WORKERS = (1, 2, 4)
WARM_CHATS = 20
QUIET_SECONDS = 5.0
"""An idle process is watched for so long."""
CLIENT_COMMANDS = ("evalsha", "eval", "blmpop", "publish", "xadd", "xreadgroup")
"""What processes send in a turn; the rest runs inside scripts."""
MOST_OVER_ALONE = 1.35
"""Processor time of receiver and workers together, against one process that does it all."""
MOST_DURABILITY = 1.15


@dataclass(frozen=True, slots=True)
class LoadSize:
    """How much is measured."""

    chats: int = 200
    questions: int = 3
    rounds: int = 5
    """Pairs of loads for durability; the median counts."""
    durable_chats: int = 200


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a server has done so far."""

    commands: int
    """With those inside scripts."""
    asked: int
    """By clients."""
    received: int
    """Bytes."""
    sent: int
    written: int
    """Bytes of the append-only file."""

    def __sub__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.commands - other.commands,
            self.asked - other.asked,
            self.received - other.received,
            self.sent - other.sent,
            self.written - other.written,
        )


async def traffic(url: str) -> Traffic:
    redis: Any = Redis.from_url(url, decode_responses=True)  # pyright: ignore[reportUnknownMemberType]
    try:
        stats = await redis.info("stats")
        commands = await redis.info("commandstats")
        written = (await redis.info("persistence")).get("aof_current_size", 0)
    finally:
        await redis.aclose()
    calls = {name.removeprefix("cmdstat_"): entry["calls"] for name, entry in commands.items()}
    asked = sum(calls.get(name, 0) for name in CLIENT_COMMANDS)
    return Traffic(sum(calls.values()), asked, stats["total_net_input_bytes"], stats["total_net_output_bytes"], written)


async def start(fleet: Fleet, workers: int) -> list[str]:
    """One receiver and so many workers, or ``parley up`` alone; their names."""
    if not workers:
        await fleet.start("up", "up")
        return ["up"]
    await fleet.start("receive", "receive", "telegram")
    names = [f"work-{number}" for number in range(workers)]
    for name in names:
        await fleet.start(name, "work")
    return ["receive", *names]


async def speed(size: LoadSize, work: Path) -> list[Row]:
    """Answers a second and processor time, over 1 + 1, 1 + 2 and 1 + 4 processes, and by one alone."""
    rows: list[Row] = []
    alone: Load | None = None
    async with stub(work) as model:
        for workers in (0, *WORKERS):
            name = f"1 receiver, {workers} worker{'s' if workers > 1 else ''}" if workers else "parley up"
            folder = work / f"fleet-{workers}"
            async with valkey(folder / "v") as server, TelegramServer() as fake:
                place = TelegramPlace(fake)
                async with Fleet({**model, **place.env(), "REDIS_URL": server.url}, folder) as fleet:
                    members = await start(fleet, workers)
                    rows += await quiet(name, server.url, fleet) if workers in (0, 1) else []
                    await Crowd(place).at_once(WARM_CHATS, 1, PATIENCE_SECONDS)
                    before, parts = await traffic(server.url), {member: fleet.cpu_of(member) for member in members}
                    result = await load(place, fleet, server, size.chats, size.questions)
                    after = await traffic(server.url) - before
                    parts = {member: fleet.cpu_of(member) - parts[member] for member in members}
                    memory = {member: fleet[member].memory() for member in members}
            alone = alone or result
            rows += speed_rows(name, result, alone, parts, memory)
            rows += traffic_rows(name, after, len(result.done)) if workers in (0, 2) else []
    return rows


def speed_rows(name: str, result: Load, alone: Load, parts: dict[str, float], memory: dict[str, float]) -> list[Row]:
    count = max(1, len(result.done))
    own = result.cpu - result.server_cpu
    rows = [
        Row(f"{name}: lost", len(result.questions) - len(result.done), "", 0),
        Row(f"{name}: doubled", result.doubled, "", 0),
        Row(f"{name}: answers a second", result.per_second, ""),
        Row(f"{name}: processor time an answer, all of Parley", own * 1000, "ms"),
        Row(f"{name}: processor time an answer, Redis", result.server_cpu * 1000, "ms"),
        Row(f"{name}: share of a core that the fakes took", result.bench_share, ""),
    ]
    if result is alone:
        return [*rows, Row(f"{name}: memory", memory["up"], "MB")]
    workers = [member for member in parts if member != "receive"]
    busiest = max(parts[member] for member in workers) / (sum(parts[member] for member in workers) / len(workers))
    return [
        *rows,
        Row(f"{name}: answers a second against parley up", result.per_second / alone.per_second, "times"),
        Row(
            f"{name}: processor time against parley up",
            own / (alone.cpu - alone.server_cpu),
            "times",
            MOST_OVER_ALONE if len(workers) == 1 else None,
        ),
        Row(f"{name}: processor time an answer, the receiver", parts["receive"] / count * 1000, "ms"),
        Row(f"{name}: busiest worker against the mean", busiest, "times", 1.5 if len(workers) > 1 else None),
        Row(f"{name}: memory of the receiver", memory["receive"], "MB"),
        Row(f"{name}: memory of a worker", max(memory[member] for member in workers), "MB"),
    ]


def traffic_rows(name: str, used: Traffic, answers: int) -> list[Row]:
    count = max(1, answers)
    return [
        Row(f"{name}: commands sent to Redis an answer", used.asked / count, ""),
        Row(f"{name}: commands run in Redis an answer, with those of scripts", used.commands / count, ""),
        Row(f"{name}: bytes to Redis an answer", used.received / count, "B"),
        Row(f"{name}: bytes from Redis an answer", used.sent / count, "B"),
        Row(f"{name}: bytes of the append-only file an answer", used.written / count, "B"),
    ]


async def quiet(name: str, url: str, fleet: Fleet) -> list[Row]:
    """What processes take and ask of Redis while nobody writes."""
    before, cpu = await traffic(url), fleet.cpu()
    await asyncio.sleep(QUIET_SECONDS)
    used, cpu = await traffic(url) - before, fleet.cpu() - cpu
    return [
        Row(f"{name}, idle: processor time a second", cpu / QUIET_SECONDS * 1000, "ms"),
        Row(f"{name}, idle: commands to Redis a second", used.asked / QUIET_SECONDS, ""),
        Row(f"{name}, idle: bytes to and from Redis a second", (used.sent + used.received) / QUIET_SECONDS, "B"),
    ]


async def durability(size: LoadSize, work: Path) -> list[Row]:
    """``parley up`` against the same with mailbox and history in memory: loads by turns, the medians count."""
    costs: dict[str, list[float]] = {"durable": [], "bypassed": []}
    served: list[float] = []
    lost = {"durable": 0, "bypassed": 0}
    async with stub(work) as model, TelegramServer() as one, TelegramServer() as two:
        places = {"durable": TelegramPlace(one), "bypassed": TelegramPlace(two)}
        async with valkey(work / "v1") as first, valkey(work / "v2") as second:
            servers: dict[str, Server] = {"durable": first, "bypassed": second}
            async with Fleet(model, work) as fleet:
                for name in costs:
                    profile = {"PARLEY_PROFILE": f"{folder}/{name}.profile"} if (folder := PROFILES) else {}
                    env = {**places[name].env(), "REDIS_URL": servers[name].url, **profile}
                    await fleet.start(name, "-m", "benchmarks.bypassed", name, env=env)
                    await Crowd(places[name]).at_once(size.durable_chats // 2, 1, PATIENCE_SECONDS)
                for _ in range(size.rounds):
                    for name, place in places.items():
                        result = await load(place, fleet[name], servers[name], size.durable_chats, 2)
                        costs[name].append(result.cpu - result.server_cpu)
                        lost[name] += len(result.questions) - len(result.done)
                        if name == "durable":
                            served.append(result.server_cpu)
    return [
        *(Row(f"{name}: answers lost", count, "", 0) for name, count in lost.items()),
        *durability_rows(costs["durable"], costs["bypassed"], served),
    ]


PROFILES = os.environ.get("PARLEY_PROFILES", "")
"""Folder for profiles of both processes; empty: none are made, as they slow both down."""


def durability_rows(durable: Sequence[float], bypassed: Sequence[float], served: Sequence[float]) -> list[Row]:
    with_it, without = statistics.median(durable), statistics.median(bypassed)
    spread = max(abs(value - with_it) for value in durable) / with_it
    return [
        Row("durability: processor time an answer", with_it * 1000, "ms"),
        Row("durability: the same with the mailbox bypassed", without * 1000, "ms"),
        Row("durability: against the bypassed", with_it / without, "times", MOST_DURABILITY),
        Row("durability: its part of an answer's processor time", (with_it - without) / with_it, "", 0.15),
        Row("durability: beside it, processor time of Redis an answer", statistics.median(served) * 1000, "ms"),
        Row("durability: farthest round from the median", spread, ""),
    ]
