"""Names that people give: what may be one, and which of them look alike to a reader. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

from core.errors import ParleyError
from core.texts import languages, say

LONGEST = 32
"""Characters of a name: what Discord, the narrowest place that shows it, takes without cutting it short."""
LONGEST_SEEN = 100
"""Characters that are compared of what may be a name."""
_REFUSED = frozenset('@#:`<>\\/"')
"""Discord's own list for names of webhooks, and what begins or ends quotations of ours."""
_ANYWHERE = ("discord", "clyde")
"""Discord refuses them anywhere in a name."""
_LIKE = str.maketrans(
    {
        **dict(zip("авекмнорстухіјѕԁһԛԝӏгпц", "abekmhopctyxijsdhqwlrnu", strict=True)),
        **dict(zip("αβεηικνορτυχωγ", "abenikvoptuxwy", strict=True)),
        **dict(zip("ɑɡıł", "agil", strict=True)),
    }
)
"""Letters of other scripts that look like a Latin one: the most abused of Unicode's list of confusables (Unicode
Technical Standard 39), whose full table no library keeps up to date."""
_NEARLY = str.maketrans("01i|!5$", "ollllss")
"""Signs and letters that pass for another in a hurry."""
_PAIRS = (("rn", "m"), ("vv", "w"))


class NameRefused(ParleyError):
    """Nobody may call something so. The text is the key of a sentence."""


def looks(name: str) -> str:
    """What a reader sees in a name: two that look alike give the same."""
    return _looks(name[:LONGEST_SEEN])


@lru_cache(maxsize=2000)
def _looks(name: str) -> str:
    """Each answer of a chosen persona compares some thirty names."""
    seen = in_latin(name).translate(_NEARLY)
    for pair, one in _PAIRS:
        seen = seen.replace(pair, one)
    return "".join(c for c in seen if c.isalnum())


def in_latin(name: str) -> str:
    """A name in small letters without marks, those of other scripts that look like Latin ones replaced by these."""
    marked = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in marked if unicodedata.category(c) not in ("Mn", "Me", "Cf", "Cc")).translate(_LIKE)


def checked(name: str) -> str:
    """The name as it is kept. Raises NameRefused."""
    kept = " ".join(unicodedata.normalize("NFKC", name).split())
    if not kept or not any(c.isalnum() for c in kept):
        raise NameRefused("name_empty")
    if len(kept) > LONGEST:
        raise NameRefused("name_long")
    # Marks that turn the direction of what follows, that cannot be seen, or of which any number stand on one letter.
    if any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp") for c in kept) or _is_stacked(kept):
        raise NameRefused("name_marks")
    if _REFUSED & set(kept):
        raise NameRefused("name_marks")
    if passes_for_somebody(kept):
        raise NameRefused("name_reserved")
    return kept


def passes_for_somebody(name: str) -> bool:
    """Whether a reader would take it for somebody with rights, for Discord, or for the bot."""
    whole = looks(name)
    words, anywhere = _reserved()
    if any(reserved in whole for reserved in anywhere):
        return True
    parts = {looks(part) for part in re.split(r"[\W_]+", unicodedata.normalize("NFKC", name))}
    return not words.isdisjoint({whole, *parts})


@cache
def _reserved() -> tuple[frozenset[str], frozenset[str]]:
    """What nobody may be called, in every language: as a word of a name, and anywhere in it where a language has no
    blanks between words."""
    named = [word.strip() for code in languages() for word in say("reserved_names", code).split(",")]
    words = frozenset(looks(word) for word in named if word.isascii())
    return words, frozenset(looks(word) for word in (*_ANYWHERE, *named) if not word.isascii() or word in _ANYWHERE)


def _is_stacked(name: str) -> bool:
    marks = 0
    for c in unicodedata.normalize("NFD", name):
        marks = marks + 1 if unicodedata.category(c) in ("Mn", "Me") else 0
        if marks > 2:
            return True
    return False
