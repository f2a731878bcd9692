"""A file that says whether this process lives and is ready, so that a probe needs no port, no token and no Python.

The event loop itself writes it: a process that hangs is seen by the age of the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import structlog

log = structlog.get_logger()

FILE = "pulse"
"""In the data folder. ``starting`` or ``ready`` stands in it. Processes that share a data folder share it, too: a
container that is probed has a data folder of its own."""
BEAT_SECONDS = 5.0
STALE_SECONDS = 30.0
"""From this age of the file on, the process counts as hung: long enough for a machine with too much to do."""


async def beat(data: Path, ready: asyncio.Event) -> None:
    """Keeps the file young until cancelled, and removes it then."""
    path = data / FILE
    written = ""
    try:
        while True:
            word = "ready\n" if ready.is_set() else "starting\n"
            try:
                # Another process that shares the folder removes it when it ends.
                if word == written and path.exists():
                    os.utime(path)
                else:
                    # In one step: a probe never sees an empty file.
                    fresh = path.with_suffix(f".{os.getpid()}")
                    fresh.write_text(word)
                    fresh.replace(path)
                    written = word
            except OSError as error:
                written = ""
                log.warning("pulse not written", cause=type(error).__name__)
            if ready.is_set():
                await asyncio.sleep(BEAT_SECONDS)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await ready.wait()
    finally:
        path.unlink(missing_ok=True)
