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

from core.conversation import moving
from core.conversation.moving import Mover
from core.conversation.whereabouts import Whereabouts
from core.creations.order import Commission, Order
from core.documents import CHECKOUT
from core.fetching import Fetcher
from core.knowledge.documents import space_scope
from core.knowledge.learning import LEARN, Learning, Lesson
from core.knowledge.settings import KnowledgeSettings
from core.message import Platform
from core.parts import Ending, Finished, Notice, Part, Progress
from core.people.spaces import space_id
from core.storage import keys as storage_keys
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.leases import Leases
from core.storage.spaces_seen import SpacesSeen
from core.tasks import end
from tests.builders import conversation
from tests.core.knowledge.rooms import HOUSE, draft, passages
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
        maker = Learning(known, KnowledgeSettings(**limits), Whereabouts(store), fetcher())
        return [part async for part in maker.learn(commission(lesson, *inputs))]


def keys(parts: list[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice)]


async def test_a_page_is_learned_by_its_own_address_and_replaced_by_its_newer_self(store: Store, site: Site) -> None:
    page = "<title>规则</title><link rel=canonical href='/rules'><h1>规则</h1><p>停车场免费。".encode("gb2312")
    site.pages["/page"] = page, "text/html; charset=gb2312"
    parts = await learned(store, Lesson(HOUSE, link=f"{site.url}/away"))
    assert [part.key for part in parts if isinstance(part, Progress)] == [
        *("learn_fetching", "learn_reading"),
        *("learning", "learning"),
    ]
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
        maker = Learning(known, KnowledgeSettings(), Whereabouts(store))

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


def many(count: int = 200) -> bytes:
    return "\n\n".join(f"# Part {number}\nSomething about number {number}." for number in range(count)).encode()


async def in_house(store: Store) -> SpacesSeen:
    """The bot is in the space."""
    seen = SpacesSeen(store)
    seen.saw(Platform.TELEGRAM, "1", "100", "House")
    await seen.flush()
    return seen


async def keys_left(store: Store) -> dict[str, int]:
    """What is kept of documents for good, or for longer than what was only begun."""
    names = await store.redis.keys("parley:*documents*")
    return {name: ttl for name in names if (ttl := await store.redis.ttl(name)) == -1 or ttl > 100_000}


@pytest.mark.parametrize("most", [1, 3, 5])
async def test_of_a_space_that_the_bot_left_meanwhile_nothing_is_learned(store: Store, most: int) -> None:
    seen, steps = await in_house(store), 0
    async with passages(store) as known:
        maker = Learning(known, KnowledgeSettings(), Whereabouts(store))
        async for part in maker.learn(commission(Lesson(HOUSE, "many.md"), many())):
            assert not isinstance(part, Notice)
            steps += 1
            if steps == most:
                await seen.left(Platform.TELEGRAM, "1", "100")
        assert await known.list(HOUSE) == ()
        assert await keys_left(store) == {}
        # Begun only afterwards: the same.
        assert keys([part async for part in maker.learn(commission(Lesson(HOUSE, "many.md"), many()))]) == []
        assert await known.list(HOUSE) == ()
        # What is somebody's own has nothing to do with it, and who comes back learns as ever.
        assert keys([p async for p in maker.learn(commission(Lesson("person:telegram:7", "a.md"), b"x y"))]) == [
            "learned"
        ]
        seen.saw(Platform.TELEGRAM, "1", "100", "Back again")
        await seen.flush()
        assert keys([p async for p in maker.learn(commission(Lesson(HOUSE, "many.md"), many()))]) == ["learned"]
        assert await store.redis.ttl(storage_keys.record("documents", HOUSE)) == -1


async def test_what_is_written_while_the_bot_leaves_goes_with_the_rest(store: Store) -> None:
    async with passages(store) as known:
        await known.add(HOUSE, draft("old", "Old."))
        await in_house(store)
        maker = Learning(known, KnowledgeSettings(), Whereabouts(store))
        async for part in maker.learn(commission(Lesson(HOUSE, "many.md"), many())):
            assert not isinstance(part, Notice)
            if isinstance(part, Progress) and part.done == 1.0:
                await SpacesSeen(store).left(Platform.TELEGRAM, "1", "100")
    names = [name for name in await store.redis.keys("parley:*document*") if "changes" not in name]
    waits = [await store.redis.ttl(name) for name in names]
    assert len(waits) == 3
    assert all(29 * 86_400 < wait <= 32 * 86_400 for wait in waits)


@pytest.mark.parametrize("most", [1, 3, 6])
async def test_of_a_group_that_became_a_supergroup_meanwhile_the_new_one_learns(
    store: Store, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "LOOK_SECONDS", 0.02)
    old, new, steps = conversation("100"), conversation("-100777"), 0
    scope = space_scope(space_id(new, new.chat))

    async def move() -> None:
        one = Mover(store, Leases(store, "one"), Cases(store, keep_days=1), known.move, keep_days=1)
        await one.begin(old, new)
        await SpacesSeen(store).left(old.platform, old.bot, old.chat)
        running = asyncio.create_task(one.run())
        async with asyncio.timeout(10):
            while await store.redis.hlen(storage_keys.moves()):
                await asyncio.sleep(0.01)
        await end([running])

    async with passages(store) as known:
        await known.add(HOUSE, draft("first", "It was there before."))
        await known.add(HOUSE, draft("second", "And so was this."))
        maker, said = Learning(known, KnowledgeSettings(), Whereabouts(store)), list[Part]()
        async for part in maker.learn(commission(Lesson(HOUSE, "many.md"), many())):
            said.append(part)
            steps += 1
            if steps == most:
                await move()
        (notice,) = [part for part in said if isinstance(part, Notice)]
        documents = await known.list(scope)
        assert await known.list(HOUSE) == ()
        assert sorted(document.title for document in documents) == ["Part 0", "first", "second"]
        (learned,) = [document for document in documents if document.title == "Part 0"]
        assert (notice.key, notice.values["number"]) == ("learned", learned.number)
        assert (await known.search(scope, "number 199"))[0].passage.heading == "Part 199"
        # Run again after a crash it is there, and comes there only.
        again = [part async for part in maker.learn(commission(Lesson(HOUSE, "many.md"), many()))]
        assert keys(again) == ["learned_before"]
        assert await known.list(HOUSE) == ()


@pytest.mark.parametrize("request_", [{"scope": 7}, {"newer": "field"}])
async def test_an_order_of_a_newer_program_is_told(store: Store, request_: dict[str, object]) -> None:
    order = Order("t1", LEARN, request_, conversation(), "telegram:7")
    async with passages(store) as known:
        maker = Learning(known, KnowledgeSettings(), Whereabouts(store))
        parts = [part async for part in maker.learn(Commission(order))]
    assert keys(parts) == ["document_broken"]


def test_nothing_heavy_is_loaded_before_the_first_search() -> None:
    program = (
        "import core.commands.documents, core.knowledge.passages, sys; print({'numpy', 'pypdf'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert done.stdout.strip() == "set()"
