"""Labels in films and sounds of the MP4 family: a box at the end (XMP, part 3), and tags that players show."""

from __future__ import annotations

import io
import struct
from typing import Any, cast

import structlog

from core.labels.origin import Origin
from core.labels.xmp import packet

log = structlog.get_logger()

_XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_CREDENTIALS_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_MOST = 2**32 - 1


def is_film(data: bytes) -> bool:
    """Whether it is of that family."""
    return data[4:8] == b"ftyp"


def put(data: bytes, origin: Origin) -> bytes:
    """The film with its label; as it is where it is of another family. Raises ValueError for what is broken."""
    if not is_film(data):
        return data
    at = last = 0
    kinds: set[bytes] = set()
    while at < len(data):
        last = at
        kinds.add(data[at + 4 : at + 8])
        if data[at + 4 : at + 8] == b"uuid" and data[at + 8 : at + 24] == _CREDENTIALS_BOX:
            # They would be broken by the label (``core/labels/pictures.py``); nothing moves where they stood.
            data = data[: at + 4] + b"free" + data[at + 8 :]
        at += _size(data, at)
    if at != len(data):
        raise ValueError("no whole film")
    if data[last : last + 4] == bytes(4):
        data = _with_size(data, last)
    # Tags move what comes behind them, and a film in fragments tells of places that nobody corrects.
    if b"moov" in kinds and b"moof" not in kinds:
        data = _tagged(data, origin)
    body = _XMP_BOX + packet(origin)
    return data + struct.pack(">I", len(body) + 8) + b"uuid" + body


def _tagged(data: bytes, origin: Origin) -> bytes:
    """With tags; as it is where it has no room for them."""
    # Imported here: processes that make no films have no use for it.
    from mutagen.mp4 import MP4, MP4FreeForm

    kind, form, file = cast("Any", MP4), cast("Any", MP4FreeForm), io.BytesIO(data)
    try:
        film: Any = kind(file)
        if film.tags is None:
            film.add_tags()
        tags: Any = film.tags
        tags["----:com.apple.iTunes:AIGC"] = [form(origin.aigc().encode())]
        tags["\xa9cmt"] = [origin.words]
        file.seek(0)
        film.save(file)
    except Exception as error:
        # The library raises nearly anything on what it does not know.
        log.info("a film without tags", cause=f"{type(error).__name__}: {error}")
        return data
    return file.getvalue()


def _size(data: bytes, at: int) -> int:
    if at + 8 > len(data):
        raise ValueError("no whole film")
    (size,) = struct.unpack_from(">I", data, at)
    if size == 1 and at + 16 <= len(data):
        (size,) = struct.unpack_from(">Q", data, at + 8)
    elif size == 0:
        return len(data) - at
    if size < 8:
        raise ValueError("no whole film")
    return size


def _with_size(data: bytes, at: int) -> bytes:
    """The last box may say that it goes on to the end, wherever that is."""
    if len(data) - at > _MOST:
        raise ValueError("too large a film")
    return data[:at] + struct.pack(">I", len(data) - at) + data[at + 4 :]
