"""Sound by OpenAI's audio API: heard, spoken and composed."""

from __future__ import annotations

import json
from typing import Any

import openai

from core.errors import ModelError, ModelFault, RecordingTooLong
from core.models.drawing_events import POLICY_CODES
from core.models.model import Model
from core.models.openai_client import Client
from core.models.wire import Recording, Transcript, Utterance

MAX_TRANSCRIPT_BYTES = 4_000_000
MAX_SPEECH_BYTES = 40_000_000
"""Longest answers read: half an hour of speech has some 10 MB in Opus, 100 in WAV."""
TOO_LONG = "too_long"
"""What servers of ours say of a recording; ``param`` is then how many seconds they listen to."""
MAX_DIGITS = 7


class Sound:
    """The sound of one server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def transcribe(self, model: Model, recording: Recording) -> Transcript:
        """As :meth:`core.models.wire.Wire.transcribe`."""
        with self._client.errors():
            try:
                answer = await self._client.whole(
                    "/audio/transcriptions",
                    {"model": model.id, "response_format": "json"},
                    MAX_TRANSCRIPT_BYTES,
                    files=[("file", (recording.name, recording.data, recording.mime))],
                )
            except openai.BadRequestError as error:
                if error.code != TOO_LONG:
                    raise
                said = str(error.param or "")
                seconds = int(said) if said.isdecimal() and len(said) < MAX_DIGITS else 0
                raise RecordingTooLong(self._client.plain(error), seconds) from None
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
                str(values.get("language") or ""),
            )

    async def speak(self, model: Model, utterance: Utterance) -> bytes:
        """As :meth:`core.models.wire.Wire.speak`."""
        body: dict[str, Any] = {
            "model": model.id,
            "input": utterance.text,
            "voice": utterance.voice,
            "response_format": "opus",
        }
        if utterance.speed != 1:
            body["speed"] = utterance.speed
        if self._client.is_ours and utterance.language:
            body["language"] = utterance.language
        return await self._made("/audio/speech", body, utterance.once)

    async def compose(self, model: Model, prompt: str, seconds: int, *, once: str = "") -> bytes:
        """As :meth:`core.models.wire.Wire.compose`. OpenAI has nothing of the kind; servers that speak its API call it
        so, like ours."""
        body = {"model": model.id, "prompt": prompt, "seconds": seconds}
        return await self._made("/audio/generations", body, once)

    async def _made(self, path: str, body: dict[str, Any], once: str) -> bytes:
        with self._client.errors():
            try:
                return await self._client.whole(path, body, MAX_SPEECH_BYTES, once=once)
            except openai.BadRequestError as error:
                if error.code not in POLICY_CODES:
                    raise
                raise ModelError(ModelFault.FILTERED, self._client.plain(error)) from None
