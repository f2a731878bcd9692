"""What a process says at its start."""

from __future__ import annotations

import asyncio

import pytest

from bots import greeting
from bots.adapter import Inbox
from bots.platforms import Receiver
from bots.roles import receiver
from core.errors import StorageError
from core.message import Platform
from core.models.catalog import Catalog


class Connected:
    """A platform that needs nothing."""

    platform = Platform.WEB

    async def run(self, inbox: Inbox) -> None: ...

    async def ready(self) -> None: ...


async def test_the_link_to_the_web_chat_waits_for_a_storage_that_is_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(greeting, "RETRY_SECONDS", 0.01)
    tries = 0

    async def address() -> str:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StorageError("Redis has been away for 4 s")
        return "http://127.0.0.1:8080/enter?code=1"

    async def no_model() -> str:
        return ""

    ready = asyncio.Event()
    role = receiver(frozenset((Platform.WEB,)))
    there = {Platform.WEB: Receiver(Connected(), address)}
    await asyncio.wait_for(greeting.greet(role, there, (), Catalog((), ()), no_model(), ready), 5)
    assert ready.is_set()
    assert capsys.readouterr().out.splitlines()[-1] == "Parley is ready: open http://127.0.0.1:8080/enter?code=1"
