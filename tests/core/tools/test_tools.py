"""Parley's own tools: what they give, and what they do not let themselves be talked into."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from core.access import Right
from core.conversation.turn import Turn
from core.creations.wish import Wish
from core.fetching import Fetcher
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.parts import Ending, Finished, Media, Notice, Part, Progress, Usage
from core.tools import schema
from core.tools.calculator import CALCULATOR, calculate
from core.tools.clock import clock
from core.tools.drawing import Made, drawing
from core.tools.tool import Caller, Output, Tool, ToolError
from core.tools.web import WebFetch, is_said
from tests.core.test_fetching import Names, only_first
from tests.core.tools.loops import everything, turn

CALLER = Caller(turn(time_zone="Asia/Shanghai"), everything)


async def given(tool: Tool, caller: Caller = CALLER, **arguments: Any) -> str:
    parts = [part async for part in tool.run(arguments, caller)]
    return "\n".join(part.text for part in parts if isinstance(part, Output))


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("2 + 3 * 4", "14"),
        ("2^10 − 24", "1000"),
        ("（1＋2）×3÷2".replace("＋", "+"), "4.5"),
        ("sqrt(2) ** 2 < 3", ToolError),
        ("round(10 / 3, 2)", "3.33"),
        ("factorial(20)", "2432902008176640000"),
        ("-7 // 2 + 7 % 4", "-1"),
        ("min(3, 1, 2) + abs(-2)", "3"),
        ("1 / 0", ToolError),
        ("9 ** 9 ** 9", ToolError),
        ("10.0 ** 400", ToolError),
        ("factorial(100000)", ToolError),
        ("(-8) ** 0.5", ToolError),
        ("__import__('os')", ToolError),
        ("().__class__", ToolError),
        ("[1] * 10 ** 9", ToolError),
        ("'a' * 10 ** 9", ToolError),
        ("lambda: 1", ToolError),
        ("True + 1", ToolError),
        ("1 +", ToolError),
        ("(" * 300, ToolError),
        ("1+" * 200 + "1", ToolError),
        ("9" * 5000, ToolError),
        ("", ToolError),
    ],
)
def test_the_calculator(expression: str, result: str | type[ToolError]) -> None:
    if isinstance(result, str):
        assert calculate(expression) == result
    else:
        with pytest.raises(ToolError):
            calculate(expression)


async def test_the_time_anywhere() -> None:
    told = await given(clock("UTC"), zone="europe/berlin")
    assert re.fullmatch(r"[A-Z][a-z]+day \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0[12]:00 \(Europe/Berlin\)", told)
    assert "(Asia/Shanghai)" in await given(clock("UTC"))
    for wrong in ("../../etc/passwd", "/etc/localtime", "Mars/Olympus"):
        with pytest.raises(ToolError):
            await given(clock("UTC"), zone=wrong)


@pytest.mark.parametrize(
    ("url", "heard", "said"),
    [
        ("https://example.org/a?b=1", "look at http://example.org/a?b=1, please", True),
        ("https://example.org/", "看看example.org怎么样", True),
        ("https://example.org/a#part", "https://example.org/a/", True),
        ("https://example.org/a?secret=1", "https://example.org/a", False),
        ("https://example.org/a", "https://example.org/abc", False),
        ("https://evil.example/?q=secret", "evil.example", False),
        ("https://EXAMPLE.org/a?B=c", "example.ORG/a?B=c", True),
        # What is free to choose in a link that was given could spell something.
        ("https://evil.example/aBcDeF", "https://evil.example/abcdef", False),
        ("https://evil.example?q=aBc", "https://evil.example?q=abc", False),
        ("https://evil.example////", "https://evil.example/", False),
        ("https://ample.org", "example.org", False),
        ("https://example.org", "example.org.evil.example", False),
        ("", "", False),
    ],
)
def test_a_link_stands_in_what_was_said(url: str, heard: str, said: bool) -> None:
    assert is_said(url, heard) is said


@pytest.fixture
async def pages() -> AsyncIterator[str]:
    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path == "/file":
            return web.Response(body=b"\0\1\2", content_type="application/octet-stream")
        page = "<html><script>evil()</script><body><h1>Bäume</h1><p>A tree &amp; more</p></body></html>"
        return web.Response(body=page.encode("latin-1"), headers={"Content-Type": "text/html; charset=latin-1"})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://trees.example:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_page_is_read_as_text_and_nothing_private(pages: str) -> None:
    names = Names("127.0.0.1")
    reader = WebFetch(Fetcher(may_reach=only_first, ports=(), resolver=names)).tool
    heard = Caller(CALLER.turn, everything, heard=f"What is at {pages}/page and {pages}/file?")
    assert await given(reader, heard, url=f"{pages}/page") == f"{pages}/page\n\nBäume\n\nA tree & more"
    assert reader.subject({"url": f"{pages}/page"}) == "trees.example"
    with pytest.raises(ToolError, match="kind"):
        await given(reader, heard, url=f"{pages}/file")
    with pytest.raises(ToolError, match="stand in the conversation"):
        await given(reader, heard, url=f"{pages}/made-up?q=secret")
    names.addresses = ["10.0.0.1"]
    with pytest.raises(ToolError, match="public internet"):
        await given(reader, heard, url=f"{pages}/page")


def painter(orders: list[Any], parts: Sequence[Part]) -> tuple[Made, Catalog]:
    async def made(
        turn: Turn, kind: str, request: Mapping[str, Any], inputs: Sequence[bytes] = (), *, number: int = 0
    ) -> AsyncGenerator[Part]:
        orders.append((kind, number, Wish.of(request)))
        for part in parts:
            yield part

    catalog = Catalog([Provider("p", "http://127.0.0.1:1/v1")], [Model("brush", "p", "brush", kind="image")])
    return made, catalog


async def test_a_model_has_pictures_drawn_in_the_name_of_who_asked() -> None:
    orders: list[Any] = []
    done = Finished(Ending.COMPLETE, Usage("brush", cost=5, calls=1))
    shown: list[Part] = [Progress("x"), Media("p.png", "image/png", b"png"), done]
    tool = drawing(*painter(orders, shown))
    caller = Caller(turn(image_size="wide"), everything, number=2)
    parts = [part async for part in tool.run({"prompt": "a fox"}, caller)]
    assert parts[:-1] == shown
    assert "is drawn" in parts[-1].text if isinstance(parts[-1], Output) else False
    ((kind, number, wish),) = orders
    assert (kind, number, replace(wish, dice=0)) == ("picture", 2, Wish("a fox", size="wide"))
    # Else one model would draw the same for ever.
    assert wish.dice > 0
    [part async for part in tool.run({"prompt": "two foxes", "count": 99, "style": "ink", "shape": "round"}, caller)]
    assert replace(orders[-1][2], dice=0) == Wish("two foxes", size="square", count=4, style="ink")

    async def nothing(right: Right) -> bool:
        return False

    with pytest.raises(ToolError, match="may not"):
        await given(tool, Caller(turn(), nothing), prompt="a fox")
    refused = drawing(*painter(orders, [Notice("unsafe_prompt"), Finished(Ending.COMPLETE)]))
    assert (await given(refused, prompt="a fox")).startswith("I cannot help")


def test_arguments_are_held_against_the_schema() -> None:
    form: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 1, "maximum": 9},
            "of": {"type": "array", "items": {"enum": [1]}},
        },
        "required": ["n"],
        "additionalProperties": False,
    }
    assert schema.read('{"n": 3, "of": [1]}', form) == {"n": 3, "of": [1]}
    for wrong in (
        '{"n": 0}',
        '{"n": 99999999999999999999}',
        '{"n": true}',
        '{"n": NaN}',
        '{"of": []}',
        '{"n": 1, "of": [2]}',
    ):
        with pytest.raises(ToolError):
            schema.read(wrong, form)
    for broken in ("[" * 100_000, '{"n": "' + "x" * 30_000 + '"}', "null", "\ud800"):
        with pytest.raises(ToolError):
            schema.read(broken, form)
    assert CALCULATOR.form.schema["required"] == ["expression"]
