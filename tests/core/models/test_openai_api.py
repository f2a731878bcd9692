from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from core.errors import ModelError, ModelFault
from core.models.chat import ChatMessage
from core.models.model import Endpoint, Model
from core.models.openai_api import OpenAIApi
from core.models.wire import Done, ModelCall
from core.parts import Ending
from tests.core.models.pictures import JPEG, PNG
from tests.platforms.openai_server import Fault, OpenAIServer

HELLO = (ChatMessage("user", "hello world"),)


@asynccontextmanager
async def connected(**options: Any) -> AsyncGenerator[tuple[OpenAIServer, OpenAIApi]]:
    async with OpenAIServer(**options) as server:
        api = OpenAIApi(Endpoint("p", server.url, "sk-secret"))
        try:
            yield server, api
        finally:
            await api.aclose()


def call(text: str = "", *, max_answer: int = 100, **model: Any) -> ModelCall:
    messages = (ChatMessage("user", text),) if text else HELLO
    return ModelCall(Model("m", "p", "stub", **model), messages, max_answer, "hash")


async def collect(stream: AsyncGenerator[str | Done, None], texts: list[str] | None = None) -> tuple[str, Done]:
    """The whole text and how it ended; ``texts`` keeps what came before an error."""
    texts = [] if texts is None else texts
    async with aclosing(stream):
        async for piece in stream:
            if isinstance(piece, Done):
                return "".join(texts), piece
            texts.append(piece)
    raise AssertionError("no end")


async def test_an_answer_comes_whole_with_ending_and_usage() -> None:
    async with connected() as (_, api):
        text, done = await collect(api.stream(call("grüße, 世界 🦜")))
    assert text == "[1] grüße, 世界 🦜"
    assert done.ending is Ending.COMPLETE
    assert done.answer_tokens == 4
    assert done.prompt_tokens


async def test_usage_that_is_not_reported_is_left_open() -> None:
    async with connected(reports_usage=False) as (_, api):
        _, done = await collect(api.stream(call()))
    assert done == Done(Ending.COMPLETE, None, None)


async def test_sampling_and_limits_of_the_row_reach_the_server() -> None:
    async with connected() as (server, api):
        await collect(api.stream(call(max_answer=2, temperature=0.5, top_p=0.9, top_k=40, stop=("END",))))
        await collect(api.stream(call()))
    first, second = (request.body for request in server.requests)
    wanted = {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "stop": ["END"], "max_tokens": 2}
    assert {name: first[name] for name in wanted} == wanted
    assert not {"temperature", "top_p", "top_k", "stop", "safety_identifier"} & set(second)


async def test_a_cut_by_length_is_told() -> None:
    async with connected() as (_, api):
        text, done = await collect(api.stream(call("one two three four", max_answer=2)))
    assert (text, done.ending) == ("[1] one", Ending.LENGTH)


async def test_pictures_go_as_data_urls() -> None:
    async with connected() as (server, api):
        messages = (ChatMessage("user", "look", (PNG, JPEG)), ChatMessage("user", "", (PNG,)))
        await collect(api.stream(ModelCall(Model("m", "p", "stub"), messages, 50)))
    kinds = [[part["type"] for part in message["content"]] for message in server.requests[0].messages]
    assert kinds == [["text", "image_url", "image_url"], ["image_url"]]


async def test_a_server_that_hangs_up_after_every_stream_is_no_failure() -> None:
    async with connected(hangs_up=True) as (_, api):
        for _ in range(20):
            assert (await collect(api.stream(call())))[0] == "[1] hello world"


async def test_the_environment_is_not_told_to_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-private")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-private")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-private")
    async with OpenAIServer() as server:
        api = OpenAIApi(Endpoint("p", server.url))
        await collect(api.stream(call()))
        await api.aclose()
    assert "private" not in str(server.requests[0].headers)


