"""Words found in a text however they were disguised. Pure.

What is compared are keys: the same for letters that only look different, for what is not seen, for full width and
styled letters, accents, upper and lower case, traditional and simplified characters. A text has several keys where it
may be read in several ways: letters set apart, digits in place of letters, letters repeated. Keys are for looking only:
they turn some scripts into a mixture that nobody could read.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, cast

from core.moderation.folding import simplified

LONGEST = 10_000
"""Characters of a text that are looked at, more than any message of plain words has: of a longer one the beginning and
the end, half each."""
LONGEST_WORD = 100
"""Characters of a word or phrase that is looked for."""
LEAST_LEET = 4
"""Characters of a word that is found where digits stand for letters: in shorter ones every number would be a word."""
LEAST_JOINED = 8
"""Characters of a phrase that is found with its blanks left out, too."""
STAR = "*"

_HAN = r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_WIDE = re.compile(r"\s{2,}")
_BLANK = re.compile(r"\s+")
_PLAINER = {ord("|"): "/", ord("`"): "*", 0x08: None, 0x7F: None, 0xFDFA: " ", 0xFDFB: " "}
"""A bar would be read as an l, a backquote as an apostrophe, and Discord puts them around words. What deletes on a
terminal would take the letter before it along. Two characters stand for whole sentences."""
_REVERSED = re.compile("\u202e([^\u202c\u2069\n]*)")
"""Shown from right to left, whatever it is."""
_FLAGS = re.compile("(?:[\U0001f1e6-\U0001f1ff][ \u200b-\u200d]?){3,}")
"""Letters that make flags, two of them each; in a longer row they are read."""
_EMOJI = r"[\u2190-\u2bff\ufe0f\u200d\U0001f000-\U0001faff]"
# A letter that stands alone, and then at least two more, each behind one separator: two blanks end a word.
_APART = re.compile(
    rf"(?<![^\W_])[^\W_{_HAN}]"
    rf"(?:(?: |\s?(?:[._*~|/\\+•·'\",:;=-]|{_EMOJI}{{1,4}})\s?|[*_~|]{{2,4}})[^\W_{_HAN}](?![^\W_])){{2,}}"
)
_SEPARATORS = re.compile(r"[\W_]+")
_HAN_APART = re.compile(rf"(?<=[{_HAN}])(?:[ \t.*_~|/\\+•·'\"=#^`-]|{_EMOJI}){{1,3}}(?=[{_HAN}])")
_SIGNS = re.compile(r"(?:[^\w\s'.,;:!?]|_)+|[.,;:!?]+(?=\w)")
"""What may part the words of a phrase in place of a blank; at the end of a clause words end."""
_INSIDE = re.compile(r"(?<=[a-z0-9\u00c0-\u052f])(?:[^\w\s']|_)+(?=[a-z0-9\u00c0-\u052f])")
"""Signs within a word, as in ``fr||ee||``. An apostrophe is none: "he'll" is another word without it."""
# Marks that end a clause join nothing, but where they stand between all characters.
_HAN_SPELLED = re.compile(rf"(?<![{_HAN}])[{_HAN}](?:[\W_]{{1,3}}[{_HAN}](?![{_HAN}])){{2,}}")
_MIXED = re.compile(r"[$]?[^\W_]+(?:[@$!+]+[^\W_]+)*[$]*")
_LEET = re.compile(r"[0-9@$!+](?=[^\W\d_])|(?<=[^\W\d_])[0-9$]")
_LEET_I = str.maketrans("0134578@$!+9", "oieastbasitg")
_LEET_L = str.maketrans("0134578@$!+9", "oleastbasltg")
_REPEATED = re.compile(r"([^\W\d_])\1{2,}")
_WITHOUT_SPACES = re.compile(
    rf"[{_HAN}\u3005\u3040-\u30ff\u31f0-\u31ff\uac00-\ud7af\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
)
"""Scripts whose words do not stand apart: Chinese, Japanese, Korean (where endings are joined on), Thai, Lao, Burmese,
Khmer."""


def key(text: str) -> str:
    """The text as it is compared; the same for texts that are to be taken for the same. Never fails."""
    return _BLANK.sub(" ", _folded(text)).strip()


def cut(text: str) -> str:
    """What is looked at of a text."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}\n{text[1 - LONGEST // 2 :]}"


def readings(text: str) -> tuple[str, ...]:
    """All keys of a text: first :func:`key`, then the same with what was set apart put together, which may be the same;
    then, each once, those in which digits are letters, signs blanks or nothing, and repeated letters one."""
    wide = _folded(text)
    plain, together = _plain(wide), _together(wide)
    letters = _without_leet(together)
    more = dict.fromkeys(letters)
    for reading in (together, *letters[:1]):
        if _SIGNS.search(reading):
            more[_BLANK.sub(" ", _SIGNS.sub(" ", reading)).strip()] = None
            more[_BLANK.sub(" ", _SIGNS.sub(" ", _INSIDE.sub("", reading))).strip()] = None
        if _REPEATED.search(reading):
            more[_REPEATED.sub(r"\1\1", reading)] = None
            more[_REPEATED.sub(r"\1", reading)] = None
    return plain, together, *(reading for reading in more if reading not in (plain, together))


@dataclass(frozen=True, slots=True)
class Word:
    """A word or phrase that is looked for. ``owner`` is whose it is, a number that the caller gives."""

    written: str
    owner: int


