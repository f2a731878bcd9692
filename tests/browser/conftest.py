"""A real headless Chromium in front of the web chat."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

from core.storage.client import Store
from tests.bots.web_chat.world import World, open_world

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
WAIT_MS = 15_000


def chromium_path() -> str:
    """Where Chromium is; skips the test where there is none, but not in CI."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found:
        return found
    sentence = "Chromium is not installed (Debian: apt-get install chromium; or set CHROMIUM to its path)"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@dataclass
class Watched:
    """A page, and what went wrong in it."""

    page: Page
    world: World
    errors: list[str] = field(default_factory=list[str])
    foreign: list[str] = field(default_factory=list[str])

    def note_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text}")

    def note_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob") and f"{url.scheme}://{url.netloc}" != self.world.url:
            self.foreign.append(request.url)

    async def enter(self) -> None:
        """Through the one-time link, as its first visitor."""
        await self.page.goto(await self.world.adapter.entry_url())
        await self.page.get_by_role("button", name="Enter").click()
        await self.page.wait_for_selector("#text")

    async def ask(self, text: str) -> None:
        await self.page.locator("#text").fill(text)
        await self.page.keyboard.press("Enter")

    async def answered(self, text: str) -> None:
        await self.page.locator(".answer[data-state=done]", has_text=text).wait_for()


Open = Callable[..., Awaitable[Watched]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def world(valkey_url: str) -> AsyncIterator[World]:
    store = Store(valkey_url)
    await store.redis.flushall()
    async with open_world(store) as world:
        yield world
    await store.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser, world: World) -> AsyncIterator[Open]:
    """Opens pages in one browser profile; in the end nothing may have gone wrong in any, or have gone outside."""
    opened: list[Watched] = []
    context = await browser.new_context(viewport={"width": 1100, "height": 760}, locale="en-GB")
    context.set_default_timeout(WAIT_MS)

    async def open_one(width: int = 1100, height: int = 760) -> Watched:
        page = await context.new_page()
        await page.set_viewport_size({"width": width, "height": height})
        watched = Watched(page, world)
        page.on("console", watched.note_console)
        page.on("pageerror", lambda error: watched.errors.append(str(error)))
        page.on("request", watched.note_request)
        opened.append(watched)
        return watched

    yield open_one
    await context.close()
    assert [error for watched in opened for error in watched.errors] == []
    assert [url for watched in opened for url in watched.foreign] == []


@pytest_asyncio.fixture(loop_scope="session")
async def chat(open_page: Open) -> Watched:
    """The owner's chat, open."""
    watched = await open_page()
    await watched.enter()
    return watched
