"""A model hub on loopback: headers, list of files, byte ranges, redirects, and the faults of real ones."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Hub:
    """Serves one file. Change its fields to make it misbehave."""

    repo: str
    file: str
    content: bytes
    url: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """Method, path and Range header of each."""
    breaks_after: int | None = None
    """Bytes after which the next answer breaks off, once."""
    says_sha256: str = ""
    """A checksum other than the content's."""
    has_headers: bool = True
    has_list: bool = True
    redirect: str = ""
    silent: bool = False
    status: int = 200

    @property
    def sha256(self) -> str:
        return self.says_sha256 or hashlib.sha256(self.content).hexdigest()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            self.requests.append((method, path, headers.get("range", "")))
            if self.silent:
                await asyncio.sleep(60)
            for piece in self._pieces(method, path, headers.get("range", "")):
                writer.write(piece)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _pieces(self, method: str, path: str, wanted: str) -> list[bytes]:
        if path == f"/api/models/{self.repo}/tree/main" and self.has_list:
            row = {"path": self.file, "size": 1, "lfs": {"oid": self.sha256, "size": len(self.content)}}
            return self._whole(json.dumps([{"path": "README.md", "size": 1}, row]).encode(), {})
        if path == f"/{self.repo}/resolve/main/{self.file}" and self.status == 200:
            if method == "GET" and self.redirect:
                return [f"HTTP/1.1 302 Found\r\nLocation: {self.redirect}\r\nContent-Length: 0\r\n\r\n".encode()]
            linked = {"X-Linked-Etag": f'"{self.sha256}"', "X-Linked-Size": str(len(self.content))}
            return self._file(method, wanted, linked if self.has_headers else {})
        if path == "/elsewhere":
            return self._file(method, wanted, {})
        status = self.status if self.status != 200 else 404
        return [f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()]

    def _file(self, method: str, wanted: str, headers: dict[str, str]) -> list[bytes]:
        offset = int(wanted.removeprefix("bytes=").removesuffix("-") or 0)
        body = self.content[offset:]
        pieces = self._whole(body, headers, "206 Partial Content" if wanted else "200 OK")
        if method == "HEAD":
            return pieces[:1]
        if self.breaks_after is not None:
            pieces[1] = body[: self.breaks_after]
            self.breaks_after = None
        return pieces

    @staticmethod
    def _whole(body: bytes, headers: dict[str, str], status: str = "200 OK") -> list[bytes]:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ["\r\n".join([*lines, "", ""]).encode(), body]


@asynccontextmanager
async def running(hub: Hub) -> AsyncGenerator[Hub]:
    """Serves ``hub`` while the body runs."""
    server = await asyncio.start_server(hub.answer, "127.0.0.1", 0)
    hub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield hub
    finally:
        server.close()
