"""/imagine, as the engine answers it, with a server that draws."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.commands.table import working
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import CommandCall, Quote
from core.models.catalog import Catalog, Model, Provider
from core.models.images import MAX_PROMPT
from core.parts import Activity, Finished, Making, Media, Notice, Part, TextDelta, Usage
from core.people.community import Community
from core.people.spaces import SpaceSettings
from core.settings import Settings
from core.storage.client import Store
from tests.builders import call
from tests.core.engines import engine
from tests.platforms.openai_images import FORBIDDEN
from tests.platforms.openai_server import Fault, OpenAIServer

PAINTER = Model("painter", "p", "painter", kind="image", price_image=40_000)
SHARED = Quote("55", "Bob", "a castle by the sea")


class Studio:
    """An engine with a model that draws, and nothing else."""

    def __init__(self, store: Store, server: OpenAIServer) -> None:
        self.store = store
        self.images = server.images
        self.catalog = Catalog([Provider("p", server.url)], [PAINTER])

    async def draw(self, options: dict[str, str] | None = None, **values: Any) -> list[Part]:
        return await self.answer(call("imagine", options=options or {}, **values), self.catalog)

    async def answer(self, asked: CommandCall, catalog: Catalog | None) -> list[Part]:
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        async with engine(self.store, mailbox, models=catalog) as answering:
            return [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))]


@pytest.fixture
async def studio(store: Store) -> AsyncIterator[Studio]:
    async with OpenAIServer() as server:
        server.images.by_address = True
        yield Studio(store, server)


def keys(parts: list[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice)]


async def test_a_picture_comes_with_what_it_shows_who_drew_it_and_what_it_cost(studio: Studio) -> None:
    making, said, picture, finished = await studio.draw({"prompt": "a *fox*\nin the snow"})
    assert making == Making(Activity.PHOTO)
    assert said == Notice("drawn", {"prompt": "a \\*fox\\* in the snow", "model": "painter"})
    assert isinstance(picture, Media)
    assert (picture.mime, picture.description) == ("image/png", "a *fox*\nin the snow")
    assert isinstance(finished, Finished)
    assert finished.usage == Usage("painter", 0, 0, 40_000, 1)


@pytest.mark.parametrize(
    ("options", "size", "count"),
    [
        ({"prompt": "x"}, "1024x1024", 1),
        ({"text": "x"}, "1024x1024", 1),
        ({"prompt": "x", "size": "wide", "count": "3"}, "1536x1024", 3),
        ({"prompt": "x", "size": "round", "count": "99"}, "1024x1024", 4),
        ({"prompt": "x", "size": "tall", "count": "0"}, "1024x1536", 1),
        ({"prompt": "x", "count": "some"}, "1024x1024", 1),
    ],
)
async def test_what_is_chosen_is_asked_for(studio: Studio, options: dict[str, str], size: str, count: int) -> None:
    parts = await studio.draw(options)
    body = studio.images.asked[-1]
    assert (body["prompt"], body["size"], body["n"]) == ("x", size, count)
    assert len([part for part in parts if isinstance(part, Media)]) == count


async def test_a_space_chooses_the_size_where_its_people_do_not(studio: Studio) -> None:
    chosen = SpaceSettings(image_size="wide")
    await Community.of(Settings(), studio.store).spaces.change("telegram:1:-5", lambda _: chosen)
    await studio.draw({"prompt": "x"}, space="-5", private=False)
    assert studio.images.asked[-1]["size"] == "1536x1024"
    await studio.draw({"prompt": "x", "size": "tall"}, space="-5", private=False)
    assert studio.images.asked[-1]["size"] == "1024x1536"


async def test_a_message_is_drawn_that_it_was_chosen_for(studio: Studio) -> None:
    await studio.draw(reply_to="55", quote=SHARED)
    assert studio.images.asked[-1]["prompt"] == SHARED.text
    await studio.draw({"prompt": "a fox"}, reply_to="55", quote=SHARED)
    assert studio.images.asked[-1]["prompt"] == "a fox"


async def test_what_cannot_be_drawn_is_told(studio: Studio) -> None:
    assert keys(await studio.draw()) == ["imagine_how"]
    assert keys(await studio.draw({"prompt": "x" * (MAX_PROMPT + 1)})) == ["too_long"]
    assert not studio.images.asked
    assert keys(await studio.draw({"prompt": FORBIDDEN})) == ["image_refused"]
    studio.images.fail(Fault.SERVER_ERROR, times=2)
    assert keys(await studio.draw({"prompt": "x"})) == ["not_drawn"]


async def test_without_a_model_for_it_the_owner_is_told_what_to_set_up(studio: Studio) -> None:
    (said, _) = await studio.answer(call("imagine", options={"prompt": "a fox"}), None)
    assert said == Notice("no_images")


async def test_what_no_model_can_do_is_not_offered(studio: Studio) -> None:
    (said, _) = await studio.answer(call("help"), None)
    assert isinstance(said, TextDelta)
    assert "/imagine" not in said.text
    assert "/speak" not in said.text
    assert "/help" in said.text
    (said, _) = await studio.answer(call("help"), studio.catalog)
    assert isinstance(said, TextDelta)
    assert "/imagine" in said.text
    assert "/speak" not in said.text
    offered = {row.name for row in working(studio.catalog)}
    assert "imagine" in offered
    assert "speak" not in offered
    # Platforms ask the rows about what they do not list, too.
    assert "start" in offered
