"""What stands before transformers' own server, which asks nobody for a key."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import httpx2
import pytest

from core.models.local_transformers import with_key


@pytest.fixture
async def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def transport(gate: asyncio.Event) -> httpx2.ASGITransport:
    async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"let in"})

    return httpx2.ASGITransport(app=with_key(app, "key"))


async def test_only_health_is_told_to_who_has_no_key(transport: httpx2.ASGITransport) -> None:
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as http:
        for path in ("/v1/models", "/metrics", "/v1/chat/completions"):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "key"}):
                assert (await http.get(path, headers=headers)).status_code == 401
        assert (await http.get("/health")).text == "let in"
        assert (await http.get("/v1/models", headers={"Authorization": "Bearer key"})).text == "let in"


async def test_it_tells_how_many_answers_are_under_way(transport: httpx2.ASGITransport, gate: asyncio.Event) -> None:
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://x", headers={"Authorization": "Bearer key"}
    ) as http:
        slow = asyncio.create_task(http.get("/slow"))
        async with asyncio.timeout(10):
            while (await http.get("/metrics")).text != "llamacpp:requests_processing 1\n":
                await asyncio.sleep(0.01)
        gate.set()
        await slow
        assert (await http.get("/metrics")).text == "llamacpp:requests_processing 0\n"
