"""Sounds of one format, one behind the other in one file. Pure; the samples stay as they are."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Any

from core.parts import Media

_HEADERS = 2
"""Packets in front of the sound in a stream of Opus: what it is, and who made it (RFC 7845)."""


def joined(sounds: Sequence[Media]) -> list[Media]:
    """One sound of them all where their formats allow it, else each by itself. Raises ValueError for what is broken."""
    if len(sounds) < 2:
        return list(sounds)
    first = sounds[0]
    join = _JOINING.get(first.mime) if all(sound.mime == first.mime for sound in sounds) else None
    try:
        data = join([sound.data for sound in sounds]) if join else b""
    except (struct.error, EOFError, IndexError, StopIteration) as error:
        raise ValueError(f"no whole sound: {error}") from None
    return [Media(first.name, first.mime, data)] if data else list(sounds)


def _opus(files: Sequence[bytes]) -> bytes:
    """One stream of the streams' pages: a chain of streams, which the format has as well, is cut off after the first by
    Discord and by some players."""
    from mutagen.ogg import OggPage
    from mutagen.ogg import error as OggError

    kind: Any = OggPage
    whole: list[bytes] = []
    begins = serial = 0
    for number, data in enumerate(files):
        if b"OpusHead" not in data[:100]:
            return b""
        file, packets, ends = io.BytesIO(data), 0, 0
        while file.tell() < len(data):
            try:
                page = kind(file)
            except OggError as error:
                raise ValueError(f"no whole sound: {error}") from None
            is_sound = packets >= _HEADERS
            packets += len(page.packets) if page.complete else len(page.packets) - 1
            serial = page.serial if not whole else serial
            if number and not is_sound:
                continue
            if page.position > 0:
                ends = page.position
                page.position += begins
            page.serial, page.sequence = serial, len(whole)
            page.first, page.last = not whole, page.last and number == len(files) - 1
            whole.append(page.write())
        begins += ends
    return b"".join(whole)


def _wav(files: Sequence[bytes]) -> bytes:
    import wave

    kinds, frames, output = set[tuple[int, int, int]](), list[bytes](), io.BytesIO()
    for data in files:
        try:
            with wave.open(io.BytesIO(data)) as source:
                kinds.add((source.getnchannels(), source.getsampwidth(), source.getframerate()))
                frames.append(source.readframes(source.getnframes()))
        except (wave.Error, RuntimeError):
            # There are kinds that it does not know, and that play well: samples that are fractions, for one.
            return b""
    if len(kinds) > 1:
        return b""
    with wave.open(output, "wb") as target:
        target.setparams((*kinds.pop(), 0, "NONE", ""))
        target.writeframes(b"".join(frames))
    return output.getvalue()


def _mp3(files: Sequence[bytes]) -> bytes:
    """Players take the frames of one sound behind those of another, and nothing in between."""
    return b"".join(map(_frames, files))


def _frames(data: bytes) -> bytes:
    if not data.startswith(b"ID3"):
        return data
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return data[10 + size :]


_JOINING = {"audio/ogg": _opus, "audio/wav": _wav, "audio/mpeg": _mp3}
