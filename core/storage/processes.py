"""The processes that run: each says every few seconds what it does and how its models did, for the owner to look at."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from core.errors import StorageError
from core.models.measured import Figures
from core.storage import keys
from core.storage.client import Store
from core.tasks import to_the_end

log = structlog.get_logger()

SAY_SECONDS = 10.0
LIVE_SECONDS = 30
"""So long a process that says no more is taken for alive."""
NAMES_SECONDS = 86_400
PATIENCE_SECONDS = 2.0
MOST_TEXT = 300
"""Characters of a sentence that a process says."""


@dataclass(frozen=True, slots=True)
class Process:
    """What a process said of itself."""

    name: str
    role: str = ""
    """``up``, ``receive`` or ``work``."""
    version: str = ""
    started: float = 0.0
    """Unix seconds."""
    platforms: Mapping[str, bool] = field(default_factory=dict[str, bool])
    """Those that it receives from -> whether it is connected."""
    models: Mapping[str, Figures] = field(default_factory=dict[str, Figures])
    """How its models did in the last hour."""
    reloads: int = 0
    """The last time of reading the settings anew that it knows of (``core/people/house.py``)."""
    reloaded: str = ""
    """What came of that: empty when all is taken over, else a sentence."""
    restart: tuple[str, ...] = ()
    """Settings that were changed and need a restart."""

    def to_json(self) -> str:
        values = {
            "role": self.role,
            "version": self.version,
            "started": round(self.started),
            "platforms": dict(self.platforms),
            "models": {name: figures.to_values() for name, figures in self.models.items()},
            "reloads": self.reloads,
            "reloaded": self.reloaded[:MOST_TEXT],
            "restart": list(self.restart[:50]),
        }
        return json.dumps(values, ensure_ascii=False)

    @classmethod
    def of(cls, name: str, text: str) -> Process:
        """Raises ValueError, KeyError, TypeError, AttributeError for what another program says otherwise."""
        kept: dict[str, Any] = json.loads(text)
        return cls(
            name,
            str(kept["role"]),
            str(kept["version"]),
            float(kept["started"]),
            {str(platform): bool(is_there) for platform, is_there in kept["platforms"].items()},
            {str(model): Figures.of(values) for model, values in kept["models"].items()},
            int(kept["reloads"]),
            str(kept["reloaded"]),
            tuple(map(str, kept["restart"])),
        )


class Processes:
    """All processes over one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def say(self, process: Process) -> None:
        """In one round trip. Raises StorageError."""

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.set(keys.process(process.name), process.to_json(), ex=LIVE_SECONDS)
            pipe.sadd(keys.processes(), process.name)
            pipe.expire(keys.processes(), NAMES_SECONDS)
            await pipe.execute()

        await self._store.attempt(work, PATIENCE_SECONDS)

    async def leave(self, name: str) -> None:
        """The process ends. Raises StorageError."""

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.delete(keys.process(name))
            pipe.srem(keys.processes(), name)
            await pipe.execute()

        await self._store.attempt(work, PATIENCE_SECONDS)

    async def alive(self) -> list[Process]:
        """Those that said something of late, the oldest first. Raises StorageError."""
        redis = self._store.redis
        names: list[str] = sorted(await self._store.attempt(lambda: redis.smembers(keys.processes())))
        if not names:
            return []
        texts: list[str | None] = await self._store.attempt(lambda: redis.mget([keys.process(n) for n in names]))
        found = [_read(name, text) for name, text in zip(names, texts, strict=True) if text]
        gone = [name for name, text in zip(names, texts, strict=True) if not text]
        if gone:
            await self._store.attempt(lambda: redis.srem(keys.processes(), *gone))
        return sorted(found, key=lambda process: (process.started, process.name))


async def keep_saying(processes: Processes, now: Callable[[], Process], news: asyncio.Event) -> None:
    """Says it again and again, and at once when there are ``news``; until cancelled, then it leaves."""
    name = now().name
    try:
        while True:
            news.clear()
            try:
                await processes.say(now())
            except StorageError as error:
                log.warning("the process could not say that it runs", cause=str(error))
            try:
                async with asyncio.timeout(SAY_SECONDS):
                    await news.wait()
            except TimeoutError:
                continue
    finally:
        await _leave(processes, name)


async def _leave(processes: Processes, name: str) -> None:
    try:
        await to_the_end(processes.leave(name), PATIENCE_SECONDS + 1)
    except StorageError as error:
        log.warning("the process could not say that it ends", cause=str(error))


def _read(name: str, text: str) -> Process:
    try:
        return Process.of(name, text)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Process(name)


def uptime(process: Process) -> float:
    """Seconds since it was started."""
    return max(0.0, time.time() - process.started)
