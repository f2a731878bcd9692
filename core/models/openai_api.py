"""The wire that hosted and local model servers share: OpenAI's chat completions, streamed.

What the SDK lets pass is an error here: HTML with status 200, broken JSON, a stream without a finish reason
or without choices, an error event. Everything raised is :class:`core.errors.ModelError`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2
import openai

from core.models.catalog import Endpoint, Model
from core.models.chat import ChatMessage
from core.models.completion_events import CompletionEvents
from core.models.openai_client import Client
from core.models.openai_images import Images
from core.models.openai_sound import Sound
from core.models.sampling import Refusals, values_of
from core.models.wire import Done, Drawing, ImageRequest, ModelCall, Recording, Transcript

USAGE_SECONDS = 2.0
"""How long the usage report is waited for once the finish reason is there."""
END_SECONDS = 0.1
"""How long the body's end is waited for after [DONE]: only a body read to its end frees its connection."""


class OpenAIApi:
    """One server.

    Deadlines are the caller's: it bounds each step of :meth:`stream`, and cancelling a step, or closing the
    generator, closes the HTTP stream, so that the server frees its slot.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._client = Client(endpoint)
        self._images = Images(self._client)
        self._sound = Sound(self._client)
        self._refused = Refusals()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def model_ids(self) -> tuple[str, ...]:
        """The provider's own names of its models."""
        with self._client.errors():
            page = await self._client.get("/models")
            rows = page.json()["data"]
            return tuple(row["id"] for row in rows)

    async def stream(self, call: ModelCall) -> AsyncGenerator[str | Done, None]:
        """Pieces of visible text, then one Done. An empty piece is a sign of life: the model thinks."""
        with self._client.errors():
            response = await self._opened(call)
            try:
                events = CompletionEvents()
                reads = response.aiter_bytes()
                data: bytes | None = b""
                while data is not None:
                    data = await _read(reads, events)
                    piece = events.feed(data) if data is not None else events.end()
                    if piece is not None:
                        yield piece
                    events.check()
                yield events.done()
            finally:
                with contextlib.suppress(Exception):
                    await response.aclose()

    async def transcribe(self, model: Model, recording: Recording) -> Transcript:
        return await self._sound.transcribe(model, recording)

    async def speak(self, model: Model, text: str) -> bytes:
        return await self._sound.speak(model, text)

    async def draw(self, model: Model, request: ImageRequest) -> Drawing:
        return await self._images.draw(model, request)

    async def _opened(self, call: ModelCall) -> httpx2.Response:
        """The stream. What the model does not want to be sampled by is left out, and it is asked again at once: such a
        refusal costs nothing."""
        wanted = values_of(call.model, call.sampling)
        while True:
            values = self._refused.allowed(call.model.id, wanted)
            try:
                return await self._client.post("/chat/completions", {**self._body(call), **values})
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not self._refused.learn(call.model.id, values, error.param or str(error)):
                    raise

    def _body(self, call: ModelCall) -> dict[str, Any]:
        model = call.model
        body: dict[str, Any] = {
            "model": model.id,
            "messages": [_message(message) for message in call.messages if message.text or message.images],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_completion_tokens" if self._client.hosted_by_openai else "max_tokens": call.max_answer,
        }
        if self._client.hosted_by_openai and call.sender:
            body["safety_identifier"] = call.sender
        return body


async def _read(reads: AsyncIterator[bytes], events: CompletionEvents) -> bytes | None:
    """The next bytes; None at the end, or when only formalities are missing and do not come."""
    if not events.is_finished and not events.is_over:
        return await anext(reads, None)
    try:
        async with asyncio.timeout(END_SECONDS if events.is_over else USAGE_SECONDS):
            return await anext(reads, None)
    except Exception:
        # Whatever happens to the connection now, the answer is here.
        return None


def _message(message: ChatMessage) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.text}
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.text}] if message.text else []
    for image in message.images:
        kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
        url = f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return {"role": message.role, "content": parts}
