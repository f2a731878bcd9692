"""What all tests share: no network but loopback, and a real Valkey."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.storage.client import Store
from core.storage.embedded import EmbeddedServer


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuses every connection that would leave this machine."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple):
            host: Any = address[0]  # pyright: ignore[reportUnknownVariableType]
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                raise OSError(f"tests may not connect to {host}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One real server for the whole run of this test process."""
    import asyncio

    server = EmbeddedServer(Path(tmp_path_factory.mktemp("valkey")))
    url = asyncio.run(server.start())
    yield url
    asyncio.run(server.stop())


@pytest.fixture
async def store(valkey_url: str) -> AsyncIterator[Store]:
    """An empty store."""
    store = Store(valkey_url)
    await store.redis.flushall()
    yield store
    await store.close()
