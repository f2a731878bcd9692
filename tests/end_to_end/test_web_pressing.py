"""Pictures made again, quizzes answered and settings turned on the web, through the whole of Parley."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.texts import say
from tests.end_to_end.running import PATIENCE, Town, town, until
from tests.end_to_end.web_page import WebPage, web_page
from tests.ports import free_port

MODELS = """
[[models]]
name = "stub"
provider = "openai"

[[models]]
name = "painter"
provider = "openai"
kind = "image"
does = ["draw", "edit", "upscale"]
"""
QUIZ = {"question": "Which is the largest?", "options": ["Mars", "Jupiter"], "correct": 1, "explanation": "By far."}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Town]:
    (tmp_path / "parley.toml").write_text(MODELS)
    async with town(tmp_path, DISCORD_TOKEN="", TELEGRAM_TOKEN="", PARLEY_WEB_PORT=str(free_port())) as running:
        running.models.images.by_address = running.models.images.is_ours = True
        await running.parley.start()
        yield running


async def newest(page: WebPage, what: str) -> str:
    """Id of the newest message with that in it, as soon as there is one."""
    while True:
        articles = re.findall(r'(?s)<article id="m-([^"]+)"(.*?)</article>', await page.source())
        if found := [name for name, inner in articles if what in inner]:
            return found[-1]
        await asyncio.sleep(0.02)


async def test_pictures_and_quizzes_by_their_buttons(place: Town) -> None:
    images = place.models.images
    async with web_page(place.parley) as page:
        page.say("/imagine a fox style:ink")
        await until(lambda: len(page.pictures) == 1, "a picture")
        first = await newest(page, "<img")
        await page.press_under(first, "press", button="imagine size=wide")
        await until(lambda: len(page.pictures) == 2, "a wide one")
        assert [(one["size"], "fox" in one["prompt"]) for one in images.asked] == [
            ("1024x1024", True),
            ("1536x1024", True),
        ]
        # In reply to the first of them.
        page.say("/edit make it night", reply=first)
        await until(lambda: len(page.pictures) == 3, "a changed one")
        assert images.asked[-1]["prompt"] == "make it night"
        assert images.sent
        await page.press_under(await newest(page, "<img"), "press", button="upscale")
        await until(lambda: len(page.pictures) == 4, "a larger one")
        assert images.asked[-1]["operation"] == "upscale"

        place.models.reply = lambda body: json.dumps({"questions": [QUIZ]})
        page.say("/quiz planets")
        await until(lambda: any("A quiz" in text for text in page.shown), "a quiz")
        quiz = await asyncio.wait_for(newest(page, 'class="quiz"'), PATIENCE)
        assert "By far." not in await page.source()
        await page.press_under(quiz, "vote", option="1")
        html = await page.source()
        assert say("web.quiz_right") in html
        assert "By far." in html
        assert not any(say("quiz_solutions") in text for text in page.shown)
