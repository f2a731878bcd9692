"""Where a text may be cut without breaking a character as people see it."""

from __future__ import annotations

import unicodedata

_JOINER = "\u200d"
_MAX_CLUSTER = 64
"""Code points looked at on either side: stacked marks beyond that are cut wherever they are."""


def boundary_before(text: str, cut: int, floor: int) -> int:
    """The nearest place at or before ``cut`` between two grapheme clusters; ``cut`` where none is after ``floor``."""
    at = cut
    while at > floor and at > cut - _MAX_CLUSTER:
        if is_boundary(text, at):
            return at
        at -= 1
    return cut if not _is_surrogate_pair(text, cut) else cut - 1 if cut - 1 > floor else cut + 1


def is_boundary(text: str, at: int) -> bool:
    """Whether ``text[at]`` begins a new cluster (the rules of Unicode annex 29 that matter in chats)."""
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    if before < "\u0300" and after < "\u0300":
        return not (before == "\r" and after == "\n")
    if _is_surrogate_pair(text, at):
        return False
    if _extends(after) or before == _JOINER:
        return False
    if _is_flag_letter(before) and _is_flag_letter(after):
        return _flag_letters_before(text, at) % 2 == 0
    if unicodedata.combining(before) == 9:  # a virama joins the consonants of one Indic syllable
        return not unicodedata.category(after).startswith("L")
    return not _joins_hangul(before, after)


def _extends(char: str) -> bool:
    code = ord(char)
    return (
        code == 0x200D
        or 0x1F3FB <= code <= 0x1F3FF  # skin tones
        or 0xE0020 <= code <= 0xE007F  # tags of regional flags
        or 0xFF9E <= code <= 0xFF9F
        or unicodedata.category(char) in ("Mn", "Me", "Mc")
    )


def _is_surrogate_pair(text: str, at: int) -> bool:
    return 0 < at < len(text) and "\ud800" <= text[at - 1] <= "\udbff" and "\udc00" <= text[at] <= "\udfff"


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _flag_letters_before(text: str, at: int) -> int:
    first = at
    while first > 0 and at - first < _MAX_CLUSTER and _is_flag_letter(text[first - 1]):
        first -= 1
    return at - first


def _joins_hangul(before: str, after: str) -> bool:
    vowel_or_tail = "\u1160" <= after <= "\u11ff"
    if "\u1100" <= before <= "\u115f":
        return vowel_or_tail or "\u1100" <= after <= "\u115f" or "\uac00" <= after <= "\ud7a3"
    return vowel_or_tail and ("\u1160" <= before <= "\u11ff" or "\uac00" <= before <= "\ud7a3")
