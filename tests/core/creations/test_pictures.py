"""The maker of pictures, over the wire to a server that draws."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from PIL import Image

from core.creations import pictures as module
from core.creations.order import Commission, Order
from core.creations.pictures import Pictures, smaller
from core.labels.labelling import read
from core.labels.labels import Labels
from core.labels.origin import GENERATED
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.images import Painter
from core.models.model import LOCAL, LocalModel, Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.settings import SIZES
from core.parts import Activity, Finished, Making, Media, Menu, Notice, Part, Progress
from core.people.spaces import Spaces
from core.safety.safety import Safety
from core.settings import Settings
from core.storage.client import Store
from core.texts import say
from tests.builders import conversation
from tests.platforms.openai_images import DIGITS, FORBIDDEN, png
from tests.platforms.openai_server import Fault, OpenAIServer

PAINTER = Model("painter", LOCAL, "painter", kind="image", takes=("seed", "mask"), partial_images=1)
SETTINGS = Settings()
NOBODY_THERE = "http://127.0.0.1:9/v1"


@dataclass
class Studio:
    server: OpenAIServer
    pictures: Pictures

    async def make(self, request: dict[str, Any], *inputs: bytes) -> list[Part]:
        return [part async for part in self.making(request, *inputs)]

    def making(self, request: dict[str, Any], *inputs: bytes) -> AsyncGenerator[Part]:
        return self.pictures.make(Commission(order(request), inputs))


def order(request: dict[str, Any]) -> Order:
    return Order("o1", module.KIND, request, conversation(), "telegram:7", label="f00d")


@asynccontextmanager
async def opened(store: Store, *more: Model, first: tuple[Model, ...] = ()) -> AsyncGenerator[Studio]:
    async with OpenAIServer() as server:
        server.images.is_ours = True
        providers = [Provider(LOCAL, server.url, "k"), Provider("m", server.url), Provider("gone", NOBODY_THERE)]
        catalog = Catalog(providers, [*first, PAINTER, *more])
        catalog.add_local(LocalModel(server.url, "k", "painter", "painter", 512, False, 1))
        router = Router(catalog, SETTINGS.routing, Breaker(5, 60), OpenAIApi)
        spaces = Spaces(store)
        safety = Safety(SETTINGS.safety, catalog, router, spaces)
        try:
            yield Studio(server, Pictures(Painter(catalog, router), safety, Labels(SETTINGS.labels, spaces)))
        finally:
            await router.aclose()


@pytest.fixture
async def studio(store: Store) -> AsyncIterator[Studio]:
    async with opened(store) as found:
        yield found


def keys(parts: list[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice)]


async def test_a_picture_says_in_itself_who_made_it(studio: Studio) -> None:
    making, said, seeded, picture, finished = await studio.make({"prompt": "a fox", "dice": 5})
    assert making == Making(Activity.PHOTO)
    assert (said, seeded) == (Notice("drawn", {"prompt": "a fox", "model": "painter"}), Notice("seeded", {"seed": "5"}))
    assert isinstance(picture, Media)
    assert isinstance(finished, Finished)
    origin = read(picture.data)
    assert origin is not None
    assert (origin.model, origin.id, origin.source_type) == ("painter", "f00d", GENERATED)
    assert studio.server.images.asked[-1]["seed"] == 5


async def test_how_far_it_is_and_what_it_looks_like_is_told_where_it_takes_time(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    studio.server.images.waiting = asyncio.Event()
    shown: list[Progress] = []
    async for part in studio.making({"prompt": "a *fox*"}):
        if isinstance(part, Progress):
            shown.append(part)
            if part.preview is not None:
                studio.server.images.waiting.set()
    assert shown[-1].key == "making.draw"
    assert shown[-1].values == {"prompt": "a \\*fox\\*"}
    assert shown[-1].done == 1.0
    preview = next(part.preview for part in shown if part.preview is not None)
    assert read(preview.data) is not None


async def test_what_is_too_large_for_a_preview_is_shown_smaller(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(module, "MAX_PREVIEW_BYTES", 1000)
    monkeypatch.setattr(module, "PREVIEW_SIDE", 50)
    studio.server.images.waiting, studio.server.images.picture = asyncio.Event(), encoded(200, 100) + bytes(1000)
    previews: list[Media] = []
    pictures: list[Media] = []
    async for part in studio.making({"prompt": "a fox"}):
        if isinstance(part, Media):
            pictures.append(part)
        elif isinstance(part, Progress) and part.preview is not None:
            previews.append(part.preview)
            studio.server.images.waiting.set()
    assert (previews[-1].name, previews[-1].mime, pictures[-1].mime) == ("preview.jpg", "image/jpeg", "image/png")
    with Image.open(io.BytesIO(previews[-1].data)) as seen:
        assert seen.size == (50, 25)
    assert read(previews[-1].data) is not None


async def test_the_seed_is_told_that_another_model_drew_with(store: Store) -> None:
    seedless = replace(PAINTER, name="hosted", provider="gone", takes=())
    async with opened(store, first=(seedless,)) as studio:
        parts = await studio.make({"prompt": "a fox", "dice": 5})
        assert Notice("drawn", {"prompt": "a fox", "model": "painter"}) in parts
        assert Notice("seeded", {"seed": "5"}) in parts
        assert studio.server.images.asked[-1]["seed"] == 5


async def test_no_seed_is_told_of_a_model_that_takes_none(store: Store) -> None:
    async with opened(store, replace(PAINTER, name="hosted", provider="m", takes=())) as studio:
        studio.server.images.fail(Fault.UNAUTHORISED)
        parts = await studio.make({"prompt": "a fox", "dice": 5})
        assert Notice("drawn", {"prompt": "a fox", "model": "hosted"}) in parts
        assert "seeded" not in keys(parts)
        assert ["seed" in studio.server.images.asked[index] for index in (0, -1)] == [True, False]


async def test_it_ends_with_whoever_wanted_it(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    studio.server.images.waiting = asyncio.Event()
    async with aclosing(studio.making({"prompt": "a fox"})) as parts:
        async for part in parts:
            if isinstance(part, Progress):
                break
    studio.server.images.waiting.set()
    # There is one place only, and it is free again.
    assert any(isinstance(part, Media) for part in await studio.make({"prompt": "a fox"}))


async def test_what_is_made_larger_than_platforms_take_is_a_jpeg(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    (picture,) = [part for part in await studio.make({"prompt": "a fox"}) if isinstance(part, Media)]
    assert (picture.name, picture.mime) == ("picture.jpg", "image/jpeg")
    assert read(picture.data) is not None


async def test_a_call_whose_answer_was_lost_is_made_again_under_its_name(studio: Studio) -> None:
    images = studio.server.images
    images.fail(Fault.RESET)
    assert any(isinstance(part, Media) for part in await studio.make({"prompt": "a fox", "dice": 5}))
    images.fail(Fault.SERVER_ERROR)
    assert any(isinstance(part, Media) for part in await studio.make({"prompt": "a fox", "dice": 5}))
    lost, again, rerun, after_answer = images.names
    assert lost == again == rerun != after_answer
    await studio.make({"prompt": "a cat", "dice": 5})
    assert images.names[-1] not in images.names[:-1]


async def test_a_small_model_tells_what_it_draws(studio: Studio) -> None:
    studio.server.images.draws = DIGITS
    parts = await studio.make({"prompt": "a fox"})
    assert keys(parts) == ["unsupported_prompt"]
    assert "0, 1, 2" in say("unsupported_prompt", "zh", **parts[1].values if isinstance(parts[1], Notice) else {})
    assert keys(await studio.make({"prompt": "7"})) == ["drawn", "seeded"]


@pytest.mark.parametrize(
    ("request_", "inputs", "said"),
    [
        ({"prompt": FORBIDDEN}, [], "image_refused"),
        ({"prompt": "x", "size": "none"}, [], "not_drawn"),
        ({"prompt": "x", "tomorrow": 1}, [], "not_drawn"),
        ({"prompt": "x", "op": "edit"}, [], "not_drawn"),
        ({"prompt": "x", "op": "edit"}, [b"<svg/>"], "image_svg"),
        ({"prompt": "x", "op": "edit", "is_masked": True}, [png(), b"GIF89a"], "image_unreadable"),
        ({"prompt": "x", "op": "cutout"}, [png()], "cannot.cutout"),
        ({"prompt": "x", "negative": "y"}, [], "model_lacks.negative"),
    ],
)
async def test_what_is_not_made_has_its_sentence(
    studio: Studio, request_: dict[str, Any], inputs: list[bytes], said: str
) -> None:
    parts = await studio.make(request_, *inputs)
    assert keys(parts) == [said]
    assert isinstance(parts[-1], Finished)
    assert not any(isinstance(part, Media) for part in parts)


async def test_an_edit_keeps_the_shape_and_its_mask_fits(studio: Studio) -> None:
    await studio.make({"prompt": "x", "op": "edit", "is_masked": True}, encoded(300, 100), encoded(50, 50))
    (image, mask) = studio.server.images.sent[-1]
    assert (image[0], mask[0]) == ("image", "mask")
    assert studio.server.images.asked[-1]["size"] == "1536x1024"


async def test_what_can_be_done_with_a_picture_stands_below_it(studio: Studio) -> None:
    def commands(parts: list[Part]) -> list[list[str]]:
        (menu,) = [part for part in parts if isinstance(part, Menu)]
        return [[choice.command for choice in row] for row in menu.rows]

    shapes = ["imagine size=square", "imagine size=tall"]
    request = {"prompt": "x", "size": "wide", "buttons": True}
    assert commands(await studio.make(request)) == [["imagine seed=new", "vary"], shapes]
    # Of several nobody knows which one is meant.
    assert commands(await studio.make({**request, "count": 2})) == [["imagine seed=new"], shapes]


async def test_a_model_that_draws_squares_only_offers_no_other_shape(store: Store) -> None:
    squares = tuple((shape, "256x256") for shape in SIZES)
    async with opened(store, replace(PAINTER, sizes=squares)) as studio:
        (menu,) = [part for part in await studio.make({"prompt": "x", "buttons": True}) if isinstance(part, Menu)]
        assert [[choice.command for choice in row] for row in menu.rows] == [["imagine seed=new", "vary"]]


async def test_a_picture_is_held_back_until_it_was_looked_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    async with opened(store, Model("judge", "m", "judge", kind="moderation", accepts_images=True)) as studio:
        studio.server.moderation.scores = {"IHDR": {"violence": 0.9}}
        parts = await studio.make({"prompt": "x"})
        assert keys(parts) == ["unsafe_picture"]
        assert not [part for part in parts if isinstance(part, Media) or (isinstance(part, Progress) and part.preview)]
        assert isinstance(parts[-1], Finished)
        # It was drawn, so it is paid.
        assert (parts[-1].usage.model, parts[-1].usage.calls) == ("painter", 1)
        studio.server.moderation.scores = {"dragon": {"violence": 0.9}}
        assert keys(await studio.make({"prompt": "a dragon"})) == ["unsafe_prompt"]
        assert len(studio.server.images.asked) == 1


def encoded(width: int, height: int) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(output, "PNG")
    return output.getvalue()


def test_what_was_cut_out_is_not_in_the_smaller_picture_either() -> None:
    """Below what is see-through lie the colours that were there before."""
    hidden = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    output = io.BytesIO()
    hidden.save(output, "PNG")
    with Image.open(io.BytesIO(smaller(output.getvalue()))) as seen:
        assert min(seen.convert("L").tobytes()) > 250
