"""Labels in sounds: Ogg, FLAC, MP3 and WAV keep their samples as they are."""

from __future__ import annotations

import io
import struct
from typing import Any

from core.labels.films import is_film
from core.labels.films import put as put_in_film
from core.labels.origin import Origin
from core.labels.xmp import TOOL, packet

_MP3 = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")
_UTF8 = 3


def put(data: bytes, origin: Origin) -> bytes:
    """The sound with its label; as it is where its format has no room for one. Raises ValueError for what is broken."""
    if data.startswith(b"RIFF") and data[8:12] == b"WAVE":
        return _in_wav(data, origin)
    if is_film(data):
        return put_in_film(data, origin)
    if data.startswith((b"OggS", b"fLaC", *_MP3)):
        return _tagged(data, origin)
    return data


def _tagged(data: bytes, origin: Origin) -> bytes:
    file = io.BytesIO(data)
    try:
        if data.startswith(_MP3):
            _tag_mp3(file, origin)
        else:
            _tag_comments(file, origin, data)
    except Exception as error:
        # The library raises nearly anything on what is damaged.
        raise ValueError(f"no whole sound: {type(error).__name__}: {error}") from None
    return file.getvalue()


def _tag_mp3(file: io.BytesIO, origin: Origin) -> None:
    # Imported here and below: processes that make no sound have no use for it.
    from mutagen import id3

    frames: Any = id3
    try:
        tags: Any = frames.ID3(file)
    except frames.ID3NoHeaderError:
        tags = frames.ID3()
    file.seek(0)
    tags.add(frames.PRIV(owner="XMP", data=packet(origin)))
    tags.add(frames.TXXX(encoding=_UTF8, desc="AIGC", text=[origin.aigc()]))
    tags.add(frames.COMM(encoding=_UTF8, lang="eng", desc="", text=[origin.words]))
    tags.save(file)


def _tag_comments(file: io.BytesIO, origin: Origin, data: bytes) -> None:
    """Vorbis comments: of Opus and Vorbis in Ogg, and of FLAC."""
    from mutagen.flac import FLAC
    from mutagen.oggopus import OggOpus
    from mutagen.oggvorbis import OggVorbis

    kind: Any = FLAC if data.startswith(b"fLaC") else OggOpus if b"OpusHead" in data[:100] else OggVorbis
    sound: Any = kind(file)
    if sound.tags is None:
        sound.add_tags()
    tags: Any = sound.tags
    tags.update(
        {"COMMENT": [origin.words], "AIGC": [origin.aigc()], "XMP": [packet(origin).decode()], "ENCODED-BY": [TOOL]}
    )
    file.seek(0)
    sound.save(file)


def _in_wav(data: bytes, origin: Origin) -> bytes:
    pieces: list[bytes] = []
    at = 12
    while at + 8 <= len(data):
        kind, (size,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        # Who streams a sound does not know its length, and says that it is endless.
        body = data[at + 8 : at + 8 + size]
        if kind != b"C2PA":
            pieces.append(_chunk(kind, body))
        at += 8 + size + (size & 1)
    if not any(piece.startswith(b"data") for piece in pieces):
        raise ValueError("no whole WAV")
    said = b"INFO" + _chunk(b"ICMT", _text(origin.words)) + _chunk(b"ISFT", _text(TOOL))
    said += _chunk(b"AIGC", _text(origin.aigc()))
    pieces += [_chunk(b"LIST", said), _chunk(b"_PMX", packet(origin))]
    whole = b"WAVE" + b"".join(pieces)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)
