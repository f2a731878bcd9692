"""Commands about a picture, as the engine answers them, with a server that draws."""

from __future__ import annotations

import io
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from core.commands.suggesting import Suggestions
from core.commands.table import working
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.creations.wish import STYLES
from core.message import Attachment, AttachmentKind
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.parts import Finished, Media, Notice, Part, TextDelta
from core.storage.client import Store
from core.texts import say
from tests.builders import call
from tests.core.engines import engine
from tests.platforms.openai_images import png
from tests.platforms.openai_server import Body, Fault, OpenAIServer

PAINTER = Model("painter", "p", "painter", kind="image", does=("draw", "edit", "upscale", "cutout"))
EYES = Model("eyes", "p", "eyes", accepts_images=True)
OCR = Model("ocr", "p", "reader", kind="ocr")
PICTURE = Attachment(AttachmentKind.IMAGE, "ref", "cat.png", "image/png", 100)
THEIRS = replace(PICTURE, quoted=True)
NUMBERS = itertools.count(1)


class Studio:
    """An engine with models that draw and see. Every file that it fetches is ``picture``."""

    def __init__(self, store: Store, server: OpenAIServer) -> None:
        self.store = store
        self.server = server
        self.images = server.images
        self.picture = png()
        self.models = [PAINTER, EYES]

    @property
    def catalog(self) -> Catalog:
        return Catalog([Provider("p", self.server.url)], self.models)

    async def say(self, name: str, options: dict[str, str] | None = None, *, shown: str = "", **values: Any) -> Parts:
        asked = call(name, options=options or {}, **values)
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        async with engine(self.store, mailbox, models=self.catalog, fetched=self.picture) as answering:
            turn = Turn(asked.conversation, str(next(NUMBERS)), "1", asked)
            if name == "describe":
                await mailbox.post([asked])
                taken = await mailbox.take(asked.conversation)
                assert taken is not None
                turn = taken
            parts = [part async for part in answering.respond(turn)]
            if shown:
                turn.pages[0] = shown
                await answering.delivered(turn)
            return Parts(parts)


class Parts(list[Part]):
    """What was answered."""

    @property
    def keys(self) -> list[str]:
        return [part.key for part in self if isinstance(part, Notice)]

    @property
    def pictures(self) -> list[Media]:
        return [part for part in self if isinstance(part, Media)]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self if isinstance(part, TextDelta))


def answer(body: Body) -> str:
    return "ÖFFNUNGSZEITEN ```\n@everyone 9-17" if body["model"] == "reader" else "A cat."


@pytest.fixture
async def studio(store: Store) -> AsyncIterator[Studio]:
    async with OpenAIServer(models=("eyes", "reader"), reply=answer) as server:
        server.images.is_ours = server.images.by_address = True
        yield Studio(store, server)


async def test_a_picture_is_changed_as_it_is_said(studio: Studio) -> None:
    parts = await studio.say("edit", {"text": "make it night style:comic"}, attachments=(THEIRS,))
    assert parts.keys == ["drawn"]
    body = studio.images.asked[-1]
    assert body["prompt"] == f"make it night, redrawn as {STYLES['comic']}."
    assert (body["n"], body["size"]) == (1, "1024x1024")
    assert [name for name, _, _ in studio.images.sent[-1]] == ["image"]


async def test_a_model_is_typed_where_it_is_all_that_can_be_said(studio: Studio) -> None:
    studio.models = [PAINTER, replace(PAINTER, name="brush", id="brush")]
    studio.images.painters = ("painter", "brush")
    for typed in ("model:brush", "brush", "BRUSH", 'model="brush"'):
        assert (await studio.say("upscale", {"text": typed}, attachments=(PICTURE,))).keys == ["made.upscale"]
        assert studio.images.asked[-1]["model"] == "brush"
    assert (await studio.say("style", {"text": "style:ink"}, attachments=(PICTURE,))).keys == ["made.edit"]
    assert (await studio.say("edit", {"text": "prompt: a hat"}, attachments=(PICTURE,))).keys == ["drawn"]
    assert studio.images.asked[-1]["prompt"] == "prompt: a hat"


