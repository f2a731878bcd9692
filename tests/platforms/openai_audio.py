"""The fake's ears and voice: POST /audio/transcriptions and /audio/speech, with the real ones' refusals."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, cast

from aiohttp import BodyPartReader, web

from tests.platforms.openai_checks import Refusal
from tests.platforms.openai_faults import BEFORE_ANSWER, Fault, Strike, early_answer, error_answer
from tests.platforms.opus import opus

FORMATS = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
MAX_FILE = 25 * 1024 * 1024
MAX_INPUT = 4096
FORBIDDEN = "forbidden"
"""What the provider's rules do not allow to be said."""
VOICES = ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse")
TRANSCRIPTION_FIELDS = {"file", "model", "language", "prompt", "response_format", "temperature"}
SPEECH_FIELDS = {"model", "input", "voice", "response_format", "speed", "instructions"}
OPUS = opus([30] * 50)
"""A second of Opus in Ogg."""
COMPOSE_FIELDS = {"model", "prompt", "seconds"}


@dataclass(frozen=True, slots=True)
class Sound:
    """A request: its fields; of a transcription the file's name and bytes as well."""

    fields: dict[str, str]
    name: str = ""
    data: bytes = b""


@dataclass(slots=True)
class Audio:
    """``transcript`` is what is heard in every recording. ``usage`` None: the server tells none."""

    transcript: str = "What is the tallest mountain?"
    ears: tuple[str, ...] = ("whisper",)
    voices: tuple[str, ...] = ("voice",)
    usage: dict[str, Any] | None = None
    language: str = ""
    """Of every recording, where the server tells it."""
    longest_seconds: str = ""
    """Every recording is longer than that, as a server of ours says it; empty: none is."""
    sound: bytes = OPUS
    heard: list[Sound] = field(default_factory=list[Sound])
    spoken: list[Sound] = field(default_factory=list[Sound])
    composed: list[Sound] = field(default_factory=list[Sound])
    names: list[str] = field(default_factory=list[str])
    """The names under which speech and sounds were asked for, empty for none."""
    strikes: deque[Strike] = field(default_factory=deque[Strike])

    def fail(self, fault: Fault, number: float | None = None, *, times: int = 1) -> None:
        """Queues a fault for the next ``times`` requests."""
        self.strikes.extend([Strike(fault, number)] * times)

    async def transcriptions(self, request: web.Request) -> web.StreamResponse:
        if not request.content_type.startswith("multipart/"):
            return error_answer(Refusal(400, "Could not parse multipart form"))
        fields: dict[str, str] = {}
        name, data = "", b""
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                return error_answer(Refusal(400, "Could not parse multipart form"))
            if part.name == "file":
                name, data = part.filename or "", bytes(await part.read())
                fields["file"] = name
            else:
                fields[part.name or ""] = await part.text()
        self.heard.append(Sound(fields, name, data))
        if refusal := self._check_file(fields, data):
            return error_answer(refusal)
        if (fault := await self._fault(request)) is not None:
            return fault
        answer: dict[str, Any] = {"text": self.transcript, **({"language": self.language} if self.language else {})}
        return web.json_response(answer if self.usage is None else {**answer, "usage": self.usage})

    async def speech(self, request: web.Request) -> web.StreamResponse:
        body = cast("dict[str, Any]", await request.json())
        self.names.append(request.headers.get("Idempotency-Key", ""))
        self.spoken.append(Sound({name: str(value) for name, value in body.items()}))
        if refusal := self._check_speech(body):
            return error_answer(refusal)
        if (fault := await self._fault(request)) is not None:
            return fault
        return web.Response(body=self.sound, content_type="audio/ogg")

    async def generations(self, request: web.Request) -> web.StreamResponse:
        """Not OpenAI's: as servers of local models call it."""
        body = cast("dict[str, Any]", await request.json())
        self.names.append(request.headers.get("Idempotency-Key", ""))
        self.composed.append(Sound({name: str(value) for name, value in body.items()}))
        if set(body) != COMPOSE_FIELDS or not body["prompt"]:
            return error_answer(Refusal(400, "Field required", param="prompt"))
        if (fault := await self._fault(request)) is not None:
            return fault
        return web.Response(body=self.sound, content_type="audio/ogg")

    def _check_file(self, fields: dict[str, str], data: bytes) -> Refusal | None:
        if unknown := set(fields) - TRANSCRIPTION_FIELDS:
            return Refusal(400, f"Unrecognized request argument supplied: {min(unknown)}", param=min(unknown))
        if "file" not in fields:
            return Refusal(400, "Field required", param="file")
        if fields.get("model") not in self.ears:
            return Refusal(404, f"The model `{fields.get('model')}` does not exist.", code="model_not_found")
        if self.longest_seconds:
            return Refusal(400, "The recording is too long.", code="too_long", param=self.longest_seconds)
        if len(data) > MAX_FILE:
            return Refusal(413, f"Maximum content size limit ({MAX_FILE}) exceeded ({len(data)} bytes read)")
        if PurePath(fields["file"]).suffix[1:] not in FORMATS:
            return Refusal(400, f"Unrecognized file format. Supported formats: {list(FORMATS)}")
        return None if data else Refusal(400, "The audio file could not be decoded or its format is not supported.")

    def _check_speech(self, body: dict[str, Any]) -> Refusal | None:
        if unknown := set(body) - SPEECH_FIELDS:
            return Refusal(400, f"Unrecognized request argument supplied: {min(unknown)}", param=min(unknown))
        if body.get("model") not in self.voices:
            return Refusal(404, f"The model `{body.get('model')}` does not exist.", code="model_not_found")
        text = body.get("input")
        if not isinstance(text, str) or not text:
            return Refusal(400, "Field required", param="input")
        if len(text) > MAX_INPUT:
            return Refusal(400, f"String should have at most {MAX_INPUT} characters", param="input")
        if FORBIDDEN in text:
            return Refusal(400, "Your request was rejected.", code="content_policy_violation")
        if body.get("voice") not in VOICES:
            return Refusal(400, f"Input should be one of {VOICES}", param="voice")
        return None

    async def _fault(self, request: web.Request) -> web.Response | None:
        if not self.strikes:
            return None
        strike = self.strikes.popleft()
        if strike.fault in BEFORE_ANSWER:
            return early_answer(strike.fault, strike.number)
        match strike.fault:
            case Fault.SLOW:
                await asyncio.sleep(strike.number or 0)
            case Fault.STALL:
                await asyncio.Event().wait()
            case Fault.RESET:
                if request.transport is not None:
                    request.transport.abort()
            case Fault.BROKEN_JSON:
                return web.Response(text='{"text": "What', content_type="application/json")
            case Fault.EMPTY:
                return web.Response(body=b"" if "speech" in request.path else b'{"text": ""}')
            case fault:
                raise AssertionError(f"no such fault of sound: {fault}")
        return None
