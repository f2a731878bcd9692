"""Who waits for a free place at a model sees where they stand in line, and may leave it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.models import pool
from core.models.model import Provider
from core.storage.client import Store
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import TelegramChat, town, until
from tests.end_to_end.web_page import web_page
from tests.ports import free_port

ONE_PLACE = """
[[providers]]
name = "p"
base_url = "{url}"
max_concurrent = 1

[[models]]
name = "stub"
provider = "p"
"""
WAITING = "Waiting for a free place: number 1 in line"


def _slow(place: Village) -> None:
    """Answers take until the test says otherwise."""
    place.models.reply = lambda body: "word " * 2000
    place.models.tokens_per_second = 20


@pytest.fixture
async def narrow(
    store: Store, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Village]:
    """All models are one server with one place."""
    monkeypatch.setattr(pool, "TOLD_AFTER_SECONDS", 0.1)
    monkeypatch.setattr(pool, "TOLD_AGAIN_SECONDS", 0.2)
    # The provider that OPENAI_BASE_URL makes has room for everybody.
    endpoints = Provider.endpoints.fget
    assert endpoints is not None
    narrowed = property(lambda self: tuple(replace(one, max_concurrent=1) for one in endpoints(self)))
    monkeypatch.setattr(Provider, "endpoints", narrowed)
    async with village(store, valkey_url, tmp_path) as running:
        yield running


async def test_discord_shows_it_in_the_message_and_stop_leaves_the_line(narrow: Village) -> None:
    _slow(narrow)
    first, second, third = (narrow.discord_chat() for _ in range(3))
    first.say("hold the place")
    await until(lambda: narrow.models.active == 1, "the first answer")
    second.say("me too")
    await until(lambda: any(WAITING in text for text in second.shown), "the place in line")
    third.say("and me")
    await until(lambda: any("number 2 in line" in text for text in third.shown), "the second place")
    second.press(second.ids[0], "stop")
    await until(lambda: "Stopped" in second.shown[0], "the end of waiting")
    assert WAITING not in second.shown[0]
    await until(lambda: WAITING in third.shown[0], "moving up")
    narrow.models.reply = lambda body: "at last"
    first.press(first.ids[0], "stop")
    await until(lambda: third.shown == ["at last"] or "at last" in third.shown[0], "the answer")
    assert len(third.ids) == 1
    assert WAITING not in third.shown[0]
    # Who left the line was never asked about.
    assert len(narrow.models.requests) == 2


async def test_telegram_shows_it_as_a_preview_and_in_groups_as_the_message(narrow: Village) -> None:
    _slow(narrow)
    first, private, group = (narrow.telegram_chat(chat) for chat in (77, 78, -100_79))
    first.say("hold the place")
    await until(lambda: narrow.models.active == 1, "the first answer")
    private.say("me too")
    drafts = narrow.telegram.world.chat(78).drafts
    await until(lambda: any(WAITING in draft.text for draft in drafts), "the preview")
    group.say("and me")
    await until(lambda: any("number 2 in line" in text for text in group.shown), "the message")
    assert private.shown == []
    narrow.models.reply = lambda body: "at last"
    narrow.models.tokens_per_second = 0
    narrow.telegram.world.text(77, "/stop")
    await until(lambda: private.shown == ["at last"] and group.shown == ["at last"], "the answers")


async def test_the_web_shows_it_in_the_answer(tmp_path: Path) -> None:
    async with town(tmp_path, DISCORD_TOKEN="", PARLEY_WEB_PORT=str(free_port())) as place:
        (tmp_path / "parley.toml").write_text(ONE_PLACE.format(url=place.models.url))
        for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL"):
            del place.parley.environment[name]
        place.models.reply = lambda body: "word " * 2000
        place.models.tokens_per_second = 20
        await place.parley.start()
        first = TelegramChat(place, 77)
        first.say("hold the place")
        await until(lambda: place.models.active == 1, "the first answer")
        async with web_page(place.parley) as page:
            page.say("me too")
            await until(lambda: any(WAITING in text for text in page.shown), "the place in line")
            place.models.reply = lambda body: "at last"
            place.models.tokens_per_second = 0
            place.telegram.world.text(77, "/stop")
            await until(lambda: page.shown == ["at last"], "the answer")
