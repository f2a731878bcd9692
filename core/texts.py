"""Every sentence Parley itself says, by key and language. Errors are for people: what was wrong, what to do.

The sentences stand in ``core/locales``: one gettext catalog a language, and each file there is a language. In all of
them, English too, the ``msgid`` is the key. What a language lacks, or has marked fuzzy, is said in English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "locales"
ENGLISH = "en"
LONGEST_CODE = 35
"""Characters of a language code that are looked at: what RFC 5646 asks to have room for."""
_UNSEEN = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
"""Turns the direction of what follows, or is not seen: in a name that stands for somebody else's. Joiners, which emoji
and some scripts are written with, stay."""
_MARKS = re.compile(r"([\\`*_~|\[\]<>])")


@dataclass(frozen=True, slots=True)
class Catalog:
    """The sentences of one language."""

    code: str
    sentences: Mapping[str, tuple[str, ...]]
    """By key: the forms of each, one for most, as many as the language has plurals where ``{count}`` decides."""
    plural: Callable[[int], int]
    """Which form a count takes."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its unit, one of CLDR's: ``Amount(2.5, "megabyte")`` is said as 2.5 MB or 2,5 Mo."""

    number: float
    unit: str
    is_least: bool = False
    """It is more than that, and nobody knows how much: ``> 2.5 MB``."""

    @classmethod
    def of_bytes(cls, size: int, *, is_least: bool = False) -> Amount:
        return cls(size / 1_000_000, "megabyte", is_least)


@dataclass(frozen=True, slots=True)
class Money:
    """A price, ``currency`` by its code in ISO 4217: ``Money(0.0012, "USD")`` is said as $0.0012."""

    amount: float
    currency: str


@dataclass(frozen=True, slots=True)
class Label:
    """A word that has a key of its own, ``GROUP.WORD``; said as it is where it has none."""

    group: str
    word: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, said in its own zone, which is named: the reader's is not known."""

    at: datetime


Value = str | int | Amount | Money | Label | Moment
"""What a sentence is filled with; all but a str is written as the language writes it."""


@cache
def languages() -> tuple[str, ...]:
    """The languages there are, English first, by their codes in Unicode's CLDR: ``en``, ``zh_Hans``, ``pt_BR``."""
    found = sorted(file.stem for file in FOLDER.glob("*.po"))
    return tuple(sorted(found, key=lambda code: code != ENGLISH))


@cache
def catalog(code: str) -> Catalog:
    """One of :func:`languages`, read at its first use: parsing takes some 20 ms. Raises OSError, PoFileError."""
    # Imported here: 15 ms that a process spends when it first has something to say, not at its start.
    from gettext import c2py

    from babel.messages.pofile import read_po

    with (FOLDER / f"{code}.po").open("rb") as file:
        read = read_po(file, locale=code, abort_invalid=True)
    sentences: dict[str, tuple[str, ...]] = {}
    for message in read:
        key = message.id if isinstance(message.id, str) else message.id[0]
        forms = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
        if key and forms and all(forms) and not message.fuzzy:
            sentences[key] = forms
    return Catalog(code, sentences, c2py(read.plural_expr))


@lru_cache(maxsize=1024)
def closest(language: str) -> str:
    """That of :func:`languages` for a code as platforms and browsers give it (``zh-hans``, ``zh_TW``, ``pt-BR``);
    empty if none is near. Another script or country of the same language is nearer than English."""
    from babel import Locale, UnknownLocaleError
    from babel.core import get_global, parse_locale

    try:
        wanted = Locale.parse(language[:LONGEST_CODE].replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        return ""
    _, likely_country, likely_script, *_ = parse_locale(get_global("likely_subtags").get(wanted.language, "und"))
    script, country = wanted.script or likely_script, wanted.territory or likely_country
    nearest = (f"{wanted.language}_{script}_{country}", f"{wanted.language}_{country}", f"{wanted.language}_{script}")
    same = [code for code in languages() if code.partition("_")[0] == wanted.language]
    return next((code for code in (*nearest, wanted.language, *same) if code in same), "")


def say(key: str, language: str = "", /, **values: Value) -> str:
    """The sentence for ``key`` in the language (a code like ``zh-CN``; English when there is no such language).

    The number named ``count`` chooses between singular and plural. Raises KeyError where there is no sentence.
    """
    own = catalog(closest(language) or ENGLISH)
    if key not in own.sentences:
        own = catalog(ENGLISH)
    forms = own.sentences[key]
    form = forms[own.plural(_counted(values)) if len(forms) > 1 else 0]
    return form.format(**{name: _written(value, own.code) for name, value in values.items()}) if values else form


def one_line(text: str, chars: int) -> str:
    """What people wrote, to be shown within a sentence of ours: one line, not long, its Markdown harmless."""
    return _MARKS.sub(r"\\\1", plain_line(text, chars))


def plain_line(text: str, chars: int) -> str:
    """The same for a place where text is shown as it is."""
    line = " ".join(_UNSEEN.sub("", text).split())
    return line if len(line) <= chars else f"{line[: chars - 1].rstrip()}…"


def _counted(values: Mapping[str, Value]) -> int:
    count = values["count"]
    return int(count) if isinstance(count, str | int) else 0


def _written(value: Value, code: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Label):
        key = f"{value.group}.{value.word.replace(' ', '_')}"
        return say(key, code) if key in catalog(ENGLISH).sentences else value.word
    if isinstance(value, int):
        from babel.numbers import format_decimal

        return format_decimal(value, locale=code)
    if isinstance(value, Money):
        from babel.numbers import format_currency

        return format_currency(value.amount, value.currency, locale=code, decimal_quantization=False)
    if isinstance(value, Moment):
        from babel.dates import format_date, format_time

        day, time = format_date(value.at, "medium", locale=code), format_time(value.at.timetz(), "short", locale=code)
        return f"{day}, {time} ({value.at.tzinfo})"
    from babel.units import format_unit

    # The short form: long ones are missing in places (minutes in Chinese, Babel 2.18).
    written = format_unit(round(value.number, 1), value.unit, length="short", locale=code)
    return f"> {written}" if value.is_least else written
