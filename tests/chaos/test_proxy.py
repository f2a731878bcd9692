"""The proxy forwards, and breaks in every way it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.chaos.proxy import Proxy

SOON = 5.0


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """A server that sends everything back; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                writer.write(data)
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes, seconds: float = SOON) -> bytes:
    writer.write(text)
    async with asyncio.timeout(seconds):
        return await reader.readexactly(len(text))


async def test_it_forwards_and_closes(echo: int) -> None:
    async with Proxy(echo) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await said(reader, writer, b"hello") == b"hello"
        assert proxy.connections == 1
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), SOON) == b""
        writer.close()


async def test_cut(echo: int) -> None:
    async with Proxy(echo) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        await said(reader, writer, b"hello")
        proxy.cut()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await said(reader, writer, b"more")
        writer.close()
        again, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await said(again, writer, b"again") == b"again"
        writer.close()


async def test_refuse(echo: int) -> None:
    async with Proxy(echo) as proxy:
        proxy.refuses = True
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await said(reader, writer, b"hello")
        writer.close()


async def test_stall_loses_nothing(echo: int) -> None:
    async with Proxy(echo) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        await said(reader, writer, b"hello")
        proxy.stalls = True
        with pytest.raises(TimeoutError):
            await said(reader, writer, b"later", 0.1)
        proxy.heal()
        assert await asyncio.wait_for(reader.readexactly(5), SOON) == b"later"
        writer.close()


async def test_delay(echo: int) -> None:
    async with Proxy(echo) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        proxy.delay = 0.1
        began = asyncio.get_running_loop().time()
        assert await said(reader, writer, b"hello") == b"hello"
        assert asyncio.get_running_loop().time() - began >= 0.2
        writer.close()
