"""Labels in pictures: PNG, JPEG, WebP and GIF keep their pixels, and what else they hold, as it is.

Content Credentials of whoever made a file speak of every byte of it: a label would make them say that somebody has
tampered with the file, so they are left out where one is put in.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from core.labels.origin import Origin
from core.labels.xmp import packet

PNG, JPEG, GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", (b"GIF87a", b"GIF89a")
OTHERS = ("WEBP", "GIF")
"""Formats that not every platform shows as a picture: :func:`shown` makes PNG of them."""
MAX_PIXELS = 40_000_000
"""Largest picture that is decoded for that."""
_XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_APP0, _APP1, _APP11, _COMMENT, _SCAN = 0xE0, 0xE1, 0xEB, 0xFE, 0xDA
_XMP_FLAG, _ALPHA_FLAG = 0x04, 0x10
_IN_14_BITS = 0x3FFF


def put(data: bytes, origin: Origin) -> bytes:
    """The picture with its label. Raises ValueError for what is no whole picture of these kinds."""
    try:
        if data.startswith(PNG):
            return _in_png(data, origin)
        if data.startswith(JPEG):
            return _in_jpeg(data, origin)
        if data.startswith(GIF):
            return _in_gif(data, origin)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _in_webp(data, origin)
    except (IndexError, OverflowError, struct.error) as error:
        raise ValueError(f"no whole picture: {error}") from None
    raise ValueError("no picture")


def shown(data: bytes) -> tuple[bytes, str]:
    """A picture as every platform shows it, and its MIME type: PNG and JPEG as they are.

    Raises ValueError for what is no picture.
    """
    if data.startswith(JPEG):
        return data, "image/jpeg"
    return (data if data.startswith(PNG) else _as_png(data)), "image/png"


# ---------------------------------------------------------------------- PNG
def _in_png(data: bytes, origin: Origin) -> bytes:
    pieces = [PNG]
    for kind, chunk in _chunks_of_png(data):
        if kind != b"caBX":
            pieces.append(chunk)
        if kind == b"IHDR":
            pieces += [
                _chunk(b"tEXt", b"Description\0" + origin.words.encode("latin-1", "replace")),
                _chunk(b"tEXt", b"AIGC\0" + origin.aigc().encode()),
                _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet(origin)),
            ]
    return b"".join(pieces)


def _chunks_of_png(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG)
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + size
        if (kind == b"IHDR") is not (at == len(PNG)) or (kind == b"IHDR" and end > len(data)):
            raise ValueError("no whole PNG")
        yield kind, data[at:end]
        at = end


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# ---------------------------------------------------------------------- JPEG
def _in_jpeg(data: bytes, origin: Origin) -> bytes:
    ours = _segment(_APP1, _XMP_IN_JPEG + packet(origin)) + _segment(_COMMENT, origin.words.encode())
    head: list[bytes] = []
    at = 2
    # The head of JFIF has to stay in front, and all of these before the picture itself.
    while data[at] == 0xFF and data[at + 1] != _SCAN:
        (size,) = struct.unpack_from(">H", data, at + 2)
        if data[at + 1] != _APP0 and ours not in head:
            head.append(ours)
        if data[at + 1] != _APP11:
            head.append(data[at : at + 2 + size])
        at += 2 + size
    if ours not in head:
        head.append(ours)
    return data[:2] + b"".join(head) + data[at:]


def _segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


# ---------------------------------------------------------------------- GIF
def _in_gif(data: bytes, origin: Origin) -> bytes:
    if len(data) < 14 or not data.endswith(b";"):
        raise ValueError("no whole GIF")
    comment = origin.words.encode()[:255]
    said = b"!\xfe" + bytes([len(comment)]) + comment + b"\0"
    # A reader that knows no XMP takes its bytes for lengths of blocks, and lands on the zeros behind (XMP, part 3).
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    start = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    return b"GIF89a" + data[6:start] + said + b"!\xff\x0bXMP DataXMP" + packet(origin) + trailer + data[start:]


# ---------------------------------------------------------------------- WebP
def _in_webp(data: bytes, origin: Origin) -> bytes:
    chunks = [(kind, body) for kind, body in _chunks_of_riff(data) if kind not in (b"XMP ", b"C2PA")]
    kind, body = chunks[0]
    if kind == b"VP8X":
        chunks[0] = kind, bytes([body[0] | _XMP_FLAG]) + body[1:]
    else:
        chunks.insert(0, (b"VP8X", _canvas(kind, body)))
    chunks.append((b"XMP ", packet(origin)))
    whole = b"".join(k + struct.pack("<I", len(b)) + b + b"\0" * (len(b) & 1) for k, b in chunks)
    return b"RIFF" + struct.pack("<I", len(whole) + 4) + b"WEBP" + whole


def _chunks_of_riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        if at + 8 + size > len(data):
            raise ValueError("no whole WebP")
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + (size & 1)


def _canvas(kind: bytes, body: bytes) -> bytes:
    """What a WebP that is only a picture needs before it to hold more."""
    if kind == b"VP8L" and body[0] == 0x2F:
        (bits,) = struct.unpack_from("<I", body, 1)
        width, height, has_alpha = bits & _IN_14_BITS, bits >> 14 & _IN_14_BITS, bits >> 28 & 1
    elif kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = (side & _IN_14_BITS for side in struct.unpack_from("<HH", body, 6))
        width, height, has_alpha = width - 1, height - 1, 0
    else:
        raise ValueError("no WebP of a kind that is known")
    flags = _XMP_FLAG | (_ALPHA_FLAG if has_alpha else 0)
    return struct.pack("<I", flags) + width.to_bytes(3, "little") + height.to_bytes(3, "little")


def _as_png(data: bytes) -> bytes:
    # Imported here: most pictures come as PNG.
    from PIL import Image

    output = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=OTHERS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels")
            image.save(output, "PNG")
    except Exception as error:
        # Decoders raise nearly anything on a damaged file.
        raise ValueError(f"no picture: {type(error).__name__}: {error}") from None
    return output.getvalue()
