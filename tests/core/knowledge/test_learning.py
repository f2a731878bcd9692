"""Links are learned with their title and address, and what dies on the way is gone on with."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from core.creations.order import Commission, Order
from core.documents import CHECKOUT
from core.fetching import Fetcher
from core.knowledge.learning import LEARN, Learning, Lesson
from core.knowledge.settings import KnowledgeSettings
from core.parts import Ending, Finished, Notice, Part, Progress
from core.storage.client import Store
from tests.builders import conversation
from tests.core.knowledge.rooms import HOUSE, passages
from tests.platforms.openai_server import OpenAIServer


@dataclass
class Site:
    """Pages of a web server, as bytes with their kinds."""

    pages: dict[str, tuple[bytes, str]] = field(default_factory=dict[str, tuple[bytes, str]])
    url: str = ""

    async def get(self, request: web.Request) -> web.Response:
        if request.path == "/away":
            raise web.HTTPFound("/page")
        if request.path not in self.pages:
            raise web.HTTPNotFound
        data, kind = self.pages[request.path]
        return web.Response(body=data, headers={"Content-Type": kind})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site, app = Site(), web.Application()
    app.router.add_get("/{path:.*}", site.get)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()


def commission(lesson: Lesson, *inputs: bytes) -> Commission:
    return Commission(Order("t1", LEARN, lesson.to_json(), conversation(), "telegram:7", "Ada"), inputs)


def fetcher() -> Fetcher:
    return Fetcher(may_reach=lambda _: True, ports=())


async def learned(store: Store, lesson: Lesson, *inputs: bytes, **limits: Any) -> list[Part]:
    async with passages(store, **limits) as known:
        maker = Learning(known, KnowledgeSettings(**limits), fetcher())
        return [part async for part in maker.learn(commission(lesson, *inputs))]


def keys(parts: list[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice)]


async def test_a_page_is_learned_by_its_own_address_and_replaced_by_its_newer_self(store: Store, site: Site) -> None:
    page = "<title>规则</title><link rel=canonical href='/rules'><h1>规则</h1><p>停车场免费。".encode("gb2312")
    site.pages["/page"] = page, "text/html; charset=gb2312"
    parts = await learned(store, Lesson(HOUSE, link=f"{site.url}/away"))
    assert [part.key for part in parts if isinstance(part, Progress)] == ["learn_fetching", "learn_reading", "learning"]
    assert (keys(parts), parts[-1]) == (["learned"], Finished(Ending.COMPLETE))
    async with passages(store) as known:
        found = (await known.search(HOUSE, "停车场要钱吗"))[0]
        assert (found.passage.text, found.passage.link) == ("停车场免费。", f"{site.url}/rules")
        assert (found.document.title, found.document.kind, found.document.added_by) == ("规则", "link", "telegram:7")
    site.pages["/page"] = b"<title>Rules</title><link rel=canonical href='/rules'><p>Parking costs.", "text/html"
    assert keys(await learned(store, Lesson(HOUSE, link=f"{site.url}/page"))) == ["learned_again"]


async def test_a_page_cannot_pass_itself_off_as_another_site_s(store: Store, site: Site) -> None:
    site.pages["/page"] = b"<link rel=canonical href='https://bank.example/'><p>Send all money here.", "text/html"
    await learned(store, Lesson(HOUSE, link=f"{site.url}/page"))
    async with passages(store) as known:
        assert (await known.list(HOUSE))[0].link == f"{site.url}/page"


@pytest.mark.parametrize(
    ("page", "key"),
    [
        ((b"\x89PNG\r\n", "image/png"), "file_unsupported"),
        ((b"x" * 20_000, "text/plain"), "fetch_large"),
        ((b"<svg><script>x()</script></svg>", "image/svg+xml"), "document_empty"),
        (None, "fetch_status"),
    ],
)
async def test_what_is_there_and_cannot_be_learned_is_told(
    store: Store, site: Site, page: tuple[bytes, str] | None, key: str
) -> None:
    if page:
        site.pages["/x"] = page
    assert keys(await learned(store, Lesson(HOUSE, link=f"{site.url}/x"), max_bytes=10_000)) == [key]
    assert await store.redis.keys("*") == []


async def test_of_a_long_file_the_beginning_is_learned_and_that_is_told(store: Store) -> None:
    text = b"A sentence about bees. " * 1000
    parts = await learned(store, Lesson(HOUSE, "bees.txt"), text, max_chars=1000)
    assert keys(parts) == ["learned", "learned_cut"]
    async with passages(store) as known:
        assert (await known.list(HOUSE))[0].is_cut


async def test_a_job_that_was_killed_half_way_goes_on_there(store: Store) -> None:
    text = "\n\n".join(f"# Part {number}\nSomething about number {number}." for number in range(200)).encode()
    lesson = commission(Lesson(HOUSE, "many.md"), text)
    async with OpenAIServer() as server, passages(store, server) as known:
        maker = Learning(known, KnowledgeSettings())

        async def run(most: int) -> int:
            seen = 0
            async for part in maker.learn(lesson):
                seen += isinstance(part, Progress) and bool(part.done)
                if seen == most:
                    raise asyncio.CancelledError
            return seen

        with pytest.raises(asyncio.CancelledError):
            await run(3)
        asked = len(server.vectors.asked)
        assert await known.list(HOUSE) == ()
        await run(99)
        # The end of one, and the two that were not begun.
        assert len(server.vectors.asked) - asked == 1
        assert (await known.search(HOUSE, "number 199"))[0].passage.heading == "Part 199"


@pytest.mark.parametrize("request_", [{"scope": 7}, {"newer": "field"}])
async def test_an_order_of_a_newer_program_is_told(store: Store, request_: dict[str, object]) -> None:
    order = Order("t1", LEARN, request_, conversation(), "telegram:7")
    async with passages(store) as known:
        parts = [part async for part in Learning(known, KnowledgeSettings()).learn(Commission(order))]
    assert keys(parts) == ["document_broken"]


def test_nothing_heavy_is_loaded_before_the_first_search() -> None:
    program = (
        "import core.commands.documents, core.knowledge.passages, sys; print({'numpy', 'pypdf'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert done.stdout.strip() == "set()"
