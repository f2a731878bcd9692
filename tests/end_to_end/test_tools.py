"""Tools and checks through the whole of Parley, on both platforms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.storage.client import Store
from core.texts import say
from tests.core.tools.loops import asks, outputs
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import until
from tests.platforms.openai_server import Asks

MODELS = """
[[models]]
name = "painter"
provider = "openai"
kind = "image"

[[models]]
name = "judge"
provider = "openai"
kind = "moderation"
accepts_images = true
"""


@pytest.fixture
async def studio(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    """Parley with a model that draws and one that judges."""
    (tmp_path / "parley.toml").write_text(MODELS)
    async with village(store, valkey_url, tmp_path) as running:
        yield running


def reply(body: dict[str, Any]) -> str | Asks:
    """Asks for what the question names, and tells what came of it."""
    if told := outputs(body):
        return f"So: {told[-1]}"
    question = str(body["messages"][-1]["content"])
    if "draw" in question:
        return asks("draw", prompt="a fox in the snow")
    return asks("calculator", expression="6 * 7")


async def test_a_model_calculates_and_says_so(place: Village) -> None:
    place.models.reply = reply
    for chat in (place.telegram_chat(), place.discord_chat()):
        chat.say("what is six times seven?")
        await until(lambda chat=chat: any("So: 42" in shown for shown in chat.shown), "the answer")
        assert say("tools_used", "en", tools=say("tool.calculator", "en")) in chat.shown[-1]


async def test_a_model_draws_when_it_is_asked_to_and_no_picture_passes_unseen(studio: Village) -> None:
    studio.models.reply = reply
    world = studio.telegram.world
    world.text(77, "please draw a fox")
    await until(lambda: any("is drawn" in text for text in world.texts(77)), "the answer")
    await until(lambda: any(post.media for post in world.shown(77)), "the picture")
    assert studio.models.images.asked[-1]["prompt"] == "a fox in the snow"
    kinds = [type(each).__name__ for each in studio.models.moderation.inputs]
    assert kinds == ["str", "str", "list"], "the question, the prompt, the picture"
    studio.models.moderation.is_down = True
    world.text(78, "please draw a fox")
    await until(lambda: any(say("unsafe_unchecked") in text for text in world.texts(78)), "the word about it")
    assert not any(post.media for post in world.shown(78))
