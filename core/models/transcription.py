"""Recordings as text, by a model of the kind ``transcription``."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from math import ceil
from pathlib import PurePath
from typing import Any

from core.message import clean_text
from core.models import costs
from core.models.budget import Amounts
from core.models.calls import ask
from core.models.catalog import Catalog
from core.models.model import Model
from core.models.paying import NOBODY, Bill, Payer
from core.models.router import Router
from core.models.wire import Recording, Transcript, Wire
from core.parts import Notice, Usage

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

_NAMES = {
    "arabic": "ar",
    "chinese": "zh",
    "dutch": "nl",
    "english": "en",
    "french": "fr",
    "german": "de",
    "hindi": "hi",
    "italian": "it",
    "japanese": "ja",
    "korean": "ko",
    "polish": "pl",
    "portuguese": "pt",
    "russian": "ru",
    "spanish": "es",
    "swedish": "sv",
    "turkish": "tr",
    "ukrainian": "uk",
    "vietnamese": "vi",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What is said in a recording, and what hearing it took."""

    text: str
    usage: Usage
    notices: tuple[Notice, ...] = ()
    """What is to be said of a budget."""
    language: str = ""
    """Code of the language, where the server tells it."""


class Transcriber:
    """Listens to recordings."""

    def __init__(self, catalog: Catalog, router: Router) -> None:
        self._catalog = catalog
        self._router = router

    @property
    def is_set_up(self) -> bool:
        """Whether there is a model for it."""
        return self._catalog.has("transcription")

    async def hear(
        self, data: bytes, *, name: str, mime: str, seconds: int, space: str, payer: Payer = NOBODY
    ) -> Heard:
        """``seconds`` is how long the recording is said to be, for its cost where the server does not tell; 0 where
        nobody says. Raises ModelError, Busy, OverBudget, StorageError."""
        recording = Recording(f"recording.{_suffix(name, mime)}", mime or "application/octet-stream", data)

        # What a platform tells is often what the sender's own program said.
        expected = max(costs.recorded_seconds(seconds, len(data)), costs.sounding_seconds(data) or 0)

        async def work(wire: Wire, model: Model, bill: Bill) -> tuple[Transcript, Usage]:
            transcript = await wire.transcribe(model, recording)
            heard = costs.told(transcript.seconds)
            heard = expected if heard is None else heard
            usage = _usage(model, transcript, heard)
            bill.took, bill.usage = Amounts(usage.cost, seconds=heard), usage
            return transcript, usage

        (transcript, usage), notices = await ask(
            self._catalog,
            self._router,
            "transcription",
            space,
            work,
            most=lambda model: costs.of_hearing(model, expected),
            payer=payer,
        )
        return Heard(clean_text(" ".join(transcript.text.split())), usage, notices, _code(transcript.language))


def length_of(data: bytes) -> int | None:
    """How many seconds a recording says that it lasts; None where it does not, or in no way that is known. What it says
    is its sender's word, so nothing is paid by it. Blocks: for a thread."""
    if (seconds := costs.sounding_seconds(data)) is not None:
        return seconds
    # Imported here: most recordings are voice messages, and many processes read none at all.
    import mutagen

    library: Any = mutagen
    try:
        found: Any = library.File(io.BytesIO(data))
        return ceil(found.info.length) if found is not None else None
    except Exception:
        # The library raises nearly anything on what is damaged; whoever hears it will tell.
        return None


def _code(language: str) -> str:
    """Of a language, as servers tell it: OpenAI's write its name in English, others its code."""
    language = language.strip().lower()
    if re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", language):
        return language
    return _NAMES.get(language, "")


def _suffix(name: str, mime: str) -> str:
    own = PurePath(name).suffix.lower().removeprefix(".")
    return SUFFIXES.get(mime.partition(";")[0].strip().lower()) or (own if own.isalnum() else "ogg")


def _usage(model: Model, transcript: Transcript, seconds: int) -> Usage:
    prompt, answer = costs.told(transcript.prompt_tokens) or 0, costs.told(transcript.answer_tokens) or 0
    return Usage(model.name, prompt, answer, model.cost(prompt, answer) + model.cost_of_sound(seconds), 1)
