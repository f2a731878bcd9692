"""Which files a page shows or plays by itself, and the parts of them that a player asks for. Pure."""

from __future__ import annotations

import re

SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp")
PLAYED = ("audio/mpeg", "audio/ogg", "audio/wav", "audio/mp4", "audio/flac", "video/mp4", "video/webm")
"""Everything else is downloaded: a delivered HTML or SVG file must not run on our origin."""
ALSO_CALLED = {
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/x-flac": "audio/flac",
    "audio/opus": "audio/ogg",
}
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})", re.ASCII)


def served_as(mime: str) -> str:
    """The type under which a page may show or play it; empty for what is downloaded alone."""
    plain = mime.partition(";")[0].strip().lower()
    plain = ALSO_CALLED.get(plain, plain)
    return plain if plain in (*SHOWN, *PLAYED) else ""


def kind_of(mime: str) -> str:
    """``image``, ``audio`` or ``video``; empty for what is downloaded alone."""
    return served_as(mime).partition("/")[0]


def part_of(header: str, size: int) -> tuple[int, int] | None:
    """Where the bytes begin and end (exclusive) that a ``Range`` header asks for; None where it is to be ignored: it
    asks for several parts, in another unit, or for none. Raises ValueError where that part is not there (RFC 9110,
    section 14.2)."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        last = int(found[2])
        if not (last and size):
            raise ValueError("nothing is asked for")
        return max(0, size - last), size
    begin = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    if begin >= size:
        raise ValueError("it begins behind the end")
    return (begin, end) if begin < end else None
