"""Pictures drawn over the wire, and what is left of a wish that a server does not fulfil."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from PIL import Image

from core.errors import ModelError, ModelFault, UnsupportedPrompt
from core.labels.labelling import labelled
from core.labels.origin import Origin
from core.labels.pictures import shown
from core.models import images
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.images import Painted, Painter, choose, size_of
from core.models.model import LOCAL, LocalModel, Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.settings import RoutingSettings
from core.models.wire import ImageRequest, Partial, Step
from core.parts import Notice, Usage
from core.texts import say
from tests.platforms.openai_images import DIGITS, FORBIDDEN, png
from tests.platforms.openai_server import Fault, OpenAIServer

PAINTER = Model("painter", "p", "painter", kind="image", price_image=40_000)
OTHER = Model("brush", "q", "painter", kind="image")


@dataclass
class Studio:
    server: OpenAIServer
    other: OpenAIServer
    painter: Painter
    catalog: Catalog
    told: list[Step | Partial] = field(default_factory=list[Step | Partial])

    async def paint(self, prompt: str = "a fox", **values: Any) -> Painted:
        request = ImageRequest(prompt, **values)
        models = self.painter.choose(request)
        assert not isinstance(models, Notice)
        return await self.painter.paint(request, models, sealed, space="s", tell=self.told.append)

    async def failure(self, prompt: str = "a fox") -> ModelFault:
        with pytest.raises(ModelError) as caught:
            await self.paint(prompt)
        return caught.value.fault


def sealed(data: bytes, model: Model) -> tuple[bytes, str]:
    found = shown(data)
    labelled(*found, Origin(model.name))
    return found


@asynccontextmanager
async def studio(*models: Model) -> AsyncGenerator[Studio]:
    async with OpenAIServer() as server, OpenAIServer() as other:
        providers = (Provider("p", server.url, "sk-1", max_concurrent=1), Provider("q", other.url))
        catalog = Catalog(providers, models or (PAINTER,))
        router = Router(catalog, RoutingSettings(), Breaker(5, 60), OpenAIApi)
        try:
            yield Studio(server, other, Painter(catalog, router), catalog)
        finally:
            await router.aclose()


async def test_pictures_come_as_files_with_their_cost() -> None:
    async with studio() as at:
        painted = await at.paint(count=2)
        assert painted.pictures == ((at.server.images.picture, "image/png"),) * 2
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
        await at.paint(size="wide", sender="someone")
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
        assert at.painter.choose(ImageRequest("a fox")) == Notice("cannot.draw", {"model": ""})


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


STREAMING = replace(PAINTER, partial_images=2)
OURS = Model(
    "digits", LOCAL, "painter", kind="image", does=("draw", "edit", "upscale"), takes=("seed", "negative", "size")
)


@asynccontextmanager
async def own_studio(model: Model = OURS) -> AsyncGenerator[Studio]:
    """With a server of Parley's own."""
    async with OpenAIServer() as server:
        server.images.is_ours = True
        catalog = Catalog([Provider(LOCAL, server.url, "sk-own")], [model])
        catalog.add_local(LocalModel(server.url, "sk-own", model.name, model.id, 512, False, 1))
        router = Router(catalog, RoutingSettings(), Breaker(5, 60), OpenAIApi)
        try:
            yield Studio(server, server, Painter(catalog, router), catalog)
        finally:
            await router.aclose()


async def test_unfinished_pictures_come_while_it_is_drawn() -> None:
    async with studio(STREAMING) as at:
        at.server.images.by_address = True
        at.server.images.usage = {"input_tokens": 3, "output_tokens": 4}
        painted = await at.paint()
        assert at.told == [Partial(at.server.images.picture)] * 2
        assert (len(painted.pictures), painted.usage.answer_tokens) == (1, 4)
        # OpenAI streams one picture only.
        assert len((await at.paint(count=2)).pictures) == 2
        assert ["stream" in body for body in at.server.images.asked] == [True, False]


async def test_a_server_that_does_not_stream_is_asked_once_only() -> None:
    async with studio(STREAMING) as at:
        at.server.images.by_address, at.server.images.streams = True, False
        assert (await at.paint()).pictures
        assert (await at.paint()).pictures
        assert ["stream" in body for body in at.server.images.asked] == [True, False, False]


@pytest.mark.parametrize(
    ("tail", "fault"),
    [
        (b"", ModelFault.MALFORMED),
        (b"data: {\n\n", ModelFault.MALFORMED),
        (b'data: {"type": "image_generation.completed"}\n\n', ModelFault.MALFORMED),
        (b'data: {"type": "error", "error": {"code": "server_error"}}\n\n', ModelFault.SERVER),
        (b'data: {"type": "error", "error": {"code": "moderation_blocked"}}\n\n', ModelFault.FILTERED),
    ],
)
async def test_a_stream_that_does_not_end_in_a_picture_is_an_error(tail: bytes, fault: ModelFault) -> None:
    async with studio(STREAMING) as at:
        at.server.images.by_address, at.server.images.tail = True, tail
        assert await at.failure() is fault


