"""Parley's processes: each a real one with a data folder of its own, started again whenever it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tests.chaos.journal import EXIT, Journal
from tests.chaos.proxy import Proxy

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 40.0
"""The grace time for answers in flight and everything that is closed after it, on a busy machine."""
PAUSE_BEFORE_RESTART = 0.3
OURS = ("PARLEY", "OPENAI", "DISCORD", "TELEGRAM", "REDIS", "FAKETIME", "LD_PRELOAD")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended. ``asked`` is the signal that we sent it, or none; ``late``: SIGTERM was not enough.

    ``early``: it had not said yet that it is ready, so that a signal found nobody who would obey it.
    """

    name: str
    status: int
    asked: signal.Signals | None
    late: bool = False
    early: bool = False


@dataclass
class Member:
    """One process of the fleet. ``links`` are its own ways to the servers around it."""

    name: str
    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    journal: Journal
    links: Mapping[str, Proxy]
    port: int = 0
    """Of its web chat."""
    ends: list[Ended] = field(default_factory=list[Ended])
    sessions: set[int] = field(default_factory=set[int])
    """Session ids, to find children that outlived their process."""
    starts: int = 0
    is_paused: bool = False
    _process: asyncio.subprocess.Process | None = None
    _asked: signal.Signals | None = None
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _down_seconds: float = PAUSE_BEFORE_RESTART
    _closing: bool = False
    _late: bool = False
    _running: asyncio.Task[None] | None = None

    @property
    def is_receiver(self) -> bool:
        return self.arguments[0] != "work"

    @property
    def clock(self) -> Path:
        """The file that says how far its wall clock is off."""
        return self.folder / "clock"

    def begin(self) -> None:
        """Keeps it running from now on."""
        self._running = asyncio.create_task(self._run(), name=self.name)

    async def ready(self) -> None:
        """Returns when it runs and says that it is ready. Raises TimeoutError."""
        async with asyncio.timeout(START_SECONDS):
            await self._ready.wait()

    def send(self, number: signal.Signals, down_seconds: float = PAUSE_BEFORE_RESTART) -> bool:
        """Sends a signal; a process that ends of it stays away for so long. False when it is not running."""
        if self._process is None or self._process.returncode is not None:
            return False
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._asked, self._down_seconds = number, max(PAUSE_BEFORE_RESTART, down_seconds)
            self.resume()
        self._process.send_signal(number)
        return True

    def pause(self) -> None:
        self.is_paused = self.send(signal.SIGSTOP)

    def resume(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self.send(signal.SIGCONT)

    def jump(self, seconds: float) -> None:
        """Sets its wall clock off the real time."""
        self.clock.write_text(f"{seconds:+.0f}")

    async def stop(self) -> None:
        """Ends it in good order, and for good."""
        self._closing = True
        self.resume()
        self.send(signal.SIGTERM)
        if self._running is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._running), STOP_SECONDS)
            except TimeoutError:
                self.journal.note(EXIT, f"{self.name} did not end within {STOP_SECONDS:.0f} s of SIGTERM")
                self._late = True
                self.send(signal.SIGKILL)
                await self._running

    # ---- running it

    async def _run(self) -> None:
        while not self._closing:
            await self._once()
            if not self._closing:
                await asyncio.sleep(self._down_seconds)

    async def _once(self) -> None:
        self._asked, self._down_seconds = None, PAUSE_BEFORE_RESTART
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bots",
            *self.arguments,
            cwd=self.folder,
            env={**clean, **self.environment, "PYTHONPATH": str(ROOT), "PARLEY_LOG": "json"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        self.starts += 1
        self.sessions.add(process.pid)
        self.journal.note(self.name, f"started as {process.pid}")
        assert process.stdout
        assert process.stderr
        await asyncio.gather(self._read(process.stdout), self._read(process.stderr))
        status = await process.wait()
        early = not self._ready.is_set()
        self._ready.clear()
        self.is_paused = False
        self.ends.append(Ended(self.name, status, self._asked, self._late, early))
        self.journal.note(EXIT, f"{self.name} ended with {status}, asked {self._asked.name if self._asked else 'not'}")

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:
                continue  # a line over the reader's limit
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip()
            self.journal.note(self.name, text)
            if '"event": "ready"' in text:
                self._ready.set()


def configuration(one: str, two: str) -> str:
    """parley.toml: two models at two servers, each the other's fallback, with prices; quick to give up on one.

    The window is small, so that old messages are cut and summaries are asked for, which are jobs. With a budget each
    call is counted before its turn ends, so that none is lost with a process. Pictures cost nothing.
    """
    rows = ("[chat]", 'model = "one"', "[routing]", "first_token_seconds = 5", "stall_seconds = 4")
    lines = [*rows, "total_seconds = 60", "breaker_failures = 5", "breaker_seconds = 3"]
    lines += ["[budgets]", "all = { month_money = 1000000 }"]
    for name, other, url, prices in (("one", "two", one, (2.0, 8.0)), ("two", "one", two, (0.3, 1.1))):
        lines += ["[[providers]]", f"name = {json.dumps(name)}", f"base_url = {json.dumps(url)}", 'api_key = "x"']
        lines += ["[[models]]", f"name = {json.dumps(name)}", f"provider = {json.dumps(name)}", "window = 5000"]
        lines += [f"price_prompt = {prices[0]}", f"price_answer = {prices[1]}", f"fallbacks = [{json.dumps(other)}]"]
    lines += ["[[models]]", 'name = "painter"', 'provider = "one"', 'kind = "image"']
    return "\n".join(lines) + "\n"


def clock_library() -> Path | None:
    """The library that shifts a process's wall clock, when it is installed and works here."""
    found = find_spec("libfaketime")
    if found is None or not found.submodule_search_locations:
        return None
    library = Path(found.submodule_search_locations[0]) / "vendor/libfaketime/src/libfaketime.so.1"
    code = "import time; print(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME))"

    def offset(environment: Mapping[str, str]) -> float:
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
        )
        return float(done.stdout)

    try:
        shifted = offset({**preload(library), "FAKETIME": "+7200"})
        return library if abs(shifted - offset({}) - 7200) < 60 else None
    except (OSError, ValueError, subprocess.CalledProcessError, AttributeError):
        return None


def preload(library: Path) -> dict[str, str]:
    """Shifts the wall clock only: deadlines and leases go by the others."""
    return {
        "LD_PRELOAD": str(library),
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
        "FAKETIME_CACHE_DURATION": "1",
    }
