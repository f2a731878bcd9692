"""Sound as Discord's voice messages want it. Pure.

A voice message is one file of Opus in Ogg, with its length and a waveform, and nothing beside it: no text, no buttons.
Discord takes both as they are told. The length stands in the file (RFC 7845); a waveform would need a decoder, so it is
estimated: Opus gives dense and loud speech more bytes than silence, unless it was told to keep a constant rate.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

FLAG = 1 << 13
"""IS_VOICE_MESSAGE."""
MIME, FILENAME = "audio/ogg", "voice-message.ogg"
RATE = 48_000
"""Samples in a second by which positions are counted, whatever was recorded."""
MAX_POINTS = 256
POINT_SECONDS = 0.1
"""Discord's clients take one point for each tenth of a second, and at most 256."""
LOUDEST = 255
_PAGE = struct.Struct("<4sBBqIIIB")
_NO_POSITION = -1
_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)
"""Samples in a frame, by the kind of coding (RFC 6716, section 3.1)."""


@dataclass(frozen=True, slots=True)
class Voice:
    """What Discord wants to know of a voice message."""

    seconds: float
    waveform: bytes

    def fields(self) -> dict[str, Any]:
        """Of the message's body."""
        waveform = base64.b64encode(self.waveform).decode()
        file = {"id": "0", "filename": FILENAME, "duration_secs": self.seconds, "waveform": waveform}
        return {"flags": FLAG, "attachments": [file]}


def voice_of(data: bytes) -> Voice | None:
    """A file as a voice message; None for all but one whole stream of Opus in Ogg."""
    try:
        return _voice(data)
    except (ValueError, IndexError, struct.error):
        return None


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of Ogg (RFC 3533)."""

    serial: int
    position: int
    pieces: tuple[bytes, ...]
    """The last one goes on in the next page where ``is_open``."""
    is_open: bool


def _voice(data: bytes) -> Voice | None:
    packets: list[bytes] = []
    position, held, serials = 0, b"", set[int]()
    for page in _pages(data):
        serials.add(page.serial)
        pieces = list(page.pieces)
        if pieces:
            pieces[0], held = held + pieces[0], b""
        if page.is_open:
            held = pieces.pop()
        packets += pieces
        if page.position != _NO_POSITION:
            position = page.position
    head, _, *sounds = packets
    if len(serials) > 1 or not head.startswith(b"OpusHead"):
        return None
    (skipped,) = struct.unpack_from("<H", head, 10)
    samples = position - skipped
    return Voice(round(samples / RATE, 2), _waveform(sounds, samples)) if samples > 0 else None


def _pages(data: bytes) -> Iterator[_Page]:
    """Raises ValueError for what is no page, and struct.error where the last one is cut."""
    at = 0
    while at < len(data):
        mark, version, _, position, serial, _, _, count = _PAGE.unpack_from(data, at)
        at += _PAGE.size
        sizes = data[at : at + count]
        end = at + count + sum(sizes)
        if mark != b"OggS" or version or len(sizes) < count or end > len(data):
            raise ValueError("no whole page of Ogg")
        at += count
        pieces: list[bytes] = []
        size = 0
        for lace in sizes:
            size += lace
            if lace < 255:
                pieces.append(data[at : at + size])
                at, size = at + size, 0
        is_open = bool(sizes) and sizes[-1] == 255
        if is_open:
            pieces.append(data[at : at + size])
        at = end
        yield _Page(serial, position, tuple(pieces), is_open)


def _waveform(packets: list[bytes], samples: int) -> bytes:
    """How many bytes each stretch of time took, the most of them as the loudest."""
    points = [0.0] * min(MAX_POINTS, max(1, ceil(samples / RATE / POINT_SECONDS)))
    stretch = samples / len(points)
    begins = 0.0
    for packet in packets:
        if not (length := _length(packet)):
            continue
        ends = begins + length / stretch
        for point in range(int(begins), min(len(points), ceil(ends))):
            points[point] += len(packet) * (min(ends, point + 1) - max(begins, point)) / (ends - begins)
        begins = ends
    most = max(points)
    return bytes(round(point / most * LOUDEST) for point in points) if most else bytes(len(points))


def _length(packet: bytes) -> int:
    """Samples in a packet, told by its first byte or two. Raises IndexError for an empty one."""
    coding, code = packet[0] >> 3, packet[0] & 3
    if coding < 12:
        frame = _SILK[coding & 3]
    elif coding < 16:
        frame = _HYBRID[coding & 1]
    else:
        frame = _CELT[coding & 3]
    return frame * (packet[1] & 0x3F if code == 3 else 2 if code else 1)
