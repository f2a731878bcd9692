"""Which language a text is in, as far as its letters and smallest words tell. Pure.

A voice is chosen by it, so a wrong guess is heard at once and does no harm. Libraries that know more languages take
140 MB of memory in each process that reads texts aloud.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_LOOKED_AT = 2000
"""Characters."""
_SCRIPTS = {
    "CJK": "zh",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CYRILLIC": "ru",
    "GREEK": "el",
    "ARABIC": "ar",
    "HEBREW": "he",
    "THAI": "th",
    "DEVANAGARI": "hi",
    "LATIN": "",
}
"""How the names of letters begin in Unicode, and the language that most who write them speak."""
_WORDS = {
    "en": "the and of to is in that it you for with this are was not be have what from",
    "de": "der die das und ist nicht ich du ein eine zu mit den auf für es sich wie auch von",
    "fr": "le la les et est une des que pas je vous dans pour qui ce avec sur il elle du",
    "es": "el la los las y es una que no en por para con se lo su como más pero está",
    "it": "il lo la gli e è una che non di per con si sono come più ma della questo anche",
    "pt": "o a os as e é uma que não de para com se do da em como mais mas você",
    "nl": "de het een en is niet ik je van dat op met voor zijn te aan ook maar wat er",
    "pl": "i w nie na się że to jest z do jak co po ale od tak czy są być dla",
    "tr": "ve bir bu için ile de da ne çok ama daha gibi var mi değil olarak ben sen o kadar",
    "sv": "och att det är en som på inte jag för med av den till har om vi men kan ett",
}
_STOPS = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_LEAST = 2
"""Known words; one alone may be a name."""


def language_of(text: str) -> str:
    """The code of a language like ``en``; empty where nothing tells."""
    text = text[:_LOOKED_AT]
    scripts = Counter(unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha())
    known = Counter[str]()
    for name, count in scripts.items():
        if name in _SCRIPTS:
            known[_SCRIPTS[name]] += count
    if not known:
        return ""
    # Japanese has more Chinese characters than its own in many a sentence, and Chinese none of those.
    if known["ja"] and known["ja"] * 10 >= known["zh"]:
        return "ja"
    # A Chinese character says as much as some three letters.
    known["zh"] *= 3
    language = known.most_common(1)[0][0]
    return language or _by_words(text)


def _by_words(text: str) -> str:
    words = Counter(re.findall(r"[^\W\d_]+", text.lower()))
    found = {language: sum(words[word] for word in stops) for language, stops in _STOPS.items()}
    best = max(found, key=lambda language: found[language])
    return best if found[best] >= _LEAST else ""
