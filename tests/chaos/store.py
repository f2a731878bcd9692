"""One real Valkey that loses nothing it has answered, and can be killed and started again on the same files."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.storage.embedded import find_binary
from tests.chaos.journal import Journal

PATIENCE = 20.0


class StoreServer:
    """A process on one port of 127.0.0.1, appended and synced to disk before each answer."""

    def __init__(self, folder: Path, port: int, journal: Journal) -> None:
        self.port = port
        self._folder = folder
        self._journal = journal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Returns when it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always")
        more = ("--save", "", "--loglevel", "warning", "--maxmemory-policy", "noeviction")
        with (self._folder / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(
                (find_binary(), *options, *more),
                cwd=self._folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        async with asyncio.timeout(PATIENCE):
            while not await self._answers():
                await asyncio.sleep(0.02)
        self._journal.note("store", "answers")

    async def _answers(self) -> bool:
        client: Redis = Redis(port=self.port, socket_timeout=1)
        try:
            await client.ping()  # pyright: ignore[reportUnknownMemberType]
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()
        return True

    async def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)
