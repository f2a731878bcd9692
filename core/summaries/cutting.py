"""Cuts a text of any length into pieces that fit a model's window, where a reader would pause."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise

from core.conversation.history import count_tokens

PAUSES = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?。！？…])\s*"), re.compile(r"\s+"))
"""Between paragraphs, lines, sentences, words; the first that leaves pieces small enough counts."""


def pieces(text: str, tokens: int) -> list[str]:
    """In order and of at most ``tokens`` each, as full as may be; none for blank text. Pure."""
    return _packed([piece for piece in _small(text.strip(), tokens, 0) if piece.strip()], tokens)


async def cut(text: str, tokens: int) -> list[str]:
    """The same beside the event loop: what is as long as a book takes seconds."""
    return await asyncio.to_thread(pieces, text, tokens)


def _small(text: str, tokens: int, level: int) -> list[str]:
    if count_tokens(text) <= tokens:
        return [text]
    if level == len(PAUSES):
        # One word without end: by characters, of which each has four bytes at most.
        step = max(1, tokens - count_tokens(""))
        return [text[at : at + step] for at in range(0, len(text), step)]
    bounds = [0, *(found.end() for found in PAUSES[level].finditer(text)), len(text)]
    parts = [text[begin:end] for begin, end in pairwise(bounds) if begin < end]
    # Packed at each level, so that a text without paragraphs is not taken apart into its words.
    return [piece for part in _packed(parts, tokens) for piece in _small(part, tokens, level + 1)]


def _packed(parts: list[str], tokens: int) -> list[str]:
    """Neighbours joined as long as they fit."""
    packed: list[str] = []
    sizes: list[int] = []
    for part in parts:
        size = count_tokens(part)
        if packed and sizes[-1] + size <= tokens:
            packed[-1] += part if packed[-1].endswith(("\n", " ")) else f"\n{part}" if part[:1] != "\n" else part
            sizes[-1] += size
        else:
            packed.append(part)
            sizes.append(size)
    return packed
