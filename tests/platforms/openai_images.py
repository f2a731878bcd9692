"""The fake's brush: POST /images/generations, with the refusals of OpenAI's and of servers of one's own."""

from __future__ import annotations

import asyncio
import base64
import struct
import time
import zlib
from collections import deque
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web

from tests.platforms.openai_checks import Refusal
from tests.platforms.openai_faults import BEFORE_ANSWER, Fault, Strike, early_answer, error_answer

FIELDS = {
    *("prompt", "model", "n", "size", "quality", "output_format", "output_compression", "background", "moderation"),
    *("partial_images", "stream", "safety_identifier", "user"),
}
SIZES = ("auto", "1024x1024", "1536x1024", "1024x1536")
QUALITIES = ("auto", "low", "medium", "high")
FORMATS = ("png", "webp", "jpeg")
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
    picture: bytes = field(default_factory=png)
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The bodies of all requests."""
    strikes: deque[Strike] = field(default_factory=deque[Strike])

    def fail(self, fault: Fault, number: float | None = None, *, times: int = 1) -> None:
        """Queues a fault for the next ``times`` requests."""
        self.strikes.extend([Strike(fault, number)] * times)

    async def generations(self, request: web.Request) -> web.StreamResponse:
        body = cast("dict[str, Any]", await request.json())
        self.asked.append(body)
        if refusal := self._check(body):
            return error_answer(refusal)
        if self.strikes and (answer := await self._fault(request, self.strikes.popleft())) is not None:
            return answer
        shown: dict[str, str] = {"b64_json": base64.b64encode(self.picture).decode()}
        if self.by_address and body.get("response_format") != "b64_json":
            shown = {"url": "http://127.0.0.1:1/picture.png"}
        count: int = body.get("n", 1) + self.too_many
        answered: dict[str, Any] = {"created": int(time.time()), "data": [shown] * count}
        return web.json_response(answered if self.usage is None else {**answered, "usage": self.usage})

    def _check(self, body: dict[str, Any]) -> Refusal | None:
        known = FIELDS | {"response_format"} if self.by_address else FIELDS
        if unknown := set(body) - known:
            name = min(unknown)
            return Refusal(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        if body.get("model") not in self.painters:
            return Refusal(404, f"The model `{body.get('model')}` does not exist.", code="model_not_found")
        prompt = body.get("prompt")
        if not isinstance(prompt, str) or not 1 <= len(prompt) <= MAX_PROMPT:
            return Refusal(400, f"Invalid 'prompt': expected 1 to {MAX_PROMPT} characters.", param="prompt")
        if FORBIDDEN in prompt:
            return Refusal(400, RULES, type="image_generation_user_error", code="moderation_blocked")
        count = body.get("n", 1)
        if not isinstance(count, int) or not 1 <= count <= 10:
            return Refusal(400, f"Invalid 'n': {count!r} is not between 1 and 10.", param="n")
        for name, values in (("size", SIZES), ("quality", QUALITIES), ("output_format", FORMATS)):
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
