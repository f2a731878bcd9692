"""The fake refuses what the real server refuses; its faults are tested by those who have to cope with them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from tests.platforms.openai_server import OpenAIServer

HELLO = [{"role": "user", "content": "hello there"}]


@asynccontextmanager
async def served(**options: Any) -> AsyncGenerator[tuple[OpenAIServer, Any]]:
    async with OpenAIServer(**options) as server:
        client = openai.AsyncOpenAI(base_url=server.url, api_key="sk", max_retries=0)
        yield server, client.chat.completions
        await client.close()


def picture(url: str, role: str = "user") -> list[dict[str, Any]]:
    return [{"role": role, "content": [{"type": "image_url", "image_url": {"url": url}}]}]


BAD: list[tuple[int, dict[str, Any]]] = [
    (400, {"messages": []}),
    (400, {"messages": [{"role": "robot", "content": "x"}]}),
    (400, {"messages": [{"role": "user", "content": None}]}),
    (400, {"messages": [{"role": "user", "content": []}]}),
    (400, {"messages": [{"role": "user", "content": [{"type": "audio"}]}]}),
    (400, {"messages": picture("data:image/png;base64,AAAA")}),
    (400, {"messages": picture("data:image/png;base64,?")}),
    (400, {"messages": picture("data:image/bmp;base64,Qk0=")}),
    (400, {"messages": picture("data:image/jpeg;base64,/9j/", "assistant")}),
    (400, {"messages": HELLO, "stream_options": {"include_usage": True}}),
    (400, {"messages": HELLO, "max_tokens": 5, "max_completion_tokens": 5}),
    (400, {"messages": HELLO, "temperature": 3}),
    (400, {"messages": HELLO, "stop": ["a", "b", "c", "d", "e"]}),
    (400, {"messages": HELLO, "extra_body": {"made_up": 1}}),
    (404, {"messages": HELLO, "model": "gone"}),
]


@pytest.mark.parametrize(("status", "body"), BAD)
async def test_bad_requests_are_refused(status: int, body: dict[str, Any]) -> None:
    async with served() as (_, completions):
        with pytest.raises(openai.APIStatusError) as refused:
            await completions.create(**{"model": "stub", **body})
    assert refused.value.status_code == status


async def test_a_wrong_key_is_refused() -> None:
    async with served(api_key="other") as (_, completions):
        with pytest.raises(openai.AuthenticationError):
            await completions.create(model="stub", messages=HELLO)


async def test_the_sdk_reads_both_forms_of_an_answer() -> None:
    async with served(tokens=5) as (_, completions):
        whole = await completions.create(model="stub", messages=HELLO)
        assert whole.choices[0].message.content == "[1] hello there word0 word1"
        assert whole.usage.completion_tokens == 5
        stream = await completions.create(model="stub", messages=HELLO, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(pieces) == "[1] hello there word0 word1"
    assert len([piece for piece in pieces if piece]) == 5


async def test_tokens_come_at_the_set_speed() -> None:
    loop = asyncio.get_running_loop()
    async with served(tokens=11, first_token=0.1, tokens_per_second=50) as (_, completions):
        started = loop.time()
        await completions.create(model="stub", messages=HELLO)
        assert loop.time() - started >= 0.1 + 10 / 50
        started = loop.time()
        stream = await completions.create(model="stub", messages=HELLO, stream=True)
        _ = [chunk async for chunk in stream]
        assert loop.time() - started >= 0.1 + 10 / 50


def test_it_runs_as_a_process_of_its_own() -> None:
    command = [
        sys.executable,
        "-m",
        "tests.platforms.openai_server",
        "--port",
        "0",
        "--tokens",
        "3",
        "--first-token",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with openai.OpenAI(base_url=url, api_key="sk") as client:
            answer = client.chat.completions.create(model="stub", messages=[{"role": "user", "content": "a b c d"}])
        process.terminate()
    assert answer.choices[0].message.content == "[1] a b"
