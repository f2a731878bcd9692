"""A TCP proxy on loopback that can be told to misbehave: cut, refuse, delay, stall."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Self

CHUNK_BYTES = 64 * 1024
CONNECT_SECONDS = 5.0


class Proxy:
    """One listening port in front of one server. ``async with Proxy(port) as proxy: proxy.port``.

    ``refuses``: new connections are closed at once. ``delay``: seconds added to every chunk, both ways.
    ``stalls``: nothing goes through, no connection is closed, and nothing is lost.
    """

    def __init__(self, target: int | Path) -> None:
        """``target``: a port of 127.0.0.1, or a unix socket."""
        self.port = 0
        self.refuses = False
        self.delay = 0.0
        self._target = target
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}

    @property
    def stalls(self) -> bool:
        return not self._flows.is_set()

    @stalls.setter
    def stalls(self, stalls: bool) -> None:
        if stalls:
            self._flows.clear()
        else:
            self._flows.set()

    @property
    def connections(self) -> int:
        """Open now."""
        return len(self._open)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Resets every open connection; what was on its way is lost."""
        for writers in self._open.values():
            for writer in writers:
                writer.transport.abort()

    def heal(self) -> None:
        """Back to doing nothing but forwarding."""
        self.refuses, self.delay, self.stalls = False, 0.0, False

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        open_ = list(self._open)
        for task in open_:
            task.cancel()
        await asyncio.gather(*open_, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # ---- one connection

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = (writer,)
        try:
            await self._serve(task, reader, writer)
        except asyncio.CancelledError:
            # Python 3.11's streams log a cancelled connection as an error.
            return
        finally:
            for end in self._open.pop(task):
                end.transport.abort()

    async def _serve(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.refuses:
            return
        await self._flows.wait()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                there, beyond = await self._reach()
        except OSError:
            return
        self._open[task] = (writer, beyond)
        directions = [asyncio.create_task(self._pump(reader, beyond)), asyncio.create_task(self._pump(there, writer))]
        try:
            await asyncio.wait(directions)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection("127.0.0.1", self._target)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            return
        # Reset on one side: reset on the other, too.
        writer.transport.abort()
