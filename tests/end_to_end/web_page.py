"""A person at the web chat: does over HTTP what the page does in a browser."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from core.tasks import end
from tests.end_to_end.running import Parley, until

AGAIN_SECONDS = 0.1
ARTICLE = re.compile(
    r'<article id="m-([^"]+)" (?:class="message (\w+)" data-state="(\w+)"|data-removed)(.*?)</article>', re.S
)
TEXT = re.compile(r'<div class="text"[^>]*>(.*?)</div>|<div class="bubble">(.*?)</div>', re.S)
CUT = (aiohttp.ClientError, TimeoutError)
"""What a request ends with when the process dies."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One message as the page shows it."""

    role: str
    state: str
    text: str
    pictures: tuple[str, ...] = ()
    """Their addresses on the page."""


class WebPage:
    """One open page. What cannot be sent is sent again, with the same ticket, until it is."""

    max_text = 100_000

    def __init__(
        self, parley: Parley, http: aiohttp.ClientSession, *, reloads: bool = False, beside: WebPage | None = None
    ) -> None:
        """With ``reloads`` the person reloads a page that could not send, and presses "Send again" there."""
        self._parley = parley
        self._http = http
        self._reloads = reloads
        self._texts: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()
        self._url = beside._url if beside else ""
        self._conversation = beside._conversation if beside else ""
        self._token = self._ticket = ""
        self._revision = "0"
        self._messages: dict[str, Shown] = {}
        self.tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._follow())]

    def say(self, text: str, picture: str = "", *, reply: str = "") -> str:
        """Sends it as soon as what was said before is sent, in reply to a message. Its id is the page's affair."""
        self._texts.put_nowait((text, picture, reply))
        return ""

    @property
    def shown(self) -> list[str]:
        """Everything that is not the person's own, in order."""
        for task in self.tasks:
            if task.done():
                task.result()
        return [m.text for _, m in sorted(self._messages.items()) if m.role != "question"]

    @property
    def pictures(self) -> list[str]:
        """Those that are not the person's own."""
        return [one for _, m in sorted(self._messages.items()) if m.role != "question" for one in m.pictures]

    async def get(self, address: str) -> bytes:
        """What lies at an address of the page."""
        async with self._http.get(self._url + address) as answer:
            assert answer.status == 200
            return await answer.read()

    def second_tab(self) -> WebPage:
        """The same conversation in the same browser. It has to be closed."""
        return WebPage(self._parley, self._http, reloads=self._reloads, beside=self)

    async def close(self) -> None:
        await end(self.tasks)

    async def press(self, command: str, message: str = "") -> None:
        """A button of the page."""
        path = f"/c/{self._conversation}/commands/{command}"
        async with self._http.post(self._url + path, data={"message": message}, headers=self._signed) as answer:
            assert answer.status == 204

    async def press_under(self, message: str, what: str, **form: str) -> None:
        """What stands in a message: ``press`` with its button, ``vote`` with its option."""
        path = f"/c/{self._conversation}/messages/{message}/{what}"
        async with self._http.post(self._url + path, data=form, headers=self._signed) as answer:
            assert answer.status == 204

    async def source(self) -> str:
        """The page's HTML, opened now."""
        return (await self.get(f"/c/{self._conversation}")).decode()

    async def attach(self, picture: bytes) -> str:
        """Uploads a picture; the blob that stands for it in a message."""
        async with self._http.post(f"{self._url}/uploads", data=picture, headers=self._signed) as answer:
            return _found(r'name="picture" value="(\w+)"', await answer.text())

    @property
    def answers(self) -> list[str]:
        """Ids of the answers, in order."""
        return [name for name, m in sorted(self._messages.items()) if m.role == "answer"]

    @property
    def asked(self) -> list[Shown]:
        return [m for _, m in sorted(self._messages.items()) if m.role == "question"]

    async def read_anew(self) -> list[str]:
        """What a page shows that is opened now."""
        await self._open(f"/c/{self._conversation}")
        return self.shown

    async def _write(self) -> None:
        if self._conversation:
            await self._open(f"/c/{self._conversation}")
        else:
            await self._enter()
        while True:
            text, picture, reply = await self._texts.get()
            while not await self._post(text, picture, reply):
                await asyncio.sleep(AGAIN_SECONDS)
                if self._reloads and await self._found_after_reload(text):
                    break

    async def _enter(self) -> None:
        lines = self._parley.lines
        await until(lambda: any(said in line for line in lines for said in ("/enter?code=", "parley: ")), "the link")
        assert not any("parley: " in line for line in lines), lines
        link = next(line.split()[-1] for line in lines if "/enter?code=" in line)
        self._url, _, code = link.partition("/enter?code=")
        async with self._http.post(f"{self._url}/enter", data={"code": code}, headers=self._own) as answer:
            assert answer.status == 200
        await self._open("/")

    async def _post(self, text: str, picture: str, reply: str) -> bool:
        form = {"text": text, "conversation": self._conversation, "ticket": self._ticket}
        if picture:
            form["picture"] = picture
        if reply:
            form["reply"] = reply
        try:
            async with self._http.post(f"{self._url}/messages", data=form, headers=self._signed) as answer:
                content = await answer.text()
        except CUT:
            return False
        if answer.status != 200:
            return False
        self._apply(content)
        self._ticket = _found(r'name="ticket" value="(\w+)"', content)
        if not self._conversation:
            self._conversation = _found(r'name="conversation" value="(\w+)"', content)
        return True

    async def _found_after_reload(self, text: str) -> bool:
        """Whether the text is there once the page is loaded again; if it is marked as unsent, it is sent."""
        try:
            if not self._conversation:
                async with self._http.get(f"{self._url}/") as answer:
                    newest = re.search(r'href="/c/(\w+)"', await answer.text())
                if newest is None:
                    return False
                self._conversation = newest[1]
            await self._open(f"/c/{self._conversation}")
            mine = {name: m for name, m in self._messages.items() if m.text == text}
            for name, message in mine.items():
                if message.state == "sending":
                    path = f"/c/{self._conversation}/messages/{name}/again"
                    async with self._http.post(self._url + path, headers=self._signed) as answer:
                        return answer.status == 204
            return bool(mine)
        except CUT:
            return False

    async def _open(self, path: str) -> None:
        async with self._http.get(self._url + path) as answer:
            content = await answer.text()
        self._token = _found(r'data-token="(\w+)"', content)
        self._ticket = _found(r'name="ticket" value="(\w+)"', content)
        if self._conversation:
            self._revision = _found(r"events\?after=(\d+)", content)
        self._messages.clear()
        self._apply(content)

    async def _follow(self) -> None:
        """The page's event stream, opened again where it stood whenever it breaks."""
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            if not self._conversation:
                continue
            address = f"{self._url}/c/{self._conversation}/events?after={self._revision}"
            try:
                async with self._http.get(address, headers={"Last-Event-ID": self._revision}) as answer:
                    assert answer.status == 200
                    async for revision, content in changes(answer.content):
                        self._apply(content)
                        self._revision = revision
            except CUT:
                continue

    def _apply(self, content: str) -> None:
        for name, role, state, inner in ARTICLE.findall(content):
            if role:
                text = TEXT.search(inner)
                bare = re.sub(r"<[^>]+>", "", (text[1] or text[2] or "") if text else "")
                pictures = tuple(re.findall(r'<img src="([^"]+)"', inner))
                self._messages[name] = Shown(role, state, html.unescape(bare).strip(), pictures)
            else:
                self._messages.pop(name, None)

    @property
    def _own(self) -> dict[str, str]:
        return {"Origin": self._url, "Sec-Fetch-Site": "same-origin"}

    @property
    def _signed(self) -> dict[str, str]:
        return {**self._own, "X-Parley-Token": self._token, "HX-Request": "true"}


@asynccontextmanager
async def web_page(parley: Parley, *, reloads: bool = False) -> AsyncGenerator[WebPage]:
    """Opens the page by the link that Parley prints, once it does."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=timeout) as http:
        page = WebPage(parley, http, reloads=reloads)
        try:
            yield page
        finally:
            await page.close()


async def changes(stream: aiohttp.StreamReader) -> AsyncGenerator[tuple[str, str]]:
    """From a page's event stream: the revision and the HTML of what is new or changed."""
    revision, data = "", list[str]()
    async for line in stream:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "id":
            revision = value
        elif name == "data":
            data.append(value)
        elif not name and data:
            yield revision, "\n".join(data)
            data = []


def _found(pattern: str, content: str) -> str:
    match = re.search(pattern, content)
    assert match, f"{pattern} is not in: {content[:2000]}"
    return match[1]
