"""Recordings as text, by a model of the kind ``transcription``."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import PurePath

from core.message import clean_text
from core.models.calls import ask
from core.models.catalog import Catalog, Model
from core.models.router import Router
from core.models.wire import Recording, Transcript, Wire
from core.parts import Usage

SUFFIXES = {
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "application/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/webm": "webm",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/mpeg": "mpeg",
}
"""Servers tell a format by the file's name: by kind of content, the endings that OpenAI's takes."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What is said in a recording, and what hearing it took."""

    text: str
    usage: Usage


class Transcriber:
    """Listens to recordings."""

    def __init__(self, catalog: Catalog, router: Router) -> None:
        self._catalog = catalog
        self._router = router

    @property
    def is_set_up(self) -> bool:
        """Whether there is a model for it."""
        return self._catalog.has("transcription")

    async def hear(self, data: bytes, *, name: str, mime: str, seconds: int, space: str) -> Heard:
        """``seconds`` is how long the recording is said to be, for its cost where the server does not tell.

        Raises ModelError, Busy.
        """
        recording = Recording(f"recording.{_suffix(name, mime)}", mime or "application/octet-stream", data)

        async def work(wire: Wire, model: Model) -> Transcript:
            return await wire.transcribe(model, recording)

        model, transcript = await ask(self._catalog, self._router, "transcription", space, work)
        return Heard(clean_text(" ".join(transcript.text.split())), _usage(model, transcript, seconds))


def _suffix(name: str, mime: str) -> str:
    own = PurePath(name).suffix.lower().removeprefix(".")
    return SUFFIXES.get(mime.partition(";")[0].strip().lower()) or (own if own.isalnum() else "ogg")


def _usage(model: Model, transcript: Transcript, seconds: int) -> Usage:
    prompt, answer = transcript.prompt_tokens or 0, transcript.answer_tokens or 0
    heard = ceil(seconds if transcript.seconds is None else transcript.seconds)
    return Usage(model.name, prompt, answer, model.cost(prompt, answer) + model.cost_of_sound(heard), 1)