async def test_our_own_servers_tell_how_far_they_are_and_know_more_fields() -> None:
    async with own_studio() as at:
        await at.paint(seed=5, negative="dogs", size="320x256", count=2)
        assert at.told == [Step(0.25), Step(0.5), Step(0.75), Step(1.0)]
        body = at.server.images.asked[-1]
        assert (body["seed"], body["negative_prompt"], body["size"]) == (5, "dogs", "320x256")
        assert "response_format" not in body


async def test_a_small_model_says_what_it_can_draw() -> None:
    async with own_studio() as at:
        at.server.images.draws = DIGITS
        with pytest.raises(UnsupportedPrompt) as caught:
            await at.paint("a fox")
        assert caught.value.possible == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
        assert (await at.paint("7")).pictures


async def test_a_picture_is_changed_where_its_mask_is_white() -> None:
    async with studio() as at:
        at.server.images.by_address = True
        await at.paint("at night", op="edit", inputs=(png(),), mask=see_through())
        assert [name for name, _, _ in at.server.images.sent[-1]] == ["image", "mask"]
        await at.paint("both", op="edit", inputs=(png(), png(90)))
        assert [name for name, _, _ in at.server.images.sent[-1]] == ["image[]", "image[]"]
        await at.paint("", op="vary", inputs=(png(),))
        assert "same subject" in at.server.images.asked[-1]["prompt"]


async def test_what_a_server_of_ours_does_is_said_by_its_name() -> None:
    async with own_studio() as at:
        await at.paint("", op="upscale", size="", inputs=(png(),))
        body = at.server.images.asked[-1]
        assert (body["operation"], body["stream"], "size" in body) == ("upscale", True, False)


@pytest.mark.parametrize(
    ("request_", "wanted", "said"),
    [
        (ImageRequest("x", negative="y"), "", "model_lacks.negative"),
        (ImageRequest("x", seed=0), "painter", "model_lacks.seed"),
        (ImageRequest("x", size="300x300"), "", "model_lacks.size"),
        (ImageRequest("x", op="upscale"), "", "cannot.upscale"),
        (ImageRequest("x", op="upscale"), "PAINTER", "model_cannot.upscale"),
        (ImageRequest("x"), "gone", "no_such_painter"),
    ],
)
def test_what_a_model_lacks_is_told(request_: ImageRequest, wanted: str, said: str) -> None:
    found = choose((PAINTER,), request_, wanted)
    assert isinstance(found, Notice)
    assert found.key == said
    assert say(found.key, "zh", **found.values)


def test_the_model_is_chosen_that_can_do_it() -> None:
    able = replace(OTHER, takes=("negative",), does=("draw", "upscale"))
    assert choose((PAINTER, able), ImageRequest("x", negative="y")) == (able,)
    assert choose((PAINTER, able), ImageRequest("", op="upscale")) == (able,)
    assert choose((able, PAINTER), ImageRequest("x", op="vary")) == (PAINTER,)
    assert choose((PAINTER, able), ImageRequest("x")) == (PAINTER, able)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("Wide", "wide"),
        ("800 × 600", "800x600"),
        ("64X2048", "64x2048"),
        ("63x100", None),
        ("99999x9", None),
        ("-5x5", None),
        ("３００x３００", "300x300"),
        ("", None),
    ],
)
def test_sizes_are_shapes_or_pixels(text: str, size: str | None) -> None:
    assert size_of(text) == size


def see_through() -> bytes:
    output = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 255, 255, 0)).save(output, "PNG")
    return output.getvalue()


SMALL = (replace(OTHER, name="gan"), replace(OTHER, name="vae"))


async def test_small_models_that_cannot_draw_it_take_no_try_from_those_that_can() -> None:
    async with studio(*SMALL, PAINTER) as at:
        at.other.images.draws = DIGITS
        assert (await at.paint("a fox")).usage.model == "painter"
        assert (await at.paint("7")).usage.model == "gan"


async def test_a_model_that_failed_for_once_is_asked_again_before_a_small_one_says_what_it_draws() -> None:
    async with studio(PAINTER, *SMALL) as at:
        at.other.images.draws = DIGITS
        at.server.images.by_address = True
        at.server.images.fail(Fault.SERVER_ERROR)
        assert (await at.paint("a fox")).usage.model == "painter"
        at.server.images.fail(Fault.SERVER_ERROR, times=2)
        assert await at.failure() is ModelFault.SERVER


async def test_a_hosted_model_is_not_waited_for_as_long_as_one_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "CALL_SECONDS", 0.1)
    async with studio(PAINTER, replace(OTHER, provider=LOCAL)) as at:
        at.server.images.by_address = at.other.images.by_address = True
        at.server.images.fail(Fault.STALL)
        at.catalog.add_local(LocalModel(at.other.url, "k", "brush", "painter", 512, False, 1))
        assert (await at.paint()).usage.model == "brush"
