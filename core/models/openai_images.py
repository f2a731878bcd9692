"""Pictures by OpenAI's images API: from words, and from pictures; streamed where that shows something on the way.

Our own servers speak it too, and know a few more fields: ``negative_prompt``, ``seed``, ``steps``, ``strength`` and
``operation``. A model's row says which of them its server takes.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

import openai

from core.errors import ModelError, ModelFault, UnsupportedPrompt
from core.models.drawing_events import POLICY_CODES, DrawingEvents
from core.models.model import Model
from core.models.openai_client import Client
from core.models.settings import PictureWork
from core.models.wire import Drawing, ImageRequest, Partial, Step

MAX_DRAWING_BYTES = 100_000_000
"""Longest answer read: pictures come as text, four of 1.5 megapixels have some 16 MB, and each may come three times
more, unfinished."""
SPOKEN: dict[PictureWork, str] = {
    "vary": "Another picture like this one: the same subject and style, seen and composed in another way.",
    "upscale": "The same picture, unchanged, with finer details.",
    "cutout": "The same picture, its background removed: the subject unchanged on a transparent background.",
}
"""What a model is told that has no operation for it, where nothing was said."""
STREAMING = ("stream", "partial_images")
UNSUPPORTED = "unsupported_prompt"
MAX_POSSIBLE = 300
"""Characters of what a small model says it can draw."""


class Images:
    """The images of one server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._names_base64 = not client.hosted_by_openai
        """Pictures are asked for as text: else many servers answer with an address, and nothing is fetched from an
        address that a server names."""
        self._streams = True
        """Until it says that it does not know that."""

    async def draw(self, model: Model, request: ImageRequest) -> AsyncGenerator[Step | Partial | Drawing, None]:
        """As :meth:`core.models.wire.Wire.draw`."""
        with self._client.errors():
            while True:
                body = self._body(model, request)
                try:
                    async with contextlib.aclosing(self._drawn(body, model, request)) as events:
                        async for event in events:
                            yield event
                    return
                except openai.BadRequestError as error:
                    # What it names counts, where it does: its words may repeat the prompt.
                    if not self._learns(body, error.param or str(error)):
                        raise

    def _learns(self, body: dict[str, Any], refusal: str) -> bool:
        """Takes note of a field that the server does not know, so that it is asked without it from now on."""
        # OpenAI's newer models always answer in base64 and do not know the field, whoever passes the call on.
        if "response_format" in refusal and "response_format" in body:
            self._names_base64 = False
        elif "stream" in body and any(name in refusal for name in STREAMING):
            self._streams = False
        else:
            return False
        return True

    def _body(self, model: Model, request: ImageRequest) -> dict[str, Any]:
        hosted, ours = self._client.hosted_by_openai, self._client.is_ours
        has_operation = not hosted and request.op not in ("draw", "edit") and request.op in model.does
        body: dict[str, Any] = {
            "model": model.id,
            "prompt": request.prompt or SPOKEN.get(request.op, ""),
            "n": request.count,
            "size": model.size(request.size),
            "quality": ("quality" in model.takes and request.quality) or model.quality,
            "output_format": model.output_format,
            "safety_identifier": request.sender if hosted else "",
            "negative_prompt": request.negative if "negative" in model.takes else "",
            "seed": request.seed if "seed" in model.takes else None,
            "steps": request.steps if "steps" in model.takes else None,
            "strength": request.strength if "strength" in model.takes and request.inputs else None,
            "operation": request.op if has_operation else "",
            "response_format": "b64_json" if self._names_base64 and not ours else "",
        }
        if hosted and request.op == "cutout":
            body |= {"background": "transparent", "output_format": "png"}
        # Several pictures at once are streamed by our own servers alone.
        if self._streams and (ours or (model.partial_images and request.count == 1)):
            body |= {"stream": True, "partial_images": model.partial_images}
        return {name: value for name, value in body.items() if value not in ("", None)}

    async def _drawn(
        self, body: dict[str, Any], model: Model, request: ImageRequest
    ) -> AsyncGenerator[Step | Partial | Drawing, None]:
        path, files = ("/images/edits", _files(request)) if request.inputs else ("/images/generations", None)
        if files:
            body = {name: str(value).lower() if isinstance(value, bool) else value for name, value in body.items()}
        try:
            response = await self._client.post(path, body, files, request.once)
        except openai.BadRequestError as error:
            raise self._meant(error) from None
        try:
            events = None
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                events = DrawingEvents(request.count)
            answer, read = bytearray(), 0
            async for piece in response.aiter_bytes():
                read += len(piece)
                if read > MAX_DRAWING_BYTES:
                    raise ModelError(ModelFault.MALFORMED, f"an answer of more than {MAX_DRAWING_BYTES} bytes")
                if events is None:
                    answer += piece
                    continue
                for event in events.feed(piece):
                    yield event
            yield _drawing(bytes(answer), request.count) if events is None else events.drawing()
        finally:
            with contextlib.suppress(Exception):
                await response.aclose()

    def _meant(self, error: openai.BadRequestError) -> Exception:
        if error.code in POLICY_CODES:
            return ModelError(ModelFault.FILTERED, self._client.plain(error))
        if error.code == UNSUPPORTED:
            return UnsupportedPrompt(self._client.plain(error), str(error.param or "")[:MAX_POSSIBLE])
        return error


def _files(request: ImageRequest) -> list[tuple[str, tuple[str, bytes, str]]]:
    """The pictures of an edit. One alone has the name that every server knows."""
    name = "image" if len(request.inputs) == 1 else "image[]"
    files = [
        (name, (f"picture{number}.{_mime(data).partition('/')[2]}", data, _mime(data)))
        for number, data in enumerate(request.inputs)
    ]
    return [*files, *([("mask", ("mask.png", request.mask, "image/png"))] if request.mask else [])]


def _mime(data: bytes) -> str:
    return "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"


def _drawing(answer: bytes, count: int) -> Drawing:
    """At most ``count`` pictures. Raises ValueError, KeyError or TypeError for what is no answer with pictures."""
    values: dict[str, Any] = json.loads(answer)
    pictures = tuple(base64.b64decode(picture["b64_json"]) for picture in values["data"][:count])
    if not pictures:
        raise ValueError("no picture")
    usage: dict[str, Any] = values.get("usage") or {}
    return Drawing(pictures, usage.get("input_tokens"), usage.get("output_tokens"))