@dataclass(frozen=True, slots=True)
class _Pattern:
    number: int
    length: int
    is_open: tuple[bool, bool]
    """Whether any letter may stand before it, and behind it."""


class Words:
    """Finds any number of words at once, in time that depends on the text alone."""

    def __init__(self, words: Iterable[Word]) -> None:
        """Raises ValueError, whose text is the word, for one that :func:`is_word` refuses."""
        import ahocorasick

        self._words: Sequence[Word] = tuple(words)
        patterns: dict[str, list[_Pattern]] = {}
        for number, word in enumerate(self._words):
            for text, is_open in _forms(word.written):
                patterns.setdefault(text, []).append(_Pattern(number, len(text), is_open))
        self._automaton: Any = cast("Any", ahocorasick).Automaton()
        for text, found in patterns.items():
            self._automaton.add_word(text, tuple(found))
        self._automaton.make_automaton()

    def found(self, readings: Sequence[str]) -> dict[int, str]:
        """By owner, in order of the owners, the first of its words that is in one of a text's :func:`readings`."""
        first: dict[int, int] = {}
        for place, reading in enumerate(readings) if self._words else ():
            if place == 1 and reading == readings[0]:
                continue
            hits = cast("Iterable[tuple[int, Sequence[_Pattern]]]", self._automaton.iter(reading))
            for end, patterns in hits:
                for pattern in patterns:
                    owner = self._words[pattern.number].owner
                    if first.get(owner, pattern.number + 1) > pattern.number and _is_whole(
                        reading, end + 1 - pattern.length, end + 1, pattern.is_open
                    ):
                        if place > 1 and pattern.length < LEAST_LEET:
                            continue
                        first[owner] = pattern.number
        return {owner: self._words[first[owner]].written for owner in sorted(first)}


def is_word(written: str) -> bool:
    """Whether it can be looked for: something is left of it, a star stands at its ends only, it is not too long."""
    return len(written) <= LONGEST_WORD and STAR not in written.strip().strip(STAR) and bool(_forms_of(written))


def _forms(written: str) -> Iterable[tuple[str, tuple[bool, bool]]]:
    if not is_word(written):
        raise ValueError(written)
    return _forms_of(written)


@lru_cache(20_000)
def _forms_of(written: str) -> Sequence[tuple[str, tuple[bool, bool]]]:
    bare = written.strip()
    is_open = bare.startswith(STAR), bare.endswith(STAR)
    text = _together(_folded(bare.strip(STAR)))
    if not text:
        return ()
    joined = text.replace(" ", "")
    if joined != text and len(joined) >= LEAST_JOINED:
        return (text, is_open), (joined, is_open)
    return ((text, is_open),)


def _is_whole(text: str, begin: int, end: int, is_open: tuple[bool, bool]) -> bool:
    """What stands there is not a part of a longer word."""
    before, behind = is_open
    if not before and begin and _is_spaced(text[begin]) and _is_spaced(text[begin - 1]):
        return False
    return behind or end == len(text) or not (_is_spaced(text[end - 1]) and _is_spaced(text[end]))


def _is_spaced(letter: str) -> bool:
    """It is of a word that ends at a blank."""
    return letter.isalnum() and not (letter > "\u0dff" and _WITHOUT_SPACES.match(letter))


def _folded(text: str) -> str:
    """With two blanks where there were more than one: they end a word whose letters are set apart."""
    import disarm

    # Halves of characters, which JSON can have, are text to no library.
    text = cut(text).encode("utf-8", "replace").decode().translate(_PLAINER)
    text = _REVERSED.sub(lambda found: found[1][::-1], text)
    text = _FLAGS.sub(_spelled, text)
    plain = "  ".join(map(disarm.strip_obfuscation, _WIDE.split(text))).casefold()
    if not plain.isascii():
        plain = simplified(unicodedata.normalize("NFC", plain))
    return plain.strip()


def _spelled(found: re.Match[str]) -> str:
    letters = (chr(ord(one) - 0x1F1E6 + ord("a")) for one in found[0] if one >= "\U0001f1e6")
    return f" {''.join(letters)} "


def _plain(wide: str) -> str:
    return wide.replace("  ", " ")


def _together(wide: str) -> str:
    """With what was set apart put together."""
    text = _APART.sub(lambda found: _SEPARATORS.sub("", found[0]), wide)
    if not text.isascii():
        text = _HAN_SPELLED.sub(lambda found: _SEPARATORS.sub("", found[0]), text)
        text = _HAN_APART.sub("", text)
    return _plain(text)


def _without_leet(text: str) -> Sequence[str]:
    """The text with digits and signs read as the letters that they look like, where they stand among letters."""
    pieces = text.split(" ")
    mixed = [at for at, piece in enumerate(pieces) if not piece.isalpha() and _LEET.search(piece)]
    found: list[str] = []
    for table in (_LEET_I, _LEET_L) if mixed else ():
        for at in mixed:
            pieces[at] = _MIXED.sub(partial(_read, table), pieces[at])
        found.append(" ".join(pieces))
        pieces = text.split(" ")
    return found


def _read(table: dict[int, int], found: re.Match[str]) -> str:
    return found[0].translate(table) if _is_leet(found[0]) else found[0]


def _is_leet(word: str) -> bool:
    return _LEET.search(word) is not None and any(letter.isalpha() for letter in word)