FAULTS: list[tuple[Fault, ModelFault, str]] = [
    (Fault.RATE_LIMIT, ModelFault.RATE_LIMITED, ""),
    (Fault.SERVER_ERROR, ModelFault.SERVER, ""),
    (Fault.UNAUTHORISED, ModelFault.UNAUTHORISED, ""),
    (Fault.HTML, ModelFault.MALFORMED, ""),
    (Fault.RESET, ModelFault.UNREACHABLE, "[1] hello world"),
    (Fault.NO_FINISH, ModelFault.MALFORMED, "[1] hello world"),
    (Fault.BROKEN_JSON, ModelFault.MALFORMED, "[1] hello world"),
    (Fault.ERROR_EVENT, ModelFault.SERVER, "[1] hello world"),
    (Fault.NO_CHOICES, ModelFault.MALFORMED, ""),
]


@pytest.mark.parametrize(("fault", "told", "before"), FAULTS)
async def test_every_fault_is_told_apart(fault: Fault, told: ModelFault, before: str) -> None:
    texts: list[str] = []
    async with connected() as (server, api):
        server.fail(fault)
        with pytest.raises(ModelError) as raised:
            await collect(api.stream(call()), texts)
        assert raised.value.fault is told
        assert "sk-secret" not in str(raised.value)
        assert "".join(texts) == before
        # The client is as good as before.
        assert (await collect(api.stream(call())))[0] == "[1] hello world"


async def test_a_model_that_is_gone_is_a_fault_of_its_own() -> None:
    async with connected() as (_, api):
        with pytest.raises(ModelError) as raised:
            await collect(api.stream(ModelCall(Model("m", "p", "gone"), HELLO, 50)))
    assert raised.value.fault is ModelFault.GONE
    assert not raised.value.retryable


async def test_nobody_listening_is_unreachable() -> None:
    async with connected() as (server, _):
        url = server.url
    api = OpenAIApi(Endpoint("p", url))
    with pytest.raises(ModelError) as raised:
        await collect(api.stream(call()))
    assert raised.value.fault is ModelFault.UNREACHABLE
    await api.aclose()


async def test_retry_after_is_handed_on() -> None:
    async with connected() as (server, api):
        server.fail(Fault.RATE_LIMIT, 7)
        with pytest.raises(ModelError) as raised:
            await collect(api.stream(call()))
    assert raised.value.retry_after == 7


@pytest.mark.parametrize(
    ("fault", "ending", "text"),
    [
        (Fault.EMPTY, Ending.COMPLETE, ""),
        (Fault.BLANK, Ending.COMPLETE, "\n \n"),
        (Fault.LENGTH, Ending.LENGTH, "[1] hello world"),
        (Fault.CONTENT_FILTER, Ending.FILTERED, "[1] hello world"),
        (Fault.NO_END, Ending.COMPLETE, "[1] hello world"),
    ],
)
async def test_endings_that_are_no_faults(fault: Fault, ending: Ending, text: str) -> None:
    async with connected() as (server, api):
        server.fail(fault)
        got, done = await collect(api.stream(call()))
    assert (got, done.ending) == (text, ending)


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.PINGS, Fault.SLOW])
async def test_leaving_a_stream_frees_its_slot(fault: Fault) -> None:
    async with connected() as (server, api):
        server.fail(fault)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(collect(api.stream(call())), 0.2)
        await settled(server)
        assert server.requests[0].outcome == "left"


async def test_closing_a_stream_frees_its_slot() -> None:
    async with connected(tokens=1000, tokens_per_second=100) as (server, api):
        async with aclosing(api.stream(call(max_answer=1000))) as stream:
            await anext(stream)
            assert server.active == 1
        await settled(server)
        assert server.requests[0].outcome == "left"


async def settled(server: OpenAIServer) -> None:
    async with asyncio.timeout(5):
        while server.active:
            await asyncio.sleep(0.01)


async def test_model_ids_are_listed() -> None:
    async with connected(models=("a", "b")) as (_, api):
        assert await api.model_ids() == ("a", "b")
