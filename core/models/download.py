"""Fetches one model file from a hub: looked up first, resumed where it broke off, checked before use."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import httpx2

from core.errors import ParleyError

MAX_REDIRECTS = 5
MAX_BYTES = 30_000_000_000
FREE_BYTES = 256 * 1024 * 1024
"""Left free on the disk for everything else."""
TRIES = 5
PAUSE_SECONDS = 1.0
CHUNK_BYTES = 1024 * 1024
TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
SHA256 = re.compile(r"[0-9a-f]{64}")


class DownloadError(ParleyError):
    """A file could not be had. The text says which and why."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a hub as the hub describes it."""

    url: str
    size: int
    sha256: str


def client() -> httpx2.AsyncClient:
    """For :func:`look_up` and :func:`fetch`. Redirects are followed by hand, each one checked."""
    return httpx2.AsyncClient(timeout=TIMEOUT, follow_redirects=False, headers={"Accept-Encoding": "identity"})


async def look_up(http: httpx2.AsyncClient, hub: str, repo: str, file: str) -> HubFile:
    """Size and checksum of a file, from the hub's own headers or its list of files. Raises DownloadError."""
    url = f"{hub}/{quote(repo)}/resolve/main/{quote(file)}"
    try:
        found = await _head(http, hub, url) or await _listed(http, hub, repo, file)
    except (httpx2.HTTPError, ValueError) as error:
        raise DownloadError(f"{hub} cannot be reached ({type(error).__name__}).") from None
    if found is None:
        raise DownloadError(f"{hub} gives no size and checksum for {repo}/{file}, so it is not used.")
    size, sha256 = found
    if size > MAX_BYTES:
        raise DownloadError(f"{repo}/{file} is too large: {megabytes(size)}, at most {megabytes(MAX_BYTES)}.")
    return HubFile(url, size, sha256)


async def fetch(
    http: httpx2.AsyncClient, hub: str, file: HubFile, target: Path, progress: Callable[[str], None]
) -> None:
    """Brings ``file`` to ``target``; a part left by an earlier try is gone on with. Raises DownloadError."""
    part = target.with_name(f"{target.name}.{file.sha256[:12]}.part")
    await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if free < file.size - _size(part) + FREE_BYTES:
        raise DownloadError(f"{target.name} needs {megabytes(file.size)}, the disk has {megabytes(free)} free.")
    told = Told(target.name, file.size, progress)
    for number in range(1, TRIES + 1):
        before = _size(part)
        try:
            await _stream(http, hub, file, part, told)
            break
        except httpx2.HTTPError as error:
            if number == TRIES and _size(part) == before:
                raise DownloadError(f"{target.name} broke off ({type(error).__name__}). Try again later.") from None
            await asyncio.sleep(PAUSE_SECONDS * number)
        except OSError as error:
            raise DownloadError(f"{target.name} cannot be written: {error.strerror or error}.") from None
    if await asyncio.to_thread(sha256_of, part) != file.sha256:
        part.unlink(missing_ok=True)
        raise DownloadError(f"{target.name} came damaged (wrong checksum) and was thrown away. Try again.")
    part.replace(target)


class Told:
    """Tells the progress of one file at most every two seconds."""

    def __init__(self, name: str, size: int, progress: Callable[[str], None]) -> None:
        self._name, self._size, self._progress = name, size, progress
        self._last = time.monotonic()

    def at(self, done: int) -> None:
        now = time.monotonic()
        if now - self._last >= 2 and self._size:
            self._last = now
            share = 100 * done // self._size
            self._progress(f"Downloading {self._name}: {done // 1_000_000} of {megabytes(self._size)} ({share} %)")


def megabytes(size: int) -> str:
    return f"{size // 1_000_000} MB"


def sha256_of(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


async def _head(http: httpx2.AsyncClient, hub: str, url: str) -> tuple[int, str] | None:
    for _ in range(MAX_REDIRECTS):
        answer = await http.head(url)
        if answer.status_code in {401, 403, 404}:
            raise DownloadError(f"{url} is not there, or not for everybody (status {answer.status_code}).")
        checksum = answer.headers.get("X-Linked-Etag", "").strip('W/"').lower()
        size = answer.headers.get("X-Linked-Size", "")
        if SHA256.fullmatch(checksum) and size.isdecimal():
            return int(size), checksum
        onward = answer.headers.get("Location", "")
        # A renamed repository. What another host says about a checksum is not the hub's word.
        if not onward.startswith("/") or onward.startswith("//"):
            return None
        url = str(httpx2.URL(hub).join(onward))
    return None


async def _listed(http: httpx2.AsyncClient, hub: str, repo: str, file: str) -> tuple[int, str] | None:
    folder = file.rpartition("/")[0]
    answer = await http.get(f"{hub}/api/models/{quote(repo)}/tree/main{'/' + quote(folder) if folder else ''}")
    if answer.status_code != 200:
        return None
    rows: Any = answer.json()
    for row in rows:
        if row.get("path") == file and (large := row.get("lfs")):
            checksum = str(large.get("oid", "")).removeprefix("sha256:")
            if SHA256.fullmatch(checksum):
                return int(large["size"]), checksum
    return None


async def _stream(http: httpx2.AsyncClient, hub: str, file: HubFile, part: Path, told: Told) -> None:
    offset = _size(part)
    if offset >= file.size:
        return
    url = file.url
    for _ in range(MAX_REDIRECTS + 1):
        async with http.stream("GET", url, headers={"Range": f"bytes={offset}-"}) as answer:
            if answer.is_redirect:
                url = _onward(hub, url, answer.headers.get("Location", ""))
                continue
            if answer.status_code >= 500 or answer.status_code == 429:
                raise httpx2.RemoteProtocolError(f"status {answer.status_code}")
            goes_on = answer.status_code == 206
            if not goes_on and answer.status_code != 200:
                raise DownloadError(f"{url.split('?')[0]} answers with status {answer.status_code}.")
            with part.open("ab" if goes_on else "wb") as output:
                await _write(answer, output, file.size, told)
            return
    raise DownloadError(f"{file.url} is redirected too often.")


async def _write(answer: httpx2.Response, output: IO[bytes], size: int, told: Told) -> None:
    async for chunk in answer.aiter_raw(CHUNK_BYTES):
        if output.tell() + len(chunk) > size:
            raise DownloadError("The hub sends more than it announced, so the file is not used.")
        await asyncio.to_thread(output.write, chunk)
        told.at(output.tell())
    if output.tell() < size:
        raise httpx2.RemoteProtocolError("the file ended early")


def _onward(hub: str, url: str, location: str) -> str:
    """Where a redirect leads: to https on any host, or to the hub itself, as hubs keep files elsewhere."""
    target = httpx2.URL(url).join(location)
    home = httpx2.URL(hub)
    if target.scheme != "https" and (target.scheme, target.host, target.port) != (
        home.scheme,
        home.host,
        home.port,
    ):
        raise DownloadError(f"{hub} leads to {target.scheme}://{target.host}, which is not https.")
    return str(target)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
