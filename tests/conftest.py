"""What all tests share: no network but loopback, and a real Valkey."""

from __future__ import annotations

import gc
import ipaddress
import socket
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.storage.client import Store
from core.storage.embedded import EmbeddedServer


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """No garbage collection while test files are parsed.

    A finaliser that warns in the middle of ``ast.parse`` parses itself, and Python 3.11 then ends with "AST constructor
    recursion depth mismatch" (CPython issue 106905).
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuses every connection that would leave this machine."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            host = str(address[0])
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                raise OSError(f"tests may not connect to {host}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--topology", choices=("single", "cluster", "sentinel"), default="single")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey_url(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> AsyncIterator[str]:
    """One real server for the whole run of this test process, or a real cluster, or a master with a Sentinel."""
    folder, topology = Path(tmp_path_factory.mktemp("valkey")), pytestconfig.getoption("topology")
    if topology == "single":
        async with EmbeddedServer(folder) as url:
            yield url
    else:
        from tests.platforms.valkey_servers import cluster, sentinel

        async with cluster(folder) if topology == "cluster" else sentinel(folder) as servers:
            yield servers.url


@pytest.fixture
def valkey_socket(valkey_url: str) -> Path:
    """Where the one server listens, for a test that stands between it and Parley."""
    if not valkey_url.startswith("unix://"):
        pytest.skip("about a single server")
    return Path(valkey_url.removeprefix("unix://"))


@pytest.fixture
async def store(valkey_url: str) -> AsyncIterator[Store]:
    """An empty store."""
    store = Store(valkey_url)
    await store.redis.flushall()
    yield store
    await store.close()
