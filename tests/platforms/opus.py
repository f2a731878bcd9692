"""Files of Opus in Ogg as an encoder writes them, with noise for sound (RFC 3533, RFC 6716, RFC 7845)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

MAX_LACES = 255
SAMPLES = 960
"""In a packet of 20 ms."""
WIDEBAND = b"\x48"
"""First byte of a packet with one frame of 20 ms."""


def opus(
    sizes: Sequence[int], *, first: bytes = WIDEBAND, samples: int = SAMPLES, skipped: int = 0, serial: int = 1
) -> bytes:
    """A stream with packets of these sizes in bytes, each beginning with ``first``, which says how long it lasts."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, skipped, 24_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 5) + b"tests" + struct.pack("<I", 0)
    sounds = [(first + b"\x55" * size)[:size] for size in sizes]
    positions = [(number + 1) * samples for number in range(len(sounds))]
    return ogg([head, tags, *sounds], [0, 0, *positions], serial)


def ogg(packets: Sequence[bytes], positions: Sequence[int], serial: int = 1) -> bytes:
    """Each packet on pages of its own; ``positions`` say how many samples there are to the end of each."""
    pages: list[bytes] = []
    for packet, position in zip(packets, positions, strict=True):
        laces = [255] * (len(packet) // 255) + [len(packet) % 255]
        at = 0
        while laces:
            here, laces = laces[:MAX_LACES], laces[MAX_LACES:]
            end = at + sum(here)
            pages.append(_page(packet[at:end], here, -1 if laces else position, serial, len(pages), goes_on=at > 0))
            at = end
    return b"".join(pages)


def _page(data: bytes, laces: Sequence[int], position: int, serial: int, number: int, *, goes_on: bool) -> bytes:
    flags = (1 if goes_on else 0) | (0 if number else 2)
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, position, serial, number, 0, len(laces)) + bytes(laces)
    return head[:22] + struct.pack("<I", _crc(head + data)) + head[26:] + data


def _crc(data: bytes) -> int:
    """Ogg's own: polynomial 0x04c11db7, not reflected."""
    value = 0
    for byte in data:
        value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ byte]
    return value


def _entry(index: int) -> int:
    value = index << 24
    for _ in range(8):
        value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
    return value & 0xFFFFFFFF


_TABLE = tuple(_entry(index) for index in range(256))
