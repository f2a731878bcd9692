"""What a message shows of how somebody feels, and what it is about: by lists of words, for sums alone. Pure.

Whom a single message is from does not matter here, and one message is often read wrongly (docs/moderation.md says how
often): only sums over many are shown.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

from core.moderation.folding import simplified

Mood = Literal["low", "neutral", "high"]
LONGEST = 1000
"""Characters that are looked at."""
MOST_WORDS = 16
"""Words of one message that may become topics."""
_TURNED = 3
"""Words that a negation turns round."""
_FOLDER = Path(__file__).parent
_NOT_SAID = re.compile(
    # Whatever names somebody or leads somewhere, code, and numbers with all that hangs on them.
    r"```.*?```|`[^`]*`|https?://\S+|www\.\S+|<[@#:a][^>]*>|\S*@\S+|[#/]\w+|\b\w+\.\w{2,}\S*|\w*\d[\w.,:-]*",
    re.DOTALL,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|[:;]['’]?-?[()d]|<3|\^\^")
_HAN = re.compile(r"[\u3400-\u9fff]+")
_LETTERS = re.compile(r"[a-z\u00c0-\u024f\u0370-\u1fff\u3040-\u30ff\uac00-\ud7af]{3,20}")
_REPEATED = re.compile(r"(\w)\1{2,}")


@dataclass(frozen=True, slots=True)
class Reading:
    """Of one message."""

    mood: Mood
    is_angry: bool
    words: tuple[str, ...]
    """What it may be about, each once."""


@dataclass(frozen=True, slots=True)
class _Lexicon:
    high: frozenset[str]
    low: frozenset[str]
    angry: frozenset[str]
    turns: frozenset[str]

    def worth(self, word: str) -> int:
        return (word in self.high) - (word in self.low or word in self.angry)


def read(text: str) -> Reading:
    """Never fails. Of a language with neither Latin nor Chinese letters the mood is always neutral."""
    plain = _REPEATED.sub(r"\1\1", _NOT_SAID.sub(" ", simplified(text[:LONGEST]).casefold().replace("’", "'")))
    english, chinese = _lexicons()
    words = _WORD.findall(plain)
    runs: list[str] = _HAN.findall(plain)
    total = sum(_english(words, english)) + sum(worth for run in runs for worth in _chinese(run, chinese))
    is_angry = any(word in english.angry for word in words) or any(
        word in run for run in runs for word in chinese.angry
    )
    topics = dict.fromkeys(_topics(words, runs, english.angry | chinese.angry))
    mood: Mood = "high" if total > 0 else "low" if total < 0 else "neutral"
    return Reading(mood, is_angry, tuple(topics)[:MOST_WORDS])


def _english(words: list[str], lexicon: _Lexicon) -> Iterator[int]:
    turned = 0
    for word in words:
        if word in lexicon.turns:
            turned = _TURNED
            continue
        worth = lexicon.worth(word)
        yield -worth if turned else worth
        turned = max(0, turned - 1)


def _chinese(run: str, lexicon: _Lexicon) -> Iterator[int]:
    """Longest words first, from left to right."""
    place, turned = 0, 0
    while place < len(run):
        word = next((run[place : place + n] for n in (4, 3, 2, 1) if lexicon.worth(run[place : place + n])), "")
        if word:
            worth = lexicon.worth(word)
            yield -worth if turned else worth
        elif run[place : place + 1] in lexicon.turns:
            turned = _TURNED
        turned = max(0, turned - 1)
        place += len(word) or 1


def _topics(words: list[str], runs: list[str], left_out: frozenset[str]) -> Iterator[str]:
    stops = _stop_words()
    for word in words:
        whole = word.partition("'")[0]
        if _LETTERS.fullmatch(whole) and whole not in stops and whole not in left_out:
            yield whole
    for run in runs:
        for first, second in pairwise(run):
            if first not in stops and second not in stops and first + second not in left_out:
                yield first + second


@lru_cache(1)
def _stop_words() -> frozenset[str]:
    return frozenset((_FOLDER / "stop_words.txt").read_text("utf-8").split())


@lru_cache(1)
def _lexicons() -> tuple[_Lexicon, _Lexicon]:
    found = tomllib.loads((_FOLDER / "lexicon.toml").read_text("utf-8"))
    lists = [{name: frozenset(text.split()) for name, text in found[code].items()} for code in ("en", "zh")]
    one, other = (_Lexicon(each["high"], each["low"], each["angry"], each["not"]) for each in lists)
    return one, other
