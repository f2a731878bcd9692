"""Servers that strangers may read are refused at a start."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import StorageSettings
from core.storage import open_check
from core.storage.client import Store
from core.storage.open_check import exposure
from core.storage.reach import reach
from tests.platforms.valkey_servers import HOST, sentinel, single, tls_front

EVERYWHERE = ("--bind", "0.0.0.0", "--protected-mode", "no")
ON_LOOPBACK = ("--bind", HOST, "--protected-mode", "no")


async def looked_at(url: str) -> str:
    store = Store(url)
    try:
        return await exposure(store)
    finally:
        await store.close()


async def test_an_open_server_that_listens_everywhere_is_refused(tmp_path: Path) -> None:
    async with single(tmp_path, *EVERYWHERE) as server:
        url = f"redis://{HOST}:{server.port}"
        with pytest.raises(SettingsError, match="asks for no password and can be reached at every address"):
            await reach(StorageSettings(redis_url=url), asyncio.Event(), lambda line: None)
        await reach(StorageSettings(redis_url=url, allow_open=True), asyncio.Event(), lambda line: None)


@pytest.mark.parametrize(
    ("command", "url"),
    [
        (("CONFIG", "SET", "requirepass", "x"), "redis://:x@{place}"),
        (("CONFIG", "SET", "protected-mode", "yes"), "redis://{place}"),
        (("CONFIG", "SET", "bind", HOST), "redis://{place}"),
        # A user of our own, and nobody else: without a name nobody is served.
        (("ACL", "SETUSER", "default", "off"), "redis://bot:x@{place}"),
    ],
)
async def test_a_password_or_a_private_address_will_do(tmp_path: Path, command: tuple[str, ...], url: str) -> None:
    async with single(tmp_path, *EVERYWHERE) as server:
        await server.call("ACL", "SETUSER", "bot", "on", ">x", "~*", "&*", "+@all")
        await server.call(*command)
        assert await looked_at(url.format(place=f"{HOST}:{server.port}")) == ""


async def test_a_password_of_ours_is_none_where_the_server_wants_none(tmp_path: Path) -> None:
    async with single(tmp_path, *EVERYWHERE) as server:
        await server.call("ACL", "SETUSER", "bot", "on", ">x", "~*", "&*", "+@all")
        assert await looked_at(f"redis://bot:x@{HOST}:{server.port}") == "at every address of this machine"


async def test_a_public_address_counts_whatever_the_server_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with single(tmp_path, *ON_LOOPBACK) as server:
        store = Store(f"redis://{HOST}:{server.port}")
        assert await exposure(store) == ""
        known = asyncio.get_running_loop().getaddrinfo

        async def resolve(host: str, port: int, **values: object) -> object:
            found = await known(HOST, port, type=1)
            return [(*rest, ("8.8.8.8", port)) for *rest, _ in found]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        assert await exposure(store) == "at the public address 8.8.8.8"
        # Over a socket nobody else is there.
        store.address = replace(store.address, path="/run/socket")
        assert await exposure(store) == ""
        await store.close()


async def test_a_master_that_sentinels_know_is_looked_at_like_any(tmp_path: Path) -> None:
    async with sentinel(tmp_path) as servers:
        assert await looked_at(servers.url) == ""
        await servers.servers[0].call("CONFIG", "SET", "bind", "0.0.0.0")
        await servers.servers[0].call("CONFIG", "SET", "protected-mode", "no")
        assert await looked_at(servers.url) == "at every address of this machine"


# The front leaves the connection of whoever it did not let in to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_who_has_no_certificate_of_ours_is_no_stranger_that_is_served(tmp_path: Path) -> None:
    async with single(tmp_path, *EVERYWHERE) as server, tls_front(server.port, tmp_path) as front:
        settings = StorageSettings(tls_ca=str(front.ca), tls_certificate=str(front.client))
        store = Store(settings.address(f"rediss://localhost:{front.port}"))
        assert await exposure(store) == ""
        await store.close()


async def test_who_does_not_answer_is_no_reason_against_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_check, "LOOK_SECONDS", 0.2)
    assert await looked_at(f"redis://{HOST}:1") == ""
