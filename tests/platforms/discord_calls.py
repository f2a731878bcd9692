"""Calls as a bot makes them, and pieces of their bodies: for the tests of the fake Discord itself."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from tests.platforms.discord_server import TOKEN, FakeDiscord

HEADERS = {"Authorization": f"Bot {TOKEN}", "User-Agent": "DiscordBot (https://parley.invalid, 1)"}
V2 = 1 << 15
"""The flag of a message that is made of components."""


async def call(
    client: aiohttp.ClientSession, discord: FakeDiscord, method: str, path: str, body: Any = None
) -> tuple[int, Any, dict[str, str]]:
    """Status, JSON and headers of the answer."""
    async with client.request(method, discord.api_base + path, json=body) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else None, dict(response.headers)


def row(*components: dict[str, Any]) -> dict[str, Any]:
    return {"type": 1, "components": list(components)}


def button(custom_id: str = "a", **more: Any) -> dict[str, Any]:
    return {"type": 2, "style": 2, "label": "A", "custom_id": custom_id, **more}


def choices(count: int, **more: Any) -> dict[str, Any]:
    options = [{"label": str(number), "value": str(number)} for number in range(count)]
    return {"type": 3, "custom_id": "list", "options": options, **more}


def words(text: str) -> dict[str, Any]:
    return {"type": 10, "content": text}
