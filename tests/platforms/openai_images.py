"""The fake's brush: POST /images/generations and /images/edits, whole or streamed, with the refusals of OpenAI's
server, of servers of one's own and of Parley's."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import struct
import time
import zlib
from collections import deque
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import BodyPartReader, web
from PIL import Image

from tests.platforms.openai_checks import Refusal
from tests.platforms.openai_faults import BEFORE_ANSWER, Fault, Strike, early_answer, error_answer

FIELDS = {
    *("prompt", "model", "n", "size", "quality", "output_format", "output_compression", "background", "moderation"),
    *("partial_images", "stream", "safety_identifier", "user"),
}
SIZES = ("auto", "1024x1024", "1536x1024", "1024x1536")
QUALITIES = ("auto", "low", "medium", "high")
FORMATS = ("png", "webp", "jpeg")
OURS = {"negative_prompt", "seed", "steps", "strength", "operation"}
"""Fields that Parley's own servers know besides."""
DIGITS = tuple("0123456789")
MAX_PROMPT = 32_000
FORBIDDEN = "[forbidden]"
"""A prompt with this in it is against the rules."""
RULES = "Your request was rejected by the safety system."


def png(red: int = 200, side: int = 4) -> bytes:
    """A small picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = (b"\0" + bytes((red, 60, 60)) * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@dataclass(slots=True)
class Images:
    """``usage`` None: the server tells none. ``by_address``: it knows ``response_format``, and without it answers
    with addresses, as servers of one's own do."""

    painters: tuple[str, ...] = ("painter",)
    usage: dict[str, Any] | None = None
    by_address: bool = False
    too_many: int = 0
    """Pictures that it draws beyond what was asked for."""
    is_ours: bool = False
    """It is one of Parley's own servers: more fields, and how far it is."""
    draws: tuple[str, ...] = ()
    """All that it can draw; empty: anything."""
    streams: bool = True
    """It knows ``stream``."""
    steps: int = 4
    """Events of progress of a server of ours."""
    tail: bytes | None = None
    """What a stream ends with in place of the picture."""
    picture: bytes = field(default_factory=png)
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The bodies of all requests."""
    names: list[str] = field(default_factory=list[str])
    """The names under which they were asked for, empty for none."""
    sent: list[list[tuple[str, str, bytes]]] = field(default_factory=list[list[tuple[str, str, bytes]]])
    """Field, file name and bytes of the pictures of each edit."""
    waiting: asyncio.Event | None = None
    """Holds back every drawing, after its first events, until it is set."""
    strikes: deque[Strike] = field(default_factory=deque[Strike])

    def fail(self, fault: Fault, number: float | None = None, *, times: int = 1) -> None:
        """Queues a fault for the next ``times`` requests."""
        self.strikes.extend([Strike(fault, number)] * times)

    async def generations(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, cast("dict[str, Any]", await request.json()), "image_generation")

    async def edits(self, request: web.Request) -> web.StreamResponse:
        if not request.content_type.startswith("multipart/"):
            return error_answer(Refusal(400, "Could not parse multipart form"))
        body: dict[str, Any] = {}
        files: list[tuple[str, str, bytes]] = []
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                continue
            name, data = part.name or "", bytes(await part.read())
            if part.filename:
                files.append((name, part.filename, data))
            else:
                body[name] = _value(data.decode())
        self.sent.append(files)
        if refusal := _check_files(files):
            self.asked.append(body)
            return error_answer(refusal)
        return await self._answer(request, body, "image_edit")

    async def _answer(self, request: web.Request, body: dict[str, Any], kind: str) -> web.StreamResponse:
        self.asked.append(body)
        self.names.append(request.headers.get("Idempotency-Key", ""))
        if refusal := self._check(body):
            return error_answer(refusal)
        if self.strikes and (answer := await self._fault(request, self.strikes.popleft())) is not None:
            return answer
        picture = base64.b64encode(self.picture).decode()
        count: int = body.get("n", 1) + self.too_many
        if body.get("stream"):
            return await self._streamed(request, body, kind, picture, count)
        if self.waiting is not None:
            await self.waiting.wait()
        shown: dict[str, str] = {"b64_json": picture}
        if self.by_address and body.get("response_format") != "b64_json":
            shown = {"url": "http://127.0.0.1:1/picture.png"}
        answered: dict[str, Any] = {"created": int(time.time()), "data": [shown] * count}
        return web.json_response(answered if self.usage is None else {**answered, "usage": self.usage})

    async def _streamed(
        self, request: web.Request, body: dict[str, Any], kind: str, picture: str, count: int
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        events: list[dict[str, Any]] = []
        if self.is_ours:
            events += [{"type": f"{kind}.progress", "step": n, "steps": self.steps} for n in range(1, self.steps + 1)]
        partials = [
            {"type": f"{kind}.partial_image", "b64_json": picture, "partial_image_index": number}
            for number in range(body.get("partial_images", 0))
        ]
        for event in (*events, *partials):
            await response.write(_event(event))
        if self.waiting is not None:
            await self.waiting.wait()
        last = {"type": f"{kind}.completed", "b64_json": picture, **({"usage": self.usage} if self.usage else {})}
        await response.write(_event(last) * count if self.tail is None else self.tail)
        await response.write_eof()
        return response

    def _check(self, body: dict[str, Any]) -> Refusal | None:
        known = FIELDS | (OURS if self.is_ours else FIELDS)
        known = known | {"response_format"} if self.by_address else known
        known = known if self.streams else known - {"stream", "partial_images"}
        if unknown := set(body) - known:
            name = min(unknown)
            return Refusal(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        if body.get("model") not in self.painters:
            return Refusal(404, f"The model `{body.get('model')}` does not exist.", code="model_not_found")
        prompt = body.get("prompt", "" if body.get("operation") else None)
        if not isinstance(prompt, str) or not (body.get("operation") or 1 <= len(prompt) <= MAX_PROMPT):
            return Refusal(400, f"Invalid 'prompt': expected 1 to {MAX_PROMPT} characters.", param="prompt")
        if FORBIDDEN in prompt:
            return Refusal(400, RULES, type="image_generation_user_error", code="moderation_blocked")
        if self.draws and prompt not in self.draws:
            possible = ", ".join(self.draws)
            return Refusal(400, f"This model only draws: {possible}.", param=possible, code="unsupported_prompt")
        return self._check_values(body)

    def _check_values(self, body: dict[str, Any]) -> Refusal | None:
        count = body.get("n", 1)
        if not isinstance(count, int) or not 1 <= count <= 10:
            return Refusal(400, f"Invalid 'n': {count!r} is not between 1 and 10.", param="n")
        if body.get("stream") and count > 1 and not self.is_ours:
            return Refusal(400, "Streaming is only supported for n=1.", param="n")
        checked = (("size", SIZES), ("quality", QUALITIES), ("output_format", FORMATS))
        for name, values in checked[1:] if self.is_ours else checked:
            if body.get(name, values[0]) not in values:
                return Refusal(400, f"Invalid value: {body[name]!r}. Supported values are: {values}.", param=name)
        return None

    async def _fault(self, request: web.Request, strike: Strike) -> web.Response | None:
        if strike.fault in BEFORE_ANSWER:
            return early_answer(strike.fault, strike.number)
        match strike.fault:
            case Fault.STALL:
                await asyncio.Event().wait()
            case Fault.RESET:
                if request.transport is not None:
                    request.transport.abort()
            case Fault.BROKEN_JSON:
                return web.Response(text='{"data": [{"b64_json": "iVBO', content_type="application/json")
            case Fault.EMPTY:
                return web.json_response({"created": 0, "data": []})
            case fault:
                raise AssertionError(f"no such fault of pictures: {fault}")
        return None


def _event(values: dict[str, Any]) -> bytes:
    return f"event: {values['type']}\ndata: {json.dumps(values)}\n\n".encode()


def _value(text: str) -> Any:
    """Forms have text alone."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isdecimal() else text


def _check_files(files: list[tuple[str, str, bytes]]) -> Refusal | None:
    """What OpenAI's server refuses."""
    sizes: dict[str, tuple[int, int]] = {}
    for name, _, data in files:
        if name not in ("image", "image[]", "mask"):
            return Refusal(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        try:
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
                image.load()
                sizes.setdefault("mask" if name == "mask" else "image", image.size)
                if name == "mask" and (image.format != "PNG" or not image.has_transparency_data):
                    return Refusal(400, "Invalid mask image format - mask image missing alpha channel", param="mask")
        except OSError:
            return Refusal(400, "Invalid image file or mode for image.", param=name, code="invalid_image_file")
    if "image" not in sizes:
        return Refusal(400, "Missing required parameter: 'image'.", param="image")
    if sizes.get("mask", sizes["image"]) != sizes["image"]:
        return Refusal(400, "Invalid input image - mask and image are not the same size.", param="mask")
    return None
