"""Documents split into passages: at headings, paragraphs and sentences, each with a little of what stood before.

Pure. A passage is as long as an embedding model reads well and a prompt has room for several.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.document_text import Piece
from core.knowledge.documents import Passage

TOKENS = 250
"""Of a passage, about. Tokens are estimated: a wide character is one, of others four are one."""
LEAST_TOKENS = 60
"""A shorter end of a section joins what stands before it."""
OVERLAP = 40
"""Tokens of whole sentences that the next passage begins with again."""
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？；])[”’」』）]*")
LONGEST_HEADING = 160


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    tokens: float
    page: int
    is_begun: bool
    """It begins a paragraph."""


def split(pieces: Iterable[Piece], link: str = "") -> list[Passage]:
    """The passages of a document, in order."""
    passages: list[Passage] = []
    for heading, section in _sections(pieces):
        for text, page in _packed(list(_sentences(section))):
            passages.append(Passage("", len(passages), text, page, heading[:LONGEST_HEADING], link))
    return passages


def tokens_of(text: str) -> float:
    """About how many tokens a text has."""
    if text.isascii():
        return len(text) / 4
    return sum(1.0 if unicodedata.east_asian_width(character) in "WF" else 0.25 for character in text)


def _sections(pieces: Iterable[Piece]) -> Iterator[tuple[str, list[Piece]]]:
    """Neighbours under the same heading together, but each page by itself: what cites a page is found on it."""
    section: list[Piece] = []
    for piece in pieces:
        if section and (piece.heading, piece.page) != (section[-1].heading, section[-1].page):
            yield section[-1].heading, section
            section = []
        section.append(piece)
    if section:
        yield section[-1].heading, section


def _sentences(section: Iterable[Piece]) -> Iterator[_Sentence]:
    for piece in section:
        for paragraph in piece.text.split("\n"):
            is_begun = True
            for sentence in _SENTENCE_END.split(paragraph):
                for part in _parts(sentence.strip()):
                    yield _Sentence(part, tokens_of(part), piece.page, is_begun)
                    is_begun = False


def _parts(sentence: str) -> Iterator[str]:
    """A sentence, or what has no end, in pieces that are no longer than a passage; cut between words where there are
    any. Each step looks at no more than one piece: some have millions of characters."""
    start = 0
    while start < len(sentence):
        window = sentence[start : start + TOKENS * 4]
        if tokens_of(window) > TOKENS:
            window = window[:TOKENS]
        blank = window.rfind(" ") if start + len(window) < len(sentence) else -1
        at = blank if blank > len(window) // 2 else len(window)
        if part := window[:at].strip():
            yield part
        start += at


def _packed(sentences: Sequence[_Sentence]) -> Iterator[tuple[str, int]]:
    """Texts of passages and the pages on which they begin."""
    first = 0
    while first < len(sentences):
        last, tokens = first, 0.0
        while last < len(sentences) and (last == first or tokens + sentences[last].tokens <= TOKENS):
            tokens += sentences[last].tokens
            last += 1
        rest = sum(sentence.tokens for sentence in sentences[last : last + 20])
        if last < len(sentences) and last + 20 >= len(sentences) and rest < LEAST_TOKENS:
            last = len(sentences)
        yield _joined(sentences[first:last]), sentences[first].page
        if last == len(sentences):
            return
        again, kept = last, 0.0
        while again > first + 1 and kept + sentences[again - 1].tokens <= OVERLAP:
            again -= 1
            kept += sentences[again].tokens
        first = again


def _joined(sentences: Sequence[_Sentence]) -> str:
    text = sentences[0].text
    for sentence in sentences[1:]:
        if sentence.is_begun:
            text += "\n"
        elif not _is_wide(text[-1]):
            text += " "
        text += sentence.text
    return text


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"
