"""People at the web chat: over HTTP they do what the page does, again and again until it is taken."""

from __future__ import annotations

import asyncio
import html
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import aiohttp

from core.tasks import end
from tests.chaos.checks import Order, Shown
from tests.chaos.journal import Entry, Journal
from tests.chaos.people import Asked, Ordered, Records, short
from tests.chaos.plan import Room
from tests.chaos.speech import ended
from tests.end_to_end.web_page import ARTICLE, changes

AGAIN_SECONDS = 0.3
TAKEN = (200, 204)
ENTER_SECONDS = 30.0
CUT = (aiohttp.ClientError, TimeoutError, OSError)
Send = Callable[[str], Awaitable[bool]]


class Door:
    """Lets people in: the first by the link that a process printed, further ones by the owner's invitations.

    All of Parley's web receivers are one site with one key, as behind a balancer: a cookie of one is sent to all.
    """

    def __init__(self, ports: Sequence[int], journal: Journal) -> None:
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self._journal = journal
        self._owner = ""

    def headers(self, url: str, cookie: str, token: str = "") -> dict[str, str]:
        cookies = "; ".join(f"parley-{u.rpartition(':')[2]}={cookie}" for u in self.urls)
        mine = {"Cookie": cookies, "Origin": url, "Sec-Fetch-Site": "same-origin", "HX-Request": "true"}
        return {**mine, "X-Parley-Token": token} if token else mine

    async def enter(self, http: aiohttp.ClientSession) -> str:
        """A new person's cookie; the first one is the owner's. Raises TimeoutError when nobody opens."""
        async with asyncio.timeout(ENTER_SECONDS):
            if not self._owner:
                self._owner = await self._use(http, await self._printed())
                return self._owner
            url = self.urls[0]
            _, token = await page(http, url, "/", self.headers(url, self._owner))
            headers = self.headers(url, self._owner, token)
            async with http.post(f"{url}/invitations", headers=headers) as answer:
                return await self._use(http, _found(r'value="(http[^"]+)"', await answer.text()))

    async def _printed(self) -> str:
        while True:
            for entry in self._journal.entries:
                if "/enter?code=" in entry.what:
                    return entry.what.split()[-1]
            await asyncio.sleep(0.1)

    async def _use(self, http: aiohttp.ClientSession, link: str) -> str:
        url, _, code = link.partition("/enter?code=")
        headers = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
        async with http.post(f"{url}/enter", data={"code": code}, headers=headers, allow_redirects=False) as answer:
            return next(morsel.value for name, morsel in answer.cookies.items() if name.startswith("parley-"))


