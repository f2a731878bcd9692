"""Pictures by OpenAI's images API."""

from __future__ import annotations

import base64
import json
from typing import Any

import openai

from core.errors import ModelError, ModelFault
from core.models.catalog import Model
from core.models.openai_client import Client
from core.models.wire import Drawing, ImageRequest

MAX_DRAWING_BYTES = 60_000_000
"""Longest answer read: pictures come as text, and four of 1.5 megapixels have some 16 MB."""
POLICY_CODES = frozenset({"moderation_blocked", "content_policy_violation", "content_filter", "contentFilter"})
"""Codes by which OpenAI and Azure say that their rules do not allow a picture."""


class Images:
    """The images of one server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._names_base64 = not client.hosted_by_openai
        """Pictures are asked for as text: else many servers answer with an address, and nothing is fetched from an
        address that a server names."""

    async def draw(self, model: Model, request: ImageRequest) -> Drawing:
        """As :meth:`core.models.wire.Wire.draw`."""
        body: dict[str, Any] = {
            "model": model.id,
            "prompt": request.prompt,
            "n": request.count,
            "size": model.size(request.shape),
        }
        if model.quality:
            body["quality"] = model.quality
        if model.output_format:
            body["output_format"] = model.output_format
        if self._names_base64:
            body["response_format"] = "b64_json"
        if self._client.hosted_by_openai and request.sender:
            body["safety_identifier"] = request.sender
        with self._client.errors():
            try:
                answer = await self._drawn(body)
            except openai.BadRequestError as error:
                # OpenAI's newer models always answer so and do not know the field, whoever passes the call on.
                if "response_format" not in str(error) or body.pop("response_format", None) is None:
                    raise
                self._names_base64 = False
                answer = await self._drawn(body)
            return _drawing(answer, request.count)

    async def _drawn(self, body: dict[str, Any]) -> bytes:
        try:
            return await self._client.whole("/images/generations", body, MAX_DRAWING_BYTES)
        except openai.BadRequestError as error:
            if error.code in POLICY_CODES:
                raise ModelError(ModelFault.FILTERED, self._client.plain(error)) from None
            raise


def _drawing(answer: bytes, count: int) -> Drawing:
    """At most ``count`` pictures. Raises ValueError, KeyError or TypeError for what is no answer with pictures."""
    values: dict[str, Any] = json.loads(answer)
    pictures = tuple(base64.b64decode(picture["b64_json"]) for picture in values["data"][:count])
    if not pictures:
        raise ValueError("no picture")
    usage: dict[str, Any] = values.get("usage") or {}
    return Drawing(pictures, usage.get("input_tokens"), usage.get("output_tokens"))
