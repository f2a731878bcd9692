"""What the owner is told at a start when REDIS_URL does not fit what is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import StorageSettings
from core.storage.client import Store
from core.storage.reach import reach
from tests.platforms import valkey_servers
from tests.platforms.valkey_servers import HOST, Server, single, spawn, tls_front
from tests.ports import free_port


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with single(tmp_path / "server") as running:
        yield running


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.storage.reach.REACH_SECONDS", 0.2)


async def told(storage: StorageSettings) -> str:
    """The sentence with which a start ends, without the beginning that all have."""
    with pytest.raises(SettingsError) as error:
        await reach(storage, asyncio.Event(), lambda line: None)
    return str(error.value).removeprefix("REDIS_URL is wrong: ")


async def test_a_server_that_fits_is_reached(server: Server, tmp_path: Path) -> None:
    lines: list[str] = []
    await reach(StorageSettings(redis_url=f"redis://{HOST}:{server.port}"), asyncio.Event(), lines.append)
    assert lines == []


async def test_a_server_that_starts_late_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.storage.reach.REACH_SECONDS", 20.0)
    port, lines = free_port(), list[str]()
    reaching = asyncio.create_task(
        reach(StorageSettings(redis_url=f"redis://:x@{HOST}:{port}"), asyncio.Event(), lines.append)
    )
    while not lines:
        await asyncio.sleep(0.01)
    running = spawn(tmp_path / "late", port, "--requirepass", "x")
    try:
        await reaching
    finally:
        running.stop()
    assert lines == [f"Waiting for the Redis or Valkey at {HOST}:{port}"]


async def test_nobody_is_there() -> None:
    port = free_port()
    assert await told(StorageSettings(redis_url=f"redis://:SECRET@{HOST}:{port}")) == (
        f"no Redis or Valkey answers at {HOST}:{port} (ConnectionError)."
        " Start it, correct the address, or leave REDIS_URL out to use the embedded server."
    )


async def test_a_wrong_password(server: Server) -> None:
    await server.call("CONFIG", "SET", "requirepass", "right")
    sentence = await told(StorageSettings(redis_url=f"redis://:SECRET@{HOST}:{server.port}"))
    assert sentence.startswith(f"{HOST}:{server.port} does not let us in (")
    assert "SECRET" not in sentence
    sentence = await told(StorageSettings(redis_url=f"redis://{HOST}:{server.port}"))
    assert sentence.startswith(f"{HOST}:{server.port} does not let us in (")


async def test_another_topology_than_the_address_says(server: Server, tmp_path: Path) -> None:
    place = f"{HOST}:{server.port}"
    assert await told(StorageSettings(redis_url=f"redis+cluster://{place}")) == (
        f"{place} is no cluster. Write redis:// for a single server."
    )
    async with single(tmp_path / "node", "--cluster-enabled", "yes", "--cluster-port", free_port()) as node:
        assert await told(StorageSettings(redis_url=f"redis://{HOST}:{node.port}")) == (
            f"{HOST}:{node.port} belongs to a cluster. Write redis+cluster:// and name some of its nodes."
        )
    async with valkey_servers.sentinel(tmp_path / "watched") as servers:
        watcher = f"{HOST}:{servers.sentinel.port}"
        assert await told(StorageSettings(redis_url=f"redis://{watcher}")) == (
            f"{watcher} is a Sentinel."
            " Write redis+sentinel://host:port/NAME, with the name of the master that it watches."
        )
        assert await told(StorageSettings(redis_url=f"redis+sentinel://{watcher}/other")) == (
            f"no Sentinel knows a master named other (other at {watcher})."
        )
        await reach(StorageSettings(redis_url=servers.url), asyncio.Event(), lambda line: None)


async def test_certificates(server: Server, tmp_path: Path) -> None:
    async with tls_front(server.port, tmp_path) as front:
        files = {"tls_ca": str(front.ca), "tls_certificate": str(front.client)}
        url = f"rediss://localhost:{front.port}"
        await reach(StorageSettings.model_validate({"redis_url": url, **files}), asyncio.Event(), lambda line: None)
        sentence = await told(StorageSettings.model_validate({"redis_url": url, **files, "tls_ca": ""}))
        assert sentence.startswith(f"the certificate of localhost:{front.port} cannot be trusted (")
        assert sentence.endswith("Name the file of its signer in storage.tls_ca.")
    async with tls_front(server.port, tmp_path, names=("elsewhere.example.org",)) as front:
        url = f"rediss://localhost:{front.port}"
        sentence = await told(StorageSettings.model_validate({"redis_url": url, **files}))
        assert "cannot be trusted" in sentence
        for check in ("chain", "none"):
            settings = StorageSettings.model_validate({"redis_url": url, **files, "tls_check": check})
            await reach(settings, asyncio.Event(), lambda line: None)
        store = Store(settings.address(url))
        assert await store.redis.ping()
        await store.close()
