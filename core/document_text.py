"""What a document is read as, and bytes as text. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

BETWEEN_HEADINGS = " › "
MOST_LEVELS = 3
"""Headings of so many levels name a place; deeper ones stand in the text."""
PIECE_CHARS = 50
"""What a piece takes besides its text and its heading."""
MOST_WRAPPING = 4
"""Headings are said again with each piece under them. All that is not text is at most so many times as much as the text
may be: a file of a few kilobytes can hold a hundred thousand words below long headings."""


class Unreadable(Exception):
    """The argument is the key of a sentence."""


@dataclass(frozen=True, slots=True)
class Extract:
    """The text of a document, or of its beginning."""

    text: str
    pages: int = 0
    """In all; 0 where there are none."""
    cut: bool = False
    """More was left."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document, and where it stands."""

    text: str
    page: int = 0
    """0 where there are none."""
    heading: str = ""
    """What it stands under, from the outermost heading to the nearest."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """A document, or its beginning, with its places."""

    pieces: Sequence[Piece]
    pages: int = 0
    cut: bool = False
    title: str = ""
    """As it says itself."""
    link: str = ""
    """Where it says that it belongs."""


@dataclass(frozen=True, slots=True)
class Block:
    """What a parser finds: some text, or a heading."""

    text: str
    page: int = 0
    level: int = 0
    """1: the highest heading; 0: no heading."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser found in all."""

    blocks: Sequence[Block]
    joint: str = "\n"
    """Stands between them where they are one text."""
    pages: int = 0
    cut: bool = False
    title: str = ""
    link: str = ""
    headings: int = field(default=MOST_LEVELS)
    """So many levels of headings name a place."""


def as_pieces(parsed: Parsed, max_chars: int) -> Pieces:
    """Its blocks under their headings. A heading with nothing under it is text."""
    pieces: list[Piece] = []
    path: list[tuple[int, str]] = []
    chars, wrapping, is_cut, is_bare = 0, 0, parsed.cut, False
    for block in (*parsed.blocks, Block("", level=1)):
        if wrapping > MOST_WRAPPING * max_chars:
            is_cut = True
            break
        text = one_line(block.text) if block.level else tidy(block.text)
        if 0 < block.level <= parsed.headings:
            if is_bare and path:
                # Nobody wrote anything under the one before, unless this one is.
                level, heading = path[-1]
                if block.level <= level or not text:
                    pieces.append(Piece(heading, pieces[-1].page if pieces else 0, _joined(path[:-1])))
                    wrapping += len(heading) + len(pieces[-1].heading) + PIECE_CHARS
            path = [*((level, heading) for level, heading in path if level < block.level), (block.level, text)]
            is_bare = bool(text)
            continue
        if not text:
            continue
        if chars + len(text) > max_chars:
            text, is_cut = text[: max_chars - chars], True
        if text:
            pieces.append(Piece(text, block.page, _joined(path)))
            chars, is_bare = chars + len(text), False
            wrapping += len(pieces[-1].heading) + PIECE_CHARS
        if is_cut and chars >= max_chars:
            break
    return Pieces(pieces, parsed.pages, is_cut, one_line(parsed.title), parsed.link)


def _joined(path: Sequence[tuple[int, str]]) -> str:
    return BETWEEN_HEADINGS.join(heading for _, heading in path if heading)


def one_line(text: str) -> str:
    """For titles and headings."""
    return " ".join(tidy(text).split())[:200]


def plain_text(data: bytes) -> str:
    """Bytes as text. Raises Unreadable for what is none."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Old Western files are nearly all ASCII; others are most likely Chinese, to those who are likely to be here.
        strange = sum(byte > 127 for byte in data[:4000])
        text = data.decode("cp1252" if strange < len(data[:4000]) * 0.3 else "gb18030", "replace")
    if "\0" in text[:4000]:
        raise Unreadable("file_unsupported")
    return text


def tidy(text: str) -> str:
    """Fit for every wire, without runs of blank lines."""
    text = text.encode("utf-8", "replace").decode()
    return re.sub(r"\n[ \t]*(\n[ \t]*){2,}", "\n\n", without_controls(text)).strip()


def without_controls(text: str) -> str:
    """Without control characters; every line ends in the same way."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", text.replace("\r\n", "\n").replace("\r", "\n"))
