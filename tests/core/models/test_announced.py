"""Model servers that announce themselves in Redis, and workers that follow them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsError, StorageError
from core.models import announced, model_server
from core.models.announced import announce, follow
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.chat import ChatMessage, ChatRequest
from core.models.local_models import SMOLLM2
from core.models.model import LOCAL, LocalModel
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.settings import LocalSettings, RoutingSettings
from core.parts import Ending
from core.storage import announcements as storage
from core.storage import keys
from core.storage.announcements import Announcements
from core.storage.client import Store
from core.tasks import end
from tests.core.models.routing import ANSWER, answer, finished, text
from tests.platforms.openai_server import OpenAIServer

TINY = LocalModel("http://10.0.0.1:8000/v1", "secret", "tiny", "tiny-id", 2048, small=True, slots=3)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announced, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(announced, "FOLLOW_SECONDS", 0.05)
    monkeypatch.setattr(model_server, "FOLLOW_SECONDS", 0.05)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def announcing(store: Store, model: LocalModel | None) -> AsyncGenerator[asyncio.Task[None]]:
    task = asyncio.create_task(announce(Announcements(store), lambda: model))
    try:
        yield task
    finally:
        await end([task])


@asynccontextmanager
async def followed(store: Store) -> AsyncGenerator[Catalog]:
    catalog = Catalog((), ())
    task = asyncio.create_task(follow(catalog, Announcements(store)))
    try:
        yield catalog
        assert not task.done()
    finally:
        await end([task])


def urls(catalog: Catalog, name: str = "tiny") -> list[str]:
    return [endpoint.base_url for endpoint in catalog.endpoints(LOCAL, name)]


async def test_servers_come_and_go(store: Store) -> None:
    other = replace(TINY, base_url="http://10.0.0.2:8000/v1")
    async with followed(store) as catalog:
        async with announcing(store, TINY):
            await until(lambda: len(urls(catalog)) == 1)
            async with announcing(store, other), announcing(store, replace(TINY, name="big")):
                await until(lambda: len(catalog.models) == 2 and len(urls(catalog)) == 2)
                [first, second] = catalog.endpoints(LOCAL, "tiny")
                assert (first.api_key, first.id, first.max_concurrent) == ("secret", "tiny-id", 3)
                assert second.base_url == other.base_url
            # Who ends in good order says so, and is not waited for until it expires.
            assert len((await Announcements(store).load())[0]) == 1
            await until(lambda: urls(catalog) == [TINY.base_url] and len(catalog.models) == 1)
        await until(lambda: not catalog.models)
        assert catalog.expects_local


async def test_before_the_first_look_servers_are_expected(store: Store) -> None:
    async with followed(store) as catalog:
        await asyncio.sleep(0)
        assert catalog.expects_local
        await until(lambda: not catalog.expects_local)


async def test_a_server_that_died_without_a_word_expires(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "EXPIRY_SECONDS", 1)
    await Announcements(store).renew("dead", json.dumps({**fields(TINY), "node": "gpu"}))
    async with followed(store) as catalog:
        await until(lambda: len(urls(catalog)) == 1)
        await until(lambda: not urls(catalog))
    assert await store.redis.smembers(keys.model_servers()) == set()
    # What stays behind ends by itself, too.
    assert 0 < await store.redis.ttl(keys.models_expected()) <= storage.EXPECTED_SECONDS
    assert await store.redis.keys("parley:*") == [keys.models_expected()]


def fields(model: LocalModel) -> dict[str, Any]:
    return {"version": 1, "node": "", **{name: getattr(model, name) for name in announced.FIELDS}}


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        "{}",
        json.dumps({**fields(TINY), "version": 2}),
        json.dumps({**fields(TINY), "slots": "many"}),
        json.dumps({**fields(TINY), "base_url": "file:///etc/passwd"}),
        json.dumps({**fields(TINY), "base_url": "http://127.0.0.1:1/v1", "node": "another machine"}),
    ],
)
async def test_what_cannot_be_used_is_left_out(store: Store, text: str) -> None:
    await Announcements(store).renew("a", text)
    await Announcements(store).renew("b", json.dumps(fields(TINY)))
    async with followed(store) as catalog:
        await until(lambda: bool(catalog.models))
        assert urls(catalog) == [TINY.base_url]


async def test_while_redis_is_away_the_last_servers_known_stay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "PATIENCE_SECONDS", 0.01)
    async with announcing(store, TINY), followed(store) as catalog:
        await until(lambda: len(urls(catalog)) == 1)
        await store.redis.acl_setuser("default", enabled=True, categories=["-@all"], commands=["+acl"])
        try:
            with pytest.raises(StorageError):
                await Announcements(store).load()
            await asyncio.sleep(0.2)
            assert urls(catalog) == [TINY.base_url]
        finally:
            await store.redis.acl_setuser("default", categories=["+@all"], enabled=True)


async def test_answers_wait_for_a_server_that_is_on_its_way(store: Store) -> None:
    model: LocalModel | None = None
    telling = asyncio.create_task(announce(Announcements(store), lambda: model))
    try:
        async with OpenAIServer(models=["tiny-id"], api_key="secret") as server, followed(store) as catalog:
            router = Router(catalog, RoutingSettings(), Breaker(5, 20), OpenAIApi)
            await until(lambda: catalog.expects_local)
            waits = asyncio.create_task(answer(router))
            await asyncio.sleep(0.1)
            assert not waits.done()
            model = replace(TINY, base_url=server.url)
            assert text(await waits) == ANSWER
            await router.aclose()
    finally:
        await end([telling])


async def test_a_model_server_for_real(store: Store, tmp_path: Path) -> None:
    settings = LocalSettings(model=SMOLLM2, window=512)
    lines: list[str] = []
    serving = asyncio.create_task(model_server.serve(settings, tmp_path, lines.append, Announcements(store)))
    try:
        async with followed(store) as catalog:
            await until(lambda: bool(catalog.models) or serving.done())
            router = Router(catalog, RoutingSettings(), Breaker(5, 20), OpenAIApi)
            parts = await answer(router)
            assert finished(parts).ending in (Ending.COMPLETE, Ending.LENGTH)
            assert text(parts)
            [endpoint] = catalog.endpoints(LOCAL, SMOLLM2)
            assert endpoint.base_url in lines[-1]
            assert endpoint.api_key not in "".join(lines)
            # Who stops it lets the answer under way end, but takes no further ones.
            story = ChatRequest((ChatMessage("user", "Tell me a long story about a dog."),), max_answer=60)
            async with aclosing(router.answer(story)) as coming:
                parts = [await anext(coming)]
                serving.cancel()
                parts += [part async for part in coming]
            assert (finished(parts).ending, finished(parts).usage.calls) == (Ending.LENGTH, 1)
            await serving
            await until(lambda: not catalog.models)
            await router.aclose()
    finally:
        await end([serving])


@pytest.mark.parametrize(
    ("values", "host"),
    [
        ({}, "127.0.0.1"),
        ({"host": "10.1.2.3"}, "10.1.2.3"),
        ({"host": "0.0.0.0"}, "127.0.0.1"),
        ({"host": "0.0.0.0", "port": 8000, "advertise": "https://gpu1.example:444/v1"}, "gpu1.example"),
    ],
)
async def test_the_address_that_others_are_told(store: Store, values: dict[str, Any], host: str) -> None:
    settings = LocalSettings.model_validate(values)
    assert await model_server.known_as(settings, Announcements(store)) == host


async def test_an_address_without_a_fixed_port_is_refused(store: Store, tmp_path: Path) -> None:
    settings = LocalSettings(model=SMOLLM2, advertise="http://gpu1:8000/v1")
    with pytest.raises(SettingsError, match=r"local\.port is wrong: found 0"):
        await model_server.serve(settings, tmp_path, lambda _: None, Announcements(store))
