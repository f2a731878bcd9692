"""One engine's address: whoever knocks first starts its server.

This process listens, and hands its socket to the child it starts. So callers need not know whether a server runs: they
wait in the socket's line until one does. A server that ends, by itself or not, is started by the next caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from core.tasks import end, end_child

log = structlog.get_logger()

LOOPBACK = "127.0.0.1"
LINE = 64
"""Callers that may wait for a server that starts."""
READY_SECONDS = 120.0
"""From the start until it takes calls; models are loaded later, at the first piece of work."""
STOP_SECONDS = 5.0
STEADY_SECONDS = 60.0
"""A server that lived this long was in order: its end counts for nothing."""
PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
"""After a server's second early end in a row callers are told so for this long; it doubles from the first to the
last."""
COMPLAINT_CHARS = 300
ERROR_NAME = re.compile(r"^(?:\w+\.)+(?=\w+: )")
"""The module before an error's name, which tells people nothing."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is started."""

    engine: str
    python: str
    data: Path
    models: Mapping[str, str]
    environ: Mapping[str, str] = field(repr=False)
    threads: int
    device: str
    idle_seconds: float
    longest_seconds: int = 600
    """Of a recording that is listened to."""


class Doorway:
    """To be opened in a running event loop."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._key = secrets.token_urlsafe(24)
        self._socket = socket.create_server((LOOPBACK, 0), backlog=LINE)
        self._socket.setblocking(False)
        self._port: int = self._socket.getsockname()[1]
        self._process: asyncio.subprocess.Process | None = None
        self._running: asyncio.Task[None] | None = None
        self._refusing: set[asyncio.Task[None]] = set()
        self._failures = 0

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}/v1"

    @property
    def api_key(self) -> str:
        return self._key

    @property
    def pid(self) -> int:
        """Process id of the server; 0 while none runs."""
        return self._process.pid if self._process is not None else 0

    def open(self) -> None:
        """From now on the first caller starts the server."""
        asyncio.get_running_loop().add_reader(self._socket, self._knocked)

    async def aclose(self) -> None:
        """Ends the server; callers are refused from now on."""
        asyncio.get_running_loop().remove_reader(self._socket)
        await end([*self._refusing, *([self._running] if self._running else [])])
        self._socket.close()
        if not self._failures:
            self._log.unlink(missing_ok=True)

    def _knocked(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._running = asyncio.create_task(self._run(), name=f"engine {self._launch.engine}")

    async def _run(self) -> None:
        """One life of the server."""
        began = time.monotonic()
        reason = ""
        try:
            code = await self._serve()
            if code:
                reason = self._complaint() or f"it ended with code {code}"
        except (OSError, ValueError, TimeoutError) as error:
            reason = self._complaint() or f"it cannot be started ({error or 'not ready in time'})"
        finally:
            await self._end()
        if reason:
            steady = time.monotonic() - began >= STEADY_SECONDS
            self._failures = 1 if steady else self._failures + 1
            log.error("engine_lost", engine=self._launch.engine, reason=reason, failures=self._failures)
            if self._failures > 1:
                pause = PAUSE_SECONDS * 2 ** min(self._failures - 2, 10)
                await self._refuse_for(min(pause, LONGEST_PAUSE_SECONDS), reason)
        else:
            self._failures = 0
        self.open()

    async def _serve(self) -> int:
        """Its exit code, once it has ended. Raises OSError, ValueError, TimeoutError where it does not start."""
        launch = self._launch
        order = {
            "api_key": self._key,
            "socket": self._socket.fileno(),
            "models": dict(launch.models),
            "threads": launch.threads,
            "device": launch.device,
            "idle_seconds": launch.idle_seconds,
            "longest_seconds": launch.longest_seconds,
        }
        began = time.monotonic()
        self._process = process = await self._spawn()
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(READY_SECONDS):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            await process.stdin.drain()
            answer: Any = json.loads(await process.stdout.readline() or b"null")
        if answer is None:
            raise ValueError("it ended while it started")
        log.info("engine_started", engine=launch.engine, seconds=round(time.monotonic() - began, 2))
        return await process.wait()

    async def _spawn(self) -> asyncio.subprocess.Process:
        launch = self._launch
        run = launch.data / "run"
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._log.open("wb") as output:
            return await asyncio.create_subprocess_exec(
                launch.python,
                "-m",
                "core.models.servers",
                launch.engine,
                str(launch.data),
                cwd=run,
                env=dict(launch.environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                pass_fds=(self._socket.fileno(),),
                # Its own session: Ctrl-C must not end it before the work in hand is done.
                start_new_session=True,
            )

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            await end_child(process, STOP_SECONDS)

    async def _refuse_for(self, seconds: float, reason: str) -> None:
        """Tells callers at once why there is no server, instead of letting them wait for one that does not come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await self._knock()
                    try:
                        # Nothing is awaited from here on: who was let in as the time ends would be lost.
                        caller, _ = self._socket.accept()
                        caller.setblocking(False)
                    except BlockingIOError:
                        continue
                    except OSError:
                        # Too many open files: they wait until there is room.
                        await asyncio.sleep(PAUSE_SECONDS)
                        continue
                    task = asyncio.create_task(_refuse(caller, self._launch.engine, reason))
                    self._refusing.add(task)
                    task.add_done_callback(self._refusing.discard)

    async def _knock(self) -> None:
        """Until somebody waits in the line."""
        loop = asyncio.get_running_loop()
        knocked = asyncio.Event()
        loop.add_reader(self._socket, knocked.set)
        try:
            await knocked.wait()
        finally:
            loop.remove_reader(self._socket)

    @property
    def _log(self) -> Path:
        return self._launch.data / "run" / f"engine-{self._launch.engine}-{self._port}.log"

    def _complaint(self) -> str:
        """The last line that the server wrote, which is where libraries say what was wrong."""
        with contextlib.suppress(OSError):
            last = self._log.read_text("utf-8", "replace")[-4000:].strip().rpartition("\n")[2]
            return ERROR_NAME.sub("", last)[:COMPLAINT_CHARS]
        return ""


async def _refuse(caller: socket.socket, engine: str, reason: str) -> None:
    error = {"message": f"The engine {engine} does not start: {reason}", "type": "server_error", "code": "no_engine"}
    body = json.dumps({"error": {**error, "param": None}}).encode()
    head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with contextlib.suppress(OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
        reader, writer = await asyncio.open_connection(sock=caller)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                # What it sent is read first: else the system answers that with a reset, which overtakes this.
                await reader.readuntil(b"\r\n\r\n")
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
                writer.write_eof()
                while await reader.read(1 << 16):
                    pass
        finally:
            writer.close()
