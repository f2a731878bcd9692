"""Texts as people write them who do not want to be found: a letter left out, doubled or replaced, words run together
or torn. The same for the same text. Pure."""

from __future__ import annotations

import random
from zlib import crc32


def noisy(text: str) -> str:
    """The text with a change in about every fourth word, and in one at least."""
    chance = random.Random(crc32(text.encode()))
    words = text.split(" ")
    chosen = {chance.randrange(len(words))} | {at for at in range(len(words)) if chance.random() < 0.25}
    for at in chosen:
        words[at] = _changed(words[at], chance)
    return " ".join(words)


def _changed(word: str, chance: random.Random) -> str:
    if len(word) < 3:
        return word
    at = chance.randrange(1, len(word) - 1)
    match chance.randrange(5):
        case 0:
            return word[:at] + word[at + 1 :]
        case 1:
            return word[:at] + word[at] + word[at:]
        case 2:
            return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
        case 3:
            return word[:at] + "*" + word[at + 1 :]
        case _:
            return word[:at] + " " + word[at:]
