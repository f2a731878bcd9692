"""Sound by OpenAI's audio API: heard and spoken."""

from __future__ import annotations

import json
from typing import Any

from core.errors import ModelError, ModelFault
from core.models.catalog import Model
from core.models.openai_client import Client
from core.models.wire import Recording, Transcript

MAX_TRANSCRIPT_BYTES = 4_000_000
MAX_SPEECH_BYTES = 40_000_000
"""Longest answers read: half an hour of speech has some 10 MB in Opus, 100 in WAV."""


class Sound:
    """The sound of one server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def transcribe(self, model: Model, recording: Recording) -> Transcript:
        """As :meth:`core.models.wire.Wire.transcribe`."""
        with self._client.errors():
            answer = await self._client.whole(
                "/audio/transcriptions",
                {"model": model.id, "response_format": "json"},
                MAX_TRANSCRIPT_BYTES,
                files=[("file", (recording.name, recording.data, recording.mime))],
            )
            values: dict[str, Any] = json.loads(answer)
            text: object = values["text"]
            if not isinstance(text, str):
                raise ModelError(ModelFault.MALFORMED, "the transcript is no text", retryable=True)
            usage: dict[str, Any] = values.get("usage") or {}
            seconds = usage.get("seconds", values.get("duration"))
            return Transcript(
                text,
                usage.get("input_tokens"),
                usage.get("output_tokens"),
                None if seconds is None else float(seconds),
            )

    async def speak(self, model: Model, text: str) -> bytes:
        """As :meth:`core.models.wire.Wire.speak`."""
        with self._client.errors():
            body = {"model": model.id, "input": text, "voice": model.voice, "response_format": "opus"}
            return await self._client.whole("/audio/speech", body, MAX_SPEECH_BYTES)
