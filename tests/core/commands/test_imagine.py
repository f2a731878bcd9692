"""/imagine, as the engine answers it, with a server that draws."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from core.commands.table import working
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.creations.wish import STYLES
from core.message import CommandCall, Quote
from core.models.catalog import Catalog
from core.models.images import MAX_PROMPT
from core.models.model import Model, Provider
from core.parts import Finished, InLine, Making, Media, Menu, Notice, Part, Progress, TextDelta, Usage
from core.people.community import Community
from core.people.spaces import Grant, SpaceSettings
from core.settings import Settings
from core.storage.client import Store
from core.texts import say
from tests.builders import ADA, call
from tests.core.engines import engine
from tests.platforms.openai_images import FORBIDDEN
from tests.platforms.openai_server import Fault, OpenAIServer

PAINTER = Model("painter", "p", "painter", kind="image", price_image=40_000)
NUMBERS = itertools.count(1)
SHARED = Quote("55", "Bob", "a castle by the sea")


class Studio:
    """An engine with a model that draws, and nothing else."""

    def __init__(self, store: Store, server: OpenAIServer) -> None:
        self.store = store
        self.images = server.images
        self.url = server.url
        self.catalog = Catalog([Provider("p", server.url)], [PAINTER])

    async def draw(self, options: dict[str, str] | None = None, *, shown_as: str = "", **values: Any) -> list[Part]:
        return await self.answer(call("imagine", options=options or {}, **values), self.catalog, shown_as)

    async def answer(self, asked: CommandCall, catalog: Catalog | None, shown_as: str = "") -> list[Part]:
        """``shown_as`` is the message that shows it."""
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        async with engine(self.store, mailbox, models=catalog) as answering:
            turn = Turn(asked.conversation, str(next(NUMBERS)), "1", asked)
            parts = [part async for part in answering.respond(turn)]
            if shown_as:
                turn.pages[0] = shown_as
                await answering.delivered(turn)
            return parts


@pytest.fixture
async def studio(store: Store) -> AsyncIterator[Studio]:
    async with OpenAIServer() as server:
        server.images.by_address = True
        yield Studio(store, server)


def whole(parts: list[Part]) -> list[Part]:
    """Without how far it was."""
    return [part for part in parts if not isinstance(part, Making | Progress | InLine)]


def keys(parts: list[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice)]


async def test_a_picture_comes_with_what_it_shows_who_drew_it_and_what_it_cost(studio: Studio) -> None:
    said, picture, menu, finished = whole(await studio.draw({"prompt": "a *fox*\nin the snow"}))
    assert said == Notice("drawn", {"prompt": "a \\*fox\\* in the snow", "model": "painter"})
    assert isinstance(picture, Media)
    assert (picture.mime, picture.description) == ("image/png", "a *fox*\nin the snow")
    assert isinstance(menu, Menu)
    assert [[choice.command for choice in row] for row in menu.rows] == [
        ["imagine seed=new", "vary"],
        ["imagine size=wide", "imagine size=tall"],
    ]
    assert isinstance(finished, Finished)
    assert finished.usage == Usage("painter", 0, 0, 40_000, 1)


@pytest.mark.parametrize(
    ("options", "size", "count"),
    [
        ({"prompt": "x"}, "1024x1024", 1),
        ({"text": "x"}, "1024x1024", 1),
        ({"prompt": "x", "size": "wide", "count": "3"}, "1536x1024", 3),
        ({"text": "size:tall x"}, "1024x1536", 1),
        ({"text": "x count：2"}, "1024x1024", 2),
        ({"text": "x SIZE=1536x1024"}, "1536x1024", 1),
    ],
)
async def test_what_is_chosen_is_asked_for(studio: Studio, options: dict[str, str], size: str, count: int) -> None:
    parts = await studio.draw(options)
    body = studio.images.asked[-1]
    assert (body["prompt"], body["size"], body["n"]) == ("x", size, count)
    assert len([part for part in parts if isinstance(part, Media)]) == count


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": "round"}, "size_wrong"),
        ({"size": "-5x99999999999"}, "size_wrong"),
        ({"size": "3000x300"}, "size_wrong"),
        ({"size": "300x300"}, "model_lacks.size"),
        ({"count": "99"}, "count_wrong"),
        ({"count": "0"}, "count_wrong"),
        ({"count": "-1"}, "count_wrong"),
        ({"count": "١"}, "count_wrong"),
        ({"style": "<@everyone> *x*"}, "style_wrong"),
        ({"seed": "1e9"}, "seed_wrong"),
        ({"seed": "99999999999"}, "seed_wrong"),
        ({"seed": "5"}, "model_lacks.seed"),
        ({"negative": "dogs"}, "model_lacks.negative"),
        ({"negative": "x" * 2000}, "too_long"),
        ({"quality": "best"}, "quality_wrong"),
        ({"model": "gpt-gone"}, "no_such_painter"),
    ],
)
async def test_what_cannot_be_had_is_refused_with_a_sentence(
    studio: Studio, options: dict[str, str], said: str
) -> None:
    parts = await studio.draw({"prompt": "x", **options})
    (notice,) = (part for part in parts if isinstance(part, Notice))
    assert notice.key == said
    assert "<@everyone>" not in say(notice.key, "zh", **notice.values)
    assert not studio.images.asked


async def test_everything_can_be_typed_in_the_askers_language(studio: Studio) -> None:
    studio.catalog = Catalog([Provider("p", studio.url)], [replace(PAINTER, takes=("negative", "seed", "quality"))])
    studio.images.is_ours = True
    chinese = replace(ADA, language="zh-hans")
    typed = "雪地里的狐狸 形状：横向 风格：漫画 不要：“狗 猫” 种子:7 质量:高"
    (said, seed, *_) = whole(await studio.draw({"text": typed}, author=chinese))
    assert (said, seed) == (
        Notice("drawn", {"prompt": "雪地里的狐狸", "model": "painter"}),
        Notice("seeded", {"seed": "7"}),
    )
    body = studio.images.asked[-1]
    assert body["prompt"] == f"雪地里的狐狸. Style: {STYLES['comic']}."
    assert (body["size"], body["negative_prompt"], body["seed"]) == ("1536x1024", "狗 猫", 7)
    assert body["quality"] == "high"


async def test_what_only_looks_like_an_option_is_drawn(studio: Studio) -> None:
    await studio.draw({"text": "a sign: size: XL, http://model:80/ and style is everything"})
    assert studio.images.asked[-1]["prompt"] == "a sign: size: XL, http://model:80/ and style is everything"


async def test_a_model_is_named_by_who_may_choose_one(studio: Studio) -> None:
    studio.catalog = Catalog([Provider("p", studio.url)], [PAINTER, replace(PAINTER, name="Brush", id="brush")])
    studio.images.painters = ("painter", "brush")
    await studio.draw({"text": "a fox model:brush"})
    assert studio.images.asked[-1]["model"] == "brush"

    rules = SpaceSettings(grants=(Grant(right="choose-model", allowed=False, who="everyone"),))
    await Community.of(Settings(), studio.store).spaces.change("telegram:1:-5", lambda _: rules)
    assert keys(await studio.draw({"text": "a fox model:brush"}, private=False, space="-5")) == ["lacking.choose-model"]


async def test_a_picture_of_somebody_who_chose_a_model_is_made_again_with_the_usual_one(studio: Studio) -> None:
    studio.catalog = Catalog([Provider("p", studio.url)], [PAINTER, replace(PAINTER, name="Brush", id="brush")])
    studio.images.painters = ("painter", "brush")
    here: dict[str, Any] = {"private": False, "space": "-5"}
    await studio.draw({"text": "a fox model:brush"}, shown_as="77", **here)
    await studio.draw({"seed": "new"}, reply_to="77", **here)
    assert [body["model"] for body in studio.images.asked] == ["brush", "brush"]
    rules = SpaceSettings(grants=(Grant(right="choose-model", allowed=False, who="everyone"),))
    await Community.of(Settings(), studio.store).spaces.change("telegram:1:-5", lambda _: rules)
    await studio.draw({"seed": "new"}, reply_to="77", **here)
    assert studio.images.asked[-1]["model"] == "painter"


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


async def test_a_picture_is_made_again_with_what_is_changed(studio: Studio) -> None:
    studio.images.is_ours = True
    studio.catalog = Catalog([Provider("p", studio.url)], [replace(PAINTER, takes=("negative", "seed"))])
    await studio.draw({"text": "a fox style:ink negative:dogs seed:5"}, shown_as="77")
    first = studio.images.asked[-1]
    await studio.draw({"size": "tall"}, reply_to="77")
    assert studio.images.asked[-1] == {**first, "size": "1024x1536"}
    await studio.draw({"text": "style:comic"}, reply_to="77", quote=Quote("77", "Parley", "“a fox”, AI-generated"))
    assert studio.images.asked[-1] == {**first, "prompt": f"a fox. Style: {STYLES['comic']}."}
    await studio.draw({"seed": "new"}, reply_to="77")
    assert studio.images.asked[-1] != first
    assert {**studio.images.asked[-1], "seed": 5} == first
    # Without anything changed it is another picture, too.
    await studio.draw(reply_to="77")
    assert studio.images.asked[-1]["seed"] != 5
    assert keys(await studio.draw({"size": "tall"}, reply_to="78")) == ["picture_forgotten"]


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
