"""Pictures made and changed, all the way from Telegram and Discord to the model and back."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.storage.client import Store
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import until
from tests.platforms.telegram_server import Fault
from tests.platforms.telegram_world import Post

MODELS = """
[[models]]
name = "painter"
provider = "openai"
kind = "image"
does = ["draw", "edit", "upscale"]
partial_images = 1
"""


@pytest.fixture
async def studio(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    (tmp_path / "parley.toml").write_text(MODELS)
    async with village(store, valkey_url, tmp_path) as running:
        running.models.images.by_address = running.models.images.is_ours = True
        yield running


def photos(at: Village) -> list[Post]:
    return [post for post in at.telegram.world.shown(77) if "photo" in post.media]


def under(at: Village) -> tuple[int, list[str]]:
    """The newest message with buttons, and what they say when they are pressed."""
    post = [post for post in at.telegram.world.shown(77) if post.markup][-1]
    assert post.markup is not None
    rows: list[Any] = post.markup["inline_keyboard"]
    return post.id, [button["callback_data"].removeprefix("p:") for row in rows for button in row]


async def test_what_was_made_is_made_larger_by_the_button_under_it(studio: Village) -> None:
    world, images = studio.telegram.world, studio.models.images
    world.text(77, "/imagine a fox in the snow style:ink count:1")
    await until(lambda: len(photos(studio)) == 1, "a picture")
    message, commands = under(studio)
    assert commands == ["imagine seed=new", "vary", "upscale", "imagine size=wide", "imagine size=tall"]
    world.press(77, message, "upscale")
    await until(lambda: len(photos(studio)) == 2, "a larger picture")
    assert images.asked[-1]["operation"] == "upscale"
    # What was made is taken from where it is kept, not from the platform, which makes pictures smaller.
    (_, _, sent), *_ = images.sent[-1]
    with Image.open(io.BytesIO(sent)) as image:
        assert image.size == (4, 4)


async def test_a_photo_is_changed_as_its_caption_says(studio: Village) -> None:
    output = io.BytesIO()
    Image.new("CMYK", (300, 200)).save(output, "JPEG")
    studio.telegram.world.photo(77, "/edit make it night", output.getvalue())
    await until(lambda: len(photos(studio)) == 1, "a picture")
    assert studio.models.images.asked[-1]["prompt"] == "make it night"
    assert studio.models.images.asked[-1]["size"] == "1536x1024"
    studio.telegram.world.photo(77, "/cutout")
    await until(lambda: "No model here removes backgrounds" in studio.telegram.world.texts(77)[-1], "a sentence")


async def test_a_picture_that_the_platform_has_no_more_is_told_of(studio: Village) -> None:
    studio.telegram.fail(
        "getFile",
        Fault.REFUSE,
        times=5,
        description="Bad Request: wrong file_id or the file is temporarily unavailable",
    )
    studio.telegram.world.photo(77, "/upscale")
    await until(lambda: bool(studio.telegram.world.texts(77)), "a sentence")
    assert "can no longer be fetched" in studio.telegram.world.texts(77)[-1]
    assert not studio.models.images.asked
