"""The fake's camera: POST /videos, GET and DELETE /videos/{id}, GET /videos/{id}/content, as OpenAI describes them."""

from __future__ import annotations

import asyncio
import io
import struct
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web
from PIL import Image

from tests.platforms.openai_checks import Refusal
from tests.platforms.openai_faults import error_answer

SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")
SECONDS = ("4", "8", "12")
FORBIDDEN = "[forbidden]"
"""A prompt with this in it is against the rules."""


def mp4(size: int = 64) -> bytes:
    """As much of a film as is looked at: two boxes."""
    return struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(">I4s", 8 + size, b"mdat") + bytes(size)


@dataclass(slots=True)
class Videos:
    """Jobs take as many looks as ``steps``."""

    steps: int = 2
    data: bytes = field(default_factory=mp4)
    failure: str = ""
    """The code that jobs fail with."""
    broken_looks: int = 0
    """So many looks from now on are answered with 500."""
    waiting: asyncio.Event | None = None
    """No job is completed before it is set."""
    unheard: bool = False
    """What is begun is not answered: whoever asks again under the same name is."""
    beginning: int = 0
    """So many that ask again under the same name are told that it is being begun still."""
    broken_begins: int = 0
    """So many films from now on are answered with 500, and so is whoever asks again under the same name."""
    names: list[str] = field(default_factory=list[str])
    """The names under which films were asked for, empty for none."""
    _answers: dict[str, str] = field(default_factory=dict[str, str])
    """Ids of what was begun under a name; empty where it failed."""
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The fields of all films that were begun, and ``picture`` for the size of the one they begin with."""
    deleted: list[str] = field(default_factory=list[str])
    looks: dict[str, int] = field(default_factory=dict[str, int])

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/videos", self._begin)
        app.router.add_get("/v1/videos/{id}", self._look)
        app.router.add_delete("/v1/videos/{id}", self._delete)
        app.router.add_get("/v1/videos/{id}/content", self._content)

    async def _begin(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = {}
        if request.content_type.startswith("multipart/"):
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader):
                    continue
                data = bytes(await part.read())
                if part.filename:
                    with Image.open(io.BytesIO(data)) as image:
                        body["picture"] = image.size
                else:
                    body[part.name or ""] = data.decode()
        else:
            body = await request.json()
        name = request.headers.get("Idempotency-Key", "")
        self.names.append(name)
        if name in self._answers:
            return self._repeated(name)
        if self.broken_begins:
            self.broken_begins -= 1
            self._answers[name] = ""
            return web.Response(status=500)
        self.asked.append(body)
        if refusal := _check(body):
            return error_answer(refusal)
        id = f"video_{len(self.asked)}"
        self.looks[id] = 0
        if name:
            self._answers[name] = id
        if self.unheard:
            self.unheard = False
            await asyncio.Event().wait()
        return web.json_response(self._told(id, "queued"))

    def _repeated(self, name: str) -> web.Response:
        if self.beginning:
            self.beginning -= 1
            return error_answer(Refusal(409, "A request of that name is under way."))
        id = self._answers[name]
        return web.json_response(self._told(id, "in_progress")) if id else web.Response(status=500)

    async def _look(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        if id not in self.looks:
            return error_answer(Refusal(404, f"Video with id '{id}' not found."))
        if self.broken_looks:
            self.broken_looks -= 1
            return web.Response(status=500)
        self.looks[id] += 1
        is_held = self.waiting is not None and not self.waiting.is_set()
        if self.looks[id] <= self.steps or is_held:
            return web.json_response(self._told(id, "in_progress"))
        return web.json_response(self._told(id, "failed" if self.failure else "completed"))

    async def _content(self, request: web.Request) -> web.Response:
        if request.match_info["id"] not in self.looks:
            return error_answer(Refusal(404, "not found"))
        return web.Response(body=self.data, content_type="video/mp4")

    async def _delete(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        self.deleted.append(id)
        self.looks.pop(id, None)
        return web.json_response({"id": id, "object": "video.deleted", "deleted": True})

    def _told(self, id: str, status: str) -> dict[str, Any]:
        done = 100 if status == "completed" else min(99, self.looks[id] * 100 // (self.steps + 1))
        error = {"code": self.failure, "message": "It failed."} if status == "failed" else None
        asked = self.asked[int(id.rpartition("_")[2]) - 1]
        return {
            "id": id,
            "object": "video",
            "model": asked["model"],
            "status": status,
            "progress": done,
            "created_at": 1,
            "seconds": asked["seconds"],
            "size": asked["size"],
            "error": error,
        }


def _check(body: dict[str, Any]) -> Refusal | None:
    if unknown := set(body) - {"model", "prompt", "seconds", "size", "picture"}:
        return Refusal(400, f"Unknown parameter: '{min(unknown)}'.", code="unknown_parameter")
    if body.get("size") not in SIZES or body.get("seconds") not in SECONDS:
        return Refusal(400, "Invalid value.", code="invalid_value")
    if "picture" in body and "x".join(map(str, body["picture"])) != body["size"]:
        return Refusal(400, "Inpaint image must match the requested width and height")
    if FORBIDDEN in body["prompt"]:
        return Refusal(400, "Your request was blocked.", code="moderation_blocked")
    return None
