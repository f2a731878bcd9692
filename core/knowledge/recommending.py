"""Which documents fit what somebody is interested in. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.knowledge.documents import Document, Found, Passage
from core.texts import one_line

MOST_INTERESTS = 10
MOST = 5
"""Documents that are recommended."""
LONGEST_QUOTE = 160
"""Characters of a passage that are shown as the reason."""
_BETWEEN = re.compile(r"[,;，；、\n]+")


@dataclass(frozen=True, slots=True)
class Recommended:
    """A document, and why."""

    document: Document
    passage: Passage
    """What of it fits best."""
    interests: tuple[str, ...]
    """Which of the interests it is about, best first."""
    score: float


def interests_of(text: str) -> tuple[str, ...]:
    """As they are typed: with commas between."""
    found = dict.fromkeys(part.strip() for part in _BETWEEN.split(text) if part.strip())
    return tuple(found)[:MOST_INTERESTS]


def chosen(found: Sequence[tuple[str, Sequence[Found]]]) -> list[Recommended]:
    """The best documents of what was found for each interest. One that fits several interests goes before one that
    fits the best of them alone."""
    by_document: dict[str, dict[str, Found]] = {}
    for interest, passages in found:
        for one in passages:
            fits = by_document.setdefault(one.document.id, {})
            if interest not in fits or one.score > fits[interest].score:
                fits[interest] = one
    picked = [_recommended(fits) for fits in by_document.values()]
    return sorted(picked, key=lambda one: -one.score)[:MOST]


def _recommended(fits: dict[str, Found]) -> Recommended:
    ordered = sorted(fits.items(), key=lambda fit: -fit[1].score)
    best = ordered[0][1]
    score = sum(one.score / (number + 1) for number, (_, one) in enumerate(ordered))
    return Recommended(best.document, best.passage, tuple(interest for interest, _ in ordered), score)


def quoted(text: str) -> str:
    """The beginning of a passage in one line."""
    return one_line(text, LONGEST_QUOTE)