async def test_a_second_picture_is_the_mask(studio: Studio) -> None:
    output = io.BytesIO()
    Image.new("L", (40, 20), 255).save(output, "PNG")
    studio.picture = output.getvalue()
    await studio.say("edit", {"prompt": "a hat"}, attachments=(PICTURE, THEIRS))
    image, mask = studio.images.sent[-1]
    assert (image[0], mask[0]) == ("image", "mask")
    with Image.open(io.BytesIO(mask[2])) as white:
        assert white.convert("RGBA").getpixel((5, 5)) == (255, 255, 255, 0)


@pytest.mark.parametrize(
    ("name", "options", "operation", "said"),
    [
        ("vary", {"text": "in winter"}, None, "drawn"),
        ("vary", {}, None, "made.vary"),
        ("upscale", {}, "upscale", "made.upscale"),
        ("cutout", {}, "cutout", "made.cutout"),
        ("style", {"style": "ink"}, None, "made.edit"),
    ],
)
async def test_what_else_can_be_done_with_a_picture(
    studio: Studio, name: str, options: dict[str, str], operation: str | None, said: str
) -> None:
    parts = await studio.say(name, options, attachments=(PICTURE,))
    assert parts.keys == [said]
    assert len(parts.pictures) == 1
    assert studio.images.asked[-1].get("operation") == operation


async def test_what_was_made_is_changed_without_sending_it_again(studio: Studio) -> None:
    await studio.say("imagine", {"prompt": "a fox"}, shown="77")
    assert (await studio.say("upscale", reply_to="77", shown="78")).keys == ["made.upscale"]
    # A change of a change, again with something else.
    await studio.say("edit", {"prompt": "at night"}, reply_to="78", shown="79")
    sent = len(studio.images.sent)
    assert (await studio.say("imagine", {"text": "count:2"}, reply_to="79")).keys == ["drawn"]
    assert (studio.images.asked[-1]["prompt"], studio.images.asked[-1]["n"]) == ("at night", 2)
    assert len(studio.images.sent) == sent + 1


def drawn(angle: int, side: int = 320, format: str = "PNG") -> bytes:
    """A picture like no other of another angle; as JPEG a coarse copy of it."""
    output, image = io.BytesIO(), Image.linear_gradient("L").rotate(angle).resize((side, side))
    image.save(output, format, quality=60)
    return output.getvalue()


async def test_what_was_made_is_taken_itself_and_not_the_platforms_copy(studio: Studio) -> None:
    studio.images.picture = drawn(0)
    await studio.say("imagine", {"prompt": "a fox"}, shown="77")
    for copy, side in ((drawn(0, 64, "JPEG"), 320), (drawn(90, 64, "JPEG"), 64)):
        studio.picture = copy
        assert (await studio.say("upscale", reply_to="77", attachments=(THEIRS,))).keys == ["made.upscale"]
        with Image.open(io.BytesIO(studio.images.sent[-1][0][2])) as sent:
            assert sent.width == side


@pytest.mark.parametrize(
    ("name", "options", "values", "said"),
    [
        ("edit", {}, {"attachments": (PICTURE,)}, "edit_how"),
        ("edit", {"prompt": "x"}, {}, "picture_needed"),
        ("edit", {"prompt": "x"}, {"reply_to": "404"}, "picture_needed"),
        ("edit", {"prompt": "x" * 5000}, {"attachments": (PICTURE,)}, "too_long"),
        ("edit", {"prompt": "x", "count": "0"}, {"attachments": (PICTURE,)}, "count_wrong"),
        ("edit", {"prompt": "x"}, {"attachments": (replace(PICTURE, size=10**10),)}, "file_too_large"),
        ("style", {}, {"attachments": (PICTURE,)}, "style_how"),
        ("style", {"text": "like <@1>"}, {"attachments": (PICTURE,)}, "style_wrong"),
        ("upscale", {}, {}, "picture_needed"),
        ("read", {}, {}, "picture_needed"),
        ("describe", {}, {}, "picture_needed"),
    ],
)
async def test_what_is_missing_or_wrong_is_told(
    studio: Studio, name: str, options: dict[str, str], values: dict[str, Any], said: str
) -> None:
    parts = await studio.say(name, options, **values)
    assert parts.keys == [said]
    assert isinstance(parts[-1], Finished)
    assert not studio.images.asked


