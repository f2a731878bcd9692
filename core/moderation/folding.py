"""A text as the small classifiers read it, however it was disguised. Pure; for looking only, never for showing."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

LONGEST = 2000
"""Characters that are looked at: of a longer text the first and the last half of these."""
LINK, NAME, NUMBER, DIGITS = "\x02\x03\x04\x05"
"""What stands in a folded text for any link, any account, a long number and a short one."""

_SIMPLIFIED = Path(__file__).parent / "simplified.txt"
"""Traditional characters, and in the second line what they are in simplified Chinese (OpenCC, Apache-2.0)."""
_LINK = re.compile(
    r"(?:https?://|www\.|\bt\.me/|\bdiscord\.gg/)\S*"
    r"|(?<![\w@.])[a-z0-9-]{2,63}(?:\.[a-z0-9-]{1,63}){0,9}"
    r"\.(?:com|net|org|io|xyz|top|gift|gifts|ru|cn|cc|me|co|uk|info|shop|site|club|vip|app|link|online)\b(?:/\S*)?"
)
_NAME = re.compile(r"(?<!\w)@[a-z0-9_]+|<[@#][^>\s]*>")
_EMOJI = re.compile(r"<a?(:\w{2,32}:)\d{1,21}>")
"""One of Discord's own, whose number says nothing."""
_NUMBER = re.compile(r"\d(?:[ -]?\d){5,}")
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_APART = re.compile(r"(?<!\w)[a-z](?:[ ._*~-]{1,2}[a-z](?!\w)){2,}")
_BETWEEN = re.compile(r"[ ._*~-]+")
_DISGUISED = re.compile(r"(?<=[a-z])[@$!013457]+(?=[a-z])|(?<=[a-z])\$+")
_LETTERS = str.maketrans("@$!013457", "asioieast")
_REPEATED = re.compile(r"(.)\1{2,}", re.DOTALL)
_BESIDE_HAN = re.compile(
    r"(?<=[\u3400-\u9fff])[\s*._~|/\\-]+(?=[\u3400-\u9fff])|(?<=[\u3400-\u9fff])\s+|\s+(?=[\u3400-\u9fff])"
)
_BLANK = re.compile(r"\s+")


def folded(text: str) -> str:
    """The same for letters that only look different, for what is not seen, full width, accents, traditional and
    simplified characters, letters set apart and digits in place of letters; links, accounts and numbers are signs."""
    import disarm

    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + "\n" + text[-LONGEST // 2 :]
    text = _EMOJI.sub(r"\1", text)
    # Halves of characters, which JSON can have, are text to no library.
    plain = disarm.strip_obfuscation(text.encode("utf-8", "replace").decode())[:LONGEST].casefold()
    if not plain.isascii():
        plain = simplified(plain)
        plain = _BESIDE_HAN.sub("", plain)
    plain = _NAME.sub(NAME, _LINK.sub(LINK, plain))
    plain = _DISGUISED.sub(lambda found: found[0].translate(_LETTERS), plain)
    plain = _APART.sub(lambda found: _BETWEEN.sub("", found[0]), plain)
    plain = _DIGITS.sub(DIGITS, _NUMBER.sub(NUMBER, plain))
    return _BLANK.sub(" ", _REPEATED.sub(r"\1\1", plain)).strip()


def simplified(text: str) -> str:
    """Traditional characters as simplified ones, one for one."""
    return text.translate(_simplified())


@lru_cache(1)
def _simplified() -> dict[int, str]:
    traditional, simplified, *_ = _SIMPLIFIED.read_text("utf-8").split("\n")
    return {ord(one): other for one, other in zip(traditional, simplified, strict=True)}
