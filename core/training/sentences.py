"""Sentences about groups of people, made for the moderation classifiers: the same harmless and hateful sentences for
each group, so that the name of a group alone tells nothing. Written for this project (CC0). Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd, prod
from pathlib import Path

PHRASES = Path(__file__).with_name("phrases.toml")
GROUPS = Path(__file__).with_name("groups.toml")
LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, and whether a moderator would act on it."""

    text: str
    language: str
    is_toxic: bool


def sentences() -> Iterator[Sentence]:
    """All of them, for every group; the same each time."""
    for language, parts in tomllib.loads(GROUPS.read_text("utf-8")).items():
        for group in parts["groups"]:
            for is_toxic, templates in ((False, parts["harmless"]), (True, parts["hateful"])):
                for template in templates:
                    text = template.format(group)
                    yield Sentence(text[:1].upper() + text[1:], language, is_toxic)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence that shows what one label is, or is not."""

    text: str
    language: str
    label: str
    target: float
    kind: str
    """Sentences of one kind have their parts in common."""


def phrases(most: int) -> Iterator[Phrase]:
    """At most so many of each kind and language, evenly from all that there are; the same each time."""
    for row in tomllib.loads(PHRASES.read_text("utf-8"))["phrases"]:
        for language in LANGUAGES:
            for text in _some(row[language], most):
                yield Phrase(text, language, row["label"], float(row["target"]), row["name"])


def _some(parts: Sequence[Sequence[str]], most: int) -> Iterator[str]:
    whole = prod(map(len, parts))
    # Neighbours share their beginnings: a stride that has no divisor in common with the whole takes some of each.
    stride = max(1, int(whole * 0.618))
    while gcd(stride, whole) > 1:
        stride += 1
    for number in range(min(most, whole)):
        at, text = number * stride % whole, ""
        for choices in parts:
            at, place = divmod(at, len(choices))
            text = _joined(text, choices[place])
        yield text


def _joined(begin: str, more: str) -> str:
    is_word = begin[-1:].isascii() and more[:1].isascii() and (more[:1].isalnum() or more[:1] in ("$", "👉"))
    return f"{begin} {more}" if begin and is_word else begin + more
