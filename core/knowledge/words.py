"""What texts are found by: their words, and for scripts without blanks every two neighbouring characters."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from zlib import crc32

_RUNS = re.compile(
    # Han, kana, hangul; then what is written with blanks.
    r"[\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
    r"|[^\W_]+(?:['\u2019][^\W_]+)?"
)
_COMMON = Path(__file__).with_name("common_words.txt")
"""English words that questions are made of, and nothing is about; then Chinese characters of the same use."""
LONGEST_WORD = 40
"""Characters of a word that count: longer ones are data."""


def terms(text: str) -> list[int]:
    """The terms of a text in their order, each as a number of 32 bits: two words in some 100,000 share one, which does
    not change what is found by all words together."""
    return [_number(term) for term in words(text)]


def words(text: str) -> list[str]:
    """The terms in letters."""
    found: list[str] = []
    common, characters = _common()
    for run in _RUNS.findall(unicodedata.normalize("NFKC", text).casefold()):
        if not _is_wide(run[0]):
            if run not in common:
                found.append(_stem(run[:LONGEST_WORD]))
        elif len(run) == 1:
            found.append(run)
        else:
            pairs = (run[at : at + 2] for at in range(len(run) - 1))
            found += [pair for pair in pairs if not characters.issuperset(pair)]
    return found


@cache
def _common() -> tuple[frozenset[str], frozenset[str]]:
    """Two of those characters in a row say nothing."""
    english, _, chinese = _COMMON.read_text("utf-8").partition("\n\n")
    return frozenset(english.split()), frozenset(chinese.strip())


@lru_cache(maxsize=50_000)
def _number(term: str) -> int:
    return crc32(term.encode("utf-8", "replace"))


def _is_wide(character: str) -> bool:
    return character >= "\u3005" and not "\uff00" <= character <= "\uffef"


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    """Singular and plural of English as one, as Harman's S stemmer has them (1991): it does no harm to other
    languages to speak of."""
    word = word.replace("\u2019", "'").removesuffix("'s")
    if not word.isascii() or len(word) < 4:
        return word
    if word.endswith("ies") and word[-4] not in "ea":
        return word[:-3] + "y"
    if word.endswith("es") and word[-3] not in "aeo":
        return word[:-1]
    if word.endswith("s") and word[-2] not in "us":
        return word[:-1]
    return word
