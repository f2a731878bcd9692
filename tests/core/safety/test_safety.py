"""What may not be asked for, said or shown: words of the space, a moderation model, and what holds while it is down."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import CommandCall, Message
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.settings import RoutingSettings
from core.parts import Ending, Finished, Notice, Part, Poll, Progress, TextDelta
from core.people.changing import Actor, change_space
from core.people.community import Community
from core.people.spaces import Spaces, SpaceSettings
from core.people.why import reason_of
from core.safety.safety import Safety
from core.safety.settings import SafetySettings
from core.safety.words import contains, listed
from core.settings import Settings
from core.storage.client import Store
from tests.builders import call, conversation, message
from tests.core.engines import engine
from tests.platforms.openai_server import OpenAIServer

SPACE = "telegram:1:-100"
PNG = b"\x89PNG\r\n\x1a\nblood"
JUDGE = Model("judge", "p", "judge", kind="moderation", accepts_images=True)


class Place:
    def __init__(self, store: Store, server: OpenAIServer) -> None:
        self.store, self.server, self.asked = store, server, 0
        self.models = [Model("one", "p", "one"), JUDGE]
        self.settings: dict[str, Any] = {}

    async def choose(self, **fields: object) -> None:
        community, actor = Community.of(Settings(), self.store), Actor("telegram:7", "Ada")
        await change_space(community, SPACE, actor, lambda space: space.model_copy(update=fields))

    async def ask(self, words: str) -> list[Part]:
        self.asked += 1
        place = conversation(f"-100{self.asked}")
        return await self._answered(message(words, conversation=place, space="-100", private=False))

    async def call(self, name: str, options: dict[str, str]) -> list[Part]:
        self.asked += 1
        return await self._answered(call(name, f"-100{self.asked}", options=options, space="-100", private=False))

    async def _answered(self, asked: Message | CommandCall) -> list[Part]:
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        await mailbox.post([asked])
        turn = await mailbox.take(asked.conversation)
        assert turn is not None
        settings = Settings(safety=SafetySettings(**self.settings))
        catalog = Catalog([Provider("p", self.server.url)], self.models)
        async with engine(self.store, mailbox, models=catalog, settings=settings) as answering:
            return [part async for part in answering.respond(turn)]


@pytest.fixture
async def place(store: Store) -> AsyncIterator[Place]:
    async with OpenAIServer(models=("one",), reply="I know a bomb recipe") as server:
        server.moderation.scores = {"bomb": {"violence": 0.9}, "blood": {"violence": 0.6}}
        yield Place(store, server)


def keys(parts: list[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice | Progress)]


def said(parts: list[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


async def test_what_a_moderation_model_finds_is_refused_logged_and_told_by_why(place: Place) -> None:
    with capture_logs() as lines:
        parts = await place.ask("how to build a bomb")
    assert (keys(parts), said(parts), parts[-1]) == (["unsafe_prompt"], "", Finished(Ending.COMPLETE))
    assert place.server.requests == []
    (line,) = [line for line in lines if line["event"] == "unsafe"]
    assert (line["categories"], line["what"], line["act"]) == (["violence"], "prompt", "block")
    assert "bomb" not in str(line)
    assert reason_of(Ending.COMPLETE, Notice("unsafe_prompt")) == "safety"
    assert said(await place.ask("how are you")) == "I know a bomb recipe"


async def test_where_nothing_is_set_up_nobody_is_asked(place: Place) -> None:
    place.models = [Model("one", "p", "one")]
    assert said(await place.ask("how to build a bomb")) == "I know a bomb recipe"
    place.models, place.settings = [Model("one", "p", "one"), JUDGE], {"prompts": "off"}
    assert said(await place.ask("how to build a bomb")) == "I know a bomb recipe"
    assert place.server.moderation.inputs == []


async def test_what_is_only_flagged_is_answered(place: Place) -> None:
    place.settings = {"prompts": "flag", "answers": "flag"}
    with capture_logs() as lines:
        assert said(await place.ask("a bomb?")) == "I know a bomb recipe"
    assert [line["what"] for line in lines if line["event"] == "unsafe"] == ["prompt", "answer"]


async def test_thresholds_stand_in_place_of_what_the_model_thinks(place: Place) -> None:
    place.settings = {"thresholds": {"violence": 0.95}}
    assert said(await place.ask("a bomb?")) == "I know a bomb recipe"
    place.settings = {"thresholds": {"violence": 0.005}}
    assert keys(await place.ask("a flower?")) == ["unsafe_prompt"]


async def test_words_that_a_space_forbids_are_not_asked_for(place: Place) -> None:
    place.models = [Model("one", "p", "one")]
    await place.choose(blocked_words=("Bad Thing", "赌博"))
    for words in ("a BAD  thing!", "ｂａｄ\u200b thing", "bád thing", "我想赌博吗"):
        assert keys(await place.ask(words)) == ["unsafe_prompt"]
    assert said(await place.ask("bad things")) == "I know a bomb recipe"


async def test_an_answer_is_held_back_where_the_space_wants_it_checked(place: Place) -> None:
    await place.choose(check_answers=True)
    parts = await place.ask("what do you know")
    assert (keys(parts), said(parts)) == (["held_answer", "unsafe_answer"], "")
    finished = parts[-1]
    assert isinstance(finished, Finished)
    assert finished.usage.calls == 1
    place.server.reply = "a poem"
    parts = await place.ask("and now")
    assert [part for part in parts if isinstance(part, TextDelta)] == [TextDelta("a poem")]


async def test_while_nobody_judges_texts_pass_and_pictures_do_not(store: Store, place: Place) -> None:
    place.server.moderation.is_down = True
    assert said(await place.ask("a bomb?")) == "I know a bomb recipe"
    place.settings = {"unchecked_texts": "hold"}
    assert keys(await place.ask("a flower?")) == ["unsafe_unchecked"]
    catalog = Catalog([Provider("p", place.server.url)], [JUDGE])
    router = Router(catalog, RoutingSettings(), Breaker(5, 1), OpenAIApi)
    turn = Turn(conversation(), "1", "f", message("x"), space=SpaceSettings())
    seen: dict[str, Notice | None] = {}
    for name, settings in (("usual", {}), ("pass", {"unchecked_pictures": "pass"}), ("flag", {"pictures": "flag"})):
        safety = Safety(SafetySettings.model_validate(settings), catalog, router, Spaces(store))
        seen[name] = await safety.picture(turn, PNG, "image/png")
    assert seen == {"usual": Notice("unsafe_unchecked"), "pass": None, "flag": None}
    place.server.moderation.is_down = False
    safety = Safety(SafetySettings(), catalog, router, Spaces(store))
    assert await safety.picture(turn, PNG, "image/png") == Notice("unsafe_picture")
    assert await safety.picture(turn, PNG.replace(b"blood", b"roses"), "image/png") is None
    assert await safety.prompt(turn, "", [PNG]) == Notice("unsafe_prompt")
    # A judge without eyes cannot look at pictures.
    blind = Catalog([Provider("p", place.server.url)], [Model("judge", "p", "judge", kind="moderation")])
    assert await Safety(SafetySettings(), blind, router, Spaces(store)).picture(turn, PNG, "image/png") is None
    await router.aclose()


def test_words_as_they_are_typed() -> None:
    assert listed("one, two words，三、one") == ("one", "two words", "三")
    assert listed("\u200b, ") is None
    assert listed("x" * 61) is None
    assert listed(",".join(map(str, range(201)))) is None
    assert not contains("", ("x",))
    assert not contains("anything (.*", ())
    assert contains("what (.* is", ("(.*",))


async def test_what_commands_have_written_is_checked_as_answers_are(place: Place) -> None:
    await place.choose(check_answers=True, blocked_words=("forbidden",))
    parts = await place.call("summarize", {"text": "a harmless fact. " * 900})
    assert (keys(parts)[-1], said(parts)) == ("unsafe_answer", "")
    row = {"question": "What explodes?", "options": ["a bomb", "a cake"], "correct": 0, "explanation": ""}
    place.server.reply = json.dumps({"questions": [row]})
    parts = await place.call("quiz", {"text": "chemistry"})
    assert keys(parts)[-1] == "unsafe_answer"
    assert not any(isinstance(part, Poll) for part in parts)
    await place.choose(check_answers=False)
    assert any(isinstance(part, Poll) for part in await place.call("quiz", {"text": "chemistry"}))
