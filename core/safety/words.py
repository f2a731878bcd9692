"""The words that a space forbids, found however they are written. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MOST_WORDS = 200
LONGEST_WORD = 60
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def contains(text: str, words: tuple[str, ...]) -> bool:
    """Whether one of the words is in the text: as a whole word, or anywhere in scripts that put no blanks between."""
    pattern = _pattern(words)
    return pattern is not None and pattern.search(_plain(text)) is not None


def listed(text: str) -> tuple[str, ...] | None:
    """Words as they are typed, with commas between; None where they are none, too many or too long."""
    words = tuple(dict.fromkeys(word for part in re.split("[,，、;；\n]", text) if (word := " ".join(part.split()))))
    fits = 0 < len(words) <= MOST_WORDS and all(len(word) <= LONGEST_WORD and _plain(word).strip() for word in words)
    return words if fits else None


@lru_cache(256)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str] | None:
    found = [_found(plain) for word in words[:MOST_WORDS] if (plain := _plain(word).strip())]
    return re.compile("|".join(found)) if found else None


def _found(word: str) -> str:
    escaped = r"\s+".join(map(re.escape, word.split()))
    if _IDEOGRAPH.search(word):
        return escaped
    return rf"(?<!\w){escaped}(?!\w)"


def _plain(text: str) -> str:
    """Without what makes the same word look different to a machine: case, width, accents, what is not seen."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text.casefold())
    kept = (each for each in parts if unicodedata.category(each) not in ("Cf", "Mn"))
    return unicodedata.normalize("NFC", "".join(kept)).casefold()
