"""Fetches what a link points to, for somebody who may mean ill: nothing of this machine's own network is reachable.

An address is judged when the socket to it is made, so what a name means is never asked twice: a name that changes its
address in between (DNS rebinding) gains nothing by it. Each redirect is a fetch of its own.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import zlib
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver
from yarl import URL

from core.errors import ParleyError
from core.texts import one_line

log = structlog.get_logger()

MOST_REDIRECTS = 5
MOST_URL_CHARS = 2048
PORTS = frozenset((80, 443))
USER_AGENT = "Mozilla/5.0 (compatible; Parley; fetches links that people ask about)"
HTML = ("text/html", "application/xhtml+xml")
READABLE = (*HTML, "text/", "application/json", "application/xml", "application/rss+xml", "application/atom+xml")
_CHUNK = 65_536
_V6_GLOBAL = ipaddress.IPv6Network("2000::/3")
_V6_CLOSED = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
"""Special blocks and tunnels, whose other end may be anywhere."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_V4_CLOSED = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))
"""What counts as public and is not: protocol assignments (Oracle's metadata), 6to4 relays, Azure's host."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class FetchError(ParleyError):
    """A link was not fetched. ``key`` is its sentence, ``values`` what the sentence is filled with."""

    def __init__(self, key: str, **values: str | int) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was there."""

    url: str
    """Where the redirects ended."""
    mime: str
    """Without parameters, in small letters."""
    data: bytes
    charset: str = ""
    """As the server tells."""

    @property
    def text(self) -> str:
        """As text; what is no text of its charset is replaced."""
        try:
            return self.data.decode(self.charset or "utf-8", "replace")
        except LookupError:
            return self.data.decode("utf-8", "replace")


def is_public(address: Address) -> bool:
    """Whether an address is in the public internet, and nothing of the network around this machine."""
    if isinstance(address, ipaddress.IPv4Address):
        is_open = address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
        return is_open and not any(address in network for network in _V4_CLOSED)
    if (mapped := address.ipv4_mapped) is not None:
        return is_public(mapped)
    if address in _NAT64:
        # How networks without IPv4 reach it: what counts is whom they reach.
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _V6_GLOBAL and address.is_global and not any(address in network for network in _V6_CLOSED)


class Fetcher:
    """Fetches links. Keeps nothing between two fetches: no cookies, no connections, no names."""

    def __init__(
        self,
        *,
        may_reach: Callable[[Address], bool] = is_public,
        ports: Collection[int] = PORTS,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """Other values than these are for tests: ``may_reach`` judges addresses, no ``ports`` are all of them."""
        self._may_reach = may_reach
        self._ports = ports
        self._resolver = resolver

    async def fetch(
        self, url: str, *, most_bytes: int = 5_000_000, seconds: float = 20.0, kinds: Collection[str] = ()
    ) -> Fetched:
        """What is there: at most ``most_bytes`` unpacked, within ``seconds`` in all.

        ``kinds`` are beginnings of content types; empty: all. Raises FetchError.
        """
        at = self._checked(url)
        host = one_line(at.host or "", 100)
        try:
            async with asyncio.timeout(seconds):
                for _ in range(MOST_REDIRECTS + 1):
                    found = await self._once(at, most_bytes, kinds)
                    if isinstance(found, Fetched):
                        return found
                    at = self._checked(found)
        except TimeoutError:
            raise FetchError("fetch_late", host=host) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.info("a link could not be fetched", host=host, cause=f"{type(error).__name__}: {error}"[:200])
            raise FetchError("fetch_unreachable", host=host) from None
        raise FetchError("fetch_unreachable", host=host)

    def _checked(self, url: str | URL) -> URL:
        """Raises FetchError for what is no plain link into the web."""
        text = str(url).strip()
        if len(text) > MOST_URL_CHARS or re.search(r"[\s\x00-\x20\x7f\\]", text):
            raise FetchError("fetch_no_link")
        try:
            at = URL(text).with_fragment(None)
            port = at.port
        except ValueError:
            raise FetchError("fetch_no_link") from None
        if at.scheme not in ("http", "https") or not at.host or at.user is not None or at.password is not None:
            raise FetchError("fetch_no_link")
        if self._ports and port not in self._ports:
            raise FetchError("fetch_closed", host=one_line(at.host, 100))
        return at

    async def _once(self, at: URL, most_bytes: int, kinds: Collection[str]) -> Fetched | URL:
        """What is at one address, or whereto it points."""
        refused: list[str] = []

        def opened(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
            family, kind, protocol, _, (host, *_) = info
            if not self._may_reach(ipaddress.ip_address(str(host).partition("%")[0])):
                refused.append(str(host))
                raise OSError("not a public address")
            return socket.socket(family, kind, protocol)

        async with AsyncExitStack() as stack:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver, use_dns_cache=False, force_close=True, socket_factory=opened
            )
            client = await stack.enter_async_context(
                aiohttp.ClientSession(
                    connector=connector,
                    auto_decompress=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    trust_env=False,
                    headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"},
                )
            )
            try:
                response = await stack.enter_async_context(client.get(at, allow_redirects=False))
            except aiohttp.InvalidURL:
                raise FetchError("fetch_no_link") from None
            except aiohttp.ClientConnectorError:
                if refused:
                    log.warning("a link to a private address was refused", host=at.host, address=refused[0])
                    raise FetchError("fetch_closed", host=one_line(at.host or "", 100)) from None
                raise
            if response.status in (301, 302, 303, 307, 308) and (location := response.headers.get("Location")):
                return at.join(URL(location.strip()))
            return await _read(response, at, most_bytes, kinds)


async def _read(response: aiohttp.ClientResponse, at: URL, most_bytes: int, kinds: Collection[str]) -> Fetched:
    host = one_line(at.host or "", 100)
    if response.status != 200:
        raise FetchError("fetch_status", host=host, status=response.status)
    mime = response.content_type.lower()
    if kinds and not mime.startswith(tuple(kinds)):
        raise FetchError("fetch_kind", host=host, kind=one_line(mime, 60))
    if (response.content_length or 0) > most_bytes:
        raise FetchError("fetch_large", host=host)
    unpack = _Unpacked(response.headers.get("Content-Encoding", "").strip().lower())
    body = bytearray()
    # Chunk by chunk, so that a few kilobytes cannot become gigabytes before they are counted.
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += unpack(chunk, most_bytes + 1 - len(body))
        if len(body) > most_bytes:
            raise FetchError("fetch_large", host=host)
    return Fetched(str(at), mime, bytes(body), response.charset or "")


class _Unpacked:
    """Unpacks a body, never more at once than is asked for. Raises ValueError for what nobody asked for."""

    def __init__(self, encoding: str) -> None:
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise ValueError(f"an encoding that was not asked for: {encoding[:40]}")
        self._deflates = encoding == "deflate"
        self._unpack = None if encoding in ("", "identity") else zlib.decompressobj(zlib.MAX_WBITS | 32)

    def __call__(self, chunk: bytes, most: int) -> bytes:
        if self._unpack is None:
            return chunk
        try:
            try:
                return self._unpack.decompress(chunk, most)
            except zlib.error:
                if not self._deflates:
                    raise
                # Some servers send deflate without its frame.
                self._deflates, self._unpack = False, zlib.decompressobj(-zlib.MAX_WBITS)
                return self._unpack.decompress(chunk, most)
        except zlib.error as error:
            raise ValueError(f"not packed as it says: {error}") from None
