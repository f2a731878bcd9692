"""A way to the store that can be blocked, for one receiver alone."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Self


class Detour:
    """``async with Detour(url) as detour:`` leads from ``detour.url`` to the server at ``url``, a unix socket."""

    def __init__(self, url: str) -> None:
        self._target = url.removeprefix("unix://")
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "s"
        self._is_free = asyncio.Event()
        self._is_free.set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    def block(self) -> None:
        """Nothing goes through and nothing is lost."""
        self._is_free.clear()

    def free(self) -> None:
        self._is_free.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._folder.cleanup()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, beyond = await asyncio.open_unix_connection(self._target)
        for source, drain in ((reader, beyond), (there, writer)):
            task = asyncio.create_task(self._pump(source, drain))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await source.read(64 * 1024):
                    await self._is_free.wait()
                    drain.write(data)
                    await drain.drain()
        finally:
            drain.transport.abort()
