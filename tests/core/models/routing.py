"""What tests of answers share: asking a router, and reading the parts it gives."""

from __future__ import annotations

from contextlib import aclosing

from core.models.chat import ChatMessage, ChatRequest
from core.models.router import Router
from core.parts import Finished, Notice, Part, TextDelta

HELLO = ChatRequest((ChatMessage("user", "hello wide world"),))
ANSWER = "[1] hello wide world"


async def answer(router: Router, request: ChatRequest = HELLO) -> list[Part]:
    async with aclosing(router.answer(request)) as parts:
        return [part async for part in parts]


def text(parts: list[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


def notices(parts: list[Part]) -> list[Notice]:
    return [part for part in parts if isinstance(part, Notice)]


def finished(parts: list[Part]) -> Finished:
    """The one Finished, which is the last part."""
    assert [isinstance(part, Finished) for part in parts].count(True) == 1
    last = parts[-1]
    assert isinstance(last, Finished)
    return last
