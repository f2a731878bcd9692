"""Which files of an answer go together, and which cannot go at all."""

from __future__ import annotations

from collections.abc import Sequence

from bots.adapter import Capabilities
from core.parts import Media
from core.texts import Amount, say

PICTURES = frozenset(("image/jpeg", "image/png", "image/webp"))
MAX_PICTURE = 10_000_000
"""Bytes; larger ones go alone, as the plain files that platforms make of them."""


def grouped(media: Sequence[Media], able: Capabilities) -> list[list[Media]]:
    """The files in their order; pictures that follow each other together, as many as an album takes."""
    groups: list[list[Media]] = []
    for file in media:
        last = groups[-1] if groups else []
        if last and len(last) < able.album and is_picture(last[-1]) and is_picture(file):
            last.append(file)
        else:
            groups.append([file])
    return groups


def of_the_page(groups: Sequence[Sequence[Media]], able: Capabilities) -> tuple[Media, ...]:
    """Those of the groups' files, the first ones, that are shown in the message of the text."""
    first = groups[0] if groups and able.album_is_one else ()
    return tuple(first) if all(is_picture(file) and len(file.data) <= able.max_file for file in first) else ()


def refusal(file: Media, able: Capabilities, language: str) -> str:
    """Why a file cannot be sent; empty where it can."""
    if len(file.data) <= able.max_file:
        return ""
    found, allowed = Amount.of_bytes(len(file.data)), Amount.of_bytes(able.max_file)
    return say("upload_too_large", language, name=file.name, found=found, allowed=allowed)


def is_picture(file: Media) -> bool:
    """Whether platforms show it as one."""
    return file.mime in PICTURES and len(file.data) <= MAX_PICTURE
