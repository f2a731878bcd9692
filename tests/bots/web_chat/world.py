"""A running web chat on a real port and a real Valkey, with an inbox that answers by a script."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

import aiohttp

from bots.adapter import Button, Page, Slot, Target
from bots.pressing import Presses
from bots.web_chat.adapter import WebAdapter
from bots.web_chat.outbound import WebOutbound
from bots.web_chat.redis_store import RedisWebStore
from core.commands.table import BY_NAME
from core.conversation.history import History
from core.errors import StorageError
from core.message import CommandCall, Incoming, Lasting, Message
from core.models.catalog import Catalog
from core.parts import Ending
from core.people.community import Community
from core.settings import Settings, WebSettings
from core.storage.client import Store

MODELS = ("small-1", "large-2")


@dataclass(slots=True)
class Script:
    """How the next question is answered."""

    pieces: Sequence[str] = ("You ", "said: ", "{text}")
    ending: Ending = Ending.COMPLETE
    hold_after: int = 0
    """Pieces after which the answer waits for ``go``; 0: it does not wait."""
    go: asyncio.Event = field(default_factory=asyncio.Event)


class ScriptedInbox:
    """Implements Inbox: keeps what came, and answers it through the real outbound."""

    def __init__(self, store: RedisWebStore) -> None:
        self.outbound = WebOutbound(store)
        self.came: list[Lasting] = []
        self.scripts: list[Script] = []
        self.is_away = False
        self._turns = 0
        self._seen: set[str] = set()
        self._running: dict[str, tuple[asyncio.Task[None], Script]] = {}

    async def accept(self, incoming: Sequence[Incoming]) -> None:
        if self.is_away:
            raise StorageError("away")
        for value in incoming:
            assert isinstance(value, Lasting)
            if value.update in self._seen:
                continue
            self._seen.add(value.update)
            self.came.append(value)
            if isinstance(value, Message):
                self._start(value, Target(value.conversation, True, value.id, asked=value.id))
            elif isinstance(value, CommandCall):
                await self._call(value)

    async def settled(self) -> None:
        """Returns when nothing is being answered."""
        while self._running:
            await asyncio.wait([task for task, _ in self._running.values()])

    async def close(self) -> None:
        tasks = [task for task, _ in self._running.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _call(self, call: CommandCall) -> None:
        row = BY_NAME[call.name]
        target = Target(call.conversation, True, "", ephemeral=row.private, asked=call.id)
        if call.name == "stop":
            if running := self._running.get(str(call.conversation)):
                running[1].ending = Ending.STOPPED
                running[1].go.set()
            await self._notice(target, "Stopped, or there was nothing to stop.")
        elif call.name == "model":
            await self._notice(target, f"This conversation now uses **{call.options.get('text', '')}**.")
        elif call.name == "regenerate":
            self._start(call, target, edits=call.reply_to)
        elif row.run is None:
            self._start(call, target)
        else:
            await self._notice(target, f"/{call.name}")

    async def _notice(self, target: Target, text: str) -> None:
        self._turns += 1
        page = replace(self.outbound.format(text), ending="complete")
        await self.outbound.send(target, page, Slot(f"{target.conversation}/{self._turns}", 0))

    def _start(self, value: Message | CommandCall, target: Target, edits: str = "") -> None:
        script = self.scripts.pop(0) if self.scripts else Script()
        key = str(value.conversation)
        task = asyncio.create_task(self._answer(value, target, script, edits))
        self._running[key] = task, script
        task.add_done_callback(lambda _: self._running.pop(key, None))

    async def _answer(self, value: Message | CommandCall, target: Target, script: Script, edits: str) -> None:
        self._turns += 1
        slot = Slot(f"{target.conversation}/{self._turns}", 0)
        said = value.text if isinstance(value, Message) else value.name
        text, shown = "", edits
        for number, piece in enumerate(script.pieces, 1):
            text += piece.replace("{text}", said)
            page = self.outbound.format(text)
            shown = await self._show(target, slot, page, shown)
            if number == script.hold_after:
                await script.go.wait()
            if script.ending is Ending.STOPPED:
                text += "\n\n*Stopped.*"
                break
        buttons = (Button("Continue ▸", "continue"),) if script.ending is Ending.LENGTH else ()
        final = replace(self.outbound.format(text), ending=str(script.ending), buttons=buttons)
        await self._show(target, slot, final, shown)

    async def _show(self, target: Target, slot: Slot, page: Page, shown: str) -> str:
        if not shown:
            return await self.outbound.send(target, page, slot)
        await self.outbound.edit(target, shown, page)
        return shown


@dataclass(slots=True)
class World:
    """The chat under test."""

    adapter: WebAdapter
    store: RedisWebStore
    inbox: ScriptedInbox
    running: asyncio.Task[None]

    @property
    def url(self) -> str:
        return self.adapter.address

    def browser(self, language: str = "en") -> Visitor:
        return Visitor(self, language)


@asynccontextmanager
async def open_world(
    valkey: Store,
    *,
    settings: WebSettings | None = None,
    models: Sequence[str] = MODELS,
    store: RedisWebStore | None = None,
    port: int = 0,
) -> AsyncGenerator[World]:
    listener = socket.create_server(("127.0.0.1", port))
    community = Community.of(Settings(), valkey)
    store = store or RedisWebStore(valkey, keep_days=30, max_messages=500)
    catalog = Catalog.of(Settings())
    presses = Presses(History(valkey, keep_days=30, max_messages=500), catalog, community, buttons=True, votes=True)
    adapter = WebAdapter(
        settings or WebSettings(), store, lambda: models, community, catalog, presses, listener=listener
    )
    inbox = ScriptedInbox(store)
    running = asyncio.create_task(adapter.run(inbox))
    try:
        await asyncio.wait_for(adapter.ready(), 10)
        yield World(adapter, store, inbox, running)
    finally:
        await inbox.close()
        running.cancel()
        await asyncio.wait([running])


class Visitor:
    """One browser, as far as HTTP goes: cookies, the headers a browser sets, the token of the page."""

    def __init__(self, world: World, language: str = "en") -> None:
        self.world = world
        self.token = ""
        self.http = aiohttp.ClientSession(
            base_url=world.url,
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            headers={"Accept-Language": language},
            timeout=aiohttp.ClientTimeout(total=20),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.close()

    async def enter(self, link: str = "") -> None:
        """Through the one-time link, and the front page for its token."""
        link = link or await self.world.adapter.entry_url()
        code = link.partition("code=")[2]
        async with self.http.post("/enter", data={"code": code}, headers=self.own) as answer:
            assert answer.status == 200, await answer.text()
            self.token = found(r'data-token="([0-9a-f]+)"', await answer.text())

    @property
    def own(self) -> dict[str, str]:
        """What a browser sends with a change that our own page makes."""
        return {"Origin": self.world.url, "Sec-Fetch-Site": "same-origin"}

    @property
    def signed(self) -> dict[str, str]:
        return {**self.own, "X-Parley-Token": self.token, "HX-Request": "true"}

    async def get(self, path: str) -> tuple[int, str]:
        async with self.http.get(path) as answer:
            return answer.status, await answer.text()

    async def post(self, path: str, data: object = None, method: str = "POST") -> tuple[int, str]:
        async with self.http.request(method, path, data=data, headers=self.signed) as answer:
            return answer.status, await answer.text()

    async def ask(self, text: str, conversation: str = "", ticket: str = "", **more: str) -> str:
        """Asks, and waits for the answer's end; the conversation's id."""
        status, html = await self.send(text, conversation, ticket, **more)
        assert status == 200, html
        await self.world.inbox.settled()
        return conversation or found(r'name="conversation" value="([0-9a-f]+)"', html)

    async def send(self, text: str, conversation: str = "", ticket: str = "", **more: str) -> tuple[int, str]:
        form = {"text": text, "conversation": conversation, "ticket": ticket or new_ticket(), **more}
        return await self.post("/messages", form)


def new_ticket() -> str:
    import secrets

    return secrets.token_hex(12)


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, f"{pattern} is not in: {text[:2000]}"
    return match[1]


def message_ids(html: str) -> list[str]:
    return re.findall(r'<article id="m-([^"]+)"', html)