class WebRoom:
    """One conversation of one person, with a page open on it."""

    def __init__(self, room: Room, door: Door, journal: Journal) -> None:
        self.name = room.name
        self.key = "web:web:"
        self.records = Records()
        self._door = door
        self._journal = journal
        self._todo: asyncio.Queue[tuple[str, Send]] = asyncio.Queue()
        self._pick = room.number
        self._cookie = self._token = self._conversation = ""
        self._revision = "0"
        self._messages: dict[str, tuple[str, str]] = {}
        """Id -> role and text, as the open page has them."""
        self._known: dict[str, str] = {}
        self._changed: dict[str, float] = {}
        """When a text came first, also on a page that is opened later."""
        self._events: list[Entry] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.waiting = 0
        """What is not taken yet."""

    async def open(self, http: aiohttp.ClientSession) -> None:
        """Comes in and begins to write and to read."""
        self._http = http
        self._cookie = await self._door.enter(http)
        self._token = (await page(http, self._url, "/", self._headers()))[1]
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._follow())]

    async def close(self) -> None:
        await end(self._tasks)

    # ---- what a person does

    async def ask(self, tag: str, words: int, text: str, reply_to: Asked | None = None) -> None:
        asked = Asked("", [tag], [words], [time.time()])
        self.records.asked.append(asked)
        ticket = secrets.token_hex(12)

        async def send(url: str) -> bool:
            form = {"text": text, "conversation": self._conversation, "ticket": ticket}
            content = await self._post(url, "/messages", form)
            if content is None:
                return False
            asked.id = ARTICLE.findall(content)[0][0]
            self._conversation = self._conversation or _found(r'name="conversation" value="(\w+)"', content)
            self.key = f"-{self._conversation}:"
            self._apply(content)
            return True

        self._put(f"asks {tag}", send)

    async def edit(self, asked: Asked, tag: str, words: int, text: str) -> None:
        asked.tags.append(tag)
        asked.words.append(words)
        asked.at.append(time.time())

        async def send(url: str) -> bool:
            path = f"/c/{self._conversation}/messages/{asked.id}"
            return await self._post(url, path, {"text": text}) is not None

        self._put(f"edits {asked.tags[0]} into {tag}", send)

    async def command(self, name: str, argument: str) -> None:
        if name == "stop":
            await self._stop()
            return
        self.records.commands[name] += 1
        ticket = secrets.token_hex(12)

        async def send(url: str) -> bool:
            form = {"text": f"/{name} {argument}".strip(), "conversation": self._conversation, "ticket": ticket}
            return await self._post(url, "/messages", form) is not None

        self._put(f"calls /{name} {argument}", send)

    async def order(self, tag: str) -> None:
        ordered, ticket = Ordered(tag, time.time()), secrets.token_hex(12)
        self.records.ordered.append(ordered)

        async def send(url: str) -> bool:
            form = {"text": f"/imagine {tag}", "conversation": self._conversation, "ticket": ticket}
            content = await self._post(url, "/messages", form)
            if content is None:
                return False
            ordered.id = ARTICLE.findall(content)[0][0]
            self._conversation = self._conversation or _found(r'name="conversation" value="(\w+)"', content)
            self._apply(content)
            return True

        self._put(f"orders {tag}", send)

    def orders(self) -> list[Order]:
        return [made.order(self.name, self.records.stops) for made in self.records.ordered]

    async def _stop(self) -> None:
        """The button: it says nothing, one sees what it does."""

        async def send(url: str) -> bool:
            self.records.stops.append(time.time())
            return await self._post(url, f"/c/{self._conversation}/commands/stop", {}) is not None

        self._put("presses stop", send)

    async def redeliver(self, asked: Asked) -> None:
        """A double click: an answer that came is thrown away, and the same form is sent again."""
        if asked.id:
            await self._again(asked)

    async def _again(self, asked: Asked) -> None:
        async def send(url: str) -> bool:
            path = f"/c/{self._conversation}/messages/{asked.id}/again"
            return await self._post(url, path, {}) is not None

        self._put(f"sends {asked.tags[0]} again", send)

    # ---- what it came to

    def shown(self) -> list[Shown]:
        return [
            Shown(self.name, name, text, name.partition(".")[0])
            for name, (role, text) in sorted(self._messages.items())
            if role != "question"
        ]

    async def read_anew(self) -> list[Shown]:
        """What a page shows that is opened now, with everything earlier."""
        self._messages.clear()
        path = f"/c/{self._conversation}"
        content, _ = await page(self._http, self._url, path, self._headers())
        self._apply(content)
        while more := re.search(r"earlier\?before=(\w+)", content):
            content, _ = await page(self._http, self._url, f"{path}/earlier?before={more[1]}", self._headers())
            self._apply(content)
        return self.shown()

    def answered_at(self, tag: str) -> float:
        times = [
            self._changed[name]
            for name, (role, text) in self._messages.items()
            if role != "question" and ended(text, tag)
        ]
        return max(times, default=0.0)

    def trace(self, since: float, until: float) -> list[Entry]:
        return [entry for entry in self._events if since <= entry.at <= until]

    def made_at(self, message: str) -> float:
        return next((entry.at for entry in self._events if message in entry.what), 0.0)

    # ---- the page

    @property
    def _url(self) -> str:
        return self._door.urls[self._pick % len(self._door.urls)]

    def _headers(self) -> dict[str, str]:
        return self._door.headers(self._url, self._cookie, self._token)

    def _note(self, what: str) -> None:
        self._events.append(Entry(time.time(), self.name, what))

    def _put(self, what: str, send: Send) -> None:
        self.waiting += 1
        self._todo.put_nowait((what, send))

    async def _write(self) -> None:
        """One after another; what is not taken by one process is sent to the next."""
        while True:
            what, send = await self._todo.get()
            self._note(what)
            while True:
                try:
                    if await send(self._url):
                        break
                except CUT as error:
                    self._note(f"{what}: {type(error).__name__}")
                self._pick += 1
                await asyncio.sleep(AGAIN_SECONDS)
            self._note(f"{what}: taken")
            self.waiting -= 1

    async def _post(self, url: str, path: str, form: Mapping[str, str]) -> str | None:
        """The answer's content, or None when it was not taken."""
        async with self._http.post(url + path, data=dict(form), headers=self._headers()) as answer:
            content = await answer.text()
            if answer.status not in TAKEN:
                self._note(f"{path}: {answer.status} {short(content)}")
                return None
            return content

    async def _follow(self) -> None:
        """The event stream, opened again where it stood, now here and now there."""
        turn = self._pick
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            if not self._conversation:
                continue
            turn += 1
            url = self._door.urls[turn % len(self._door.urls)]
            headers = {**self._door.headers(url, self._cookie), "Last-Event-ID": self._revision}
            try:
                async with self._http.get(f"{url}/c/{self._conversation}/events", headers=headers) as answer:
                    if answer.status == 200:
                        async for revision, content in changes(answer.content):
                            self._apply(content)
                            self._revision = revision
            except CUT:
                continue

    def _apply(self, content: str) -> None:
        for name, role, state, inner in ARTICLE.findall(content):
            if not role:
                self._messages.pop(name, None)
                self._note(f"{name} is gone")
                continue
            text = html.unescape(re.sub(r"<[^>]+>", " ", inner))
            self._messages[name] = role, text
            if self._known.get(name) != text:
                self._known[name] = text
                self._changed[name] = time.time()
                self._note(f"{role} {name} ({state}): {short(text)}")


async def page(http: aiohttp.ClientSession, url: str, path: str, headers: Mapping[str, str]) -> tuple[str, str]:
    """A page's content and its form token, asked for until it comes."""
    while True:
        try:
            async with http.get(url + path, headers=dict(headers)) as answer:
                content = await answer.text()
                if answer.status == 200:
                    token = re.search(r'data-token="(\w+)"', content)
                    return content, token[1] if token else ""
        except CUT:
            pass
        await asyncio.sleep(AGAIN_SECONDS)


def _found(pattern: str, content: str) -> str:
    match = re.search(pattern, content)
    if match is None:
        raise ValueError(f"{pattern} is not in: {content[:500]}")
    return html.unescape(match[1])
