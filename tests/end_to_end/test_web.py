"""What people do on the web, through the whole of Parley."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.texts import say
from tests.core.models.pictures import PNG
from tests.end_to_end.running import Town, town, until
from tests.end_to_end.web_page import WebPage, web_page
from tests.ports import free_port

BLIND = '[[models]]\nname = "stub"\nprovider = "openai"\naccepts_images = false\n'


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Town]:
    (tmp_path / "parley.toml").write_text(BLIND)
    async with town(tmp_path, DISCORD_TOKEN="", TELEGRAM_TOKEN="", PARLEY_WEB_PORT=str(free_port())) as running:
        await running.parley.start()
        yield running


async def answered(page: WebPage, text: str) -> None:
    await until(lambda: any(text in shown for shown in page.shown), f"{text} in {page.shown}")


async def test_stopped_answered_again_and_pictures(place: Town) -> None:
    place.models.reply = lambda body: "word " * 200 + "END"
    place.models.tokens_per_second = 50
    async with web_page(place.parley) as page:
        page.say("hello")
        await answered(page, "word")
        await page.press("stop")
        await answered(page, say("stopped"))
        place.models.tokens_per_second = 0
        place.models.reply = lambda body: "in other words"
        await page.press("regenerate", page.answers[0])
        await answered(page, "in other words")
        # Stopping is seen in the answer itself; making it anew happens in place.
        assert page.shown == ["in other words"]

        page.say("what is this?", await page.attach(PNG))
        await answered(page, say("no_vision"))
        place.models.reply = lambda body: "and something else"
        page.say("and now?")
        await answered(page, "something else")
        # Said once, not for as long as the picture stays in the conversation.
        assert page.shown[-1] == "and something else"
        assert page.shown == await page.read_anew()


async def test_two_tabs_show_the_same_and_long_texts_pass(place: Town) -> None:
    place.models.reply = lambda body: f"{len(str(body['messages'][-1]['content']))} characters"
    async with web_page(place.parley) as page:
        page.say("from one")
        await answered(page, "characters")
        other = page.second_tab()
        try:
            await until(lambda: len(other.shown) == 1, "the other tab's page")
            other.say("from another")
            await until(lambda: len(page.shown) == 2, "what the other tab asked")
            page.say("x" * 100_000)
            await until(lambda: len(other.shown) == 3, "a word on the long text")
            assert page.shown == other.shown
            assert [len(m.text) for m in page.asked] == [8, 12, 100_000]
        finally:
            await other.close()
