"""What a space chose acts on what is answered there: the model, those that are allowed, the language."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import CommandCall, Message
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.parts import Notice, Part
from core.people.changing import Actor, change_space
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.texts import say
from tests.builders import ADA, call, conversation, message
from tests.core.engines import engine
from tests.platforms.openai_server import OpenAIServer

SPACE = "telegram:1:-100"
HERE: dict[str, Any] = {"conversation": conversation("-100"), "space": "-100", "private": False}


class Group:
    def __init__(self, store: Store, server: OpenAIServer) -> None:
        self.store = store
        self.server = server
        models = [Model(name, "p", name) for name in ("one", "two", "three")]
        self.catalog = Catalog([Provider("p", server.url)], models)

    async def choose(self, **fields: object) -> None:
        community, actor = Community.of(Settings(), self.store), Actor("telegram:7", "Ada")
        await change_space(community, SPACE, actor, lambda space: space.model_copy(update=fields))

    async def answer(self, asked: Message | CommandCall) -> Turn:
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        await mailbox.post([asked])
        turn = await mailbox.take(asked.conversation)
        assert turn is not None
        self.parts: list[Part] = []
        async with engine(self.store, mailbox, models=self.catalog) as answering:
            self.parts = [part async for part in answering.respond(turn)]
        return turn

    async def model_of(self, **options: str) -> str:
        place = f"-100{len(self.server.requests)}"
        here: dict[str, Any] = {**HERE, "conversation": conversation(place)}
        await self.answer(call("chat", options={"text": "hi", **options}, **here) if options else message("hi", **here))
        return str(self.server.requests[-1].body["model"])


@pytest.fixture
async def group(store: Store) -> AsyncIterator[Group]:
    async with OpenAIServer(models=("one", "two", "three")) as server:
        yield Group(store, server)


async def test_a_spaces_model_answers_and_only_those_that_it_allows(group: Group) -> None:
    assert await group.model_of() == "one"
    await group.choose(model="two")
    assert await group.model_of() == "two"
    await group.choose(models=("three",))
    assert await group.model_of() == "three"
    assert await group.model_of(model="one") == "three"


async def test_where_all_that_a_space_allows_are_gone_no_other_is_asked(group: Group) -> None:
    await group.choose(models=("gone",))
    await group.answer(message("hi", **HERE))
    assert Notice("no_allowed_models") in group.parts
    assert group.server.requests == []


async def test_parley_speaks_the_language_of_the_space(group: Group) -> None:
    await group.choose(language="zh_Hans")
    turn = await group.answer(call("nothing-like-that", author=ADA, **HERE))
    assert turn.language == "zh_Hans"
    notice = next(part for part in group.parts if isinstance(part, Notice))
    assert say(notice.key, turn.language, **notice.values) != say(notice.key, "en", **notice.values)
