"""Pictures, recordings and documents in, files out."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from bots.web_chat import ids, playing
from bots.web_chat.site import Site, language_of
from bots.web_chat.store import File
from core.documents import form_of
from core.message import clean_text

PATH = "/uploads"
NAME_CHARS = 100
AT_ONCE = 4
"""Uploads held in memory at the same time by one process."""
MIMES = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "html": "text/html",
}
"""Of the forms of documents that are read, besides plain text."""


@dataclass(frozen=True, slots=True)
class Uploads:
    site: Site
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def routes(self) -> list[Route]:
        return [Route(PATH, self.put, methods=["POST"]), Route("/blobs/{blob}", self.get)]

    async def put(self, request: Request) -> Response:
        """The body is the file; its name comes in a header. Answers with the piece of form that stands for it."""
        user = await self.site.user(request)
        async with self.room:
            data = bytearray()
            async for chunk in request.stream():
                data += chunk
            name = clean_name(request.headers.get("x-file-name", ""))
            mime = sniff(bytes(data[:16])) or readable(name, request.headers.get("content-type", ""))
            if not (mime and data):
                return self.site.error(request, 415, "upload_kind")
            file = File(ids.new_name(), name, mime, len(data))
            await self.site.store.put_blob(user.id, file, bytes(data))
        return HTMLResponse(self.site.renderer.page("picture.html", language_of(request), file=file))

    async def get(self, request: Request) -> Response:
        user = await self.site.user(request)
        blob = request.path_params["blob"]
        found = await self.site.store.blob(user.id, blob) if ids.is_name(blob) else None
        if found is None:
            raise HTTPException(404, "file_gone")
        return _served(*found, wanted=request.headers.get("range", ""), only_if=request.headers.get("if-range", ""))


def _served(file: File, data: bytes, *, wanted: str, only_if: str) -> Response:
    """The file, or the part of it that a player asks for: Safari plays nothing without, and nobody can seek."""
    served = playing.served_as(file.mime)
    name = quote(file.name or "file", safe="")
    headers = {
        "Content-Disposition": f"{'inline' if served else 'attachment'}; filename*=UTF-8''{name}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        # What an address stands for never changes.
        "Cache-Control": "private, max-age=86400, immutable",
        "Accept-Ranges": "bytes",
    }
    try:
        # There are no validators that ``If-Range`` could name: then all of it is sent.
        part = playing.part_of(wanted, len(data)) if wanted and not only_if else None
    except ValueError:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{len(data)}"})
    status = 200
    if part is not None:
        begin, end = part
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data)}"
        data, status = data[begin:end], 206
    return Response(data, status, headers, served or "application/octet-stream")


def sniff(head: bytes) -> str:
    """The kind of picture by its first bytes; empty for anything else. What the browser claims does not count."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return ""


def readable(name: str, declared: str) -> str:
    """The kind of a recording or a document, as told by its name and the browser; empty for what cannot be read.

    It decides how the file is read; it is served as what it says only where pages play that (``playing.py``).
    """
    declared = declared.partition(";")[0].strip().lower()
    if re.fullmatch(r"(audio|video)/[a-z0-9.+-]{1,40}", declared):
        return declared
    form = form_of(name, declared)
    return MIMES.get(form, "text/plain") if form else ""


def clean_name(quoted: str) -> str:
    """A file's name as shown: no path, nothing invisible, not long."""
    name = clean_text(unquote(quoted, errors="replace")).replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in name if char.isprintable())[:NAME_CHARS].strip()
