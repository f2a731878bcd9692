"""Links are fetched from the public internet only, whatever they look like, and never without bounds."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from core.fetching import HTML, Address, Fetcher, FetchError, is_public

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Names(AbstractResolver):
    """Answers with the addresses given, one after another, the last one for ever."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        self.asked.append(host)
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass


def only_first(address: Address) -> bool:
    """127.0.0.1 stands for the internet, all other addresses for what is private."""
    return str(address) == "127.0.0.1"


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Serve], Awaitable[int]]]:
    """Starts a server on loopback and says its port."""
    runners: list[web.ServerRunner] = []

    async def start(answer: Serve) -> int:
        runner = web.ServerRunner(web.Server(answer))
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner.addresses[0][1]

    yield start
    for runner in runners:
        await runner.cleanup()


def fetcher(*addresses: str) -> Fetcher:
    return Fetcher(may_reach=only_first, ports=(), resolver=Names(*(addresses or ("127.0.0.1",))))


async def key_of(fetch: Awaitable[object]) -> str:
    with pytest.raises(FetchError) as caught:
        await fetch
    return caught.value.key


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200"),
        *("192.0.0.192", "168.63.129.16", "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1", "192.88.99.1"),
        *("::", "::1", "::ffff:127.0.0.1", "::7f00:1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:53aa:64c::1", "2001:db8::1", "100::1"),
    ],
)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101"])
def test_what_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://example.org/", "gopher://example.org", "javascript:alert(1)", "example.org", ""),
        *("http://", "http:///x", "http://user:pass@example.org/", "http://@example.org@/", "http://exa mple.org/"),
        *(
            "http://example.org\\@127.0.0.1/",
            "http://example.org/\r\nHost: x",
            "http://2130706433/",
            "http://0177.0.0.1/",
        ),
        *("http://127.1/", "http://example.org:99999/", "http://[::1", "http://example.org/" + "x" * 3000),
    ],
)
async def test_what_is_no_link(url: str) -> None:
    assert await key_of(Fetcher(resolver=Names("127.0.0.1")).fetch(url)) == "fetch_no_link"


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/", "http://[::1]/", "http://[::ffff:169.254.169.254]/latest/meta-data/", "http://0.0.0.0/"),
        *("http://localhost/", "http://metadata.example/", "https://ⓛocalhost/", "http://bücher.example/"),
        *("http://example.org:22/", "http://example.org:6379/"),
    ],
)
async def test_closed_addresses_and_ports(url: str) -> None:
    assert await key_of(Fetcher(resolver=Names("10.0.0.1")).fetch(url)) == "fetch_closed"


async def test_a_name_is_asked_once_and_its_address_is_the_one_that_is_reached(serve: Any) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(text="grüße", content_type="text/html", charset="latin-1")

    port = await serve(answer)
    names = Names("127.0.0.1", "127.0.0.2")
    fetched = await Fetcher(may_reach=only_first, ports=(), resolver=names).fetch(f"http://shop.example:{port}/a#b")
    assert (fetched.url, fetched.mime, fetched.text) == (f"http://shop.example:{port}/a", "text/html", "grüße")
    assert names.asked == ["shop.example"]


async def test_a_redirect_is_judged_anew(serve: Any) -> None:
    places: dict[str, str] = {}

    async def answer(request: web.BaseRequest) -> web.Response:
        if place := places.get(request.path):
            return web.Response(status=302, headers={"Location": place})
        return web.Response(text="here")

    port = await serve(answer)
    places |= {
        "/near": "/there",
        "/private": f"http://127.0.0.2:{port}/there",
        "/file": "file:///etc/passwd",
        "/named": f"http://me:secret@shop.example:{port}/there",
        "/round": "/round",
    }
    base = f"http://shop.example:{port}"
    assert (await fetcher().fetch(f"{base}/near")).url == f"{base}/there"
    assert await key_of(fetcher().fetch(f"{base}/private")) == "fetch_closed"
    assert await key_of(fetcher().fetch(f"{base}/file")) == "fetch_no_link"
    assert await key_of(fetcher().fetch(f"{base}/named")) == "fetch_no_link"
    assert await key_of(fetcher().fetch(f"{base}/round")) == "fetch_unreachable"
    # The same name means another address by the time of the redirect.
    assert await key_of(fetcher("127.0.0.1", "127.0.0.2").fetch(f"{base}/near")) == "fetch_closed"


async def test_a_body_is_bounded_packed_and_unpacked(serve: Any) -> None:
    bodies = {
        "/plain": (b"x" * 200_000, ""),
        "/bomb": (gzip.compress(bytes(50_000_000)), "gzip"),
        "/small": (gzip.compress(b"hello"), "gzip"),
        "/zlib": (zlib.compress(b"hello"), "deflate"),
        "/raw": (zlib.compress(b"hello")[2:-4], "deflate"),
        "/brotli": (b"\x8b\x02\x80hello\x03", "br"),
        "/broken": (b"no gzip at all", "gzip"),
    }

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        body, encoding = bodies[request.path]
        response = web.StreamResponse(headers={"Content-Encoding": encoding} if encoding else {})
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(body)
        return response

    base = f"http://shop.example:{await serve(answer)}"
    for path in ("/small", "/zlib", "/raw"):
        assert (await fetcher().fetch(base + path)).data == b"hello"
    for path in ("/plain", "/bomb"):
        assert await key_of(fetcher().fetch(base + path, most_bytes=100_000)) == "fetch_large"
    assert (await fetcher().fetch(f"{base}/plain", most_bytes=200_000)).data == b"x" * 200_000
    for path in ("/brotli", "/broken"):
        assert await key_of(fetcher().fetch(base + path)) == "fetch_unreachable"


async def test_time_kinds_and_states(serve: Any) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/gone":
            return web.Response(status=404)
        if request.path == "/picture":
            return web.Response(body=b"GIF89a", content_type="image/gif")
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.02)

    base = f"http://shop.example:{await serve(answer)}"
    assert await key_of(fetcher().fetch(f"{base}/drip", seconds=0.1)) == "fetch_late"
    assert await key_of(fetcher().fetch(f"{base}/gone")) == "fetch_status"
    assert await key_of(fetcher().fetch(f"{base}/picture", kinds=HTML)) == "fetch_kind"


async def test_nothing_of_the_environment_is_used(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.json_response(dict(request.headers))

    port = await serve(answer)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    fetched = await fetcher().fetch(f"http://shop.example:{port}/")
    assert "Cookie" not in fetched.text
    assert "Authorization" not in fetched.text
    assert "Parley" in fetched.text
