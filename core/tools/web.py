"""Pages of the web as text, for a model that was asked about one."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.documents import DocumentError, form_of, read_document
from core.fetching import READABLE, Fetched, Fetcher, FetchError
from core.models.chat import ToolForm
from core.parts import Part
from core.texts import ENGLISH, one_line, say
from core.tools.tool import Arguments, Caller, Output, Tool, ToolError, takes, text_of, words

MOST_BYTES = 5_000_000
MOST_CHARS = 40_000
MOST_PAGES = 20
SECONDS = 20.0
KINDS = (*READABLE, "application/pdf")


@dataclass(frozen=True, slots=True)
class WebFetch:
    """Reads pages."""

    fetcher: Fetcher
    any_link: bool = False
    """Also links that nobody wrote."""

    @property
    def tool(self) -> Tool:
        """For the list of all tools."""
        form = ToolForm(
            "web_fetch",
            "Reads a public web page or PDF and gives its text. Only for links that stand in the conversation."
            if not self.any_link
            else "Reads a public web page or PDF and gives its text.",
            takes(["url"], url=words("http or https link", 2000)),
        )
        return Tool(
            form,
            self._run,
            allowed_as="web_fetch",
            called="tool.web_fetch",
            gives_links=True,
            subject=_host,
            seconds=SECONDS + 35,
        )

    async def _run(self, arguments: Arguments, caller: Caller) -> AsyncGenerator[Part | Output]:
        url = text_of(arguments, "url").strip()
        if not (self.any_link or is_said(url, caller.heard)):
            raise ToolError("Only links that stand in the conversation can be opened. Ask the user for the link.")
        try:
            fetched = await self.fetcher.fetch(url, most_bytes=MOST_BYTES, seconds=SECONDS, kinds=KINDS)
            yield Output(await _text(fetched))
        except FetchError as error:
            raise ToolError(say(error.key, ENGLISH, **error.values)) from None
        except DocumentError as error:
            raise ToolError(say(error.key, ENGLISH, **{"name": _host(arguments), **error.values})) from None


async def _text(fetched: Fetched) -> str:
    """What stands there, read by a process that holds nothing of ours."""
    form = form_of(urlsplit(fetched.url).path, fetched.mime)
    if fetched.mime.startswith("text/html"):
        form = "html"
    data = fetched.data if form == "pdf" else fetched.text.encode() if fetched.charset else fetched.data
    extract = await read_document(data, form or "text", max_pages=MOST_PAGES, max_chars=MOST_CHARS)
    return f"{fetched.url}\n\n{extract.text}" + ("\n[cut]" if extract.cut else "")


def is_said(url: str, heard: str) -> bool:
    """Whether a link stands in what was said, or is the front page of a host that was named there."""
    plain = re.sub(r"^https?://", "", url.strip().partition("#")[0]).removesuffix("/")
    host, rest = re.split(r"(?=[/?])", f"{plain}/", maxsplit=1)
    if not host:
        return False
    # Small and capital letters of a path could spell something, so only those of the host are free. Followed by more of
    # a link it would be another one.
    said = re.search(
        rf"(?<![A-Za-z0-9_.-])(?i:{re.escape(host)}){re.escape(rest[:-1])}/?(?![A-Za-z0-9_/&=%+~-]|[.?][A-Za-z0-9_=&%])",
        heard,
    )
    return said is not None


def _host(arguments: Arguments) -> str:
    try:
        return one_line(urlsplit(text_of(arguments, "url")).hostname or "", 60)
    except ValueError:
        return ""
