"""What is measured, as processes of their own: Parley or a bare loop, the model stub, and the server in between."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
FIRST_TOKEN_SECONDS = 0.2
TOKENS_PER_SECOND = 50.0
TOKENS = 40
STREAM_SECONDS = FIRST_TOKEN_SECONDS + (TOKENS - 1) / TOKENS_PER_SECOND
TICK_SECONDS = 0.04
"""The stub writes this often, with all tokens that are due: at 200 streams single tokens would measure the stub."""
READY = '"event": "ready"'
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
CLEAN = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
"""Of the caller's environment; tokens and settings stay out."""


class DidNotStart(Exception):
    """The measured process ended or was not ready in time; the text is the end of its output."""


@dataclass(slots=True)
class Running:
    """A process that is ready."""

    process: asyncio.subprocess.Process
    ready_seconds: float
    log: list[str]

    def cpu(self) -> float:
        """Processor seconds so far, of it and its children."""
        total = 0.0
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def memory(self) -> float:
        """Resident MB of the process itself."""
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def _family(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self.process.pid)
            return [process, *process.children(recursive=True)]
        except psutil.Error:
            return []


@asynccontextmanager
async def running(command: Sequence[str], env: Mapping[str, str], ready: str, folder: Path) -> AsyncGenerator[Running]:
    """Starts a Python command in an empty folder, waits for the line that says ``ready``, ends it afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in CLEAN if name in os.environ}
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1,localhost", **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    log: list[str] = []
    is_ready = asyncio.Event()
    reading = asyncio.create_task(_read(process, log, ready, is_ready))
    waiting = asyncio.create_task(is_ready.wait())
    try:
        await asyncio.wait((reading, waiting), timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not is_ready.is_set():
            raise DidNotStart(" ".join(command) + "\n" + "\n".join(log[-20:]))
        yield Running(process, time.perf_counter() - began, log)
    finally:
        waiting.cancel()
        await _stop(process)
        await reading


async def _read(process: asyncio.subprocess.Process, log: list[str], ready: str, is_ready: asyncio.Event) -> None:
    assert process.stdout is not None  # it is a pipe
    async for raw in process.stdout:
        line = raw.decode("utf-8", "replace").rstrip()
        del log[:-500]
        log.append(line)
        if ready in line:
            is_ready.set()


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def stub(
    folder: Path, *, tokens: int = TOKENS, per_second: float = TOKENS_PER_SECOND, first: float = FIRST_TOKEN_SECONDS
) -> AsyncGenerator[dict[str, str]]:
    """The model server; gives the environment that leads to it."""
    command = ["-m", "tests.platforms.openai_server", "--first-token", str(first)]
    command += ["--tokens-per-second", str(per_second), "--tokens", str(tokens), "--tick", str(TICK_SECONDS)]
    async with running(command, {}, "http://", folder) as process:
        url = next(line for line in process.log if line.startswith("http://"))
        yield {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-stub", "OPENAI_MODEL": "stub"}


def parley(
    env: Mapping[str, str], folder: Path, data: Path | None = None
) -> contextlib.AbstractAsyncContextManager[Running]:
    """``parley up`` without a built-in model, and without the web chat unless ``env`` switches it on."""
    return running(["-m", "bots", "up"], settings(env, data or folder / "data"), READY, folder)


def settings(env: Mapping[str, str], data: Path) -> dict[str, str]:
    """What every measured Parley gets; ``env`` goes before it."""
    own = {"PARLEY_LOCAL_MODEL": "none", "PARLEY_WEB_PORT": "0", "PARLEY_LOG": "json", "PARLEY_DATA": str(data)}
    own["PARLEY__ENGINES__ON"] = "false"
    return {**own, **env}


def bare(platform: str, env: Mapping[str, str], folder: Path) -> contextlib.AbstractAsyncContextManager[Running]:
    """The same SDK calls without Parley around them."""
    return running(["-m", "benchmarks.bare", platform], env, "ready", folder)
