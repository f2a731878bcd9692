"""Which tools a model is told of: what settings, the space, the asker's rights and the model itself allow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.conversation.mailbox import Admission, Mailbox
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.parts import Notice, Part
from core.people.changing import Actor, change_space
from core.people.community import Community
from core.people.spaces import Grant
from core.settings import Settings
from core.storage.client import Store
from core.tools.settings import ToolsSettings
from tests.builders import conversation, message
from tests.core.engines import engine
from tests.core.tools.loops import asks, outputs, text
from tests.platforms.openai_server import OpenAIServer

SPACE = "telegram:1:-100"


class Group:
    def __init__(self, store: Store, server: OpenAIServer) -> None:
        self.store, self.server, self.asked = store, server, 0
        self.models = [Model("one", "p", "one", tools=True)]
        self.settings = Settings()

    async def choose(self, **fields: object) -> None:
        community, actor = Community.of(Settings(), self.store), Actor("telegram:7", "Ada")
        await change_space(community, SPACE, actor, lambda space: space.model_copy(update=fields))

    async def ask(self, words: str = "2 + 2?") -> list[Part]:
        self.asked += 1
        asked = message(words, conversation=conversation(f"-100{self.asked}"), space="-100", private=False)
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        await mailbox.post([asked])
        turn = await mailbox.take(asked.conversation)
        assert turn is not None
        catalog = Catalog([Provider("p", self.server.url)], self.models)
        async with engine(self.store, mailbox, models=catalog, settings=self.settings) as answering:
            return [part async for part in answering.respond(turn)]

    @property
    def offered(self) -> list[str]:
        body: dict[str, Any] = self.server.requests[-1].body
        return [tool["function"]["name"] for tool in body.get("tools", ())]


@pytest.fixture
async def group(store: Store) -> AsyncIterator[Group]:
    async with OpenAIServer(models=("one",)) as server:
        yield Group(store, server)


async def test_an_answer_is_made_with_tools(group: Group) -> None:
    group.server.reply = lambda body: outputs(body)[0] if outputs(body) else asks("calculator", expression="2+2")
    parts = await group.ask()
    assert text(parts) == "4"
    assert Notice("tools_used", {"tools": "calculator"}) in parts


async def test_a_space_leaves_tools_out(group: Group) -> None:
    await group.ask()
    assert group.offered == ["calculator", "time"]
    await group.choose(tools=("time",))
    await group.ask("again")
    assert group.offered == ["time"]
    await group.choose(tools=("off",))
    await group.ask("and again")
    assert group.offered == []


async def test_pages_are_fetched_only_where_settings_say_so_and_pictures_where_there_is_a_model(group: Group) -> None:
    group.settings = Settings(tools=ToolsSettings(use=("web_fetch", "draw")))
    group.models.append(Model("brush", "p", "brush", kind="image"))
    await group.ask()
    assert group.offered == ["draw", "web_fetch"]
    await group.choose(grants=(Grant(right="draw", allowed=False, who="everyone"),))
    await group.ask("again")
    assert group.offered == ["web_fetch"]


async def test_who_may_not_use_tools_is_answered_without(group: Group) -> None:
    await group.choose(grants=(Grant(right="tools", allowed=False, who="everyone"),))
    assert text(await group.ask("hello")) != ""
    assert group.offered == []


async def test_a_model_without_tools_is_told_of_none(group: Group) -> None:
    group.models = [Model("one", "p", "one")]
    await group.ask()
    assert "tools" not in group.server.requests[-1].body
