"""Pictures drawn over the wire, and what is left of a wish that a server does not fulfil."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from PIL import Image

from core.errors import ModelError, ModelFault
from core.models import images
from core.models.breaker import Breaker
from core.models.catalog import Catalog, Model, Provider
from core.models.images import Painted, Painter
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.wire import ImageRequest
from core.parts import Usage
from core.settings import RoutingSettings
from tests.platforms.openai_images import FORBIDDEN, png
from tests.platforms.openai_server import Fault, OpenAIServer

PAINTER = Model("painter", "p", "painter", kind="image", price_image=40_000)
OTHER = Model("brush", "q", "painter", kind="image")


@dataclass
class Studio:
    server: OpenAIServer
    other: OpenAIServer
    painter: Painter

    async def paint(self, prompt: str = "a fox", count: int = 1) -> Painted:
        return await self.painter.paint(ImageRequest(prompt, count=count), space="s")

    async def failure(self, prompt: str = "a fox") -> ModelFault:
        with pytest.raises(ModelError) as caught:
            await self.paint(prompt)
        return caught.value.fault


@asynccontextmanager
async def studio(*models: Model) -> AsyncGenerator[Studio]:
    async with OpenAIServer() as server, OpenAIServer() as other:
        providers = (Provider("p", server.url, "sk-1", max_concurrent=1), Provider("q", other.url))
        catalog = Catalog(providers, models or (PAINTER,))
        router = Router(catalog, RoutingSettings(), Breaker(5, 60), OpenAIApi)
        try:
            yield Studio(server, other, Painter(catalog, router))
        finally:
            await router.aclose()


async def test_pictures_come_as_files_with_their_cost() -> None:
    async with studio() as at:
        painted = await at.paint(count=2)
        assert [(p.name, p.mime) for p in painted.pictures] == [
            ("picture.png", "image/png"),
            ("picture.png", "image/png"),
        ]
        assert painted.usage == Usage("painter", 0, 0, 80_000, 1)
        last = at.server.images.asked[-1]
        assert last == {"model": "painter", "prompt": "a fox", "n": 2, "size": "1024x1024"}


async def test_no_more_are_taken_than_were_asked_for() -> None:
    async with studio() as at:
        at.server.images.too_many = 20
        assert len((await at.paint(count=2)).pictures) == 2


async def test_tokens_count_where_the_server_tells_them() -> None:
    async with studio(replace(PAINTER, price_prompt=5_000_000, price_answer=30_000_000, price_image=0)) as at:
        at.server.images.usage = {"input_tokens": 10, "output_tokens": 1000, "total_tokens": 1010}
        assert (await at.paint()).usage == Usage("painter", 10, 1000, 30_050, 1)


async def test_what_is_set_is_asked_for() -> None:
    sizes = (("square", "256x256"), ("wide", "1536x1024"), ("tall", "1024x1536"))
    async with studio(replace(PAINTER, sizes=sizes, quality="low", output_format="jpeg")) as at:
        await at.painter.paint(ImageRequest("a fox", "wide", sender="someone"), space="s")
        body = at.server.images.asked[-1]
        assert (body["size"], body["quality"], body["output_format"]) == ("1536x1024", "low", "jpeg")
        # Only OpenAI is told of askers.
        assert "safety_identifier" not in body
        # A size that the model does not draw is refused by its server.
        assert await at.failure() is ModelFault.REFUSED


async def test_nothing_is_fetched_from_an_address_that_a_server_names() -> None:
    async with studio() as at:
        at.server.images.by_address = True
        assert (await at.paint()).pictures
        assert [body["response_format"] for body in at.server.images.asked] == ["b64_json"]


async def test_a_server_that_does_not_know_how_it_is_to_answer_is_asked_without() -> None:
    async with studio() as at:
        assert (await at.paint()).pictures
        assert (await at.paint()).pictures
        assert ["response_format" in body for body in at.server.images.asked] == [True, False, False]


async def test_what_the_rules_do_not_allow_is_not_asked_of_another_provider() -> None:
    async with studio(PAINTER, OTHER) as at:
        assert await at.failure(f"{FORBIDDEN} things") is ModelFault.FILTERED
        assert not at.other.images.asked


async def test_another_model_is_asked_where_there_is_one() -> None:
    async with studio(PAINTER, OTHER) as at:
        at.server.images.fail(Fault.UNAUTHORISED)
        assert (await at.paint()).usage.model == "brush"


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.BROKEN_JSON, Fault.HTML, Fault.RESET, Fault.EMPTY])
async def test_a_call_that_failed_is_made_once_more(fault: Fault) -> None:
    async with studio() as at:
        at.server.images.by_address = True
        at.server.images.fail(fault)
        assert (await at.paint()).pictures
        at.server.images.fail(fault, times=2)
        await at.failure()
        assert len(at.server.images.asked) == 4


async def test_a_call_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "CALL_SECONDS", 0.2)
    async with studio() as at:
        at.server.images.by_address = True
        at.server.images.fail(Fault.STALL)
        assert await at.failure() is ModelFault.TIMEOUT
        monkeypatch.setattr(images, "CALL_SECONDS", 60.0)
        # There is one place only, and it is free again.
        assert (await at.paint()).pictures


@pytest.mark.parametrize("picture", [b"", b"<html>", png()[:20]], ids=["nothing", "html", "cut"])
async def test_what_is_no_picture_is_not_sent_to_anybody(picture: bytes) -> None:
    async with studio() as at:
        at.server.images.picture = picture
        assert await at.failure() is ModelFault.MALFORMED


async def test_there_may_be_no_model_for_it() -> None:
    async with studio(Model("chat", "p", "stub")) as at:
        assert not at.painter.is_set_up
        await at.failure()
        assert not at.server.images.asked


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_a_picture_says_where_it_comes_from(form: str) -> None:
    async with studio() as at:
        at.server.images.picture = encoded(form)
        (picture,) = (await at.paint()).pictures
        assert (picture.name, picture.mime) == (
            ("picture.jpg", "image/jpeg") if form == "JPEG" else ("picture.png", "image/png")
        )
        with Image.open(io.BytesIO(picture.data)) as image:
            image.load()
            words = image.info["comment"].decode() if form == "JPEG" else image.info["Description"]
            assert words == "AI-generated by painter"
            xmp = image.info["xmp"]
            assert b"trainedAlgorithmicMedia" in (xmp if isinstance(xmp, bytes) else xmp.encode())
            assert image.size == (8, 8)


async def test_pixels_are_left_as_they_are() -> None:
    async with studio() as at:
        (picture,) = (await at.paint()).pictures
        original = at.server.images.picture
        assert picture.data.startswith(original[:33])
        assert picture.data.endswith(original[33:])


def encoded(form: str) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 60, 60)).save(output, form)
    return output.getvalue()


async def test_drawing_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async with studio() as at:
        at.server.images.by_address = True
        at.server.images.fail(Fault.STALL)
        painting = asyncio.create_task(at.paint())
        while not at.server.images.asked:
            await asyncio.sleep(0.005)
        painting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await painting
        assert (await at.paint()).pictures
