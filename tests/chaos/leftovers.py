"""What a run leaves behind: in Redis, in the process table, on disk; and whether the accounts add up."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from redis.asyncio import Redis

from tests.chaos.checks import Violation
from tests.chaos.journal import Journal

_TAGGED = r"parley:\{[0-9a-f]{2}\}:"
GONE = {
    "mailbox": rf"{_TAGGED}box:",
    "turn record": rf"{_TAGGED}turn:",
    "ready entries": rf"{_TAGGED}ready$",
    "load": rf"{_TAGGED}load$",
    "wake list": rf"{_TAGGED}wake:",
    "lease": r"parley:lease:",
    "waiting job": r"streaq:\S+:queues:delayed:\w+$",
    "running job": r"streaq:\S+:(task:(data|retry|lock|dependents|dependencies):|index:running$)",
}
"""What may not be there once everything has ended in good order."""
LASTING = (
    *(
        rf"{_TAGGED}{name}:"
        for name in ("state", "tree", "order", "seen", "blob", "calls", "failed", "served", "notices", "notes")
    ),
    *(rf"{_TAGGED}{name}:" for name in ("creation", "making", "made")),
    rf"{_TAGGED}failed$",
    r"parley:\{creations\}:",
    r"parley:breaker$",
    r"parley:\{models\}:",
    r"parley:\{budget\}:",
    r"parley:\{spaces\}:(seen|left):",
    r"parley:\{\w+\}:changes$",
    *(rf"parley:{name}:" for name in ("memory", "permits", "sightings", "fleet", "turn", "places", "web", "health")),
    *(rf"parley:{name}:" for name in ("form", "tally", "alive", "recently", "channels", "cases", "watched", "mood")),
    r"parley:(joining|joins):",
    r"parley:\{(deadlines|judging)\}",
)
"""What may be there, with a time to live."""
FOR_GOOD = (
    r"parley:schema$",
    r"parley:\{\w+\}:record:",
    r"parley:documents:",
    r"streaq:\S+:(queues:\w+$|index:results$|cron:|health|task:results:)",
)
FILES = re.compile(r"(instance|worker-\d+\.lock)")
"""What a process may keep in its data folder when Redis is elsewhere."""
WHOLE = ("complete", "length")
"""Endings of answers whose cost is what their calls took; that of one that was interrupted is told by estimate."""


@dataclass(slots=True)
class Remains:
    """Everything that Redis holds at the end, as far as it is checked."""

    lives: dict[str, int] = field(default_factory=dict[str, int])
    """Key -> seconds to live, or -1."""
    holders: dict[str, str] = field(default_factory=dict[str, str])
    """Conversation's state key -> the worker that still holds it."""
    backlog: dict[str, int] = field(default_factory=dict[str, int])
    """Queue of jobs -> how many wait or run."""
    money: int = 0
    """What all calls of models were counted with, in millionths."""


async def read(port: int) -> Remains:
    """Looks at everything in the store."""
    remains = Remains()
    redis: Any = Redis(port=port, decode_responses=True)
    try:
        async for key in redis.scan_iter(count=1000):
            life: int = await redis.ttl(key)
            if life == -2:
                continue
            remains.lives[key] = life
            if re.match(rf"{_TAGGED}state:", key) and (holder := await redis.hget(key, "holder")):
                remains.holders[key] = holder
            elif re.match(r"parley:\{budget\}:usage:.*:\*$", key):
                counted: Mapping[str, str] = await redis.hgetall(key)
                remains.money += sum(int(amount) for name, amount in counted.items() if name.endswith("\tmoney"))
            elif re.match(r"streaq:\S+:queues:\w+$", key) and await redis.type(key) == "stream":
                remains.backlog[key] = await redis.xlen(key)
    finally:
        await redis.aclose()
    return remains


async def jobs_left(redis: Any) -> int:
    """Jobs that wait or run, in all queues."""
    count = 0
    async for key in redis.scan_iter(match="streaq:*:queues:*", count=1000):
        count += await (redis.xlen(key) if await redis.type(key) == "stream" else redis.zcard(key))
    return count


def check_keys(remains: Remains) -> list[Violation]:
    """Nothing open, nothing unknown, nothing that would stay for ever."""
    found: list[Violation] = []
    for key, life in sorted(remains.lives.items()):
        gone = next((what for what, pattern in GONE.items() if re.match(pattern, key)), None)
        if gone is not None:
            found.append(Violation("left behind", "redis", "", f"{gone}: {key}"))
        elif any(re.match(pattern, key) for pattern in LASTING):
            if life < 0:
                found.append(Violation("left behind", "redis", "", f"{key} has no time to live"))
        elif not any(re.match(pattern, key) for pattern in FOR_GOOD):
            found.append(Violation("left behind", "redis", "", f"unknown key {key}"))
    found += [Violation("left behind", "redis", "", f"{key} is held by {who}") for key, who in remains.holders.items()]
    backlog = {queue: count for queue, count in remains.backlog.items() if count}
    return found + [
        Violation("left behind", "redis", "", f"{count} jobs in {queue}") for queue, count in backlog.items()
    ]


def check_usage(remains: Remains, journal: Journal) -> list[Violation]:
    """No money that an answer took went uncounted. What comes on top are summaries, interrupted answers, and calls of
    processes that were killed before their turn ended.

    A turn says it in the log before it is closed. One that was taken over says it again: only the last time counts.
    """
    said: dict[str, int] = {}
    for entry in journal.entries:
        if '"event": "answered"' in entry.what:
            line = json.loads(entry.what)
            said[line["turn"]] = line["cost"] if line["ending"] in WHOLE else 0
    wanted = sum(said.values())
    if remains.money >= wanted:
        return []
    return [Violation("usage", "redis", "", f"{remains.money} counted, the answers took {wanted}")]


def check_processes(sessions: Collection[int]) -> list[Violation]:
    """No child outlives its process. Each process began a session of its own, which children inherit."""
    found: list[Violation] = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        try:
            session = os.getsid(process.pid)
        except OSError:
            continue
        if session in sessions:
            command = " ".join(process.info["cmdline"] or ())[:200]
            found.append(Violation("left behind", "processes", "", f"{process.pid} of session {session}: {command}"))
    return found


def check_files(temporary: Path, folders: Iterable[Path]) -> list[Violation]:
    """Nothing in the folder for temporary files, and nothing but what is documented in the data folders."""
    odd = list(temporary.rglob("*"))
    for folder in folders:
        odd += [path for path in folder.iterdir() if not FILES.fullmatch(path.name)]
    return [Violation("left behind", "files", "", str(path)) for path in odd]
