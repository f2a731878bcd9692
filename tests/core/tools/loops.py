"""What tests of tools share: a space in which a model asks for tools."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from core.access import Right
from core.conversation.turn import Turn
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.chat import ChatMessage, ChatRequest, ToolForm
from core.models.model import Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.settings import RoutingSettings
from core.parts import Finished, Part, TextDelta
from core.people.spaces import SpaceSettings
from core.tools.tool import Arguments, Caller, Output, Tool
from core.tools.toolbox import MoreTools, Toolbox
from tests.builders import conversation, message
from tests.platforms.openai_server import Asks, OpenAIServer

ANYTHING = {"type": "object", "properties": {"text": {"type": "string"}}, "additionalProperties": False}


def turn(**space: Any) -> Turn:
    return Turn(conversation(), "1", "f", message("look", conversation=conversation()), space=SpaceSettings(**space))


async def everything(right: Right) -> bool:
    return True


def asks(name: str, **arguments: Any) -> Asks:
    return Asks(((name, json.dumps(arguments)),))


def outputs(body: dict[str, Any]) -> list[str]:
    """What the tools gave, as a model is told it."""
    told = [str(each["content"]) for each in body["messages"] if each["role"] in ("tool", "user")]
    return [json.loads(each)["output"] for each in told if each.startswith('{"note"')]


def tool(name: str, run: Callable[[Arguments, Caller], AsyncGenerator[Part | Output]], **fields: Any) -> Tool:
    return Tool(ToolForm(name, f"does {name}", fields.pop("schema", ANYTHING)), run, allowed_as=name, **fields)


def says(*texts: str) -> Callable[[Arguments, Caller], AsyncGenerator[Part | Output]]:
    async def run(arguments: Arguments, caller: Caller) -> AsyncGenerator[Part | Output]:
        for each in texts:
            yield Output(each)

    return run


@dataclass
class Loops:
    server: OpenAIServer
    router: Router
    catalog: Catalog
    toolbox: Toolbox
    turn: Turn = field(default_factory=turn)

    async def ask(self, text: str = "look", **fields: Any) -> list[Part]:
        request = ChatRequest((ChatMessage("user", text),), **fields)
        offered = await self.toolbox.offered(self.turn, self.catalog.default, everything)
        return [part async for part in self.toolbox.answer(request, self.turn, everything, offered)]


@asynccontextmanager
async def loops(
    tools: Sequence[Tool], *, more: MoreTools | None = None, others: Sequence[str] = (), **model: Any
) -> AsyncGenerator[Loops]:
    """``others`` are models without tools, to fall back to."""
    row: dict[str, Any] = {"tools": True, **model}
    async with OpenAIServer(models=("stub", *others)) as running:
        models = [Model("stub", "p", "stub", **row), *(Model(name, "p", name) for name in others)]
        catalog = Catalog([Provider("p", running.url)], models)
        router = Router(catalog, RoutingSettings(), Breaker(5, 1), OpenAIApi)
        try:
            yield Loops(running, router, catalog, Toolbox(router, catalog, tools, more))
        finally:
            await router.aclose()


def text(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


def finished(parts: Sequence[Part]) -> Finished:
    last = parts[-1]
    assert isinstance(last, Finished)
    return last