async def test_files_that_are_no_pictures_are_told_apart(studio: Studio) -> None:
    for data, said in ((b"<svg/>", "image_svg"), (b"\0\0\0\x18ftypheic", "image_heic"), (b"", "image_unreadable")):
        studio.picture = data
        assert (await studio.say("cutout", attachments=(PICTURE,))).keys == [said]
        assert (await studio.say("read", attachments=(PICTURE,))).keys == [said]
    assert not studio.images.asked


async def test_what_no_model_does_is_told_and_not_listed(studio: Studio) -> None:
    studio.models = [replace(PAINTER, does=("draw",))]
    listed = {row.name for row in working(studio.catalog)}
    assert "imagine" in listed
    assert not {"edit", "vary", "upscale", "cutout", "style", "describe", "read"} & listed
    for name, said in (("vary", "cannot.vary"), ("upscale", "cannot.upscale"), ("read", "no_reader")):
        assert (await studio.say(name, attachments=(PICTURE,))).keys == [said]
    assert (await studio.say("describe", attachments=(PICTURE,))).keys == ["no_eyes"]
    studio.models = [PAINTER, EYES]
    assert {"edit", "vary", "upscale", "cutout", "style", "describe", "read"} <= {
        row.name for row in working(studio.catalog)
    }


async def test_the_text_in_a_picture_is_read_and_shown_as_it_stands(studio: Studio) -> None:
    studio.models = [EYES, OCR]
    parts = await studio.say("read", attachments=(PICTURE,))
    assert parts.text == "````\nÖFFNUNGSZEITEN ```\n@everyone 9-17\n````"
    assert [request.model for request in studio.server.requests] == ["reader"]
    finished = parts[-1]
    assert isinstance(finished, Finished)
    assert (finished.usage.model, finished.usage.calls) == ("ocr", 1)
    studio.models = [EYES]
    assert "A cat." in (await studio.say("read", attachments=(PICTURE,))).text
    studio.server.fail(Fault.SERVER_ERROR, times=2)
    assert (await studio.say("read", attachments=(PICTURE,))).keys == ["not_read"]


async def test_a_picture_is_described_as_an_answer(studio: Studio) -> None:
    assert (await studio.say("describe", attachments=(PICTURE,))).text == "A cat."
    asked = studio.server.requests[-1].messages[-1]["content"]
    assert [part["type"] for part in asked] == ["text", "image_url"]
    await studio.say("describe", {"text": "How old is it?"}, chat="200", attachments=(THEIRS,))
    assert "How old is it?" in str(studio.server.requests[-1].messages[-1]["content"])


def test_sizes_and_models_are_suggested() -> None:
    brush = replace(PAINTER, name="brush", does=("draw",))
    suggestions = Suggestions(Catalog([Provider("p", "http://127.0.0.1:9")], [PAINTER, EYES, brush]))
    assert [one.value for one in suggestions.suggest("imagine", "model", {}, "")] == ["painter", "brush"]
    assert [one.value for one in suggestions.suggest("upscale", "model", {}, "")] == ["painter"]
    found = suggestions.suggest("edit", "size", {"size": "w"}, "")
    assert [(one.label, one.value) for one in found] == [(say("field.image_size.wide"), "wide")]
